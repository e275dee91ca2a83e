"""A roster is read whole, in each of its forms, or refused with the row and column at fault."""

import time
from datetime import UTC, datetime

import pytest

from wavemend.calendar.almanac import Shift
from wavemend.calendar.rosters import RosterKind, kind_of, parse_roster
from wavemend.errors import CalendarError

ZONE = "Europe/Berlin"
SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(document: str, kind: RosterKind = RosterKind.CSV) -> tuple[Shift, ...]:
    return parse_roster(document.encode(), kind, ZONE, since=SINCE, until=UNTIL)


def spans(shifts: tuple[Shift, ...]) -> list[tuple[str, str, str]]:
    return [(s.person, f"{s.start:%m-%d %H:%M}", f"{s.end:%m-%d %H:%M}") for s in shifts]


def ics(*events: str) -> str:
    body = "".join(f"BEGIN:VEVENT\r\nDTSTAMP:20260101T000000Z\r\n{e}END:VEVENT\r\n" for e in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n{body}END:VCALENDAR\r\n"


def test_a_table_gives_shifts_in_utc_with_their_skills() -> None:
    shifts = read(
        "person,skills,start,end\n"
        "Anna,linux;windows,2026-01-05T07:00,2026-01-05T15:00\n"
        "Ben,linux windows,2026-07-06 07:00,2026-07-06T15:00+00:00\n"
        "Cem,,2026-01-05T07:00:30Z,2026-01-05T08:00Z\n"
    )

    assert shifts == (
        Shift(
            start=at("2026-01-05T06:00"),
            end=at("2026-01-05T14:00"),
            person="Anna",
            skills=("linux", "windows"),
        ),
        Shift(start=at("2026-01-05T07:00:30"), end=at("2026-01-05T08:00"), person="Cem"),
        Shift(
            start=at("2026-07-06T05:00"),
            end=at("2026-07-06T15:00"),
            person="Ben",
            skills=("linux", "windows"),
        ),
    )


def test_columns_may_stand_in_any_order_and_a_spreadsheet_may_have_written_them() -> None:
    table = "\ufeffEnd,Start,Person\r\n2026-01-05T15:00,2026-01-05T07:00,Anna\r\n,,\r\n"

    assert spans(read(table)) == [("Anna", "01-05 06:00", "01-05 14:00")]


def test_sick_leave_takes_the_hours_out_and_leaves_what_lies_around_it() -> None:
    shifts = read(
        "person,start,end,kind\n"
        "Anna,2026-01-05T07:00,2026-01-05T15:00,shift\n"
        "anna ,2026-01-05T09:00,2026-01-05T10:00,absence\n"
        "Ben,2026-01-05T07:00,2026-01-05T15:00,\n"
    )

    assert spans(shifts) == [
        ("Anna", "01-05 06:00", "01-05 08:00"),
        ("Ben", "01-05 06:00", "01-05 14:00"),
        ("Anna", "01-05 09:00", "01-05 14:00"),
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("Anna,linux,2026-13-05T07:00,2026-01-05T15:00,", "row 2, column start: "),
        ("Anna,linux,2026-01-05T07:00,tomorrow,", 'row 2, column end: "tomorrow" is no date'),
        ("Anna,linux,2026-01-05T07:00,2026-01-05T07:00,", "row 2, column end: is not after"),
        ("Anna,linux,2026-01-05T07:00,2026-03-05T07:00,", "row 2, column end: is more than 31"),
        ("Anna,linux,0001-01-05T07:00,2026-01-05T07:00,", "row 2, column start: .*the year"),
        (",linux,2026-01-05T07:00,2026-01-05T08:00,", "row 2, column person: is empty"),
        ("Anna,linux,2026-01-05T07:00,2026-01-05T08:00,ill", "row 2, column kind: 'ill'"),
        ("Anna,linux,2026-01-05T07:00", "row 2, column 4: 3 cells, not 5"),
        ("Anna,linux,2026-01-05T07:00,2026-01-05T08:00,,x", "row 2, column 6: 6 cells, not 5"),
        ('Anna,"linux,2026-01-05T07:00,2026-01-05T08:00,', "row 2: is not CSV"),
    ],
)
def test_one_broken_row_makes_the_whole_table_unreadable(row: str, told: str) -> None:
    good = "Ben,linux,2026-01-05T07:00,2026-01-05T15:00,\n"
    after = "" if '"' in row else good  # an open quote swallows what follows

    with pytest.raises(CalendarError, match=told):
        read(f"person,skills,start,end,kind\n{row}\n{after}")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("person,start", "row 1: column 'end' is missing"),
        ("person;start;end", "with commas between them"),
        ("person,start,end,vacation", "column 'vacation': unknown"),
        ("person,start,end,start", "column 'start': twice"),
        ("", "column 'person' is missing"),
    ],
)
def test_a_table_without_its_columns_is_refused(header: str, told: str) -> None:
    with pytest.raises(CalendarError, match=told):
        read(f"{header}\n")


def test_a_table_that_is_not_text_is_refused_with_its_row() -> None:
    with pytest.raises(CalendarError, match="row 2: is not UTF-8"):
        parse_roster(
            b"person,start,end\nJ\xf6rg,,\n", RosterKind.CSV, ZONE, since=SINCE, until=UNTIL
        )


def test_a_message_names_ten_rows_and_counts_the_others() -> None:
    rows = "Anna,x,y\n" * 25

    with pytest.raises(CalendarError, match=r"row 11, .*; and 15 more") as refused:
        read(f"person,start,end\n{rows}")
    assert "row 12" not in refused.value.message


WEEKLY = """
schema: wavemend.roster/1
people:
  - name: Anna
    skills: [linux]
    weekly:
      - {days: [mon, sun], start: "07:00", end: "15:00", first: "2026-03-22", last: "2026-04-05"}
      - {days: [fri], start: "22:00", end: "06:00", first: "2026-04-03", last: "2026-04-03"}
    shifts:
      - {start: "2026-04-06T10:00", end: "2026-04-06T12:00"}
    absences:
      - {first: "2026-03-30", last: "2026-04-04", reason: sick leave}
"""


def test_weekly_hours_keep_local_time_over_a_clock_change_and_stop_for_sick_leave() -> None:
    assert spans(read(WEEKLY, RosterKind.YAML)) == [
        ("Anna", "03-22 06:00", "03-22 14:00"),
        ("Anna", "03-23 06:00", "03-23 14:00"),
        ("Anna", "03-29 05:00", "03-29 13:00"),
        ("Anna", "04-05 05:00", "04-05 13:00"),
        ("Anna", "04-06 08:00", "04-06 10:00"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("days: [fri]", "days: [frday]", r'line 8: people\[0\]\.weekly\[1\]\.days\[0\]: "frday"'),
        ('end: "2026-04-06T12:00"', 'end: "2026-04-06T09:00"', r"line 10: .*is not after"),
        ('first: "2026-03-30"', 'first: "2026-05-30"', "line 12: .*last day is before the first"),
        ("skills: [linux]", "skill: [linux]", "line 5: .*unknown key"),
        ('last: "2026-04-05"', 'last: "2026-03-01"', "line 7: .*last day is before the first"),
        ("people:", "persons:", "line 3: persons: unknown key"),
        ("wavemend.roster/1", "wavemend.roster/2", "line 2: schema: "),
        ("absences:", "- absences:", "line 11: "),
    ],
)
def test_a_wrong_line_makes_the_whole_file_unreadable(old: str, new: str, told: str) -> None:
    with pytest.raises(CalendarError, match=told):
        read(WEEKLY.replace(old, new, 1), RosterKind.YAML)


def test_absences_and_patterns_without_end_cost_no_more_than_what_is_asked_for() -> None:
    document = WEEKLY.replace('first: "2026-03-30", last: "2026-04-04"', (
        'first: "0002-01-01", last: "9999-12-31"'
    ))  # fmt: skip

    assert read(document, RosterKind.YAML) == ()


def test_an_icalendar_gives_people_by_summary_and_skills_by_category() -> None:
    shifts = read(
        ics(
            "UID:1\r\nSUMMARY:Anna\r\nCATEGORIES:linux,windows\r\n"
            "DTSTART;TZID=Europe/Berlin:20260105T070000\r\nDTEND;TZID=Europe/Berlin:20260105T150000\r\n"
            "RRULE:FREQ=DAILY;COUNT=3\r\n",
            "UID:2\r\nSUMMARY:Absent: anna\r\nDTSTART;VALUE=DATE:20260106\r\n",
            "UID:3\r\nSUMMARY:Ben\r\nSTATUS:CANCELLED\r\n"
            "DTSTART:20260105T070000Z\r\nDTEND:20260105T150000Z\r\n",
            "UID:4\r\nSUMMARY:Cem\r\nSTATUS:TENTATIVE\r\n"
            "DTSTART:20260105T070000Z\r\nDTEND:20260105T150000Z\r\n",
        ),
        RosterKind.ICS,
    )

    assert spans(shifts) == [
        ("Anna", "01-05 06:00", "01-05 14:00"),
        ("Anna", "01-07 06:00", "01-07 14:00"),
    ]
    assert shifts[0].skills == ("linux", "windows")


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("DTSTART:20260105T070000Z\r\nDTEND:20260105T150000Z\r\n", "names nobody"),
        ("SUMMARY:Absent:\r\nDTSTART:20260105T070000Z\r\nDTEND:20260105T150000Z\r\n", "nobody"),
        (
            "SUMMARY:Anna\r\nDTSTART:20260105T070000Z\r\nDTEND:20260305T150000Z\r\n",
            "'Anna' of 2026-01-05 07:00 UTC: the end is more than 31 days",
        ),
    ],
)
def test_one_event_that_says_nothing_makes_the_whole_calendar_unreadable(
    event: str, told: str
) -> None:
    good = "UID:9\r\nSUMMARY:Ben\r\nDTSTART:20260105T070000Z\r\nDTEND:20260105T150000Z\r\n"

    with pytest.raises(CalendarError, match=told):
        read(ics(f"UID:1\r\n{event}", good), RosterKind.ICS)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("file:duty/acme.CSV", RosterKind.CSV),
        ("file:acme.yml", RosterKind.YAML),
        ("file:acme.yaml", RosterKind.YAML),
        ("https://cal.example/acme.csv?token=a.b", RosterKind.CSV),
        ("https://cal.example/acme", RosterKind.ICS),
        ("file:acme.ics", RosterKind.ICS),
    ],
)
def test_the_form_of_a_roster_is_that_of_its_ending(source: str, kind: RosterKind) -> None:
    assert kind_of(source) is kind


HOURS = "DTSTART:20260105T070000Z\r\nDTEND:20260105T150000Z\r\n"
CLOCK = "2026-01-05T07:00,2026-01-05T15:00"


@pytest.mark.parametrize(
    ("shift", "absence"),
    [
        ("J\u00fcrgen", "Ju\u0308rgen"),
        ("Anna Berg", "Anna\u200b  BERG"),
        ("Anna\u00a0Berg", "\ufeffAnna Berg"),
        ("Stra\u00dfer", "STRASSER"),
        ("\uff21nna", "Anna"),
    ],
)
def test_an_absence_finds_its_person_however_the_name_is_encoded(shift: str, absence: str) -> None:
    table = f"person,start,end,kind\n{shift},{CLOCK},shift\n{absence},{CLOCK},absence\n"
    events = ics(
        f"UID:1\r\nSUMMARY:{shift}\r\n{HOURS}", f"UID:2\r\nSUMMARY:Absent: {absence}\r\n{HOURS}"
    )

    assert read(table) == ()
    assert read(events, RosterKind.ICS) == ()


def test_an_absence_of_nobody_makes_the_roster_unreadable_and_is_named() -> None:
    table = f"person,start,end,kind\nAnna Berg,{CLOCK},shift\nAna Berg,{CLOCK},absence\n"
    events = ics(
        f"UID:1\r\nSUMMARY:Anna Berg\r\n{HOURS}", f"UID:2\r\nSUMMARY:Absent: Ana\r\n{HOURS}"
    )
    split = WEEKLY.replace("    absences:", "  - name: Ana\n    absences:")

    with pytest.raises(CalendarError, match='row 3, column person: "Ana Berg" has no shift'):
        read(table)
    with pytest.raises(
        CalendarError, match="'Absent: Ana' of 2026-01-05 07:00 UTC: \"Ana\" has no"
    ):
        read(events, RosterKind.ICS)
    with pytest.raises(CalendarError, match=r'line 12: people\[1\]\.absences: "Ana" has no shift'):
        read(split, RosterKind.YAML)
    whole = split.replace("name: Ana\n", "name: ' ANNA'\n")
    assert read(whole, RosterKind.YAML) == read(WEEKLY, RosterKind.YAML)


def test_who_is_away_so_long_that_no_shift_is_left_in_this_time_is_no_stranger() -> None:
    long_ago = HOURS.replace("2026", "2024")
    events = ics(
        f"UID:1\r\nSUMMARY:Anna\r\n{long_ago}", f"UID:2\r\nSUMMARY:Absent: Anna\r\n{HOURS}"
    )
    table = "person,start,end,kind\nAnna,2024-01-05T07:00,2024-01-05T15:00,\nAnna,"

    assert read(events, RosterKind.ICS) == ()
    assert read(f"{table}{CLOCK},absence\n") == ()


@pytest.mark.parametrize(
    "title",
    ["Absent Anna", "Absent - Anna", "Anna (sick)", "Anna: absent", "Vacation Anna", "ANNA OFF",
     "Out of office: Anna", "Anna on sick leave"],
)  # fmt: skip
def test_a_title_that_means_an_absence_is_never_one_more_person_who_is_there(title: str) -> None:
    shift = f"UID:1\r\nSUMMARY:Anna\r\n{HOURS}"
    away = f"UID:2\r\nSUMMARY:{title}\r\n{HOURS}"

    for status in ("", "STATUS:TENTATIVE\r\n"):
        with pytest.raises(CalendarError, match='reads as an absence; write "Absent: NAME"'):
            read(ics(shift, away + status), RosterKind.ICS)
    assert read(ics(shift, away + "STATUS:CANCELLED\r\n"), RosterKind.ICS) != ()


def test_names_that_only_hold_such_a_word_are_people_and_a_space_before_the_colon_is_none() -> None:
    shift = f"UID:1\r\nSUMMARY:Willa Offer\r\n{HOURS}"
    away = f"UID:2\r\nSUMMARY:absent :  willa offer\r\n{HOURS}"

    assert [each.person for each in read(ics(shift), RosterKind.ICS)] == ["Willa Offer"]
    assert read(ics(shift, away), RosterKind.ICS) == ()


def test_absences_that_meet_or_overlap_leave_what_lies_outside_all_of_them() -> None:
    away = ("08:00", "10:00"), ("09:00", "09:30"), ("10:00", "11:00"), ("13:00", "14:00")
    rows = "".join(f"Anna,2026-01-05T{a},2026-01-05T{b},absence\n" for a, b in reversed(away))

    assert spans(read(f"person,start,end,kind\nAnna,{CLOCK},shift\n{rows}")) == [
        ("Anna", "01-05 06:00", "01-05 07:00"),
        ("Anna", "01-05 10:00", "01-05 12:00"),
        ("Anna", "01-05 13:00", "01-05 14:00"),
    ]


def test_many_absences_cost_many_shifts_no_more_than_reading_them() -> None:
    many = 20_000
    old = "Anna,2025-01-05T07:00,2025-01-05T08:00,absence\n" * many
    new = "Anna,2026-01-05T09:00,2026-01-05T10:00,absence\n" * many
    began = time.process_time()

    found = read(f"person,start,end,kind\nAnna,{CLOCK},\n{old}{new}" + (
        f"Anna,{CLOCK},shift\n" * many
    ))  # fmt: skip

    assert len(found) == 2 * (many + 1)
    assert time.process_time() - began < 10, "each with each would be an hour"


def test_absences_that_cut_shifts_into_too_many_pieces_are_refused() -> None:
    day = "2026-01-05T"
    away = "".join(
        f"Anna,{day}{n // 60:02}:{n % 60:02},{day}{n // 60:02}:{n % 60:02}:30,absence\n"
        for n in range(420, 900)
    )

    with pytest.raises(CalendarError, match="cut its shifts into more than 200,000"):
        read("person,start,end,kind\n" + f"Anna,{CLOCK},shift\n" * 500 + away)
