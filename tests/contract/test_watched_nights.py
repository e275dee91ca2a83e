"""AC-20: what nobody started in time is missed and told once; what still fits is started late."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.calendars import calendar, days
from tests.cases.quiet import NOBODY, quiet_fleet, staffed
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.calendar.windows import Occurrence, next_occurrences
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKey
from wavemend.ledger import audit, nights, rollouts
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.store import Ledger
from wavemend.nights import NightVerdict
from wavemend.site import Site, hands_of
from wavemend.steps.nights import LOOK_BACK, SWITCHED_OFF, Due, Watched, watch_openings

NOW = datetime.now(UTC).replace(microsecond=0)
"""The reader of rosters looks at the real clock; everything here counts from one moment of it."""
OPENS = NOW.replace(hour=22, minute=0, second=0)
KEY = RolloutKey(tenant="acme", profile="server", window="night")


@dataclass
class Watch:
    """An installation whose clock the test moves."""

    folder: Path
    ledger: Ledger
    fleet: Fleet
    now: datetime
    off: set[RolloutKey] = field(default_factory=set)
    """Rollouts whose schedule is switched off in Prefect."""

    def hands(self) -> Hands:
        made = hands_of(Site(home=self.folder), self.ledger, self.fleet)
        return replace(made, clock=lambda: self.now)

    def look(self, now: datetime) -> Watched:
        self.now = now
        return watch_openings(self.hands(), lambda key, _opened: key in self.off)

    def apply(self, fleet: Fleet, now: datetime) -> None:
        with self.ledger.writing() as book:
            apply_fleet(book, fleet, actor="olga", now=now)

    def open(self, occurrence: Occurrence) -> None:
        with self.ledger.writing() as book:
            rollouts.open_rollout(
                book, f"r-{occurrence.id}", KEY, occurrence, requester="schedule", now=self.now
            )

    def roster(self, text: str) -> None:
        (self.folder / "fleet" / "roster.csv").write_text(text)

    def nights(self) -> list[tuple[datetime, NightVerdict]]:
        with self.ledger.reading() as book:
            found = nights.nights_since(book, NOW - timedelta(days=30))
        return [(night.window_start, night.verdict) for night in found]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    fleet = quiet_fleet(tmp_path / "fleet", opens=OPENS, roster=staffed(NOW, days=8))
    return Watch(tmp_path, new_ledger(tmp_path), fleet, NOW)


def due(night: Occurrence) -> tuple[Due, ...]:
    return (Due(key=KEY, opened=night.start),)


def opening(watch: Watch, after: datetime) -> Occurrence:
    (found,) = next_occurrences(watch.fleet.window("night"), after, 1)
    return found


def test_ac_20_an_opening_that_nobody_started_is_missed_and_told_once(watch: Watch) -> None:
    watch.apply(watch.fleet, NOW)
    night = opening(watch, NOW)

    (missed,) = watch.look(night.last_start).missed

    assert (missed.key, missed.window_start) == ("acme/server/night", night.start)
    assert "nobody started it between" in missed.reason
    assert watch.look(night.end + timedelta(hours=1)) == Watched()
    assert watch.nights() == [(night.start, NightVerdict.MISSED)]
    with watch.ledger.reading() as book:
        (event,) = audit.events(book, str(KEY))
    assert event.kind == "night.missed"


def test_ac_20_an_opening_with_enough_left_is_started_late_and_not_before_its_run_had_time(
    watch: Watch,
) -> None:
    watch.apply(watch.fleet, NOW)
    night = opening(watch, NOW)

    assert watch.look(night.start + timedelta(minutes=10)) == Watched()
    assert watch.look(night.start + timedelta(minutes=11)).startable == due(night)
    assert watch.look(night.last_start - timedelta(seconds=1)).startable == due(night)
    assert watch.nights() == []
    watch.open(night)
    assert watch.look(night.start + timedelta(hours=1)) == Watched()
    assert watch.look(night.end) == Watched()


def test_a_rollout_that_ran_is_not_missed_whatever_became_of_it(watch: Watch) -> None:
    watch.apply(watch.fleet, NOW)
    first = opening(watch, NOW)
    second = opening(watch, first.start)
    watch.open(first)

    (missed,) = watch.look(second.end).missed

    assert missed.window_start == second.start


def test_openings_before_the_rollout_was_declared_or_after_it_was_taken_out_are_not_missed(
    watch: Watch, tmp_path: Path
) -> None:
    first = opening(watch, NOW)
    watch.apply(watch.fleet, first.start + timedelta(minutes=1))
    second = opening(watch, first.start)
    moved = quiet_fleet(tmp_path / "moved", opens=OPENS + timedelta(hours=6))
    watch.apply(moved, second.start + timedelta(minutes=5))

    missed = watch.look(second.end).missed

    # It was due as it began: that the fleet was changed in that night lets nobody off.
    assert [night.window_start for night in missed] == [second.start]


def test_a_weekend_without_any_worker_is_told_night_by_night_and_no_further_back_than_a_week(
    watch: Watch,
) -> None:
    watch.apply(watch.fleet, NOW)
    # At noon no opening is open, whatever the time of day at which this test runs.
    noon = OPENS.replace(hour=12) + timedelta(days=30)

    missed = watch.look(noon).missed

    assert [night.window_start for night in missed] == [
        OPENS + timedelta(days=days) for days in range(23, 30)
    ]
    assert noon - LOOK_BACK < missed[0].window_start < noon - LOOK_BACK + timedelta(days=1)


def test_a_night_that_the_duty_rule_forbids_is_skipped_with_its_reason_not_missed(
    watch: Watch,
) -> None:
    watch.roster(NOBODY)
    watch.apply(watch.fleet, NOW)
    night = opening(watch, NOW)

    (skipped,) = watch.look(night.start + timedelta(minutes=30)).skipped

    assert "nobody with linux is on duty on" in skipped.reason
    assert watch.look(night.start + timedelta(minutes=40)) == Watched()
    assert watch.look(night.end) == Watched()
    assert watch.nights() == [(night.start, NightVerdict.SKIPPED)]


def test_a_skipped_night_is_started_when_somebody_turns_up_in_it(watch: Watch) -> None:
    watch.roster(NOBODY)
    watch.apply(watch.fleet, NOW)
    night = opening(watch, NOW)
    watch.look(night.start + timedelta(minutes=30))

    watch.roster(staffed(NOW, days=8))

    assert watch.look(night.start + timedelta(minutes=40)).startable == due(night)
    watch.open(night)
    assert watch.look(night.start + timedelta(minutes=50)) == Watched()
    assert watch.nights() == []


def test_one_company_s_nights_are_not_shown_to_another(watch: Watch) -> None:
    watch.apply(watch.fleet, NOW)
    watch.look(opening(watch, NOW).end)

    with watch.ledger.reading() as book:
        assert nights.nights_since(book, NOW, tenant="globex") == ()
        assert len(nights.nights_since(book, NOW, tenant="acme")) == 1
        assert nights.nights_since(book, NOW, key="acme/other/night") == ()


def test_a_freeze_that_was_renamed_in_an_opening_is_asked_for_by_its_name_of_now(
    watch: Watch, tmp_path: Path
) -> None:
    freeze = (
        "calendars: [{{name: closed, source: 'file:closed.ics'}}]\n"
        "freezes: [{{name: {0}, scope: global, calendar: closed}}]"
    )
    over = calendar(days("20200101", "20200102"))
    fleets = []
    for name in ("autumn", "winter"):
        fleets.append(
            quiet_fleet(
                tmp_path / name,
                opens=OPENS,
                roster=staffed(NOW, days=8),
                freeze=freeze.format(name),
            )
        )
        (tmp_path / name / "closed.ics").write_bytes(over)
    watch.apply(fleets[0], NOW)
    night = opening(watch, NOW)
    watch.apply(fleets[1], night.start + timedelta(minutes=1))
    watch.fleet = fleets[1]

    found = watch.look(night.start + timedelta(minutes=30))

    assert (found.startable, found.skipped) == (due(night), ())


def test_a_rollout_that_was_switched_off_is_neither_started_late_nor_an_alarm(
    watch: Watch,
) -> None:
    watch.apply(watch.fleet, NOW)
    night = opening(watch, NOW)
    watch.off = {KEY}

    found = watch.look(night.start + timedelta(minutes=11))

    assert found == Watched(held=due(night))
    assert watch.nights() == [], "somebody may still start it by hand"
    watch.off = set()
    assert watch.look(night.start + timedelta(minutes=21)) == Watched(startable=due(night))

    watch.off = {KEY}
    over = watch.look(night.last_start)

    assert (over.missed, [each.reason for each in over.skipped]) == ((), [SWITCHED_OFF])
    assert watch.nights() == [(night.start, NightVerdict.SKIPPED)]
    assert watch.look(night.last_start + timedelta(hours=1)) == Watched()


def test_what_is_switched_off_today_does_not_excuse_a_night_of_which_nobody_knows(
    watch: Watch,
) -> None:
    watch.apply(watch.fleet, NOW)
    night = opening(watch, NOW)
    watch.off = {KEY}  # on Monday, by whom finds the machine standing since Friday

    found = watch.look(night.last_start + timedelta(minutes=20))

    assert [each.window_start for each in found.missed] == [night.start]
    assert found.skipped == ()
    assert watch.nights() == [(night.start, NightVerdict.MISSED)]


def test_switches_are_asked_before_anything_is_written_down(watch: Watch) -> None:
    watch.apply(watch.fleet, NOW)
    night = opening(watch, NOW)
    watch.now = night.start + timedelta(days=1, minutes=11)  # one is over, the next one is open

    def broken(_key: RolloutKey, _opened: datetime) -> bool:
        raise RuntimeError("the run dies here")

    with pytest.raises(RuntimeError):
        watch_openings(watch.hands(), broken)

    assert watch.nights() == []
    assert [each.window_start for each in watch.look(watch.now).missed] == [night.start]


def test_a_rollout_that_was_taken_out_or_moved_in_its_opening_is_told_once_and_not_started(
    watch: Watch, tmp_path: Path
) -> None:
    watch.apply(watch.fleet, NOW)
    night = opening(watch, NOW)
    moved = quiet_fleet(tmp_path / "moved", opens=OPENS + timedelta(hours=6))
    watch.apply(moved, night.start + timedelta(minutes=1))
    watch.fleet = moved

    found = watch.look(night.start + timedelta(minutes=30))

    assert found.startable == ()
    assert [each.reason for each in found.skipped] == [
        f"{KEY} does not open at this time any more: the fleet was changed since it began"
    ]
    assert watch.look(night.start + timedelta(minutes=40)) == Watched()
    assert watch.look(night.last_start) == Watched()
    assert watch.nights() == [(night.start, NightVerdict.SKIPPED)]
