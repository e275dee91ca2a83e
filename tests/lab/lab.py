"""The lab as its users see it: bring hosts up, use their switches, look inside, take them down."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO

from tests.lab import addresses, cgroups, network, wire
from tests.lab.errors import LabError, machine_env, run, tail
from tests.lab.families.build import ensure_ground
from tests.lab.image import Image, cache_folder, ensure_image, locked, mountable
from tests.lab.info import LabHost, LabInfo, read_info, write_info
from tests.lab.namespaces import ROOT, mode_of_user, unshare_argv
from tests.lab.probing import probe
from tests.lab.spec import HostSpec, check_hosts, default_hosts, spec_from_json

# Each systemd holds half a dozen of the kernel's 128 inotify instances per user.
_MAX_SYSTEMD_HOSTS = 15
_TREE = Path(__file__).parent.parent.parent
_SUPERVISOR = "tests.lab.supervisor"
_SUPERVISOR_SECONDS = 60.0
# A host's sshd answers within two seconds; a loaded machine with many hosts takes its time.
_BANNER_SECONDS = 90.0


def _silent(_: str) -> None:
    """Say nothing."""


def default_state() -> Path:
    """Return the state folder used when none is named."""
    return Path(os.environ.get("WAVEMEND_LAB_STATE") or ".lab")


class Lab:
    """One lab, identified by its state folder. Any process of its user may use it."""

    def __init__(self, state: Path | None = None, say: Callable[[str], None] = _silent) -> None:
        """Name the state folder; `say` is told about steps that take long."""
        self.state = mountable((state or default_state()).absolute())
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None

    def up(self, hosts: int | Sequence[HostSpec] = 10) -> LabInfo:
        """Bring the lab up with at least these hosts; what already runs is kept.

        Returns when every host that is switched on answers as an SSH server.
        """
        wanted = default_hosts(hosts) if isinstance(hosts, int) else check_hosts(hosts)
        self.state.mkdir(parents=True, exist_ok=True)
        with locked(self.state / "up.lock"):
            if not self.is_running():
                self._start(len(wanted))
            families = sorted({spec.family for spec in wanted})
            images = {name: self._image_of(name) for name in families}
            self._add(wanted, images)
            info = write_info(self.state, self.status(), self._config()["loopback"])
        for host in info.hosts:
            if host.name in {each.name for each in wanted} and self._is_on(host.name):
                self.wait_ready(host.name)
        return info

    def down(self) -> None:
        """End the lab and everything its hosts wrote; the keys in the state folder stay."""
        client = wire.connect(self.state)
        if client is not None:
            with client:
                pid = wire.peer_pid(client)
            try:
                wire.ask(self.state, "down", timeout=_SUPERVISOR_SECONDS)
            except (LabError, OSError) as error:
                self._say(f"the supervisor is killed, as it did not end by itself: {error}")
                os.kill(pid, signal.SIGKILL)
        self._wait_gone()
        if (self.state / "hosts").exists():  # of a lab that was killed
            run([*unshare_argv(mode_of_user()), "rm", "-rf", self.state / "hosts"])
        if (self.state / "supervisor.json").exists() and (group := self._config().get("cgroup")):
            cgroups.remove(Path(group))
        for name in ("lab.json", "known_hosts", "supervisor.json", "supervisor.sock"):
            (self.state / name).unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Say whether a supervisor answers for this state folder."""
        client = wire.connect(self.state)
        if client is not None:
            client.close()
        return client is not None

    def status(self) -> dict[str, Any]:
        """Return mode, profile, and for each host what is known of it now."""
        status: dict[str, Any] = wire.ask(self.state, "status")
        return status

    def info(self) -> LabInfo:
        """Read what `up` wrote down."""
        return read_info(self.state)

    def exec(
        self, host: str, *argv: str, stdin: str = "", timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the host's root, past its sshd: the truth on the host's side."""
        with TemporaryFile() as source, TemporaryFile() as output, TemporaryFile() as errors:
            source.write(stdin.encode())
            source.seek(0)
            files = [source.fileno(), output.fileno(), errors.fileno()]
            code = self.exec_on(host, argv, files=files, timeout=timeout)
            for stream in (output, errors):
                stream.seek(0)
            return subprocess.CompletedProcess(
                list(argv),
                code,
                output.read().decode(errors="replace"),
                errors.read().decode(errors="replace"),
            )

    def exec_on(
        self, host: str, argv: Sequence[str], *, files: Sequence[int], timeout: float | None = None
    ) -> int:
        """Run a command as the host's root on these three open files; return its exit status."""
        try:
            code: int = wire.ask(
                self.state, "exec", host=host, argv=list(argv), files=files, timeout=timeout
            )
        except TimeoutError:
            raise LabError(f"{host}: `{argv[0]}` did not end within {timeout} s") from None
        return code

    def power(self, host: str, action: str, *, wait: bool = True) -> None:
        """Use the power switch: `on`, `off` (in order), `cut` (at once) or `reboot`.

        With `wait`, `on` and `reboot` return when the host answers again.
        """
        if action not in {"on", "off", "cut", "reboot"}:
            raise LabError(f"power is on, off, cut or reboot, not '{action}'")
        before = self.host_status(host)["boots"]
        wire.ask(self.state, "power", host=host, action=action)
        if not wait or action not in {"on", "reboot"}:
            return
        if action == "reboot":
            self._wait_for(lambda: self.host_status(host)["boots"] > before, f"{host} to reboot")
        self.wait_ready(host)

    def link(self, host: str, direction: str) -> None:
        """Pull the host's network cable (`down`) or plug it in (`up`)."""
        if direction not in {"up", "down"}:
            raise LabError(f"a link is up or down, not '{direction}'")
        wire.ask(self.state, "link", host=host, connected=direction == "up")

    def reset(self, host: str, *, wait: bool = True) -> None:
        """Bring a host back to day zero."""
        wire.ask(self.state, "reset", host=host)
        if wait and self._is_on(host):
            self.wait_ready(host)

    def publish(self, package: str, version: str) -> None:
        """Offer a built package in the lab's archive, and sign it anew."""
        wire.ask(self.state, "publish", package=package, version=version)

    def host_status(self, host: str) -> dict[str, Any]:
        """Return what is known of one host now."""
        for entry in self.status()["hosts"]:
            if entry["name"] == host:
                return dict(entry)
        raise LabError(f"there is no host '{host}' in {self.state}")

    def wait_ready(self, host: str) -> None:
        """Wait until the host answers as an SSH server, as its users see it."""
        where = self.info().host(host)
        try:
            self._wait_for(lambda: self._answers(where), f"{host} to answer")
        except LabError as error:
            console = wire.ask(self.state, "console", host=host)
            raise LabError(f"{error}; its console says:\n{console}") from None

    def _answers(self, where: LabHost) -> bool:
        if _has_banner(where.address, where.port):
            return True
        if not self._is_on(where.name):
            raise LabError(f"{where.name} switched itself off")
        return False

    def _is_on(self, host: str) -> bool:
        return bool(self.host_status(host)["running"])

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _BANNER_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise LabError(f"waited {_BANNER_SECONDS:.0f} s in vain for {what}")
            time.sleep(0.05)

    def _start(self, count: int) -> None:
        """Start the supervisor, and lay the cable to it where there is one."""
        found = probe()
        if found.mode is None:
            raise LabError(found.reason)
        image = ensure_image(found.mode, self._say)
        # One lab at a time looks for a free network, so that two never take the same; labs of root
        # share the machine's networks, whatever cache they use.
        shared = Path("/run/lock/wavemend-lab") if found.mode == ROOT else cache_folder()
        with locked(shared / "start.lock"):
            subnet = addresses.free_subnet(found.mode)
            marker = addresses.reserve_loopback() if found.mode != ROOT else None
            group = self._group(count)
            config = {
                "mode": found.mode,
                "profile": "systemd" if group else "light",
                "subnet": subnet,
                "image": str(image.folder),
                "loopback": addresses.loopback_of(marker),
                "cgroup": str(group) if group else None,
            }
            (self.state / "supervisor.json").write_text(json.dumps(config))
            pid = self._spawn(found.mode, marker)
            try:
                if found.mode == ROOT:
                    network.lay_uplink(addresses.uplink_name(subnet), subnet, pid)
                    wire.ask(self.state, "plug")
            except LabError:
                os.kill(pid, signal.SIGKILL)
                raise

    def _group(self, count: int) -> Path | None:
        """Return the hosts' control group if they shall boot under systemd."""
        profile = os.environ.get("WAVEMEND_LAB_PROFILE", "auto")
        if profile not in {"auto", "light", "systemd"}:
            raise LabError(f"WAVEMEND_LAB_PROFILE is auto, light or systemd, not '{profile}'")
        if profile == "light" or (profile == "auto" and count > _MAX_SYSTEMD_HOSTS):
            return None
        group = cgroups.lab_group(self.state)
        if group is None and profile == "systemd":
            raise LabError("hosts cannot boot under systemd here: there is no writable cgroup2")
        return group

    def _spawn(self, mode: str, marker: socket.socket | None) -> int:
        kept = [marker.fileno()] if marker else []
        log = self.state / "supervisor.log"
        with (self.state / "supervisor.lock").open("a") as lock, log.open("wb") as output:
            _lock(lock)
            self._process = subprocess.Popen(
                [*unshare_argv(mode, "--net"), sys.executable, "-m", _SUPERVISOR, str(self.state)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[lock.fileno(), *kept],
                start_new_session=True,
                env=machine_env(PYTHONPATH=str(_TREE)),
            )
        return self._wait_supervisor(self._process)

    def _wait_supervisor(self, process: subprocess.Popen[bytes]) -> int:
        deadline = time.monotonic() + _SUPERVISOR_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            client = wire.connect(self.state)
            if client is not None:
                with client:
                    return wire.peer_pid(client)
            time.sleep(0.02)
        process.kill()
        log = tail((self.state / "supervisor.log").read_text(errors="replace"))
        raise LabError(f"the lab's supervisor did not start; its log says:\n{log}")

    def _wait_gone(self) -> None:
        """Wait until no process of the supervisor holds its lock: then the kernel cleaned up."""
        lock_file = self.state / "supervisor.lock"
        if not lock_file.exists():
            return
        with lock_file.open("a") as lock:
            _lock(lock)
        if self._process is not None:
            self._process.wait()
        if (self.state / "supervisor.json").exists() and self._config()["mode"] == ROOT:
            addresses.wait_unplugged(self._config()["subnet"])

    def _image_of(self, family: str) -> str:
        """Return the folder of a family's image, built now if it is the first of its kind."""
        config = self._config()
        ground = ensure_ground(Image(Path(config["image"])), config["mode"], family, self._say)
        return str(ground.folder)

    def _add(self, wanted: Sequence[HostSpec], images: Mapping[str, str]) -> None:
        """Make the hosts that are missing; a host that runs with another spec is refused."""
        there = {host["name"]: host for host in self.status()["hosts"]}
        for spec in wanted:
            if spec.name in there and spec_from_json(there[spec.name]["spec"]) != spec:
                raise LabError(f"{spec.name} runs with another spec: take the lab down first")
        used = {host["number"] for host in there.values()}
        missing = [spec for spec in wanted if spec.name not in there]
        free = (number for number in range(1, len(used) + len(missing) + 1) if number not in used)
        pairs = list(zip(missing, free, strict=False))
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda pair: self._add_one(pair[0], pair[1], images), pairs))

    def _add_one(self, spec: HostSpec, number: int, images: Mapping[str, str]) -> None:
        loopback = self._config()["loopback"]
        words: dict[str, Any] = {
            "spec": spec.as_json(),
            "number": number,
            "image": images[spec.family],
        }
        if loopback is None:
            wire.ask(self.state, "add", **words)
            return
        with addresses.bind_door(loopback, number) as bound:
            wire.ask(self.state, "add", files=[bound.fileno()], **words)

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads((self.state / "supervisor.json").read_text())
        return config


def _lock(lock: TextIO) -> None:
    """Take the lock that every process of a supervisor holds for as long as it lives."""
    deadline = time.monotonic() + _SUPERVISOR_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return
    raise LabError(f"a supervisor still holds {lock.name}, but does not answer: end it first")


def _has_banner(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
