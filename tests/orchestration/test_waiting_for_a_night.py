"""A run whose night is frozen at first waits for its end, and looks again while it waits."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.opening import LOOK_AGAIN, open_for
from tasks.workbench import Workbench
from tests.cases.quiet import NOBODY, quiet_fleet, staffed
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.calendar.almanac import Almanac
from wavemend.fleet import RolloutKey
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.tables import RolloutRow
from wavemend.nights import Night, NightVerdict
from wavemend.site import Site, hands_of

KEY = RolloutKey(tenant="acme", profile="server", window="night")
NOW = datetime.now(UTC).replace(hour=22, minute=0, second=0, microsecond=0)
"""Ten o'clock: the window's start, and far from the watched hours of any season."""


class Clock:
    """A clock that only moves while somebody sleeps, and something may happen meanwhile."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.slept: list[float] = []
        self.happens: Callable[[], None] = lambda: None

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        self.happens()


def frozen_until(end: datetime) -> str:
    return (
        "freezes: [{name: fair, scope: global, "
        f'start: "{NOW - timedelta(hours=5):%Y-%m-%dT%H:%M}", end: "{end:%Y-%m-%dT%H:%M}"}}]'
    )


def bench_of(folder: Path, clock: Clock, *, freeze: str, roster: str) -> Workbench:
    fleet = quiet_fleet(folder / "fleet", opens=NOW, freeze=freeze, roster=roster)
    ledger, site = new_ledger(folder), Site(home=folder)
    with ledger.writing() as book:
        apply_fleet(book, fleet, actor="olga", now=NOW)
    hands = replace(hands_of(site, ledger, fleet), clock=clock, sleep=clock.sleep)
    return Workbench(site, fleet, hands)


def test_the_rollout_is_opened_as_the_freeze_ends(tmp_path: Path) -> None:
    clock, end = Clock(NOW), NOW + timedelta(minutes=50)
    bench = bench_of(tmp_path, clock, freeze=frozen_until(end), roster=staffed(NOW))

    row = open_for.fn(bench, KEY, "schedule", "run-1")

    assert isinstance(row, RolloutRow)
    assert (row.window_start, row.created_at) == (NOW, end)
    assert max(clock.slept) <= LOOK_AGAIN.total_seconds()


@pytest.mark.parametrize("minutes", [210, 211])
def test_a_freeze_that_leaves_nothing_of_the_window_skips_it_without_any_waiting(
    tmp_path: Path, minutes: int
) -> None:
    clock = Clock(NOW)
    freeze = frozen_until(NOW + timedelta(minutes=minutes))
    bench = bench_of(tmp_path, clock, freeze=freeze, roster=staffed(NOW))

    night = open_for.fn(bench, KEY, "schedule", "run-1")

    assert isinstance(night, Night)
    assert night.verdict is NightVerdict.SKIPPED
    assert "fair" in night.reason
    assert clock.slept == []


def test_somebody_who_falls_ill_while_it_waits_ends_the_waiting(tmp_path: Path) -> None:
    clock, end = Clock(NOW), NOW + timedelta(minutes=50)
    bench = bench_of(tmp_path, clock, freeze=frozen_until(end), roster=staffed(NOW))

    def empty_roster() -> None:
        (tmp_path / "fleet" / "roster.csv").write_text(NOBODY)

    clock.happens = empty_roster

    night = open_for.fn(bench, KEY, "schedule", "run-1")

    assert isinstance(night, Night)
    assert "nobody with linux is on duty" in night.reason
    assert sum(clock.slept) <= LOOK_AGAIN.total_seconds()


def test_an_almanac_that_was_never_read_forbids(tmp_path: Path) -> None:
    clock = Clock(NOW)
    bench = bench_of(tmp_path, clock, freeze="", roster=staffed(NOW))
    bench.hands = replace(bench.hands, almanac=lambda: Almanac(read_at=NOW))

    night = open_for.fn(bench, KEY, "schedule", "run-1")

    assert isinstance(night, Night)
    assert night.reason == "unknown: roster office has not been read"
