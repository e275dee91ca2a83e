"""What a calendar says is told as it is, or the calendar is refused: nothing in it is dropped."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cases.calendars import calendar, days, event
from wavemend.calendar import ical
from wavemend.calendar.ical import Event, events
from wavemend.errors import CalendarError

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(document: bytes, zone: str = "Europe/Berlin") -> tuple[Event, ...]:
    return events(document, zone, since=SINCE, until=UNTIL)


def spans(document: bytes, zone: str = "Europe/Berlin") -> list[str]:
    return [
        f"{each.start:%Y-%m-%dT%H:%M}/{each.end:%Y-%m-%dT%H:%M}" for each in read(document, zone)
    ]


@pytest.mark.parametrize(
    ("lines", "span"),
    [
        # A day belongs to whoever asks: it begins at another instant in Berlin than in New York.
        (("DTSTART;VALUE=DATE:20261225",), "2026-12-24T23:00/2026-12-25T23:00"),
        (
            ("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"),
            "2026-12-23T23:00/2026-12-26T23:00",
        ),
        # Some programs write the last day itself.
        (
            ("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261224"),
            "2026-12-23T23:00/2026-12-24T23:00",
        ),
        (("DTSTART:20260701T220000", "DURATION:PT3H"), "2026-07-01T20:00/2026-07-01T23:00"),
        (
            ("DTSTART:20260701T220000Z", "DTEND:20260702T000000Z"),
            "2026-07-01T22:00/2026-07-02T00:00",
        ),
        (
            (
                "DTSTART;TZID=America/New_York:20260701T220000",
                "DTEND;TZID=America/New_York:20260702T000000",
            ),
            "2026-07-02T02:00/2026-07-02T04:00",
        ),
        # As Outlook writes it, which calls zones by names of its own.
        (
            (
                "DTSTART;TZID=W. Europe Standard Time:20260701T220000",
                "DTEND;TZID=W. Europe Standard Time:20260702T000000",
            ),
            "2026-07-01T20:00/2026-07-01T22:00",
        ),
    ],
)  # fmt: skip
def test_times_are_read_in_their_zone_and_days_in_that_of_whoever_asks(
    lines: tuple[str, ...], span: str
) -> None:
    assert spans(calendar(event(*lines))) == [span]


def test_a_day_in_another_zone_begins_at_another_instant() -> None:
    assert spans(calendar(days("20261225", "20261226")), "America/New_York") == [
        "2026-12-25T05:00/2026-12-26T05:00"
    ]


def test_a_recurring_event_leaves_out_what_it_excepts_and_moves_what_was_moved() -> None:
    weekly = event(
        "DTSTART;TZID=Europe/Berlin:20260302T200000",
        "DTEND;TZID=Europe/Berlin:20260302T210000",
        "RRULE:FREQ=WEEKLY;COUNT=6",
        "EXDATE;TZID=Europe/Berlin:20260316T200000",
    )
    moved = event(
        "RECURRENCE-ID;TZID=Europe/Berlin:20260323T200000",
        "DTSTART;TZID=Europe/Berlin:20260324T200000",
        "DTEND;TZID=Europe/Berlin:20260324T210000",
    )
    cancelled = event(
        "RECURRENCE-ID;TZID=Europe/Berlin:20260406T200000",
        "DTSTART;TZID=Europe/Berlin:20260406T200000",
        "DTEND;TZID=Europe/Berlin:20260406T210000",
        "STATUS:CANCELLED",
    )

    found = read(calendar(weekly, moved, cancelled))
    told = [(f"{each.start:%m-%d %H}", each.status) for each in found]
    # Local time: the hour in UTC changes with the switch to summer time on 29 March.
    assert told == [
        ("03-02 19", ""),
        ("03-09 19", ""),
        ("03-24 19", ""),
        ("03-30 18", ""),
        ("04-06 18", "CANCELLED"),
    ]


def test_a_yearly_freeze_without_an_end_is_there_every_year() -> None:
    yearly = event("DTSTART;VALUE=DATE:20201218", "DTEND;VALUE=DATE:20210107", "RRULE:FREQ=YEARLY")

    found = spans(calendar(yearly), "UTC")
    assert found[0] == "2025-12-18T00:00/2026-01-07T00:00", "it holds when the time begins"
    assert [span[:4] for span in found] == ["2025", "2026", "2027", "2028", "2029", "2030"]


def test_transparent_and_tentative_events_count_and_categories_are_told() -> None:
    lines = ("DTSTART;VALUE=DATE:20260701", "TRANSP:TRANSPARENT", "STATUS:TENTATIVE")
    (found,) = read(calendar(event(*lines, "CATEGORIES:linux,web", "CATEGORIES:db")))

    assert (found.all_day, found.status) == (True, "TENTATIVE")
    assert found.categories == ("db", "linux", "web")


def test_a_title_cannot_paint_over_a_terminal() -> None:
    (found,) = read(calendar(event("DTSTART;VALUE=DATE:20260701", summary="a\\nb\x1b[2Jc")))

    assert found.summary == "a b [2Jc"


TIMED = "DTSTART:20260701T220000Z"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "no whole iCalendar document"),
        (b"<html><body>Sign in</body></html>", "no whole iCalendar document"),
        (b"hello", "no whole iCalendar document"),
        (calendar(days("20261225", "20261226"))[:-30], "no whole iCalendar document"),
        (b"BEGIN:VCALENDAR\r\n" + b"x" * ical.MAX_BYTES, "is larger than 4 MiB"),
        (calendar(event()), 'event "year end": has no DTSTART'),
        (calendar(event("DTSTART:soon")), "DTSTART cannot be read"),
        (calendar(event(TIMED, "RRULE:FREQ=SOMETIMES")), "RRULE cannot be read"),
        (calendar(event(TIMED, "EXDATE:never")), "EXDATE cannot be read"),
        (calendar(event(TIMED, "what is this")), "a line cannot be read"),
        (
            calendar(event("DTSTART;TZID=Mars/Olympus:20260701T220000", "DURATION:PT1H")),
            "nobody knows the zone Mars/Olympus of its DTSTART",
        ),
        (calendar(event(TIMED, "DTEND;VALUE=DATE:20260703")), "begins with a day and ends with"),
        (calendar(event(TIMED, "DTEND:20260702T220000")), "has a zone at one end only"),
        (calendar(event(TIMED, "DTEND:20260630T220000Z")), "ends before it begins"),
        (calendar(event(TIMED, "RRULE:FREQ=SECONDLY")), "recurs SECONDLY"),
        (calendar(event(TIMED, "RRULE:FREQ=DAILY;BYHOUR=1,2,3")), "recurs more than once a day"),
        (calendar(event(TIMED, "DURATION:-PT3H")), "ends before it begins"),
        (calendar(event(TIMED, "DURATION:PT3H", "DTEND:20260702T220000Z")), "both DTEND and"),
        (calendar(event(TIMED, "SUMMARY:another")), "has more than one SUMMARY"),
        (calendar(event(TIMED, "STATUS:CONFIRMED", "STATUS:CANCELLED")), "more than one STATUS"),
        (calendar(event(TIMED, "EXDATE;TZID=Mars/Olympus:20260702T220000")), "zone Mars/Olympus"),
        (
            calendar(event(TIMED, "RDATE;TZID=Mars/Olympus;VALUE=PERIOD:20260702T220000/PT1H")),
            "nobody knows the zone Mars/Olympus of its RDATE",
        ),
        (
            calendar(event(TIMED, f"RDATE:{','.join(['20260702T220000Z'] * 20_001)}")),
            "has more than 20,000 times in RDATE",
        ),
        (calendar(event(TIMED, "EXRULE:FREQ=DAILY")), "has an EXRULE"),
        (calendar(event(TIMED, "RRULE:FREQ=DAILY;INTERVAL=0")), "INTERVAL that is not 1 or more"),
        (calendar(event(TIMED, "RRULE:FREQ=DAILY;INTERVAL=-1")), "INTERVAL that is not 1 or more"),
        (calendar(event(TIMED, "RRULE:FREQ=MONTHLY;BYMONTHDAY=0")), "BYMONTHDAY=0 is not 1 to 31"),
        (calendar(event(TIMED, "RRULE:FREQ=WEEKLY;BYDAY=2TU")), "BYDAY=2TU counts weekdays"),
        (
            calendar(*(event(TIMED, uid=str(n)) for n in range(ical.MAX_EVENTS + 1))),
            "has more than 5,000 events",
        ),
        (
            calendar(*(event(TIMED, "RRULE:FREQ=DAILY", uid=str(n)) for n in range(201))),
            "has more than 200 recurring events",
        ),
        (
            calendar(*(event(TIMED, "RRULE:FREQ=DAILY", uid=str(n)) for n in range(30))),
            "happen more than 20,000 times",
        ),
    ],
)
def test_what_cannot_be_understood_as_a_whole_is_refused_with_the_event(
    document: bytes, reason: str
) -> None:
    with pytest.raises(CalendarError, match=reason):
        read(document)


def test_expanding_has_an_end_whatever_the_rules_are() -> None:
    ticks = iter(range(0, 10_000, 15))
    dead = [
        event(TIMED, "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", uid=str(n)) for n in range(50)
    ]

    with pytest.raises(CalendarError, match="takes over 20 s"):
        events(
            calendar(*dead),
            "UTC",
            since=SINCE,
            until=SINCE + timedelta(days=300),
            monotonic=lambda: float(next(ticks)),
        )


TWO = calendar(days("20261218", "20270107"), days("20270301", "20270302", "fair", uid="2"))
LOST = b"END:VEVENT\r\n"


@pytest.mark.parametrize(
    "damaged",
    [
        TWO.replace(LOST, b"", 1),
        TWO.replace(LOST, b"").replace(b"END:VCALENDAR", LOST + b"END:VCALENDAR"),
        LOST.join(TWO.rsplit(LOST, 1)[:1]) + TWO.rsplit(LOST, 1)[1],
        TWO.replace(b"\r\n", b"\r"),
        TWO.replace(b"END:VEVENT\r\nBEGIN:VEVENT\r\n", b""),
        TWO + TWO.replace(b"UID:", b"UID:n").replace(LOST, b""),
        TWO.replace(b"END:VCALENDAR\r\n", b"") + calendar(),
        TWO.replace(b"BEGIN:VEVENT", b"BEGIN: VEVENT"),
        TWO.replace(b"BEGIN:VEVENT", b"BEGIN:VTODO\r\nBEGIN:VEVENT", 1).replace(
            b"END:VEVENT", b"END:VEVENT\r\nEND:VTODO", 1
        ),
    ],
    ids=range(9),
)
def test_a_calendar_that_has_lost_lines_is_never_read_as_one_with_fewer_events(
    damaged: bytes,
) -> None:
    assert len(read(TWO)) == 2

    with pytest.raises(CalendarError):
        read(damaged)


def test_two_whole_calendars_in_one_document_are_both_read() -> None:
    both = calendar(days("20261218", "20270107")) + calendar(days("20270301", "20270302", uid="2"))

    assert len(read(both)) == 2


MOVED = event("RECURRENCE-ID:20260708T220000Z", "DTSTART:20260709T220000Z")


@pytest.mark.parametrize(
    "document",
    [
        calendar(days("20261218", "20270107"), days("20270301", "20270302", "fair")),
        calendar(days("20270301", "20270302", "fair"), days("20261218", "20270107")),
        calendar(days("20261218", "20270107")) + calendar(days("20270301", "20270302", "fair")),
        calendar(event(TIMED, "RRULE:FREQ=WEEKLY"), MOVED, MOVED),
    ],
)
def test_two_events_of_one_uid_are_refused_because_one_of_them_would_be_lost(
    document: bytes,
) -> None:
    with pytest.raises(CalendarError, match=r'has the UID of event "(year end|fair)"'):
        read(document)


@pytest.mark.parametrize(
    "line", ["DURATION:20260701T000000Z", "RRULE:FREQ=DAILY;INTERVAL=1,2", "RRULE:INTERVAL=2"]
)
def test_a_line_of_another_kind_is_the_calendar_s_fault_and_never_ours(line: str) -> None:
    with pytest.raises(CalendarError):
        read(calendar(event(TIMED, line)))


def test_a_status_is_read_whatever_spaces_stand_around_it_and_a_title_without_unseen_signs() -> (
    None
):
    (found,) = read(calendar(event(TIMED, "STATUS: CANCELLED ", summary="An\u200bna\u202e")))

    assert (found.status, found.summary) == ("CANCELLED", "Anna")
