"""What every form of roster comes down to: who is there, who is away, and from when to when."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from wavemend.calendar.almanac import Shift
from wavemend.calendar.duty import LONGEST_SHIFT
from wavemend.calendar.windows import local_start
from wavemend.errors import CalendarError

MOST_ENTRIES = 200_000
"""Shifts of one roster, spelled out: 90 people for five years. More is a mistake in a pattern."""
FIRST_YEAR, LAST_YEAR = 1970, 2999
"""Years outside are typing errors, and near the ends of time zones cannot be added."""
PROBLEMS_NAMED = 10
"""Problems of one roster that a message names; the others are counted."""

_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One person there, or away. UTC; the end itself is outside."""

    person: str
    start: datetime
    end: datetime
    skills: tuple[str, ...] = ()
    absent: bool = False
    """True: not there, whatever the shifts say: sick leave, holidays."""


def shifts_of(entries: Iterable[Entry]) -> tuple[Shift, ...]:
    """Return the shifts, sorted, without the times in which their person is away."""
    there: list[Entry] = []
    away: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.absent:
            away[_same(entry.person)].append(entry)
        else:
            there.append(entry)
    found: list[Shift] = []
    for entry in there:
        shift = Shift(start=entry.start, end=entry.end, person=entry.person, skills=entry.skills)
        found += _without(shift, away.get(_same(entry.person), ()))
    return tuple(sorted(found))


def moment(text: str, zone: str) -> datetime:
    """Return a date and time (UTC); without `Z` or offset it is local in `zone`.

    Local times that a clock change skips or repeats are read by the rule of windows. Raises
    CalendarError.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise CalendarError(f'"{text[:40]}" is no date and time; write 2026-12-24T07:00')
    day, clock, offset = found.groups()
    if not FIRST_YEAR <= int(day[:4]) <= LAST_YEAR:
        raise CalendarError(f'"{text[:40]}": the year is not {FIRST_YEAR} to {LAST_YEAR}')
    try:
        if offset:
            return datetime.fromisoformat(f"{day}T{clock}{offset.upper()}").astimezone(UTC)
        local = datetime.fromisoformat(f"{day}T{clock}")
    except ValueError as error:
        raise CalendarError(f'"{text[:40]}" is no date and time: {error}') from error
    return local_start(zone, local.date(), local.time())


def span_fault(start: datetime, end: datetime, *, absent: bool = False) -> str:
    """Say what is wrong with a span of a roster; empty when nothing is."""
    if end <= start:
        return "is not after the start"
    if not absent and end - start > LONGEST_SHIFT:
        return f"is more than {LONGEST_SHIFT.days} days after the start; write several shifts"
    return ""


def skill_names(text: str) -> tuple[str, ...]:
    """Return skills that are separated by spaces, commas or semicolons, sorted."""
    return tuple(sorted(set(re.split(r"[\s,;]+", text)) - {""}))


def refuse_if_any(problems: Sequence[str]) -> None:
    """Raise one CalendarError that names the problems: half a roster is worse than none."""
    if not problems:
        return
    more = len(problems) - PROBLEMS_NAMED
    tail = f"; and {more} more" if more > 0 else ""
    raise CalendarError("; ".join(problems[:PROBLEMS_NAMED]) + tail)


def _without(shift: Shift, absences: Sequence[Entry]) -> list[Shift]:
    """Return what is left of a shift: before, between and after absences."""
    left = [shift]
    for absence in absences:
        parts: list[Shift] = []
        for piece in left:
            if absence.end <= piece.start or piece.end <= absence.start:
                parts.append(piece)
                continue
            if piece.start < absence.start:
                parts.append(replace(piece, end=absence.start))
            if absence.end < piece.end:
                parts.append(replace(piece, start=absence.end))
        left = parts
    return left


def _same(person: str) -> str:
    """People are the same by name, whatever its spaces and capitals: an absence must be found."""
    return " ".join(person.split()).casefold()
