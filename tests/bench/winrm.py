"""A hundred simulated Windows hosts looked at in fifty threads, by wavemend and by pywinrm alone.

The hosts are played by a process of their own, and every way is measured in one of its own, after
a first visit that is not counted: what is measured is the controller's CPU, time and memory. The
cheapest of `ROUNDS` counts, the ways in turn: what disturbs a run only ever adds.
"""

import json
import operator
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

from tests.bench.winrm_hosts import SEALED, TLS, hosts_of, played
from tests.bench.winrm_visits import Seen, due, visit, visit_bare
from wavemend.hosts import Host
from wavemend.transport import Login

HOSTS = int(os.environ.get("WAVEMEND_BENCH_WINDOWS_HOSTS", "100"))
THREADS = 50
ROUNDS = 3

WAYS = {"ours": "wavemend", "each": "pywinrm, a shell per script", "kept": "pywinrm, one shell"}
KINDS = {SEALED: "NTLM over HTTP, sealed", TLS: "NTLM over HTTPS, channel binding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the visits cost: seconds of CPU and of the clock, MiB over what there was before."""

    cpu: float
    wall: float
    peak: float
    """Of the first pass."""
    second: float
    """By how much the second pass raised the peak further."""
    whole: int
    """Visits of both passes that saw the right host, all of it."""


def bench_winrm(say: Callable[[str], None] = print) -> None:
    """Measure and print."""
    say(f"{HOSTS} simulated Windows hosts, {THREADS} threads: facts, a search, a command")
    say(f"load of this machine before: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} cores")
    for kind, title in KINDS.items():
        say(f"{title:36} CPU ms a host  wall s  peak MiB  second MiB  whole  theirs / ours")
        costs = _costs(kind)
        ours = _best(costs["ours"])
        for way, name in WAYS.items():
            say(_row(name, _best(costs[way]), ours))
    say(f"load of this machine after: {os.getloadavg()[0]:.1f}")


def _costs(kind: str) -> Mapping[str, Sequence[Cost]]:
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    with played(HOSTS, kind) as hosts:
        for _ in range(ROUNDS):
            for way, measured in costs.items():
                measured.append(_cost(way, hosts.told))
    return costs


def _cost(way: str, told: str) -> Cost:
    argv = [sys.executable, "-m", __spec__.name, way]
    # Else pywinrm has requests change the environment around every message, see `winrm_http`.
    environment = {**os.environ, "no_proxy": "*"}
    done = subprocess.run(
        argv, input=told, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return Cost(**json.loads(done.stdout))


def _best(costs: Sequence[Cost]) -> Cost:
    """The least of every figure; the fewest visits that were whole."""
    names = [item.name for item in fields(Cost)]
    return Cost(**{name: min(getattr(cost, name) for cost in costs) for name in names})


def _row(name: str, cost: Cost, ours: Cost) -> str:
    ratios = f"CPU {cost.cpu / ours.cpu:.1f}, wall {cost.wall / ours.wall:.1f}"
    return (
        f"  {name:34} {cost.cpu / HOSTS * 1e3:13.1f}  {cost.wall:6.2f}  {cost.peak:8.1f}"
        f"  {cost.second:10.1f}  {cost.whole:5}  {ratios if cost is not ours else ''}"
    )


# --- one way, in a process of its own ---------------------------------------------------------


def visits(
    visit_one: Callable[[Host, Login], Seen], hosts: Sequence[Host], login: Login
) -> Sequence[Seen | Exception]:
    """Visit all hosts in `THREADS` threads; a visit that failed is its error."""

    def seen(host: Host) -> Seen | Exception:
        try:
            return visit_one(host, login)
        except Exception as error:  # noqa: BLE001 - counted as a visit that saw nothing
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(seen, hosts))


def peak_mib() -> float:
    """The most memory this process had at once, in MiB, since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """From here on the highest figure is that of now."""
    Path("/proc/self/clear_refs").write_text("5")


def _measure(way: str) -> Cost:
    hosts, login = hosts_of(sys.stdin.readline())
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as ca:
        ca.write(login.ca)
        ca.flush()
        bare = partial(visit_bare, ca=ca.name, keep=way == "kept")
        visit_one = visit if way == "ours" else bare
        visit_one(hosts[0], login)
        forget_peak()
        before, cpu, wall = peak_mib(), time.process_time(), time.monotonic()
        seen = visits(visit_one, hosts, login)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        first = peak_mib()
        seen = [*seen, *visits(visit_one, hosts, login)]
    wanted = [due(number) for number in range(len(hosts))] * 2
    whole = sum(map(operator.eq, seen, wanted))
    return Cost(cpu=cpu, wall=wall, peak=first - before, second=peak_mib() - first, whole=whole)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(asdict(_measure(sys.argv[1]))))
    else:
        bench_winrm()
