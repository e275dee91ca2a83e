"""A freeze that is declared, or pointed at another calendar, during a rollout holds at once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.host_steps import _in_force
from tasks.workbench import Running, Workbench
from tests.cases.calendars import calendar, days
from tests.cases.rollouts.build import PLAN, plan_of, wave
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.execution.barring import barred
from wavemend.fleet import Fleet
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.rollouts import Lease
from wavemend.site import Site, hands_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"
NOW = datetime(2026, 12, 24, 22, tzinfo=UTC)
WINDOW_END = datetime(2026, 12, 25, 4, tzinfo=UTC)
FREEZE = "  - {name: year-end, scope: company, tenant: acme, calendar: CALENDAR}\n"
CALENDARS = """calendars:
  - {name: quiet, source: "file:quiet.ics"}
  - {name: busy, source: "file:busy.ics"}
"""

Loaded = Callable[[str], Fleet]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "quiet.ics").write_bytes(calendar(days("20270601", "20270602")))
    (tmp_path / "busy.ics").write_bytes(calendar(days("20261218", "20270107")))

    def load(freezes: str) -> Fleet:
        path = tmp_path / "fleet.yaml"
        declared = f"{CALENDARS}freezes:\n{freezes}" if freezes else CALENDARS
        path.write_text(EXAMPLE.read_text() + declared)
        return load_fleet(path)

    return load


@pytest.mark.parametrize("before", ["", FREEZE.replace("CALENDAR", "quiet")])
def test_what_is_in_force_is_judged_by_what_its_own_calendars_hold(
    tmp_path: Path, loaded: Loaded, before: str
) -> None:
    ledger, planned = new_ledger(tmp_path), loaded(before)
    with ledger.writing() as book:
        apply_fleet(book, planned, actor="olga", now=NOW)
    bench = Workbench(Site(home=tmp_path), planned, hands_of(Site(home=tmp_path), ledger, planned))
    plan = replace(PLAN, tenant="acme", fleet_digest=planned.digest)
    running = Running(bench, Lease("r-1", "first", 1), plan)

    def told() -> str:
        hands = replace(running.bench.hands, clock=lambda: NOW)
        return barred(hands, running.calendar, WINDOW_END)

    assert told() == ""
    with ledger.writing() as book:
        apply_fleet(book, loaded(FREEZE.replace("CALENDAR", "busy")), actor="olga", now=NOW)

    assert told() == 'freeze: year-end "year end" holds until 2027-01-06 23:00 UTC'


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("cutoff: 45m", "cutoff: 50m", ""),  # of the other window
        ('start: "22:00"', 'start: "01:00"', "by the fleet in force nothing may start now in"),
        ("duration: 6h", "duration: 90m", "by the fleet in force nothing may start now in"),
        ("sat-night", "saturdays", "the host is changed in the window saturdays by now"),
    ],
)
def test_a_window_that_was_cut_short_or_moved_during_a_rollout_lets_nothing_further_start(
    tmp_path: Path, before: str, after: str, words: str
) -> None:
    ledger, path = new_ledger(tmp_path), tmp_path / "fleet.yaml"
    path.write_text(EXAMPLE.read_text())
    planned = load_fleet(path)
    path.write_text(EXAMPLE.read_text().replace(before, after))
    now = datetime(2026, 11, 21, 22, tzinfo=UTC)  # an hour into sat-night in Berlin
    (host, *_) = (each for each in planned.hosts_of("acme") if each.window == "sat-night")
    plan = replace(
        plan_of(wave(1, host.name, kind="critical" if host.critical else "broad")),
        tenant="acme",
        profile=host.profile,
        window="sat-night",
        fleet_digest=planned.digest,
    )
    with ledger.writing() as book:
        apply_fleet(book, planned, actor="olga", now=NOW)
    bench = Workbench(Site(home=tmp_path), planned, hands_of(Site(home=tmp_path), ledger, planned))
    running = Running(bench, Lease("r-1", "first", 1), plan)
    running.bench.hands = replace(running.bench.hands, clock=lambda: now)
    with ledger.writing() as book:
        apply_fleet(book, load_fleet(path), actor="olga", now=NOW)

    told = _in_force(running, host.name).fleet_drift
    assert told.startswith(words) if words else not told
