"""The process that plays a lab of simulated hosts, and how to ask it for something."""

import contextlib
import json
import os
import secrets
import signal
import socket
import socketserver
import threading
from pathlib import Path
from typing import Any

import paramiko

from wavemend.errors import EnvironmentUnfit
from wavemend.testing.keys import KeyPair
from wavemend.testing.simulated.catalogue import key
from wavemend.testing.simulated.machine import Machine
from wavemend.testing.simulated.server import Switchboard
from wavemend.testing.simulated.tools import write_tools

ANSWERS_WITHIN = 60.0
POWER = ("on", "off", "cut", "reboot")


def ask(state: Path, verb: str, **more: Any) -> Any:
    """Ask the lab's process; return its answer. Raises EnvironmentUnfit, also for a refusal."""
    try:
        settings = json.loads((state / "daemon.json").read_text())
        with socket.create_connection(("127.0.0.1", settings["port"]), ANSWERS_WITHIN) as sock:
            request = {"token": settings["token"], "verb": verb, **more}
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(sock.makefile().readline())
    except (OSError, ValueError) as error:
        raise EnvironmentUnfit(
            f"no simulated hosts are up in {state}",
            hint="start them: python -m wavemend.testing.simulated_hosts up",
        ) from error
    if "error" in answer:
        raise EnvironmentUnfit(answer["error"])
    return answer["answer"]


class Lab:
    """All hosts of one state folder, inside the process that plays them."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.ended = threading.Event()
        self._publishing = threading.Lock()
        blob = paramiko.Ed25519Key.from_private_key_file(str(state / "id_ed25519")).asbytes()
        self._boards: dict[str, Switchboard] = {}
        self._power: dict[str, str] = {}
        for host in json.loads((state / "lab.json").read_text())["hosts"]:
            private = (state / "identity" / host["name"]).read_text()
            pair = KeyPair(private=private, public=host["host_key"])
            machine = Machine(state, host["name"])
            self._boards[host["name"]] = Switchboard(machine, host["port"], pair, blob)
            self._power[host["name"]] = host["power"]
        write_tools(state / "bin")

    def switch_on(self) -> None:
        """Switch on every host that is to be on at the start."""
        for name, board in self._boards.items():
            if self._power[name] == "on":
                board.on()

    def answer(self, verb: str, request: dict[str, Any]) -> Any:
        """Do what is asked. Raises EnvironmentUnfit."""
        match verb:
            case "status":
                return {"hosts": [self._describe(name) for name in self._boards]}
            case "power":
                return self._switch(request["host"], request["action"], request.get("later", 0.0))
            case "publish":
                return self._publish(request["package"], request["version"])
            case "down":
                for board in self._boards.values():
                    board.off()
                self.ended.set()
                return None
            case _:
                raise EnvironmentUnfit(f"the simulated lab cannot {verb!r}")

    def _describe(self, name: str) -> dict[str, Any]:
        board = self._boards[name]
        return {"name": name, "running": board.is_on, "boots": board.machine.boots}

    def _switch(self, name: str, action: str, later: float) -> None:
        if name not in self._boards:
            raise EnvironmentUnfit(f"there is no simulated host {name!r} in {self._state}")
        if action not in POWER:
            raise EnvironmentUnfit(f"power is {', '.join(POWER)}, not {action!r}")
        board = self._boards[name]
        work = {"on": board.on, "off": board.off, "cut": board.off, "reboot": board.reboot}[action]
        if later or action == "reboot":
            threading.Timer(later, work).start()
        else:
            work()

    def _publish(self, package: str, version: str) -> None:
        with self._publishing:
            path = self._state / "catalogue.json"
            catalogue = json.loads(path.read_text())
            wanted = f"{package}={version}"
            if wanted not in {key(each) for each in catalogue["packages"]}:
                late = ", ".join(key(each) for each in catalogue["packages"] if each.get("late"))
                raise EnvironmentUnfit(f"there is no {wanted} to publish (there are: {late})")
            if wanted not in catalogue["offered"]:
                catalogue["offered"].append(wanted)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(catalogue))
            new.replace(path)


def serve(state: Path) -> None:
    """Play the lab of a state folder until it is told to end. This is the process's whole life."""
    lab = Lab(state)
    token = secrets.token_hex(16)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                request = json.loads(self.rfile.readline())
                if not secrets.compare_digest(str(request.get("token")), token):
                    return
                answer = {"answer": lab.answer(request["verb"], request)}
            except EnvironmentUnfit as error:
                answer = {"error": str(error)}
            with contextlib.suppress(OSError):
                self.wfile.write(json.dumps(answer).encode() + b"\n")

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: lab.ended.set())
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {"pid": os.getpid(), "port": server.server_address[1], "token": token}
        new = state / "daemon.new"
        new.touch(mode=0o600)
        new.write_text(json.dumps(settings))
        lab.switch_on()
        new.replace(state / "daemon.json")
        lab.ended.wait()
        with contextlib.suppress(EnvironmentUnfit):
            lab.answer("down", {})
        server.shutdown()
