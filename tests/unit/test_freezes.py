"""A freeze forbids from its first instant to its last; one that cannot be read forbids too."""

from datetime import UTC, datetime, timedelta

import pytest

from wavemend.calendar.agenda import verdict
from wavemend.calendar.almanac import Almanac, BarKind, Span
from wavemend.calendar.declared import Freeze, TenantCalendar
from wavemend.calendar.freezes import HORIZON, freeze_bars, zoned_name
from wavemend.calendar.preview import first_start, preview
from wavemend.calendar.windows import Window

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOW = utc("2026-11-20T12:00")
BEGIN, END = utc("2026-12-18T00:00"), utc("2027-01-07T00:00")
SPAN = Freeze(name="year-end", start=BEGIN, end=END, reason="closing the books")
BY_CALENDAR = Freeze(name="company", tenant="acme", calendar="acme-freezes")
FOR_ALL = Freeze(name="group", calendar="group-freezes")


def rules(*freezes: Freeze, zone: str = "Europe/Berlin") -> TenantCalendar:
    return TenantCalendar(tenant="acme", zone=zone, freezes=freezes)


def almanac(**freezes: tuple[Span, ...]) -> Almanac:
    return Almanac(read_at=NOW, freezes=freezes)


def told(found: Almanac, *freezes: Freeze, at: datetime) -> list[str]:
    return [str(bar) for bar in freeze_bars(rules(*freezes), found, at)]


def test_a_span_forbids_from_its_start_until_its_end_and_says_until_when() -> None:
    for moment in (BEGIN, END - SECOND):
        (bar,) = freeze_bars(rules(SPAN), almanac(), moment)
        assert (bar.kind, bar.until, bar.overridable) == (BarKind.FREEZE, END, False)
        assert str(bar) == "freeze: year-end holds until 2027-01-07 00:00 UTC (closing the books)"
    for moment in (BEGIN - SECOND, END):
        assert freeze_bars(rules(SPAN), almanac(), moment) == ()


def test_events_forbid_and_those_that_touch_end_together() -> None:
    spans = (
        Span(start=BEGIN, end=BEGIN + 2 * HOUR, summary="audit"),
        Span(start=BEGIN + HOUR, end=BEGIN + 3 * HOUR, summary="fair"),
        Span(start=BEGIN + 3 * HOUR, end=BEGIN + 4 * HOUR, summary="fair, second day"),
        Span(start=BEGIN + 6 * HOUR, end=BEGIN + 7 * HOUR, summary="another"),
    )
    (bar,) = freeze_bars(rules(BY_CALENDAR), almanac(company=spans), BEGIN)

    assert bar.until == BEGIN + 4 * HOUR
    assert 'company "audit" holds until 2026-12-18 04:00 UTC' in bar.reason
    assert told(almanac(company=spans), BY_CALENDAR, at=BEGIN + 5 * HOUR) == []


def test_a_short_event_inside_a_long_one_does_not_end_it() -> None:
    spans = (
        Span(start=BEGIN, end=END, summary="year end"),
        Span(start=BEGIN + HOUR, end=BEGIN + 2 * HOUR, summary="call"),
    )

    (bar,) = freeze_bars(rules(BY_CALENDAR), almanac(company=spans), BEGIN + 5 * HOUR)
    assert bar.until == END


@pytest.mark.parametrize(
    ("known", "at", "reason"),
    [
        (almanac(), BEGIN, "calendar acme-freezes was not read"),
        (
            Almanac(read_at=NOW, freezes={"company": ()}, unreadable={"acme-freezes": "it burnt"}),
            BEGIN,
            "calendar acme-freezes: it burnt",
        ),
        (almanac(company=()), NOW + HORIZON, "is read 5 years ahead, no further"),
    ],
)
def test_what_nobody_can_say_forbids(known: Almanac, at: datetime, reason: str) -> None:
    (bar,) = freeze_bars(rules(BY_CALENDAR), known, at)

    assert (bar.kind, bar.until, bar.overridable) == (BarKind.UNKNOWN, None, False)
    assert reason in bar.reason


def test_an_old_copy_that_is_not_too_old_is_believed() -> None:
    stale = Almanac(read_at=NOW, freezes={"company": ()}, stale={"acme-freezes": "not renewed"})

    assert freeze_bars(rules(BY_CALENDAR), stale, BEGIN) == ()


def test_a_freeze_for_everybody_holds_by_each_companys_own_days() -> None:
    berlin = Span(start=utc("2026-12-24T23:00"), end=utc("2026-12-25T23:00"))
    new_york = Span(start=utc("2026-12-25T05:00"), end=utc("2026-12-26T05:00"))
    known = Almanac(
        read_at=NOW,
        freezes={
            zoned_name("group", "Europe/Berlin"): (berlin,),
            zoned_name("group", "America/New_York"): (new_york,),
        },
    )
    for zone, moment, closed in (
        ("Europe/Berlin", "2026-12-25T00:00", True),
        ("America/New_York", "2026-12-25T00:00", False),
        ("Europe/Berlin", "2026-12-26T00:00", False),
        ("America/New_York", "2026-12-26T00:00", True),
        ("Asia/Tokyo", "2026-12-26T00:00", True),  # not read for this zone: nobody can say
    ):
        found = freeze_bars(rules(FOR_ALL, zone=zone), known, utc(moment))
        assert bool(found) == closed, (zone, moment)


WINDOW = Window(
    name="night",
    zone="UTC",
    start=utc("2026-01-01T22:00").time(),
    days=frozenset(range(7)),
    duration=6 * HOUR,
    cutoff=HOUR,
)


def test_the_preview_shows_what_is_skipped_what_begins_late_and_what_ends_early() -> None:
    spans = (
        Span(start=utc("2026-12-01T20:00"), end=utc("2026-12-01T23:30"), summary="stock taking"),
        Span(start=utc("2026-12-02T21:00"), end=utc("2026-12-03T03:00"), summary="fair"),
        Span(start=utc("2026-12-04T01:00"), end=utc("2026-12-05T00:00"), summary="audit"),
    )
    shown = preview(WINDOW, rules(BY_CALENDAR), almanac(company=spans), utc("2026-12-01T12:00"), 4)

    assert [each.begins for each in shown] == [
        utc("2026-12-01T23:30"),  # late, when the stock is taken
        None,  # the freeze ends when nothing new may start any more
        utc("2026-12-03T22:00"),  # the freeze begins later, inside
        utc("2026-12-05T00:00"),
    ]
    assert [len(each.bars) for each in shown] == [1, 1, 0, 1]
    assert [each.is_skipped for each in shown] == [False, True, False, False]
    opening = shown[2].occurrence
    late = first_start(opening, rules(BY_CALENDAR), almanac(company=spans), utc("2026-12-04T01:30"))
    assert late is None, "what is left of it is barred"


def test_an_opening_that_a_freeze_closes_early_says_from_when_on_and_why() -> None:
    declared = Freeze(name="fair", start=utc("2026-12-01T22:05"), end=utc("2026-12-02T00:00"))
    spans = (
        Span(start=utc("2026-12-02T20:00"), end=utc("2026-12-02T23:00"), summary="stock"),
        Span(start=utc("2026-12-03T02:00"), end=utc("2026-12-03T09:00"), summary="audit"),
        # When nothing may start any more, it closes nothing.
        Span(start=utc("2026-12-04T03:00"), end=utc("2026-12-04T09:00"), summary="late"),
    )
    company = rules(declared, BY_CALENDAR)

    shown = preview(WINDOW, company, almanac(company=spans), utc("2026-12-01T12:00"), 3)

    assert [each.closes for each in shown] == [declared.start, spans[1].start, None]
    assert [verdict(each, WINDOW) for each in shown] == [
        "runs; from Tue 01 Dec 22:05 local on: freeze: fair holds until 2026-12-02 00:00 UTC",
        'begins Wed 02 Dec 23:00 local: freeze: company "stock" holds until 2026-12-02 23:00 UTC; '
        'from Thu 03 Dec 02:00 local on: freeze: company "audit" holds until 2026-12-03 09:00 UTC',
        "runs",
    ]
