"""In every IANA zone, for twenty years: each opening once, inside its window, never in a freeze.

The days are counted here without any code of the product, and an executor that knows no preview
asks at the openings' edges whether it may start: what was previewed is what runs.
"""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from wavemend.calendar.almanac import Almanac, Span
from wavemend.calendar.days import NthDay
from wavemend.calendar.declared import Freeze, TenantCalendar
from wavemend.calendar.freezes import HORIZON
from wavemend.calendar.judging import bars
from wavemend.calendar.preview import Opening, preview
from wavemend.calendar.windows import Window, next_occurrences, occurrence_at

FIRST_YEAR, YEARS = 2026, 20
BEGIN = datetime(FIRST_YEAR, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAYS = [date(FIRST_YEAR, 1, 2) + timedelta(days=n) for n in range(365 * YEARS)]


@lru_cache
def zones() -> dict[str, list[str]]:
    """Return every zone once, with the other names of the same rules."""
    found: dict[bytes, list[str]] = {}
    for name in sorted(available_timezones() - {"localtime", "Factory"}):
        found.setdefault(_rules(name), []).append(name)
    return {names[0]: names[1:] for names in found.values()}


def _rules(name: str) -> bytes:
    package, _, file = ("tzdata.zoneinfo." + name.replace("/", ".")).rpartition(".")
    return resources.files(package).joinpath(file).read_bytes()


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a window says about its starts."""

    start: str
    nth: tuple[NthDay, ...] = ()
    rrule: str = ""


def window(shape: Shape, zone: str) -> Window:
    by_rule = shape.nth or shape.rrule
    return Window(
        name="night",
        zone=zone,
        start=time.fromisoformat(shape.start),
        days=frozenset() if by_rule else frozenset(range(7)),
        nth=shape.nth,
        rrule=shape.rrule,
        duration=timedelta(hours=6),
        cutoff=timedelta(hours=1),
    )


def patch_saturdays() -> list[date]:
    """Return eleven days after each second Tuesday, from pages of a calendar."""
    months = [(FIRST_YEAR - 1, 12)]
    months += [(y, m) for y in range(FIRST_YEAR, FIRST_YEAR + YEARS) for m in range(1, 13)]
    tuesdays = (
        [week[1] for week in calendar.monthcalendar(year, month) if week[1]][1]
        for year, month in months
    )
    pairs = zip(months, tuesdays, strict=True)
    days = [date(year, month, day) + timedelta(days=11) for (year, month), day in pairs]
    return [day for day in days if DAYS[0] <= day <= DAYS[-1]]


MONTH_ENDS = [day for day in DAYS if (day + timedelta(days=1)).day == 1]
SATURDAYS = [day for day in DAYS if day.weekday() == 5]
SHAPES = [
    # Two starts that switches skip and repeat, and one on either side of midnight.
    (Shape(start="02:15", nth=(NthDay(n=2, day=1, offset=11),)), patch_saturdays()),
    (Shape(start="00:30", rrule="FREQ=MONTHLY;BYMONTHDAY=-1"), MONTH_ENDS),
    (Shape(start="22:00", rrule="FREQ=WEEKLY;BYDAY=SA"), SATURDAYS),
]


def clock(instant: datetime, info: ZoneInfo) -> datetime:
    return instant.astimezone(info).replace(tzinfo=None)


def check_starts(some: Window, days: Sequence[date], starts: Sequence[datetime]) -> None:
    """Fail unless each day has one start, at the first instant its clock gets there."""
    info = ZoneInfo(some.zone)
    for day, start in zip(days, starts, strict=True):
        wanted = datetime.combine(day, some.start)
        shown = clock(start, info)
        assert shown >= wanted > clock(start - SECOND, info), (some.zone, day, start)
        # Later than asked for only where the clock jumped over it in this very second.
        assert shown == wanted or shown - clock(start - SECOND, info) > SECOND, (some.zone, day)


@pytest.mark.parametrize(("shape", "days"), SHAPES, ids=["nth", "month-end", "weekly"])
def test_each_opening_of_twenty_years_is_there_exactly_once_in_every_zone(
    shape: Shape, days: list[date]
) -> None:
    for zone in zones():
        some = window(shape, zone)
        opened = next_occurrences(
            some, datetime.combine(DAYS[0], time(), ZoneInfo(zone)), len(days)
        )
        check_starts(some, days, [each.start for each in opened])
        for each, following in pairwise(opened):
            assert each.end == each.start + timedelta(hours=6) <= following.start
            assert each.last_start == each.end - timedelta(hours=1)


@lru_cache
def switches(zone: str) -> tuple[date, ...]:
    """Return the local days on which a zone's offset changes, in the twenty years."""
    info, noon = ZoneInfo(zone), time(12)
    offsets = [datetime.combine(day, noon, info).utcoffset() for day in DAYS]
    pairs = pairwise(offsets)
    return tuple(DAYS[n + 1] for n, (a, b) in enumerate(pairs) if a != b)


def test_around_every_switch_every_daily_start_of_the_night_is_there_once() -> None:
    counted = 0
    for zone in zones():
        for day in switches(zone):
            days = [day + timedelta(days=n) for n in (-1, 0, 1)]
            for start in ("00:00", "01:30", "02:30", "03:00", "23:45"):
                some = window(Shape(start=start), zone)
                before = datetime.combine(days[0] - timedelta(days=1), time(23, 59), ZoneInfo(zone))
                opened = next_occurrences(some, before.astimezone(UTC), 3)
                check_starts(some, days, [each.start for each in opened])
                counted += 1
    assert counted > 10_000


def almanac_of(read_at: datetime, zone: str) -> tuple[TenantCalendar, Almanac]:
    """Return a company with two freezes: every turn of the year, and five hours of some nights."""
    info = ZoneInfo(zone)

    def span(year: int, month: int, day: int, hour: int, hours: int, summary: str) -> Span:
        start = datetime(year, month, day, hour, tzinfo=info).astimezone(UTC)
        return Span(start=start, end=start + timedelta(hours=hours), summary=summary)

    years = range(read_at.year - 1, read_at.year + 6)
    rules = TenantCalendar(
        tenant="acme",
        zone=zone,
        freezes=(
            Freeze(name="half-nights", calendar="company"),
            Freeze(name="year-end", calendar="company"),
        ),
    )
    freezes = {
        "year-end": tuple(span(y, 12, 15, 0, 24 * 23, "year end") for y in years),
        "half-nights": tuple(
            sorted(
                span(y, m, d, 21, 4, "stock taking")
                for y in years
                for m in (3, 6, 9)
                for d in range(1, 29)
            )
        ),
    }
    return rules, Almanac(read_at=read_at, freezes=freezes)


def in_freeze(almanac: Almanac, moment: datetime) -> bool:
    spans = (span for each in almanac.freezes.values() for span in each)
    return any(span.start <= moment < span.end for span in spans)


def moments(some: Window, days: Sequence[date]) -> Iterator[datetime]:
    """Yield when an executor looks: every half hour around the days it might be open on."""
    info = ZoneInfo(some.zone)
    for day in days:
        noon = datetime.combine(day, time(12), info).astimezone(UTC)
        yield from (noon + timedelta(minutes=30 * n) for n in range(-26, 40))


def executed(
    some: Window, rules: TenantCalendar, almanac: Almanac, days: Sequence[date]
) -> dict[str, datetime]:
    """Return when the first host of each opening is started, by what an executor asks."""
    found: dict[str, datetime] = {}
    for now in moments(some, days):
        opening = occurrence_at(some, now)
        if opening is None or not opening.may_start(now) or opening.id in found:
            continue
        if not bars(rules, almanac, window_end=opening.end, now=now):
            found[opening.id] = now
    return found


HALF_HOUR = timedelta(minutes=30)


def compared(shape: Shape, days: Sequence[date], zone: str, begin: datetime) -> list[Opening]:
    """Return what was previewed of these days; fail unless an executor does exactly that."""
    some, (rules, almanac) = window(shape, zone), almanac_of(begin, zone)
    info = ZoneInfo(zone)
    shown = preview(some, rules, almanac, begin + timedelta(days=1), len(days) + 1)
    openings = [each for each in shown if clock(each.occurrence.start, info).date() in days]
    started = executed(some, rules, almanac, days)

    running = [each for each in openings if not each.is_skipped]
    assert [each.occurrence.id for each in running] == list(started), zone
    for each in openings:
        assert bool(each.bars) == in_freeze(almanac, each.occurrence.start), zone
    for each in running:
        first = started[each.occurrence.id]
        assert each.begins is not None
        assert not in_freeze(almanac, each.begins), zone
        assert not in_freeze(almanac, first), zone
        assert each.occurrence.start <= each.begins < each.occurrence.last_start
        assert each.begins <= first < each.begins + HALF_HOUR
    return openings


def test_what_is_previewed_is_what_runs_and_nothing_starts_in_a_freeze() -> None:
    skipped = late = 0
    for number, zone in enumerate(zones()):
        # Each zone has other years and one of two shapes; calendars are read five years ahead.
        begin = BEGIN + timedelta(days=365 * (number % (YEARS - 5)))
        shape, days = SHAPES[0] if number % 2 else SHAPES[2]
        mine = [day for day in days if day > begin.date() + timedelta(days=1)][:12]
        openings = compared(shape, mine, zone, begin)
        skipped += sum(each.is_skipped for each in openings)
        late += sum(bool(each.bars) and not each.is_skipped for each in openings)
    assert skipped > 100
    assert late > 20


def test_every_name_of_a_zone_is_among_those_that_were_tried() -> None:
    tried = {name for first, others in zones().items() for name in (first, *others)}

    assert tried == available_timezones() - {"localtime", "Factory"}
    assert len(zones()) > 300


def test_beyond_what_calendars_are_read_for_nothing_starts() -> None:
    rules, almanac = almanac_of(BEGIN, "UTC")

    found = bars(rules, almanac, window_end=BEGIN + 2 * HORIZON, now=BEGIN + HORIZON)
    assert [str(bar.kind) for bar in found] == ["unknown", "unknown"]
