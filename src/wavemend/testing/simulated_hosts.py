"""Simulated Debian 12 hosts, for where no lab of real hosts can run.

    python -m wavemend.testing.simulated_hosts up --state DIR [--hosts N | --spec FILE]
    python -m wavemend.testing.simulated_hosts status|down --state DIR
    python -m wavemend.testing.simulated_hosts exec --state DIR HOST -- COMMAND
    python -m wavemend.testing.simulated_hosts power --state DIR HOST on|off|reboot
    python -m wavemend.testing.simulated_hosts publish --state DIR PACKAGE VERSION

Each host is an SSH server on a loopback port; commands run by this machine's own shell, with
tools that play apt, dpkg and sudo in front of the PATH and the host's files below WAVEMEND_ROOT.
Nothing needs a privilege. What it is not: a kernel, a dpkg, a network. Every host says so itself
(`SIMULATED=wavemend` in its os-release), and what is shown on it counts as shown on a simulation.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wavemend.errors import EnvironmentUnfit
from wavemend.hosts import Host
from wavemend.testing.guest.store import is_alive
from wavemend.testing.keys import KeyPair, free_port, new_key
from wavemend.testing.openssh import wait_for_port
from wavemend.testing.simulated.catalogue import new_catalogue, update_files
from wavemend.testing.simulated.daemon import ask, serve
from wavemend.testing.simulated.machine import Machine
from wavemend.testing.simulated.server import USERS
from wavemend.testing.simulated.spec import HostSpec, check_hosts, default_hosts, load_spec
from wavemend.transport import Login

SCHEMA = "wavemend.lab/1"
UP_WITHIN = 60.0
BACK_WITHIN = 30.0
LEFT_BEHIND = ("lab.json", "known_hosts", "daemon.json", "catalogue.json")


class SimulatedLab:
    """The simulated hosts of one state folder. Any process of its user may use it."""

    def __init__(self, state: Path) -> None:
        self.state = state.absolute()

    def up(self, hosts: int | Sequence[HostSpec] = 10) -> None:
        """Bring the hosts up and return when those that are switched on answer."""
        specs = default_hosts(hosts) if isinstance(hosts, int) else check_hosts(hosts)
        if self.is_running():
            raise EnvironmentUnfit(
                f"simulated hosts are up in {self.state} already", hint="take them down first"
            )
        self.down()  # of a lab whose process was killed
        self._prepare(specs)
        with (self.state / "daemon.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "wavemend.testing.simulated_hosts",
                    "serve",
                    "--state",
                    str(self.state),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
            )
        self._wait_up(process)

    def _wait_up(self, process: "subprocess.Popen[bytes]") -> None:
        ends_at = time.monotonic() + UP_WITHIN
        while not (self.state / "daemon.json").exists():
            if process.poll() is not None or time.monotonic() > ends_at:
                process.kill()
                log = (self.state / "daemon.log").read_text(errors="replace")[-2000:]
                raise EnvironmentUnfit(f"the simulated hosts did not come up; the log says:\n{log}")
            time.sleep(0.02)

    def _prepare(self, specs: Sequence[HostSpec]) -> None:
        (self.state / "identity").mkdir(parents=True, exist_ok=True)
        catalogue = new_catalogue()
        (self.state / "catalogue.json").write_text(json.dumps(catalogue))
        _keep_key(self.state / "id_ed25519")
        ports = _free_ports(len(specs))
        hosts = []
        for spec, port in zip(specs, ports, strict=True):
            Machine(self.state, spec.name).build(spec, catalogue)
            hosts.append(
                {
                    "name": spec.name,
                    "address": "127.0.0.1",
                    "port": port,
                    "host_key": _keep_key(self.state / "identity" / spec.name).public,
                    "packages": list(spec.package_names),
                    "held": list(spec.held),
                    "power": spec.power,
                }
            )
        known = "".join(f"[127.0.0.1]:{host['port']} {host['host_key']}\n" for host in hosts)
        (self.state / "known_hosts").write_text(known)
        self._write_info(hosts, update_files(catalogue))

    def _write_info(self, hosts: list[dict[str, Any]], updates: list[str]) -> None:
        info = {
            "schema": SCHEMA,
            "mode": "simulated",
            "profile": "simulated",
            "user": USERS[0],
            "limited_user": USERS[1],
            "key": str(self.state / "id_ed25519"),
            "known_hosts": str(self.state / "known_hosts"),
            "mirror": "",
            "updates": updates,
            "hosts": hosts,
        }
        (self.state / "lab.json").write_text(json.dumps(info, indent=2) + "\n")

    def info(self) -> dict[str, Any]:
        """Return what `up` wrote to lab.json. Raises EnvironmentUnfit."""
        try:
            found: dict[str, Any] = json.loads((self.state / "lab.json").read_text())
        except OSError as error:
            raise EnvironmentUnfit(f"no simulated hosts are up in {self.state}") from error
        return found

    def hosts(self, *, tenant: str = "lab") -> tuple[Host, ...]:
        """Return the hosts as values of the core, their keys pinned, in the order of the spec."""
        return tuple(
            Host(
                name=host["name"],
                tenant=tenant,
                address=host["address"],
                port=host["port"],
                host_keys=(host["host_key"],),
                login="lab",
                simulated=True,
            )
            for host in self.info()["hosts"]
        )

    def host(self, name: str) -> Host:
        """Return one host by name."""
        return next(host for host in self.hosts() if host.name == name)

    def login(self, *, limited: bool = False) -> Login:
        """Return the login that all hosts accept; the limited one may not become root."""
        info = self.info()
        return Login(
            name="lab",
            user=info["limited_user"] if limited else info["user"],
            private_key=Path(info["key"]).read_text(),
            known_hosts=Path(info["known_hosts"]).read_text(),
        )

    def is_running(self) -> bool:
        """Say whether a process plays hosts for this state folder."""
        try:
            self.status()
        except EnvironmentUnfit:
            return False
        return True

    def status(self) -> list[dict[str, Any]]:
        """Return per host its name, whether it runs, and how often it booted."""
        hosts: list[dict[str, Any]] = ask(self.state, "status")["hosts"]
        return hosts

    def _host_status(self, name: str) -> dict[str, Any]:
        for host in self.status():
            if host["name"] == name:
                return host
        raise EnvironmentUnfit(f"there is no simulated host {name!r} in {self.state}")

    def power(self, name: str, action: str, *, wait: bool = True) -> None:
        """Use a host's power switch: on, off, cut or reboot; with `wait`, until it is back."""
        before = self._host_status(name)["boots"]
        ask(self.state, "power", host=name, action=action)
        if not wait or action not in {"on", "reboot"}:
            return
        ends_at = time.monotonic() + BACK_WITHIN
        while action == "reboot" and self._host_status(name)["boots"] == before:
            if time.monotonic() > ends_at:
                raise EnvironmentUnfit(f"{name} did not come back within {BACK_WITHIN:g} s")
            time.sleep(0.05)
        port = next(host["port"] for host in self.info()["hosts"] if host["name"] == name)
        wait_for_port(port, BACK_WITHIN)

    def publish(self, package: str, version: str) -> None:
        """Offer one more version; hosts see it with their next `apt-get update`."""
        ask(self.state, "publish", package=package, version=version)

    def exec(self, name: str, argv: Sequence[str]) -> int:
        """Run a command as the host's root, past its SSH server, on our own streams."""
        if not self._host_status(name)["running"]:
            raise EnvironmentUnfit(f"{name} is switched off")
        return Machine(self.state, name).run_as_root(argv)

    def down(self) -> None:
        """End the hosts with everything they run and wrote; the keys in the state folder stay."""
        pid = 0
        with contextlib.suppress(OSError, ValueError):
            pid = int(json.loads((self.state / "daemon.json").read_text())["pid"])
        if pid and self.is_running():
            ask(self.state, "down")
            _wait_gone(pid)
        hosts = self.state / "hosts"
        for folder in sorted(hosts.glob("*")):  # jobs of a lab whose process was killed
            Machine(self.state, folder.name).kill_processes()
        shutil.rmtree(hosts, ignore_errors=True)
        shutil.rmtree(self.state / "bin", ignore_errors=True)
        for file in LEFT_BEHIND:
            (self.state / file).unlink(missing_ok=True)


def _free_ports(count: int) -> list[int]:
    """Return free ports; a set first, because a port that is free may be found twice."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return sorted(ports)


def _keep_key(path: Path) -> KeyPair:
    """Return the key of this path, made at first: a host keeps its identity over labs."""
    public = path.with_name(f"{path.name}.pub")
    if not public.exists():
        pair = new_key()
        path.touch(mode=0o600)
        path.write_text(pair.private)
        public.write_text(f"{pair.public}\n")
    return KeyPair(private=path.read_text(), public=public.read_text().strip())


def _wait_gone(pid: int) -> None:
    ends_at = time.monotonic() + BACK_WITHIN
    while is_alive(pid) and not _is_zombie(pid):
        if time.monotonic() > ends_at:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.02)


def _is_zombie(pid: int) -> bool:
    """Reap the process where it is our child; say whether it was one that had ended."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m wavemend.testing.simulated_hosts", description="simulated Debian hosts"
    )
    verbs = top.add_subparsers(dest="verb", required=True)
    texts = {
        "up": "bring hosts up",
        "down": "end them, and everything they wrote",
        "status": "show the hosts",
        "exec": "run a command as the host's root",
        "power": "use the power switch",
        "publish": "offer one more version of a lab package",
        "serve": "play the hosts in this process (used by `up`)",
    }
    commands = {verb: verbs.add_parser(verb, help=text) for verb, text in texts.items()}
    for command in commands.values():
        command.add_argument("--state", type=Path, default=Path(".lab"), help="the lab's folder")
    commands["up"].add_argument("--hosts", type=int, default=10, help="how many of the table")
    commands["up"].add_argument("--spec", type=Path, help="JSON file with the hosts")
    commands["status"].add_argument("--json", action="store_true")
    commands["exec"].add_argument("host")
    commands["exec"].add_argument("argv", nargs=argparse.REMAINDER, metavar="-- command")
    commands["power"].add_argument("host")
    commands["power"].add_argument("action", choices=["on", "off", "cut", "reboot"])
    commands["publish"].add_argument("package")
    commands["publish"].add_argument("version")
    return top


def _show(lab: SimulatedLab, *, as_json: bool) -> None:
    hosts = {host["name"]: host for host in lab.info()["hosts"]}
    rows = [{**hosts[row["name"]], **row} for row in lab.status()]
    if as_json:
        sys.stdout.write(json.dumps({"mode": "simulated", "hosts": rows}, indent=2) + "\n")
        return
    for row in rows:
        spec = " ".join([*row["packages"], *(f"hold:{name}" for name in row["held"])])
        power = "on" if row["running"] else "off"
        sys.stdout.write(f"{row['name']:12} 127.0.0.1:{row['port']:<5} {power:3}  {spec}\n")


def _do(lab: SimulatedLab, options: argparse.Namespace) -> int:
    match options.verb:
        case "up":
            lab.up(load_spec(options.spec) if options.spec else options.hosts)
            _show(lab, as_json=False)
        case "down":
            lab.down()
        case "status":
            _show(lab, as_json=options.json)
        case "exec":
            argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
            return lab.exec(options.host, argv)
        case "power":
            lab.power(options.host, options.action)
        case "publish":
            lab.publish(options.package, options.version)
        case _:
            serve(lab.state)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; what cannot be done is one sentence on stderr."""
    options = parser().parse_args(argv)
    try:
        return _do(SimulatedLab(options.state), options)
    except EnvironmentUnfit as error:
        sys.stderr.write(f"simulated hosts: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
