"""What every form of roster comes down to: who is there, who is away, and from when to when."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wavemend.calendar.almanac import Shift
from wavemend.calendar.duty import LONGEST_SHIFT
from wavemend.calendar.ical import folded
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


def shifts_of(entries: Iterable[Entry], *, since: datetime, until: datetime) -> tuple[Shift, ...]:
    """Return the shifts between two moments, sorted, without the times their person is away.

    Raises CalendarError when absences cut them into more than `MOST_ENTRIES` pieces.
    """
    there: list[Entry] = []
    spans: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.end <= since or entry.start >= until:
            continue
        if entry.absent:
            spans[folded(entry.person)].append(entry)
        else:
            there.append(entry)
    away = {person: _merged(absences) for person, absences in spans.items()}
    found: list[Shift] = []
    for entry in there:
        for start, end in _left(entry, away.get(folded(entry.person), ())):
            if end > since and start < until:
                found.append(Shift(start=start, end=end, person=entry.person, skills=entry.skills))
            if len(found) > MOST_ENTRIES:
                raise CalendarError(f"absences cut its shifts into more than {MOST_ENTRIES:,}")
    return tuple(sorted(found))


NO_SHIFT = "has no shift in this roster; write the name as it stands there, or take the absence out"


def strangers(away: Iterable[tuple[str, str]], there: Iterable[str]) -> list[str]:
    """Return what is wrong with absences (place, person) of people who are never `there`.

    A name with a typing error takes nobody out, and who is away counts as being there.
    """
    known = {folded(person) for person in there}
    return [
        f'{place}: "{person[:40]}" {NO_SHIFT}'
        for place, person in away
        if folded(person) not in known
    ]


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


def _merged(absences: Sequence[Entry]) -> list[tuple[datetime, datetime]]:
    """Return spans that neither meet nor overlap, in order."""
    spans: list[tuple[datetime, datetime]] = []
    for start, end in sorted((absence.start, absence.end) for absence in absences):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


def _left(
    shift: Entry, away: Sequence[tuple[datetime, datetime]]
) -> Iterator[tuple[datetime, datetime]]:
    """Yield what is left of a shift: before, between and after spans that do not overlap."""
    reached = shift.start
    for number in range(bisect_right(away, shift.start, key=_end), len(away)):
        start, end = away[number]
        if start >= shift.end:
            break
        if reached < start:
            yield reached, start
        reached = end
    if reached < shift.end:
        yield reached, shift.end


def _end(span: tuple[datetime, datetime]) -> datetime:
    return span[1]
