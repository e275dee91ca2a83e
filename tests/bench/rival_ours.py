"""Our side of the comparison with the field: a scan, and a patch run with nothing to do.

A process of its own per run, as the others are: `python -m tests.bench.rival_ours WHAT FOLDER`.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from tests.cases.rollouts.build import plan_of, wave
from tests.lab.info import LabHost, LabInfo
from wavemend.calendar.windows import Occurrence
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look, look_and_record
from wavemend.execution.order import Order
from wavemend.fleet import Fleet, RolloutKey
from wavemend.hosts import Host
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import rollouts
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.plans import PlannedHost, PlannedPackage
from wavemend.site import Site, hands_of

ROLLOUT = "r-1"
HOUR = timedelta(hours=1)
PACKAGES = ("openssl", "unzip", "zip")
"""What the plan asks for, in the version that is installed already."""


FLEET = """\
schema: wavemend.fleet/1
tenants:
  - {{name: acme, title: Acme, zone: UTC, window: night}}
windows:
  - {{name: night, zone: UTC, start: "00:00", duration: 4h, cutoff: 1h, days: [mon]}}
profiles:
  - name: server
    os: debian
    device: server
    manager: apt
    updates: all
    reboot: if_needed
    host_deadline: 5m
    waves: [{{name: pilot, kind: pilot, size: 1}}, {{name: broad, kind: broad}}]
logins:
  - {{name: default, user: {user}, key: "file:{key}", known_hosts: "file:{known_hosts}"}}
hosts:
"""


def fleet_text(lab: LabInfo, hosts: Sequence[LabHost]) -> str:
    """Return the fleet file of these hosts of the lab."""
    lines = [
        f"  - {{name: {host.name}, tenant: acme, profile: server,"
        f" address: {host.address}, port: {host.port}}}"
        for host in hosts
    ]
    head = FLEET.format(user=lab.user, key=lab.key, known_hosts=lab.known_hosts)
    return "\n".join([head.rstrip(), *lines, ""])


def main(what: str, folder: Path, at_once: int) -> None:
    """Run one of `scan`, `prepare`, `patch` on the fleet in a folder."""
    fleet = load_fleet(folder / "fleet.yaml")
    site = Site(home=folder)
    if what == "prepare":
        for path in folder.glob("ledger.db*"):
            path.unlink()
    with_ledger = hands_of(site, site.open_ledger(), fleet)
    work = {"scan": _scan, "prepare": _prepare, "patch": _patch}[what]
    work(with_ledger, fleet, at_once)


Answer = TypeVar("Answer")


def _each(fleet: Fleet, at_once: int, work: Callable[[Host], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(work, fleet.hosts))


def _scan(hands: Hands, fleet: Fleet, at_once: int) -> None:
    """Read the facts of all hosts; the others write theirs down nowhere, so it is not done here."""

    def scan(host: Host) -> None:
        seen = look(hands, host, refresh=False)
        if seen.facts is None or not seen.facts.installed:
            sys.exit(f"{host.name}: {seen.detail}")

    _each(fleet, at_once, scan)


def _prepare(hands: Hands, fleet: Fleet, at_once: int) -> None:
    """Freeze a plan whose targets are what is installed, and open its rollout in a new ledger."""
    now = hands.clock()
    planned = tuple(
        _each(
            fleet,
            at_once,
            lambda host: _planned(host, look_and_record(hands, host, purpose="scan")[1]),
        )
    )
    names = [host.name for host in planned]
    plan = replace(
        plan_of(rollout=ROLLOUT),
        tenant=fleet.hosts[0].tenant,
        window_start=now - HOUR,
        window_end=now + 3 * HOUR,
        last_start=now + 2 * HOUR,
        hosts=planned,
        waves=(wave(1, *names, concurrency=at_once),),
        excluded=(),
    )
    night = Occurrence(
        window=plan.window, start=plan.window_start, end=plan.window_end, last_start=plan.last_start
    )
    key = RolloutKey(tenant=plan.tenant, profile=plan.profile, window=plan.window)
    with hands.ledger.writing() as book:
        rollouts.open_rollout(book, ROLLOUT, key, night, requester="bench", now=now)
    with hands.ledger.writing() as book:
        lease = rollouts.take_lease(book, ROLLOUT, "bench", now, owner_is_dead=True)
        rollouts.store_plan(book, lease, plan, now)


def _planned(host: Host, seen: Look) -> PlannedHost:
    assert seen.facts is not None, seen.detail
    packages = []
    for name in PACKAGES:
        (here,) = (package for package in seen.facts.installed if package.name == name)
        packages.append(
            PlannedPackage(
                name=name,
                arch=here.arch,
                installed=here.version,
                target=here.version,
                origin="bench",
                lane="routine",
            )
        )
    return PlannedHost(
        name=host.name,
        address=f"{host.address}:{host.port}",
        critical=False,
        exposed=False,
        simulated=True,
        machine_id=seen.facts.machine_id,
        host_key=seen.peer_key,
        packages=tuple(packages),
    )


def _patch(hands: Hands, fleet: Fleet, at_once: int) -> None:
    """Attempt every host of the plan: each ends as `nothing_to_do`."""
    with hands.ledger.writing() as book:
        lease = rollouts.take_lease(book, ROLLOUT, "bench", hands.clock(), owner_is_dead=True)
        plan = rollouts.read_plan(book, ROLLOUT)
    assert plan is not None

    def attempt(host: Host) -> None:
        order = Order(
            lease=lease,
            plan=plan,
            host=host,
            profile=fleet.profiles[0],
            tenant=fleet.tenants[0],
        )
        outcome = attempt_host(hands, order)
        if outcome is not Outcome.NOTHING_TO_DO:
            sys.exit(f"{host.name}: {outcome}")

    _each(fleet, at_once, attempt)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
