"""Reading rosters: who is at work when, from CSV, iCalendar or YAML. Whole, or not at all.

A row that cannot be read makes the roster unreadable, and the message names it: one that is
skipped may have been somebody's absence. What the forms are: docs/how-to/quiet-mornings.md.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from wavemend.calendar.almanac import Shift
from wavemend.calendar.ical import Event, events, titles
from wavemend.calendar.roster_entries import (
    MOST_ENTRIES,
    Entry,
    moment,
    refuse_if_any,
    shifts_of,
    skill_names,
    span_fault,
    strangers,
)
from wavemend.errors import CalendarError

NEEDED = ("person", "start", "end")
COLUMNS = ("person", "skills", "start", "end", "kind")
"""Of a CSV; `skills` and `kind` may be left out."""
KINDS = {"": False, "shift": False, "absence": True}
"""Values of the column `kind`, and whether somebody is away."""

_ABSENT = re.compile(r"absent\s*:\s*(.*)", re.IGNORECASE | re.DOTALL)
"""SUMMARY of an event of an iCalendar that takes a person out: `Absent: Anna Berg`."""
_AWAY = re.compile(
    r"\b(absent|absence|away|holidays?|ill|illness|leave|off|ooo|out of office|pto|sick|sickness|"
    r"unavailable|vacation|abwesend|krank|urlaub)\b",
    re.IGNORECASE,
)
"""Titles that are meant to take somebody out, and would be read as the name of one more person."""


class RosterKind(StrEnum):
    """The form of a roster."""

    CSV = "csv"
    ICS = "ics"
    YAML = "yaml"


def kind_of(source: str) -> RosterKind:
    """Return the form of a roster by the ending of its file or address; iCalendar without one."""
    path = urlsplit(source).path if source.startswith("https:") else source
    ending = path.rpartition(".")[2].lower()
    return {"csv": RosterKind.CSV, "yaml": RosterKind.YAML, "yml": RosterKind.YAML}.get(
        ending, RosterKind.ICS
    )


def parse_roster(
    document: bytes, kind: RosterKind, zone: str, *, since: datetime, until: datetime
) -> tuple[Shift, ...]:
    """Return the shifts of a roster, sorted; absences are taken out of them already.

    `zone`: IANA zone of times that name none. `since`, `until` (UTC-aware): shifts that recur are
    spelled out for this time. Raises CalendarError naming each row and column that is wrong.
    """
    entries = _READERS[kind](document, zone, since, until)
    return shifts_of(entries, since=since, until=until)


def _csv_entries(document: bytes, zone: str, since: datetime, until: datetime) -> tuple[Entry, ...]:
    del since, until  # a table spells every shift out
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = document.count(b"\n", 0, error.start) + 1
        raise CalendarError(f"row {row}: is not UTF-8 text; save the table as UTF-8") from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: list[Entry] = []
    problems: list[str] = []
    away: list[tuple[str, str]] = []
    try:
        columns = _columns(next(rows, []))
        for cells in rows:
            if any(cell.strip() for cell in cells):
                found = _csv_row(columns, cells, zone)
                if isinstance(found, str):
                    problems.append(f"row {rows.line_num}, {found}")
                    continue
                entries.append(found)
                if found.absent:
                    away.append((f"row {rows.line_num}, column person", found.person))
            if len(entries) > MOST_ENTRIES:
                raise CalendarError(f"more than {MOST_ENTRIES:,} rows")
    except csv.Error as error:
        raise CalendarError(f"row {rows.line_num}: is not CSV: {error}") from error
    there = [entry.person for entry in entries if not entry.absent]
    # While rows cannot be read, nobody knows whose shifts they are.
    refuse_if_any(problems or strangers(away, there))
    return tuple(entries)


def _columns(header: list[str]) -> tuple[str, ...]:
    """Return the columns by their heading. Raises CalendarError for unknown, double or missing."""
    columns = tuple(cell.strip().lower() for cell in header)
    faults = [f"row 1, column {name!r}: unknown" for name in columns if name not in COLUMNS]
    faults += [f"row 1, column {n!r}: twice" for n in COLUMNS if columns.count(n) > 1]
    faults += [f"row 1: column {name!r} is missing" for name in NEEDED if name not in columns]
    if faults:
        raise CalendarError(
            f"{'; '.join(faults)}; the first row names the columns, with commas between them: "
            f"{','.join(COLUMNS)}"
        )
    return columns


def _csv_row(columns: tuple[str, ...], cells: list[str], zone: str) -> Entry | str:
    """Return what a row says, or `column NAME: what is wrong`."""
    if len(cells) != len(columns):
        return f"column {min(len(cells), len(columns)) + 1}: {len(cells)} cells, not {len(columns)}"
    row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    if not row["person"]:
        return "column person: is empty"
    absent = KINDS.get(row.get("kind", "").lower())
    if absent is None:
        return f"column kind: {row['kind'][:40]!r} is neither shift nor absence"
    moments: dict[str, datetime] = {}
    for name in ("start", "end"):
        try:
            moments[name] = moment(row[name], zone)
        except CalendarError as error:
            return f"column {name}: {error.message}"
    if fault := span_fault(moments["start"], moments["end"], absent=absent):
        return f"column end: {fault}"
    skills = skill_names(row.get("skills", ""))
    return Entry(person=row["person"], skills=skills, absent=absent, **moments)


def _ics_entries(document: bytes, zone: str, since: datetime, until: datetime) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    problems: list[str] = []
    away: list[tuple[str, str]] = []
    for event in events(document, zone, since=since, until=until):
        for found in _event_entries(event):
            if isinstance(found, str):
                problems.append(found)
                continue
            entries.append(found)
            if found.absent:
                away.append((_place(event), found.person))
    # Whose shifts lie before or after this time is no stranger: somebody may be away for long.
    there = [title for title in titles(document) if _ABSENT.fullmatch(_plain(title)) is None]
    refuse_if_any(problems or strangers(away, there))
    return tuple(entries)


def _event_entries(event: Event) -> Iterator[Entry | str]:
    """Yield what an event says: SUMMARY is the person, CATEGORIES are the skills.

    A cancelled event says nothing. A tentative shift is not promised, so it is none; a tentative
    absence is one.
    """
    if event.status == "CANCELLED":
        return
    title = _plain(event.summary)
    away = _ABSENT.fullmatch(title)
    person = away[1].strip() if away else title
    if away is None and _AWAY.search(title):
        yield (
            f'{_place(event)}: reads as an absence; write "Absent: NAME", or, when it is a '
            "person's name, a roster in CSV"
        )
    elif event.status == "TENTATIVE" and away is None:
        return
    elif not person:
        yield f"{_place(event)}: SUMMARY names nobody"
    elif fault := span_fault(event.start, event.end, absent=away is not None):
        yield f"{_place(event)}: the end {fault}"
    else:
        yield Entry(
            person=person,
            start=event.start,
            end=event.end,
            skills=tuple(sorted(event.categories)),
            absent=away is not None,
        )


def _place(event: Event) -> str:
    return f"event {event.summary[:40]!r} of {event.start:%Y-%m-%d %H:%M} UTC"


def _plain(title: str) -> str:
    return unicodedata.normalize("NFKC", title).strip()


def _yaml_entries(
    document: bytes, zone: str, since: datetime, until: datetime
) -> tuple[Entry, ...]:
    from wavemend.inventory.roster_file import roster_entries

    return roster_entries(document, zone, since, until)


_READERS: Mapping[RosterKind, Callable[[bytes, str, datetime, datetime], tuple[Entry, ...]]] = {
    RosterKind.CSV: _csv_entries,
    RosterKind.ICS: _ics_entries,
    RosterKind.YAML: _yaml_entries,
}
