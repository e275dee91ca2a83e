"""The simulation finds every bad schedule that was put in, and nothing in a good one."""

import calendar
import time as clocks
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.cases.agenda import agenda_fleet, agenda_text
from wavemend.calendar.almanac import Almanac, Shift
from wavemend.calendar.simulation import Found, Simulation, Trouble, simulate
from wavemend.fleet import Fleet

FIRST = datetime(2026, 11, 21, 2, tzinfo=UTC)
UNTIL = datetime(2028, 11, 1, tzinfo=UTC)
"""Twenty-four months, with a 29 February, four switches of each clock and two turns of the year."""

WHOLE_MONTHS = [date(2026, 12, 1), *(date(2027, n, 1) for n in range(1, 13))]
WHOLE_MONTHS += [date(2028, n, 1) for n in range(1, 11)]

GOOD = 'zone: Europe/Berlin, start: "22:00", days: [tue], duration: 4h, cutoff: 1h'
LENGTH = "duration: 4h, cutoff: 1h"


def weeks_with(day: int, month: date) -> list[int]:
    """The days of a month that are that day of the week."""
    weeks = calendar.monthcalendar(month.year, month.month)
    return [week[day] for week in weeks if week[day]]


def looked(fleet: Fleet, almanac: Almanac | None = None) -> Simulation:
    known = almanac or Almanac(read_at=FIRST, days_off={"acme": {}})
    return simulate(fleet, known, FIRST, UNTIL, overrides={})


def found(
    folder: Path,
    window: str,
    *,
    more: Sequence[str] = (),
    tenant: str = "",
    deadline: str = "30m",
    almanac: Almanac | None = None,
) -> list[Found]:
    """What the simulation finds in a fleet with one good window and this one, named bad."""
    text = agenda_text({"bad": window, "good": GOOD}, more=more, tenant=tenant, deadline=deadline)
    done = looked(agenda_fleet(folder, text), almanac)
    return [each for each in done.found if each.window == "bad"]


def test_a_good_schedule_has_no_findings(tmp_path: Path) -> None:
    done = looked(agenda_fleet(tmp_path, agenda_text({"good": GOOD})))

    assert done.found == ()
    assert done.openings == 102
    assert not done.never_opens


def test_a_rule_without_a_day_in_the_time_never_opens(tmp_path: Path) -> None:
    # The last day of a leap year, which lies two months after the time looked at.
    rule = f'zone: UTC, start: "22:00", rrule: "FREQ=YEARLY;BYYEARDAY=366", {LENGTH}'
    (item,) = found(tmp_path, rule)

    assert item.trouble is Trouble.NEVER_OPENS
    assert item.reason == "its rule gives no opening"


def test_a_window_whose_openings_are_all_frozen_never_opens_and_the_freeze_is_named(
    tmp_path: Path,
) -> None:
    freeze = (
        "freezes: [{name: move, scope: company, tenant: acme, "
        'start: "2026-01-01T00:00", end: "2030-01-01T00:00"}]'
    )
    (item,) = found(tmp_path, GOOD, more=[freeze])

    assert item.trouble is Trouble.NEVER_OPENS
    assert "all 102 openings are barred" in item.reason
    assert "move" in item.reason


def test_a_fifth_weekday_and_a_leap_day_leave_months_without_an_opening(tmp_path: Path) -> None:
    fifth = f'zone: UTC, start: "22:00", nth: [{{n: 5, day: tue}}], {LENGTH}'
    (item,) = found(tmp_path, fifth)
    assert item.trouble is Trouble.NO_OPENING
    assert item.dates[:3] == (date(2027, 1, 1), date(2027, 2, 1), date(2027, 4, 1))
    fifths = [len(weeks_with(1, month)) == 5 for month in WHOLE_MONTHS]
    assert item.count == fifths.count(False)

    leap = f'zone: UTC, start: "22:00", rrule: "FREQ=YEARLY;BYMONTH=2;BYYEARDAY=60", {LENGTH}'
    (item,) = found(tmp_path, leap)
    assert (item.trouble, item.count) == (Trouble.NO_OPENING, 22)  # of 23 whole months


def test_a_freeze_that_takes_a_whole_month_is_named_with_the_month(tmp_path: Path) -> None:
    freeze = (
        'freezes: [{name: xmas, scope: global, start: "2027-11-20T00:00", end: "2028-01-05T00:00"}]'
    )
    (item,) = found(tmp_path, GOOD, more=[freeze])

    assert item.trouble is Trouble.NO_OPENING
    assert item.dates == (date(2027, 12, 1),)
    assert "xmas" in item.reason


def test_two_members_of_an_exclusion_set_with_windows_at_one_time_are_found(
    tmp_path: Path,
) -> None:
    other = 'zone: America/New_York, start: "17:30", days: [tue], duration: 4h, cutoff: 1h'
    budget = "budgets: [{name: pair, most_out: 1, hosts: [on-bad, on-good]}]"
    (item,) = found(tmp_path, other, more=[budget])

    assert item.trouble is Trouble.OVERLAPS
    assert "on-bad and on-good of pair" in item.reason
    assert item.dates[0] == date(2026, 11, 24)
    assert item.count == 102
    assert found(tmp_path, other, more=[budget.replace("most_out: 1", "most_out: 2")]) == []
    apart = other.replace('"17:30"', '"20:00"')
    apart_in_winter = found(tmp_path, apart, more=[budget])
    assert {day.month for item in apart_in_winter for day in item.dates} <= {3, 10, 11}


def test_an_opening_that_reaches_into_working_hours_is_found_by_the_companys_clock(
    tmp_path: Path,
) -> None:
    early = 'zone: Europe/Berlin, start: "05:00", days: [fri], duration: 4h, cutoff: 1h'
    (item,) = found(tmp_path, early)
    assert item.trouble is Trouble.WORKING_HOURS
    assert (item.dates[0], item.count) == (date(2026, 11, 27), 101)
    assert "08:00-17:00 Europe/Berlin" in item.reason

    assert found(tmp_path, early.replace('"05:00"', '"04:00"')) == []  # ends when they begin
    assert found(tmp_path, early.replace("[fri]", "[sat]")) == []


def test_working_hours_are_those_of_the_duty_rule_and_holidays_are_none(tmp_path: Path) -> None:
    early = 'zone: Europe/Berlin, start: "03:00", days: [thu], duration: 4h, cutoff: 1h'
    duty = ', duty: {roster: office, hours_from: "06:30", hours_until: "09:00"}'
    roster = 'rosters: [{name: office, source: "file:office.csv", zone: Europe/Berlin}]'
    days = 731
    shifts = tuple(
        Shift(start=day, end=day + timedelta(days=1), person="anna")
        for day in (FIRST.replace(hour=0) + timedelta(days=n) for n in range(days))
    )
    almanac = Almanac(
        read_at=FIRST,
        shifts={"office": shifts},
        days_off={"acme": {date(2026, 12, 25): "a public holiday (DE: Christmas)"}},
    )
    items = found(tmp_path, early, more=[roster], tenant=duty, almanac=almanac)
    (item,) = [item for item in items if item.trouble is Trouble.WORKING_HOURS]

    assert "06:30-09:00" in item.reason
    assert item.dates[:4] == tuple(date(2026, 11, 26) + timedelta(weeks=n) for n in range(4))
    assert date(2026, 12, 24) not in item.dates  # nothing starts then: the morning after is off


def test_openings_that_a_clock_change_moves_are_named_with_their_dates(tmp_path: Path) -> None:
    gap = 'zone: Europe/Berlin, start: "02:30", days: [sun], duration: 1h, cutoff: 40m'
    twice, moved = found(tmp_path, gap)
    assert {twice.trouble, moved.trouble} == {Trouble.CLOCK}
    assert twice.dates == (date(2027, 10, 31), date(2028, 10, 29))
    assert moved.dates == (date(2027, 3, 28), date(2028, 3, 26))
    assert "the clock skips 02:30" in moved.reason

    across = 'zone: America/New_York, start: "22:00", days: [sat], duration: 6h, cutoff: 1h'
    earlier, later = found(tmp_path, across)
    assert "1h earlier" in earlier.reason
    assert earlier.dates == (date(2027, 11, 6),)
    assert "1h later" in later.reason
    assert later.dates == (date(2027, 3, 13), date(2028, 3, 11))


def test_a_cut_off_shorter_than_a_host_may_take_is_found(tmp_path: Path) -> None:
    items = found(tmp_path, GOOD, deadline="1h30m")

    assert [item.trouble for item in items] == [Trouble.CUTOFF]
    assert "may take 1h30m, and may start 1h before the end" in items[0].reason


def test_five_hundred_windows_over_two_years_take_seconds(tmp_path: Path) -> None:
    windows = {
        f"w{n}": f'zone: UTC, start: "{n % 24:02}:{n % 60:02}", days: [tue, sat], {LENGTH}'
        for n in range(500)
    }
    members = ", ".join(f"on-{name}" for name in list(windows)[:40])
    budget = f"budgets: [{{name: all, most_out: 1, hosts: [{members}]}}]"
    freeze = 'freezes: [{name: xmas, scope: global, start: "2026-12-20T00:00", '
    until = 'end: "2027-01-05T00:00"}]'
    fleet = agenda_fleet(tmp_path, agenda_text(windows, more=[freeze + until, budget]))

    begun = clocks.process_time()
    done = looked(fleet)
    seconds = clocks.process_time() - begun

    assert done.openings > 500 * 200
    assert len(done.found) > 500
    assert seconds < 20, f"{seconds:.1f} s"
