"""A window opens when its rule says, once, on every night of the year and in every zone."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.calendar.durations import format_duration, parse_duration
from wavemend.calendar.windows import (
    DAY_NAMES,
    LONGEST_WINDOW,
    Window,
    local_start,
    next_occurrences,
    occurrence_at,
    zone_info,
)
from wavemend.errors import CalendarError

EVERY_DAY = frozenset(range(7))
GRID = timedelta(minutes=15)
"""All offsets and switches of the years tested are multiples of a quarter of an hour."""


def usable_zones() -> list[str]:
    names = (name for name in available_timezones() if name not in {"localtime", "Factory"})
    return sorted(names)


def window(
    start: str = "22:00",
    zone: str = "Europe/Berlin",
    days: frozenset[int] = EVERY_DAY,
    duration: str = "6h",
    cutoff: str = "1h",
) -> Window:
    return Window(
        name="night",
        zone=zone,
        start=time.fromisoformat(start),
        days=days,
        duration=parse_duration(duration),
        cutoff=parse_duration(cutoff),
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def clock(zone: str, instant: datetime) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@lru_cache
def switches() -> list[tuple[str, datetime]]:
    """Every change of offset of every zone in 2026 and 2027, to the quarter of an hour."""
    found: list[tuple[str, datetime]] = []
    for zone in usable_zones():
        info = ZoneInfo(zone)
        moment, end = utc("2026-01-01"), utc("2028-01-01")
        while moment < end:
            later = moment + timedelta(days=1)
            if moment.astimezone(info).utcoffset() != later.astimezone(info).utcoffset():
                while (moment + GRID).astimezone(info).utcoffset() == moment.astimezone(
                    info
                ).utcoffset():
                    moment += GRID
                found.append((zone, moment + GRID))
            moment = later
    return found


def test_the_two_years_hold_switches_of_many_zones() -> None:
    zones = {zone for zone, _ in switches()}

    assert len(switches()) > 400
    assert {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham"} <= zones


def test_at_every_switch_of_every_zone_a_start_obeys_the_rule() -> None:
    for zone, switch in switches():
        for minutes in range(-180, 181, 15):
            wanted = clock(zone, switch) + timedelta(minutes=minutes)
            start = local_start(zone, wanted.date(), wanted.time())
            assert start == by_the_rule(zone, switch, wanted), (zone, wanted)


def by_the_rule(zone: str, switch: datetime, wanted: datetime) -> datetime:
    """The rule: the first instant at which the clock shows this time of day, or a later one."""
    instant = switch - timedelta(hours=8)
    assert clock(zone, instant) < wanted
    while clock(zone, instant) < wanted:
        instant += GRID
    return instant


def test_around_every_switch_a_daily_window_opens_once_a_day_and_lasts_its_duration() -> None:
    for zone, switch in switches():
        night = window("02:15", zone, duration="6h", cutoff="1h")
        opened = next_occurrences(night, switch - timedelta(days=3), 6)
        starts = [occurrence.start for occurrence in opened]
        days = [clock(zone, start).date() for start in starts]
        assert starts == sorted(set(starts)), (zone, starts)
        assert days == [days[0] + timedelta(days=n) for n in range(6)], (zone, days)
        for occurrence in opened:
            assert occurrence.start + timedelta(hours=6) == occurrence.end
            assert occurrence.end - timedelta(hours=1) == occurrence.last_start


@given(
    st.sampled_from(usable_zones()),
    st.dates(date(1975, 1, 1), date(2037, 12, 30)),
    st.integers(0, 95),
)
def test_a_start_is_the_first_instant_at_which_the_clock_gets_there(
    zone: str, day: date, quarter: int
) -> None:
    start = time(quarter // 4, quarter % 4 * 15)
    found = local_start(zone, day, start)
    wanted = datetime.combine(day, start)

    assert clock(zone, found) >= wanted
    before = found - timedelta(seconds=1)
    assert clock(zone, before) < wanted
    if clock(zone, found) != wanted:  # a gap: the clock jumped over it in this very second
        assert clock(zone, found) - clock(zone, before) > timedelta(seconds=1)


@pytest.mark.parametrize(
    ("zone", "day", "start", "instant"),
    [
        ("Europe/Berlin", "2026-03-29", "02:30", "2026-03-29T01:00"),  # gap: 03:00 summer time
        ("Europe/Berlin", "2026-03-29", "02:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29", "01:59", "2026-03-29T00:59"),
        ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25T00:30"),  # overlap: the first
        ("Europe/Berlin", "2026-10-25", "03:00", "2026-10-25T02:00"),
        ("America/New_York", "2026-03-08", "02:30", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30"),  # half an hour
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04T14:45"),
        ("Pacific/Chatham", "2026-09-27", "03:00", "2026-09-26T14:00"),
        ("America/Santiago", "2026-09-06", "00:30", "2026-09-06T04:00"),  # the gap is at midnight
        ("Asia/Kathmandu", "2026-01-01", "00:00", "2025-12-31T18:15"),
        ("Pacific/Apia", "2011-12-30", "22:00", "2011-12-30T10:00"),  # that day never was
        ("UTC", "2026-03-29", "02:30", "2026-03-29T02:30"),
    ],
)
def test_the_rule_by_example(zone: str, day: str, start: str, instant: str) -> None:
    found = local_start(zone, date.fromisoformat(day), time.fromisoformat(start))

    assert found == utc(instant)


def test_a_window_lasts_its_elapsed_time_through_both_switches() -> None:
    spring = occurrence_at(window(), utc("2026-03-28T23:00"))
    autumn = occurrence_at(window(), utc("2026-10-24T23:00"))
    assert spring
    assert autumn

    assert f"{spring.end.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}" == "05:00"
    assert f"{autumn.end.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}" == "03:00"
    assert spring.id == "night@2026-03-28T21:00Z"


def test_a_window_over_midnight_belongs_to_the_day_it_starts_on() -> None:
    saturday = window(zone="UTC", days=frozenset({5}))

    assert occurrence_at(saturday, utc("2026-03-07T21:59:59")) is None
    assert occurrence_at(saturday, utc("2026-03-07T22:00")) is not None
    assert occurrence_at(saturday, utc("2026-03-08T03:59:59")) is not None
    assert occurrence_at(saturday, utc("2026-03-08T04:00")) is None


def test_nothing_starts_from_the_cutoff_on() -> None:
    found = occurrence_at(window(zone="UTC"), utc("2026-03-08T01:00"))
    assert found

    assert found.last_start == utc("2026-03-08T03:00")
    assert found.may_start(utc("2026-03-08T02:59:59"))
    assert not found.may_start(utc("2026-03-08T03:00"))
    assert not found.may_start(utc("2026-03-07T21:59:59"))


def test_a_window_of_a_whole_week_is_always_open_and_never_twice() -> None:
    week = window("00:00", days=frozenset({0}), duration="7d", cutoff="1h")
    moment = utc("2026-03-20T12:00")
    for _ in range(24 * 20):
        found = occurrence_at(week, moment)
        assert found, moment
        assert found.start <= moment < found.end
        moment += timedelta(hours=1)


def test_the_last_hour_of_a_window_of_seven_days_is_open() -> None:
    week = window("22:00", "UTC", days=frozenset({0}), duration="7d", cutoff="1h")
    found = occurrence_at(week, utc("2026-03-09T21:59"))

    assert found
    assert found.start == utc("2026-03-02T22:00")


def test_the_next_openings_start_later_than_the_moment_asked_for() -> None:
    night = window(zone="UTC")
    first, second = next_occurrences(night, utc("2026-03-07T21:59:59"), 2)

    assert first.start == utc("2026-03-07T22:00")
    assert next_occurrences(night, first.start, 1) == (second,)
    assert next_occurrences(night, first.start, 0) == ()


def test_where_a_shortened_week_makes_two_openings_meet_the_later_one_counts() -> None:
    week = window("00:00", days=frozenset({0}), duration="7d", cutoff="1h")
    found = occurrence_at(week, utc("2026-03-29T22:30"))
    assert found

    assert found.start == utc("2026-03-29T22:00")


def test_the_day_samoa_skipped_opens_no_window_twice() -> None:
    midnight = window("00:00", "Pacific/Apia")
    starts = [o.start for o in next_occurrences(midnight, utc("2011-12-28T12:00"), 4)]

    assert len(set(starts)) == 4
    assert starts == sorted(starts)


@given(
    zone=st.sampled_from(usable_zones()),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - made UTC below
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.times().map(lambda moment: moment.replace(microsecond=0)),
    hours=st.integers(1, 24),
)
def test_a_window_is_open_exactly_within_its_listed_occurrences(
    zone: str, now: datetime, days: frozenset[int], start: time, hours: int
) -> None:
    now = now.replace(tzinfo=UTC)
    some = Window(
        name="some",
        zone=zone,
        start=start,
        days=days,
        duration=timedelta(hours=hours),
        cutoff=timedelta(minutes=15),
    )
    listed = next_occurrences(some, now - LONGEST_WINDOW - timedelta(days=2), 16)
    holding = [occurrence for occurrence in listed if occurrence.start <= now < occurrence.end]

    assert occurrence_at(some, now) == (holding[-1] if holding else None)
    assert all(o.start < o.last_start <= o.end for o in listed)
    following = next_occurrences(some, now, 1)[0]
    assert following.start > now
    assert following == next(occurrence for occurrence in listed if occurrence.start > now)


@pytest.mark.parametrize(
    "name",
    [
        "", "CEST+2", "Europe/Berln", "Europe", "../../etc/passwd", "/etc/localtime", "localtime",
        "posix/Europe/Berlin", "right/UTC", "Europe/Berlin\0",
    ],
)  # fmt: skip
def test_a_name_that_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(CalendarError, match="is no time zone"):
        zone_info(name)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"duration": "0m"}, "the duration 0m is not between 1s and 7d"),
        ({"duration": "7d1s"}, "the duration 7d1s is not between 1s and 7d"),
        ({"cutoff": "6h"}, "the cut-off 6h leaves no time to start anything in 6h"),
        ({"duration": "25h"}, "the duration 1d1h runs into its own next start 1d later"),
        ({"days": frozenset({0, 5}), "duration": "3d"}, "its own next start 2d later"),
        ({"days": frozenset()}, "needs exactly one of days, nth and rrule"),
        ({"days": frozenset({7})}, "days are numbers"),
        ({"zone": "Mars/Olympus"}, "is no time zone"),
    ],
)
def test_a_window_that_means_nothing_cannot_be_made(
    changed: dict[str, object], message: str
) -> None:
    with pytest.raises(CalendarError, match=message):
        window(**changed)  # type: ignore[arg-type]


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(CalendarError, match="without zone"):
        occurrence_at(window(), datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(CalendarError, match="without zone"):
        next_occurrences(window(), datetime(2026, 1, 1), 1)  # noqa: DTZ001 - that is the point


def test_the_names_of_the_days_begin_with_monday() -> None:
    assert DAY_NAMES[date(2026, 3, 2).weekday()] == "mon"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6h", 21_600), ("90m", 5_400), ("1h30m", 5_400), ("2d", 172_800), ("45s", 45), ("0m", 0)],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6",
        "h",
        "6 h",
        "6H",
        "-6h",
        "1.5h",
        "30m1h",
        "6h6h",
        "367d",
        "9" * 30 + "s",
        "٦h",
        "6h\n",
        "9" * 5_000 + "s",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(CalendarError, match=r"is no duration|longer than a year"):
        parse_duration(text)


@given(st.integers(0, 366 * 86_400))
def test_a_printed_duration_reads_back_as_itself(seconds: int) -> None:
    duration = timedelta(seconds=seconds)

    assert parse_duration(format_duration(duration)) == duration
