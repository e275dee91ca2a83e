"""One host: its disk, its cable, and the thread that is its power supply."""

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from threading import Event, RLock, Thread
from typing import Any

from tests.lab import cgroups, disks
from tests.lab.errors import LabError, machine_env
from tests.lab.families.ground import Ground
from tests.lab.forwarder import Door
from tests.lab.image import Image
from tests.lab.namespaces import time_offset_flags
from tests.lab.network import Cable, host_address, mirror_address
from tests.lab.spec import HostSpec

# How the end of PID 1 reads: reboot(2) in a PID namespace ends its init with SIGHUP, power-off
# with SIGINT; the light profile's init exits with the codes a shell gives these.
_REBOOT = {-signal.SIGHUP, 128 + signal.SIGHUP}

# What asks PID 1 to shut down in order: the light init's traps, and systemd's documented signals.
_ASK = {
    "light": {"reboot": int(signal.SIGHUP), "off": int(signal.SIGINT)},
    "systemd": {"reboot": int(signal.SIGRTMIN) + 5, "off": int(signal.SIGRTMIN) + 4},
}
_SHUTDOWN_SECONDS = 30.0
_START_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class LabFacts:
    """What all hosts of a lab share."""

    state: Path
    mode: str
    subnet: str
    image: Image
    cgroup: Path | None

    @property
    def profile(self) -> str:
        """Return how hosts boot: systemd where they have control groups, else light."""
        return "systemd" if self.cgroup else "light"

    @property
    def boot_script(self) -> Path:
        """Return the lab's copy of the script that becomes PID 1."""
        return self.hosts / ".boot.sh"

    @property
    def hosts(self) -> Path:
        """Return the folder of everything that ends with the lab."""
        return self.state / "hosts"


class Machine:
    """A host and its switches. Every method is safe to call from any thread."""

    def __init__(
        self, lab: LabFacts, ground: Ground, spec: HostSpec, number: int, bound: socket | None
    ) -> None:
        """Describe the host; `create` makes it."""
        self.spec = spec
        self.number = number
        self.address = host_address(lab.subnet, number)
        self.boots = 0
        self.connected = True
        self._lab = lab
        self._ground = ground
        self._folder = lab.hosts / spec.name
        self._disk = disks.Disk(self._folder / "disk", lab.mode, spec.disk)
        self._cable = Cable(self._folder / "net", number, self.address)
        self._door = Door(bound, self.address) if bound else None
        self._lock = RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: Thread | None = None
        self._started = Event()
        self._cut = False

    @property
    def running(self) -> bool:
        """Say whether the host has power."""
        return self._keeper is not None and self._keeper.is_alive()

    def create(self) -> None:
        """Lay the cable, make day zero's disk, and switch on if the spec says so."""
        self._folder.mkdir()
        self._cable.lay()
        self._day_zero()

    def reset(self) -> None:
        """Go back to day zero: what the host wrote since is gone; its keys stay."""
        with self._lock:
            self.cut()
            self._disk.erase()
            self._day_zero()

    def destroy(self) -> None:
        """Cut the power and forget the host."""
        self.cut()
        self._disk.erase()
        self._cable.remove()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _day_zero(self) -> None:
        lab = self._lab
        identity = disks.identity_of(lab.image, lab.state / "identity", self.spec.name)
        self._disk.mount(disks.layers_for(self._ground, lab.mode, self.spec))
        disks.write_day_zero(
            self._disk.root,
            self.spec,
            identity=identity,
            login_key=(lab.state / "id_ed25519.pub").read_text(),
            addresses={"mirror.lab": mirror_address(lab.subnet)},
        )
        mounts = "".join(f"{path} {options}\n" for path, options in self.spec.mounts.items())
        (self._folder / "mounts").write_text(mounts)  # for the boot script
        if self.spec.power == "on":
            self.on()

    def on(self) -> None:
        """Switch on, and return when PID 1 has begun; sshd answers a little later."""
        with self._lock:
            if self.running:
                return
            self._cut = False
            self._started.clear()
            self._keeper = Thread(target=self._keep, name=self.spec.name, daemon=True)
            self._keeper.start()
            while not self._started.wait(0.05) and self._keeper.is_alive():
                continue
            if not self._started.is_set():
                raise LabError(f"{self.spec.name} did not start:\n{self.console()}")

    def off(self) -> None:
        """Shut down in order; after a while, pull the plug."""
        self._ask("off")
        keeper = self._keeper
        if keeper is not None:
            keeper.join(_SHUTDOWN_SECONDS)
        self.cut()

    def reboot(self) -> None:
        """Reboot in order; the caller waits for the new boot."""
        if not self.running:
            raise LabError(f"{self.spec.name} is switched off: switch it on instead")
        self._ask("reboot")

    def cut(self) -> None:
        """Cut the power: no goodbye reaches anybody, as the cable goes dead first."""
        with self._lock:
            keeper = self._keeper
            if keeper is None or not keeper.is_alive():
                return
            self._cut = True
            self._cable.plug(connected=False)
            self._kill()
            keeper.join(_START_SECONDS)

    def link(self, *, connected: bool) -> None:
        """Pull the cable out, or plug it in again; the host itself goes on."""
        with self._lock:
            self.connected = connected
            self._cable.plug(connected=connected and self.running)
            if self._door is None:
                return
            if connected and self.running:
                self._door.open_when_ready(self._is_this_boot(self.boots))
            else:
                self._door.close()

    def pid(self) -> int:
        """Return PID 1 as the supervisor sees it."""
        try:
            return int((self._folder / "pid").read_text())
        except (OSError, ValueError):
            raise LabError(f"{self.spec.name} is switched off") from None

    def console(self) -> str:
        """Return the end of what the host's PID 1 printed."""
        try:
            return (self._folder / "console.log").read_text(errors="replace")[-2000:]
        except OSError:
            return "(no console output)"

    def as_json(self) -> dict[str, Any]:
        """Return what `status` shows."""
        boot_id = self._folder / "boot_id"
        return {
            "name": self.spec.name,
            "running": self.running,
            "connected": self.connected,
            "boots": self.boots,
            "boot_id": boot_id.read_text().strip() if self.running and boot_id.exists() else None,
            "address": self.address,
            "number": self.number,
            "spec": self.spec.as_json(),
            "console": str(self._folder / "console.log"),
        }

    def _ask(self, what: str) -> None:
        if self.running:
            self._signal(_ASK[self._lab.profile][what])

    def _signal(self, number: int) -> None:
        try:
            os.kill(self.pid(), number)
        except (LabError, ProcessLookupError):
            return  # it ended in the meantime

    def _kill(self) -> None:
        """Kill PID 1, or what is about to become it."""
        try:
            os.kill(self.pid(), signal.SIGKILL)
        except (LabError, ProcessLookupError):
            if self._process is not None:
                self._process.kill()

    def _keep(self) -> None:
        """Boot, and boot again for as long as the host itself asks for it."""
        code = signal.SIGHUP + 128
        while code in _REBOOT and not self._cut:
            code = self._boot()

    def _boot(self) -> int:
        """Run the host from power-on to the end of its PID 1, and return how that ended."""
        self.boots += 1
        boot_id = self._folder / "boot_id"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        (self._folder / "pid").unlink(missing_ok=True)
        with (self._folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                self._boot_argv(boot_id),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=machine_env(),
            )
        if self.connected:
            self._cable.plug(connected=True)
            if self._door is not None:
                self._door.open_when_ready(self._is_this_boot(self.boots))
        self._wait_for_pid()
        code = self._process.wait()
        (self._folder / "pid").unlink(missing_ok=True)
        if self._door is not None:
            self._door.close()
        self._cable.plug(connected=False)
        return code

    def _wait_for_pid(self) -> None:
        process = self._process
        deadline = time.monotonic() + _START_SECONDS
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            try:
                self.pid()
            except LabError:
                time.sleep(0.005)
            else:
                self._started.set()
                return

    def _boot_argv(self, boot_id: Path) -> list[str]:
        flags = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        words = [self._disk.root, self.spec.name, boot_id, self._folder / "pid", self._lab.profile]
        if self._lab.cgroup is not None:
            group = self._lab.cgroup / self.spec.name
            cgroups.remove(group)  # what the last boot left
            group.mkdir()
            words.append(group)
        return [
            *("nsenter", f"--net={self._folder / 'net'}"),
            *("unshare", *flags, *time_offset_flags()),
            *("sh", str(self._lab.boot_script), *(str(word) for word in words)),
        ]

    def _is_this_boot(self, number: int) -> Callable[[], bool]:
        return lambda: self.running and self.connected and self.boots == number
