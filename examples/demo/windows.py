"""The demo's Windows hosts: SIMULATED ones, in a process of their own, and what they became.

No real Windows can be had here. What is played is Windows itself; the way to it is real: WinRM over
HTTPS whose certificate is checked, NTLM bound to that channel, and the PowerShell that is sent.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path

from examples.demo.fleet import PROBED, DemoFailed, DemoHost, WindowsLab
from tests.windows_host.serve import announced, serve
from tests.windows_host.state import HostState, Service, load, save, scenario
from tests.windows_host.world import PASSWORD, USER

SCENES = ("ok_reboot", "reboot_first")
"""The first takes a cumulative update, .NET and a tool; the second must restart before it may."""
FIXED_BUILD = "10.0.20348.4773"
"""Of Windows Server 2022 with KB5075906, by Microsoft's document of February 2026."""
UP_SECONDS = 60
DOWN_SECONDS = 15
PACE = 600.0
"""Ten minutes of the played hosts' work take a second of the demo."""


def bring_up(folder: Path, count: int, *, stays: bool) -> WindowsLab:
    """Start so many hosts, and return when they can be connected to. Raises DemoFailed.

    They end with this process; with `stays`, when they are taken down.
    """
    names = [f"win{number}" for number in range(1, count + 1)]
    played = dict(zip(names, islice(cycle(SCENES), count), strict=True))
    _write_down(folder, played)
    _wait_up(folder, _start(folder, played, stays=stays))
    found = announced(folder)
    _, login = found[0]
    lab = WindowsLab(
        user=USER,
        password=folder / "password",
        ca=folder / "ca.pem",
        hosts=tuple(DemoHost(host.name, host.address, host.port) for host, _ in found),
    )
    lab.ca.write_text(login.ca)
    lab.password.touch(mode=0o600)
    lab.password.write_text(PASSWORD)
    return lab


def take_down(folder: Path) -> None:
    """End the process that plays hosts in this folder, if there is one."""
    note = folder / "pid"
    if not note.exists():
        return
    pid = int(note.read_text())
    ends_at = time.monotonic() + DOWN_SECONDS
    while _plays_in(folder, pid):
        late = time.monotonic() > ends_at
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.2)
    note.unlink()


def remembered(folder: Path) -> dict[str, HostState]:
    """Return by host what it knows of itself now, whatever wavemend thinks of it."""
    return {path.parent.name: load(path) for path in sorted(folder.glob("*/state.json"))}


def _write_down(folder: Path, played: Mapping[str, str]) -> None:
    """Write down each host before it begins: as they are, two would be one and the same machine."""
    for number, (name, scene) in enumerate(played.items(), start=1):
        state = scenario(scene)
        state.os.computer = name.upper()
        state.os.machine_id = f"{state.os.machine_id[:-4]}{number:04x}"
        state.services.append(Service(name=PROBED))
        (folder / name).mkdir(parents=True)
        save(state, folder / name / "state.json")


def _start(folder: Path, played: Mapping[str, str], *, stays: bool) -> "subprocess.Popen[bytes]":
    reading, writing = os.pipe()  # its stdin, which ends with this process
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder), *map("=".join, played.items())],
            stdin=reading,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(writing,) if stays else (),  # then it keeps its own stdin open
        )
    os.close(reading)
    (folder / "pid").write_text(str(process.pid))
    return process


def _wait_up(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + UP_SECONDS
    while not announced(folder):
        if process.poll() is not None or time.monotonic() > ends_at:
            log = (folder / "log").read_text(errors="replace")[-1500:]
            raise DemoFailed(f"the simulated Windows hosts did not come up: {log}")
        time.sleep(0.1)


def _plays_in(folder: Path, pid: int) -> bool:
    """Say whether that process still runs and is ours: its number may be somebody else's now."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(folder).encode() in words


def _play(folder: Path, hosts: Mapping[str, str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve(folder, hosts, pace=PACE)


if __name__ == "__main__":
    _play(Path(sys.argv[1]), dict(pair.split("=", 1) for pair in sys.argv[2:]))
