"""AC-15: what the preview shows is what then runs, in local time, in UTC, with the same reasons."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.opening import open_for
from tasks.workbench import Workbench
from tests.cases.agenda import agenda_fleet, agenda_text
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.calendar.almanac import Almanac
from wavemend.calendar.preview import Opening, preview
from wavemend.execution.barring import barred, in_words
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKey
from wavemend.ledger.tables import RolloutRow
from wavemend.nights import Night, NightVerdict
from wavemend.site import Site, hands_of

pytestmark = pytest.mark.orchestration

HALF_SECOND = timedelta(milliseconds=500)
FREEZES = """\
freezes:
  - {name: fair, scope: company, tenant: acme, zone: Europe/Berlin, reason: trade fair,
     start: "2027-03-24T12:00", end: "2027-03-26T03:30"}
  - {name: closing, scope: global, start: "2027-03-29T00:00", end: "2027-03-31T00:00"}"""
NIGHTLY = (
    'zone: Europe/Berlin, start: "02:30", days: [mon, tue, wed, thu, fri, sat, sun], '
    "duration: 3h, cutoff: 1h"
)
BEFORE = datetime(2027, 3, 23, 12, tzinfo=UTC)
"""Twelve nights from here: three in freezes, one begun late after one, one with a skipped hour."""


@dataclass
class Clock:
    """Time that a test sets, and that waiting moves on."""

    now: datetime

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return agenda_fleet(tmp_path, agenda_text({"night": NIGHTLY}, more=[FREEZES]))


def shown(fleet: Fleet) -> tuple[Opening, ...]:
    almanac = Almanac(read_at=BEFORE)
    return preview(fleet.window("night"), fleet.calendar_of("acme"), almanac, BEFORE, 12)


def bench_at(folder: Path, fleet: Fleet, now: datetime) -> tuple[Workbench, Clock]:
    """An installation that has run nothing yet, with its clock at that moment."""
    folder.mkdir(parents=True)
    clock, site = Clock(now), Site(home=folder)
    made: Hands = hands_of(site, new_ledger(folder), fleet)
    hands = replace(
        made, clock=lambda: clock.now, sleep=clock.sleep, almanac=lambda: Almanac(read_at=BEFORE)
    )
    return Workbench(site, fleet, hands), clock


def began(folder: Path, fleet: Fleet, now: datetime) -> tuple[RolloutRow | Night | None, datetime]:
    """What a run that Prefect starts at a moment does, and when it goes on."""
    bench, clock = bench_at(folder, fleet, now)
    key = RolloutKey(tenant="acme", profile="server", window="night")
    run: Callable[..., RolloutRow | Night | None] = open_for.fn
    return run(bench, key, "schedule", "run-1"), clock.now


def test_ac_15_each_of_the_next_twelve_openings_runs_or_is_skipped_as_previewed(
    fleet: Fleet, tmp_path: Path
) -> None:
    openings = shown(fleet)

    kinds = [("skipped" if each.is_skipped else "runs") for each in openings]
    assert (kinds.count("skipped"), len(kinds)) == (3, 12)
    for number, opening in enumerate(openings):
        found, at = began(tmp_path / str(number), fleet, opening.occurrence.start)
        if opening.begins is None:
            assert isinstance(found, Night)
            assert found.verdict is NightVerdict.SKIPPED
            assert found.window_start == opening.occurrence.start
            assert found.reason == in_words(opening.bars)
        else:
            assert isinstance(found, RolloutRow)
            ours = (found.window_start, found.window_end)
            assert ours == (opening.occurrence.start, opening.occurrence.end)
            assert at == opening.begins


def test_ac_15_nothing_runs_between_the_previewed_openings(fleet: Fleet, tmp_path: Path) -> None:
    for number, opening in enumerate(shown(fleet)):
        early = opening.occurrence.start - timedelta(minutes=3)  # later ones wait for the start
        for name, moment in (("early", early), ("late", opening.occurrence.end)):
            found, _ = began(tmp_path / f"{name}-{number}", fleet, moment)
            assert found is None, (opening.occurrence.id, name)


def test_ac_15_the_check_before_each_start_agrees_with_the_preview(
    fleet: Fleet, tmp_path: Path
) -> None:
    rules = fleet.calendar_of("acme")
    for number, opening in enumerate(shown(fleet)):
        bench, clock = bench_at(tmp_path / str(number), fleet, opening.occurrence.start)
        end = opening.occurrence.end
        assert barred(bench.hands, rules, end) == in_words(opening.bars)
        if opening.begins is not None and opening.bars:
            clock.now = opening.begins - HALF_SECOND
            assert barred(bench.hands, rules, end)
            clock.now = opening.begins
            assert barred(bench.hands, rules, end) == ""


def test_ac_15_the_night_with_a_skipped_hour_is_shown_and_runs_at_the_first_valid_instant(
    fleet: Fleet, tmp_path: Path
) -> None:
    switch = next(o for o in shown(fleet) if o.occurrence.start.day == 28)

    assert switch.occurrence.start == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)  # 03:00 in Berlin
    found, at = began(tmp_path / "switch", fleet, switch.occurrence.start)
    assert isinstance(found, RolloutRow)
    assert at == switch.occurrence.start
