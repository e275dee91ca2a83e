"""A window recurs on the days its rule names: across month ends, on every switch, and no others."""

import calendar
import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemend.calendar.days import CYCLE_YEARS, NthDay
from wavemend.calendar.windows import Window, local_start, next_occurrences, occurrence_at
from wavemend.errors import CalendarError

PATCH_TUESDAY = NthDay(n=2, day=1)
HOUR = timedelta(hours=1)


def window(
    *nth: NthDay,
    rrule: str = "",
    days: frozenset[int] = frozenset(),
    start: str = "22:00",
    zone: str = "UTC",
    duration: timedelta = 6 * HOUR,
) -> Window:
    return Window(
        name="night",
        zone=zone,
        start=time.fromisoformat(start),
        days=days,
        nth=nth,
        rrule=rrule,
        duration=duration,
        cutoff=timedelta(minutes=15),
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first_days(some: Window, count: int, after: str = "2025-12-31T23:00") -> str:
    found = next_occurrences(some, utc(after), count)
    return " ".join(f"{occurrence.start:%Y-%m-%d}" for occurrence in found)


@pytest.mark.parametrize(
    ("zone", "start", "instants"),
    [
        # Both switches of 2026 and of 2027: into summer time 02:30 is skipped, out of it twice.
        (
            "Europe/Berlin", "02:30",
            "2026-03-29T01:00 2026-10-25T00:30 2027-03-28T01:00 2027-10-31T00:30",
        ),
        (
            "America/New_York", "02:30",
            "2026-03-08T07:00 2026-11-01T07:30 2027-03-14T07:00 2027-11-07T07:30",
        ),
        (
            "America/New_York", "01:30",
            "2026-03-08T06:30 2026-11-01T05:30 2027-03-14T06:30 2027-11-07T05:30",
        ),
        # Half an hour: 02:00 to 02:30 is skipped in October, 01:30 to 02:00 is twice in April.
        (
            "Australia/Lord_Howe", "02:15",
            "2026-04-04T15:45 2026-10-03T15:30 2027-04-03T15:45 2027-10-02T15:30",
        ),
        (
            "Australia/Lord_Howe", "01:45",
            "2026-04-04T14:45 2026-10-03T15:15 2027-04-03T14:45 2027-10-02T15:15",
        ),
        # The switch is at midnight: the skipped hour begins the day, the double one ends it.
        (
            "America/Santiago", "00:30",
            "2026-04-05T04:30 2026-09-06T04:00 2027-04-04T04:30 2027-09-05T04:00",
        ),
        (
            "America/Santiago", "23:30",
            "2026-04-05T02:30 2026-09-06T03:30 2027-04-04T02:30 2027-09-05T03:30",
        ),
    ],
)  # fmt: skip
def test_ac_13_a_start_in_the_gap_runs_at_the_first_valid_instant_and_in_the_overlap_once(
    zone: str, start: str, instants: str
) -> None:
    daily = window(zone=zone, start=start, days=frozenset(range(7)), duration=HOUR)
    for instant in map(utc, instants.split()):
        found = next_occurrences(daily, instant - timedelta(hours=30), 3)
        starts = [occurrence.start for occurrence in found]

        assert instant in starts, (zone, start, starts)
        around = [moment for moment in starts if abs(moment - instant) <= timedelta(hours=12)]
        assert around == [instant], "once, however often the clock shows it"


def test_ac_14_patch_tuesday_plus_eleven_for_two_years() -> None:
    assert first_days(window(NthDay(n=2, day=1, offset=11)), 24) == (
        "2026-01-24 2026-02-21 2026-03-21 2026-04-25 2026-05-23 2026-06-20 "
        "2026-07-25 2026-08-22 2026-09-19 2026-10-24 2026-11-21 2026-12-19 "
        "2027-01-23 2027-02-20 2027-03-20 2027-04-24 2027-05-22 2027-06-19 "
        "2027-07-24 2027-08-21 2027-09-25 2027-10-23 2027-11-20 2027-12-25"
    )


@pytest.mark.parametrize(
    ("nth", "days"),
    [
        # Three days before the first Monday: mostly in the month before.
        (NthDay(n=1, day=0, offset=-3), "2026-01-02 2026-01-30 2026-02-27 2026-04-03 2026-05-01"),
        # Thirty days after the last Friday: two in March, because February is short.
        (NthDay(n=-1, day=4, offset=30), "2026-01-25 2026-03-01 2026-03-29 2026-04-26 2026-05-24"),
        (NthDay(n=1, day=6, offset=-30), "2026-01-02 2026-01-30 2026-03-06 2026-04-03 2026-05-08"),
        # A fifth Thursday there is four or five times a year.
        (NthDay(n=5, day=3), "2026-01-29 2026-04-30 2026-07-30 2026-10-29 2026-12-31"),
        (NthDay(n=-1, day=5), "2026-01-31 2026-02-28 2026-03-28 2026-04-25 2026-05-30"),
    ],
)
def test_ac_14_offsets_lead_across_month_ends(nth: NthDay, days: str) -> None:
    assert first_days(window(nth), 5) == days


def test_ac_14_every_offset_is_so_many_days_from_the_weekday_that_is_counted() -> None:
    for offset in range(-30, 31):
        found = first_days(window(NthDay(n=2, day=1, offset=offset)), 40).split()
        counted = [date.fromisoformat(day) - timedelta(days=offset) for day in found]

        assert all(day.weekday() == 1 and 8 <= day.day <= 14 for day in counted), offset
        months = [day.year * 12 + day.month for day in counted]
        assert months == list(range(months[0], months[0] + 40)), offset


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        # The last day of each month, also of the short ones.
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31 2026-02-28 2026-03-31 2026-04-30 2026-05-31"),
        ("FREQ=MONTHLY;BYDAY=-1SU", "2026-01-25 2026-02-22 2026-03-29 2026-04-26 2026-05-31"),
        # Every other week is counted from Monday, 2024-01-01, whenever it is asked for.
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SA", "2026-01-03 2026-01-17 2026-01-31 2026-02-14"),
        ("FREQ=YEARLY;BYMONTH=3,12;BYMONTHDAY=31", "2026-03-31 2026-12-31 2027-03-31 2027-12-31"),
        ("freq=monthly;byday=2tu", "2026-01-13 2026-02-10 2026-03-10 2026-04-14 2026-05-12"),
    ],
)  # fmt: skip
def test_a_rule_names_its_days(rule: str, days: str) -> None:
    assert first_days(window(rrule=rule), len(days.split())) == days


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=31", "not every month has a day 31; BYMONTHDAY=-1 is the last"),
        ("FREQ=MONTHLY;BYMONTHDAY=-30", "not every month has a day -30"),
        ("FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31", "not every month has a day 31"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "not every month has a day 29"),
        ("FREQ=DAILY;COUNT=3", "take COUNT out of the rule"),
        ("FREQ=DAILY;UNTIL=20270101", "take UNTIL out of the rule"),
        ("FREQ=DAILY;BYHOUR=3", "BYHOUR is what start is for"),
        ("FREQ=HOURLY", "FREQ is one of DAILY, WEEKLY, MONTHLY, YEARLY"),
        ("FREQ=MONTHLY", "nothing else says which days"),
        ("FREQ=WEEKLY;BYDAY=XX", "is no rule"),
        ("FREQ=WEEKLY;BYDAY=MO;FREQ=DAILY", "is no rule"),
        ("every second Tuesday", "is no rule"),
        ("RRULE:FREQ=DAILY", "RRULE:FREQ is no part of a rule"),
        ("DTSTART=20260101;FREQ=DAILY", "DTSTART is no part of a rule"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL is a number from 1 to 366"),
        ("FREQ=DAILY;INTERVAL=1000000000", "INTERVAL is a number from 1 to 366"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "not every month has a day 30"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=9", "a window must recur"),
        # dateutil drops such numbers: the first of these would open every night.
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY=0 is not 1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=0,15", "BYMONTHDAY=0 is not 1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=31,32", "BYMONTHDAY=32 is not 1 to 31"),
        ("FREQ=MONTHLY;BYDAY=TU;BYMONTHDAY=0", "BYMONTHDAY=0 is not 1 to 31"),
        ("FREQ=YEARLY;BYYEARDAY=0,9", "BYYEARDAY=0 is not 1 to 366"),
        ("FREQ=YEARLY;BYMONTH=0,3;BYDAY=MO", "BYMONTH=0 is not 1 to 12"),
        ("FREQ=YEARLY;BYMONTH=-3;BYDAY=MO", "BYMONTH=-3 is not 1 to 12"),
        ("FREQ=YEARLY;BYWEEKNO=0,9;BYDAY=MO", "BYWEEKNO=0 is not 1 to 53"),
        ("FREQ=WEEKLY;BYDAY=2TU", "BYDAY=2TU counts weekdays of a month or year"),
        ("FREQ=DAILY;BYDAY=MO,-1TU", "BYDAY=-1TU counts weekdays of a month or year"),
        ("FREQ=MONTHLY;BYDAY=2TU,6TU", "BYDAY=6TU: no such weekday with FREQ=MONTHLY"),
    ],
)
def test_a_rule_that_means_nothing_or_something_else_is_refused(rule: str, message: str) -> None:
    with pytest.raises(CalendarError, match=message):
        window(rrule=rule)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (window, "needs exactly one of days, nth and rrule"),
        (lambda: window(PATCH_TUESDAY, days=frozenset({1})), "needs exactly one of"),
        (lambda: window(PATCH_TUESDAY, rrule="FREQ=DAILY"), "needs exactly one of"),
        (lambda: window(NthDay(n=0, day=1)), "0 is not 1 to 5"),
        (lambda: window(NthDay(n=1, day=7)), "days are numbers from 0"),
        (lambda: window(NthDay(n=1, day=1, offset=31)), "31 is more than 30 days away"),
        (lambda: window(rrule="FREQ=DAILY", duration=25 * HOUR), "its own next start 1d later"),
        (
            # The last Sunday and the first Monday are a day apart, or two, but not every month.
            lambda: window(NthDay(n=-1, day=6), NthDay(n=1, day=0), duration=25 * HOUR),
            "its own next start 1d later",
        ),
        (
            # Thirty days after one month's and at another's: they meet a few times a year.
            lambda: window(PATCH_TUESDAY, NthDay(n=2, day=1, offset=27), duration=25 * HOUR),
            "its own next start 1d later",
        ),
    ],
)
def test_a_window_that_could_overlap_itself_or_never_recurs_cannot_be_made(
    made: Callable[[], Window], message: str
) -> None:
    with pytest.raises(CalendarError, match=message):
        made()


def test_a_question_about_a_far_year_costs_no_walk_to_it() -> None:
    daily = window(rrule="FREQ=DAILY;INTERVAL=3")
    far = next_occurrences(daily, utc("2400-01-01"), 1)[0]

    assert occurrence_at(daily, far.start) == far
    # 2024-01-01 was day 0 of the count.
    assert (far.start.date() - date(2024, 1, 1)).days % 3 == 0


WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@given(
    nth=st.sets(
        st.builds(
            NthDay,
            n=st.sampled_from([1, 2, 3, 4, 5, -1]),
            day=st.integers(0, 6),
            offset=st.integers(-30, 30),
        ),
        min_size=1,
        max_size=4,
    ),
    after=st.dates(date(2026, 1, 1), date(2045, 12, 31)),
)
def test_any_set_of_counted_days_opens_on_exactly_the_days_that_a_calendar_shows(
    nth: set[NthDay], after: date
) -> None:
    some = window(*sorted(nth), start="00:00", duration=HOUR)
    days = [after + timedelta(days=number) for number in range(1, 500)]
    expected = [day for day in days if any(is_counted(each, day) for each in nth)][:6]

    found = next_occurrences(some, datetime.combine(after, time(), UTC), 6)
    assert [occurrence.start.date() for occurrence in found][: len(expected)] == expected


def is_counted(nth: NthDay, day: date) -> bool:
    """Read off a page of a calendar whether a day is the one that is meant."""
    counted = day - timedelta(days=nth.offset)
    weeks = calendar.monthcalendar(counted.year, counted.month)
    column = [week[nth.day] for week in weeks if week[nth.day]]
    position = nth.n if nth.n == -1 else nth.n - 1
    return position < len(column) and column[position] == counted.day


@settings(deadline=None, max_examples=40)
@given(
    frequency=st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]),
    interval=st.sampled_from([1, 2, 3, 5, 9]),
    days=st.sets(st.integers(0, 6), min_size=1),
    after=st.dates(date(2026, 1, 1), date(2045, 12, 31)),
)
def test_any_simple_rule_opens_on_exactly_the_days_that_counting_gives(
    frequency: str, interval: int, days: set[int], after: date
) -> None:
    named = ",".join(WEEKDAYS[day] for day in sorted(days))
    some = window(rrule=f"FREQ={frequency};INTERVAL={interval};BYDAY={named}", duration=HOUR)
    begin = date(2024, 1, 1)

    def is_due(day: date) -> bool:
        passed = {
            "DAILY": (day - begin).days,
            "WEEKLY": (day - begin).days // 7,
            "MONTHLY": (day.year - begin.year) * 12 + day.month - begin.month,
        }[frequency]
        return day.weekday() in days and passed % interval == 0

    later = (after + timedelta(days=number) for number in itertools.count(1))
    expected = list(itertools.islice((day for day in later if is_due(day)), 8))

    found = next_occurrences(some, datetime.combine(after, time(23), UTC), 8)
    assert [occurrence.start.date() for occurrence in found] == expected
    assert [local_start("UTC", day, time(22)) for day in expected] == [o.start for o in found]


def test_the_cycle_holds_every_calendar_page() -> None:
    pages = {
        (calendar.isleap(year), date(year, 1, 1).weekday())
        for year in range(2024, 2024 + CYCLE_YEARS)
    }

    assert len(pages) == 14
