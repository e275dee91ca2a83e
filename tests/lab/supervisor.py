"""The process that is the lab: it holds the hosts, their network and the mirror.

Started by `tests.lab.lab` in namespaces of its own; when it ends, by request or by `kill -9`,
the kernel ends every host and takes back every mount and interface.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from tests.lab import disks, mirror, network, wire
from tests.lab.errors import LabError, machine_env, run
from tests.lab.families.ground import Ground
from tests.lab.image import Image
from tests.lab.machine import LabFacts, Machine
from tests.lab.namespaces import GUEST
from tests.lab.publishing import LabArchive
from tests.lab.spec import spec_from_json


class Supervisor:
    """Answers the requests that arrive on the socket, each in a thread of its own."""

    def __init__(self, lab: LabFacts) -> None:
        """Set up disks, network and mirror; hosts are added by request."""
        self._lab = lab
        self._machines: dict[str, Machine] = {}
        self._lock = Lock()
        self._archive = LabArchive(lab.image, lab.state / "archive")
        disks.prepare_folder(lab.hosts, lab.mode)
        # The tree may change while the lab runs; a host boots the way the lab was started.
        shutil.copyfile(GUEST / "boot.sh", lab.boot_script)
        if not (lab.state / "id_ed25519.pub").exists():
            (lab.state / "id_ed25519").unlink(missing_ok=True)
            disks.make_ssh_key(lab.image, lab.state, "id_ed25519", "wavemend-lab")
        network.make_bridge(lab.subnet)
        mirror.serve(network.mirror_address(lab.subnet), self._archive.served)

    def serve(self) -> None:
        """Answer requests until the process ends."""
        server = wire.listen(self._lab.state)
        while True:
            connection, _ = server.accept()
            Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection:
            try:
                request, files = wire.receive(connection)
            except ValueError:
                return  # a client that only looked whether somebody is here
            verb = request.pop("verb")
            try:
                action: Callable[..., Any] = getattr(self, f"do_{verb}")
                result = action(files=files, connection=connection, **request)
            except LabError as error:
                wire.answer(connection, error=str(error))
            except Exception as error:  # noqa: BLE001 - the lab lives on; its log has the trace
                traceback.print_exc()
                wire.answer(connection, error=f"the supervisor failed at `{verb}`: {error!r}")
            else:
                wire.answer(connection, result=result)
            finally:
                for handle in files if verb != "add" else ():
                    os.close(handle)
        if verb == "down":
            os._exit(0)

    def _machine(self, name: str) -> Machine:
        if name not in self._machines:
            raise LabError(f"there is no host '{name}' (there are: {', '.join(self._machines)})")
        return self._machines[name]

    def do_status(self, **_: Any) -> dict[str, Any]:
        """Describe the lab and its hosts."""
        machines = sorted(self._machines.values(), key=lambda machine: machine.number)
        return {
            "mode": self._lab.mode,
            "profile": self._lab.profile,
            "subnet": self._lab.subnet,
            "updates": self._lab.image.facts()["updates"],
            "hosts": [machine.as_json() for machine in machines],
        }

    def do_plug(self, **_: Any) -> None:
        """Attach the cable that leads to the ordinary namespace."""
        network.plug_uplink()

    def do_add(
        self, spec: dict[str, Any], number: int, image: str, files: list[int], **_: Any
    ) -> None:
        """Make one host, standing on this image of its family."""
        bound = socket.socket(fileno=files[0]) if files else None
        host = spec_from_json(spec)
        ground = Ground.at(self._lab.image, host.family, Path(image))
        machine = Machine(self._lab, ground, host, number, bound)
        with self._lock:
            self._archive.serve(ground)
            if machine.spec.name in self._machines:
                raise LabError(f"the host '{machine.spec.name}' is there already")
            self._machines[machine.spec.name] = machine
        try:
            machine.create()
        except LabError:
            machine.destroy()
            del self._machines[machine.spec.name]
            raise

    def do_power(self, host: str, action: str, **_: Any) -> None:
        """Use a host's power switch."""
        machine = self._machine(host)
        {"on": machine.on, "off": machine.off, "cut": machine.cut, "reboot": machine.reboot}[
            action
        ]()

    def do_link(self, host: str, connected: bool, **_: Any) -> None:
        """Pull or plug a host's cable."""
        self._machine(host).link(connected=connected)

    def do_reset(self, host: str, **_: Any) -> None:
        """Bring a host back to day zero."""
        self._machine(host).reset()

    def do_publish(self, package: str, version: str, **_: Any) -> None:
        """Offer one more package in the lab's archive."""
        with self._lock:
            self._archive.publish(package, version)

    def do_console(self, host: str, **_: Any) -> str:
        """Return the end of a host's console."""
        return self._machine(host).console()

    def do_exec(
        self, host: str, argv: list[str], files: list[int], connection: socket.socket, **_: Any
    ) -> int:
        """Run a command as the host's root on the caller's own files; it ends with the caller."""
        pid = self._machine(host).pid()
        env = machine_env(
            HOME="/root", PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        )
        process = subprocess.Popen(
            ["nsenter", f"--target={pid}", *_NAMESPACES, "--", *argv],
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            env=env,
            start_new_session=True,
        )
        ended = os.pidfd_open(process.pid)
        try:
            readable = select.select([ended, connection.fileno()], [], [])[0]
        finally:
            os.close(ended)
        if ended not in readable:
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    def do_down(self, **_: Any) -> None:
        """End every host and remove what they wrote; the process ends after the answer."""
        threads = [Thread(target=machine.destroy) for machine in self._machines.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._lab.hosts.is_mount():
            run(["umount", "--lazy", self._lab.hosts])
        for folder in (self._lab.hosts, self._lab.state / "archive"):
            shutil.rmtree(folder, ignore_errors=True)


_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--time", "--root", "--wd")


def main(state: Path) -> None:
    """Be the supervisor of the lab in this state folder."""
    os.umask(0o022)  # what is made here is a host's own disk: its users must get in
    # Whoever started this may ignore them (nohup, a shell's background job), and what is ignored is
    # inherited: a host's PID 1, which is told by them to restart or to go off, never could.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    config = json.loads((state / "supervisor.json").read_text())
    image = Image(Path(config["image"]))
    group = Path(config["cgroup"]) if config["cgroup"] else None
    lab = LabFacts(state, config["mode"], config["subnet"], image, group)
    # PID 1 of the lab's namespace only adopts and buries orphans; when its child ends, it ends,
    # and the kernel ends everything else.
    child = os.fork()
    if child == 0:
        Supervisor(lab).serve()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while os.wait()[0] != child:
        continue


if __name__ == "__main__":
    main(Path(sys.argv[1]))
