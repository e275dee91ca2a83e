"""Our side of the comparison with the field: a scan, and a patch run with nothing to do.

A process of its own per run, as the others are: `python -m tests.bench.rival_ours WHAT FOLDER
AT_ONCE`. Each does what the flows do, through the same functions, without Prefect: the fleet comes
from the ledger, every look is written into it before the next host has its turn.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from wavemend.execution.hands import Hands
from wavemend.execution.looks import look_and_record
from wavemend.fleet import Fleet, RolloutKey
from wavemend.hosts import Host
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.store import Ledger
from wavemend.observations import Look
from wavemend.site import Site, hands_of

if TYPE_CHECKING:
    from wavemend.ledger.rollouts import Lease
    from wavemend.plans import Plan
    from wavemend.steps.assess import Assessor

HOUR = timedelta(hours=1)
KEY = RolloutKey(tenant="acme", profile="server", window="night")


def main(what: str, folder: Path, at_once: int) -> None:
    """Run one of `prepare`, `scan`, `patch` on the installation in a folder."""
    site = Site(home=folder)
    if what == "prepare":
        _apply_fleet(site, folder / "fleet.yaml")
        return
    ledger = site.open_ledger()
    ledger.check()
    with ledger.reading() as book:
        fleet = current_fleet(book)
    hands = hands_of(site, ledger, fleet)
    work = {"scan": _scan, "patch": _patch}[what]
    work(site, hands, fleet, at_once)


def _apply_fleet(site: Site, file: Path) -> None:
    """Start with a new ledger that has the fleet in force: what an operator does once."""
    from wavemend.inventory.fleet_file import load_fleet
    from wavemend.ledger.intake import apply_fleet
    from wavemend.site import utc_now

    for path in site.home.glob("ledger.db*"):
        path.unlink()
    with site.open_ledger().writing() as book:
        apply_fleet(book, load_fleet(file), actor="bench", now=utc_now())


def _look_at(
    ledger: Ledger, fleet: Fleet, at_once: int, look: Callable[[Host], Look]
) -> list[Look]:
    with ledger.kept_open(), ThreadPoolExecutor(at_once) as pool:
        looks = list(pool.map(look, fleet.hosts))
    for seen in looks:
        if seen.facts is None or not seen.facts.installed:
            sys.exit(f"{seen.host}: {seen.detail}")
    return looks


def _scan(site: Site, hands: Hands, fleet: Fleet, at_once: int) -> None:
    """Look at every host and write each look down, as `scan-fleet` does, index as it is."""

    def scan(host: Host) -> Look:
        return look_and_record(hands, host, purpose="scan")[1]

    _look_at(hands.ledger, fleet, at_once, scan)


def _patch(site: Site, hands: Hands, fleet: Fleet, at_once: int) -> None:
    """Take a rollout to its end, as `patch-rollout` does where nothing is pending anywhere."""
    from wavemend.ledger import rollouts
    from wavemend.ledger.scans import hosts_looked_at
    from wavemend.outcomes import Outcome
    from wavemend.readiness import judge_look
    from wavemend.reporting import write_rollout_report
    from wavemend.steps.freeze import freeze_plan
    from wavemend.steps.lease import hold
    from wavemend.steps.preflight import preflight_host

    rollout = _open_rollout(hands)
    with hands.ledger.reading() as book:
        before = hosts_looked_at(book, rollout)

    def look(host: Host) -> Look:
        return preflight_host(hands, host, rollout, may_be_seen=host.name in before)

    with hold(hands, rollout) as lease:
        looks = _look_at(hands.ledger, fleet, at_once, look)
        if unready := [seen.host for seen in looks if not judge_look(seen).ready]:
            sys.exit(f"not ready: {', '.join(unready)}")
        with hands.ledger.reading() as book:
            row = rollouts.get_rollout(book, rollout)
        plan = freeze_plan(hands, lease, row, fleet, _assessor(site, hands, fleet))
        _to_its_end(hands, lease, fleet, plan)
        report = write_rollout_report(
            hands.ledger, fleet, rollout, site.reports, hands.clock()
        ).report
    outcomes = {host.name: host.outcome for host in report.hosts}
    if outcomes != {host.name: Outcome.NOTHING_TO_DO for host in fleet.hosts}:
        sys.exit(f"not what was to be measured: {outcomes}")


def _open_rollout(hands: Hands) -> str:
    """Open a rollout in a window that is open now; each run is one of its own."""
    from wavemend.calendar.windows import Occurrence
    from wavemend.ledger import rollouts

    now = hands.clock()
    window = Occurrence(
        window=KEY.window, start=now - HOUR, end=now + 3 * HOUR, last_start=now + 2 * HOUR
    )
    name = f"r-{hands.token()[:12]}"
    with hands.ledger.writing() as book:
        rollouts.open_rollout(book, name, KEY, window, requester="bench", now=now)
    return name


def _assessor(site: Site, hands: Hands, fleet: Fleet) -> "Assessor":
    """Return what judges the hosts; no feed was ever fetched here, and the plan says so."""
    from wavemend.feeds.intelligence import load_intelligence
    from wavemend.steps.assess import Assessor

    return Assessor(fleet, load_intelligence(site.feed_cache, hands.clock()))


def _to_its_end(hands: Hands, lease: "Lease", fleet: Fleet, plan: "Plan") -> None:
    """Do the actions of a plan that changes no host, and end its rollout with the verdict."""
    from wavemend.ledger import rollouts
    from wavemend.reporting import build_report
    from wavemend.reports import verdict_of
    from wavemend.rollout import Done, Report, Verify, next_action

    steps = {Verify: "verified", Report: "reported"}
    while True:
        with hands.ledger.reading() as book:
            view = rollouts.read_view(book, lease.rollout_id)
        action = next_action(plan, view, hands.clock())
        if isinstance(action, Done):
            break
        with hands.ledger.writing() as book:
            rollouts.record_step(book, lease, steps[type(action)], hands.clock())
    verdict = verdict_of(build_report(hands.ledger, fleet, lease.rollout_id, hands.clock()))
    with hands.ledger.writing() as book:
        reason = f"{verdict.answer}: {verdict.sentence}"
        rollouts.finish_rollout(book, lease, reason, hands.clock())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
