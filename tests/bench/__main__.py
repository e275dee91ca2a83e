"""Measure what was chosen for its cost against the plain way of doing it, and print the ratios."""

import lzma
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import feasibility, feeds, planning, scoring
from tests.bench.matching import bench_matching
from tests.bench.rivals import bench_rivals
from tests.bench.winrm import bench_winrm
from wavemend.hosts import Host
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.transport import Login
from wavemend.transports.ssh import connect
from wavemend.versions import deb_key

CASES = Path(__file__).parents[1] / "cases" / "versions"
HOSTS = 20
COMMANDS = 3
PROCESS_PAIRS = 200
OFF = "cold1"


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU and wall seconds of one way of doing something."""

    cpu: float
    wall: float


def main() -> int:
    """Run every comparison; a comparison that this machine cannot make says so."""
    print("what                                          ours    plain   ratio")
    _versions()
    _ssh()
    print("\nIntelligence, on made documents of the real feeds' full size")
    scoring.main()
    feeds.main()
    bench_matching()
    planning.main()
    feasibility.main()
    print("\nWindows hosts, simulated, against pywinrm alone")
    bench_winrm()
    print("\nAgainst the field, on the same real hosts; this takes some minutes")
    bench_rivals()
    return 0


def measured(work: Callable[[], object]) -> Measured:
    """Time one run of some work in this process, its children's CPU not counted."""
    cpu, wall = time.process_time(), time.monotonic()
    work()
    return Measured(time.process_time() - cpu, time.monotonic() - wall)


def _versions() -> None:
    pairs = _pairs()
    ours = measured(lambda: [deb_key(a) < deb_key(b) for a, b in pairs]).wall / len(pairs)
    name = "compare two Debian versions, wall µs"
    if shutil.which("dpkg") is None:
        print(f"{name:44} {ours * 1e6:7.1f}  dpkg is not on this machine")
        return
    few = pairs[:PROCESS_PAIRS]
    plain = measured(lambda: [_dpkg(a, b) for a, b in few]).wall / len(few)
    _row(name, ours * 1e6, plain * 1e6)


def _ssh() -> None:
    """One connection and one exec for three commands, against a connection for each command."""
    with tempfile.TemporaryDirectory() as folder:
        lab = SimulatedLab(Path(folder))
        lab.up(HOSTS)
        try:
            hosts, login = (
                [host for host in lab.hosts() if host.name != OFF],
                lab.login(),
            )
            batched = measured(lambda: _each(hosts, login, _batched))
            single = measured(lambda: _each(hosts, login, _each_its_own))
        finally:
            lab.down()
    count = len(hosts)
    _row(
        "three commands over SSH, CPU ms a host",
        batched.cpu / count * 1e3,
        single.cpu / count * 1e3,
    )
    _row(
        "three commands over SSH, wall ms a host",
        batched.wall / count * 1e3,
        single.wall / count * 1e3,
    )


def _each(hosts: Sequence[Host], login: Login, work: Callable[[Host, Login], None]) -> None:
    for host in hosts:
        work(host, login)


def _batched(host: Host, login: Login) -> None:
    transport = connect(host, login)
    try:
        transport.run(("/bin/sh", "-s"), stdin=b"true\n" * COMMANDS, deadline=30)
    finally:
        transport.close()


def _each_its_own(host: Host, login: Login) -> None:
    for _ in range(COMMANDS):
        transport = connect(host, login)
        try:
            transport.run(("true",), deadline=30)
        finally:
            transport.close()


def _pairs() -> list[tuple[str, str]]:
    (path,) = CASES.glob("dpkg*.xz")
    lines = lzma.decompress(path.read_bytes()).decode().splitlines()
    return [(a, b) for a, b, _ in (line.split("\t") for line in lines)]


def _dpkg(a: str, b: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", a, "lt", b], check=False).returncode == 0


def _row(name: str, ours: float, plain: float) -> None:
    print(f"{name:44} {ours:7.1f}  {plain:7.1f}  {plain / ours:6.1f}")


if __name__ == "__main__":
    sys.exit(main())
