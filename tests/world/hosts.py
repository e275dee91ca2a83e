"""The world's hosts: the real ones of the lab, or the simulated ones, behind one face."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from examples.demo.fleet import DemoLab, read_lab
from tests.lab import HostSpec, Lab, probe
from tests.world.fleet import WorldHost
from wavemend.testing.simulated.spec import HostSpec as SimulatedSpec
from wavemend.testing.simulated_hosts import SimulatedLab


class HostsMissing(Exception):
    """WAVEMEND_LAB=required, and no real hosts can run here."""


class Hosts(Protocol):
    """What tests do with hosts, past their SSH servers: the truth on the host's side."""

    label: str
    simulated: bool

    def lab(self) -> DemoLab:
        """Return names and addresses."""

    def run(self, host: str, *argv: str) -> str:
        """Run a command as the host's root and return what it prints."""

    def read(self, host: str, path: str) -> str:
        """Return a file of the host; empty when it has none."""

    def publish(self, package: str, version: str) -> None:
        """Offer one more version in the archive."""

    def down(self) -> None:
        """End the hosts and everything they run."""


class RealHosts:
    """Debian hosts in namespaces of their own."""

    simulated = False

    def __init__(self, state: Path) -> None:
        self._lab = Lab(state)
        self.label = "real hosts"

    def up(self, hosts: Sequence[WorldHost]) -> None:
        """Bring them up without systemd: booting more than ten of those exhausts inotify."""
        os.environ.setdefault("WAVEMEND_LAB_PROFILE", "light")
        self._lab.up(
            [
                HostSpec(h.name, packages=h.packages, held=h.held, power=h.power, files=h.files)
                for h in hosts
            ]
        )
        self.label = f"real hosts ({self._lab.info().mode})"

    def lab(self) -> DemoLab:
        return read_lab(self._lab.state)

    def run(self, host: str, *argv: str) -> str:
        done = self._lab.exec(host, *argv)
        return done.stdout

    def read(self, host: str, path: str) -> str:
        return self.run(host, "cat", path)

    def publish(self, package: str, version: str) -> None:
        self._lab.publish(package, version)

    def down(self) -> None:
        self._lab.down()


class SimulatedHosts:
    """Hosts played by a process of ours: real SSH, played packages."""

    simulated = True

    def __init__(self, state: Path, reason: str) -> None:
        self._lab = SimulatedLab(state)
        self.label = f"SIMULATED hosts ({reason})"

    def up(self, hosts: Sequence[WorldHost]) -> None:
        self._lab.up(
            [
                SimulatedSpec(
                    h.name, packages=h.packages, held=h.held, power=h.power, files=h.files
                )
                for h in hosts
            ]
        )

    def lab(self) -> DemoLab:
        return read_lab(self._lab.state)

    def run(self, host: str, *argv: str) -> str:
        program = [sys.executable, "-m", "wavemend.testing.simulated_hosts"]
        done = subprocess.run(
            [*program, "exec", "--state", str(self._lab.state), host, "--", *argv],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.stdout

    def read(self, host: str, path: str) -> str:
        file = self._lab.state / "hosts" / host / "root" / path.lstrip("/")
        return file.read_text() if file.is_file() else ""

    def publish(self, package: str, version: str) -> None:
        self._lab.publish(package, version)

    def down(self) -> None:
        self._lab.down()


def bring_up(state: Path, hosts: Sequence[WorldHost], say: Callable[[str], None]) -> Hosts:
    """Bring up real hosts where they can run, else simulated ones. Raises HostsMissing."""
    mode = os.environ.get("WAVEMEND_LAB", "auto")
    found = probe() if mode != "off" else None
    if found is not None and found.mode is not None:
        real = RealHosts(state)
        try:
            real.up(hosts)
        except BaseException:
            real.down()
            raise
        return real
    reason = found.reason if found else "WAVEMEND_LAB=off"
    if mode == "required":
        raise HostsMissing(f"WAVEMEND_LAB=required, but no lab can run here: {reason}")
    say(f"no real hosts: {reason}; the hosts of these tests are SIMULATED")
    simulated = SimulatedHosts(state, reason)
    try:
        simulated.up(hosts)
    except BaseException:
        simulated.down()
        raise
    return simulated
