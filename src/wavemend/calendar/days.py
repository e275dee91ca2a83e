"""The local days on which a window starts: days of the week, of the month, or of an RFC 5545 rule.

A rule's days are counted from Monday, 2024-01-01, and never walked from there: the walk begins one
period before the day that was asked for, so that a question about 2046 costs what one about today
does.
"""

import calendar
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from dateutil.rrule import rrule, rrulestr

from wavemend.errors import CalendarError

ANCHOR = datetime(2024, 1, 1)  # noqa: DTZ001 - days have no zone; a Monday that begins a year
"""Where INTERVAL begins to count."""

CYCLE_YEARS = 28
"""After so many years the days of the week come back to the same days of the year."""

LONGEST_INTERVAL = 366
"""More is no maintenance any more, and would make the walk to the first day long."""

_REACH = 2
"""Months: Jan 31 + 30 days is in March, Mar 1 - 30 days in January."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NthDay:
    """A weekday of the month and days after it: Patch Tuesday + 11 is (2, Tuesday, 11)."""

    n: int
    """1 to 5, or -1 for the month's last. A month without a fifth has none."""
    day: int
    """0 = Monday."""
    offset: int = 0
    """-30 to 30 days; it may lead into another month."""

    def fault(self) -> str:
        """Say what is wrong with it; empty when nothing is."""
        if self.n not in {1, 2, 3, 4, 5, -1}:
            return f"{self.n} is not 1 to 5, or -1 for the month's last"
        if self.day not in range(7):
            return "days are numbers from 0 (Monday) to 6"
        return "" if abs(self.offset) <= 30 else f"{self.offset} is more than 30 days away"

    def date_in(self, year: int, month: int) -> date | None:
        """Return the day counted in one month, the offset added; None when it has none."""
        first_weekday, length = calendar.monthrange(year, month)
        counted = 1 + (self.day - first_weekday) % 7
        if self.n == -1:
            counted += 7 * ((length - counted) // 7)
        else:
            counted += 7 * (self.n - 1)
        if counted > length:
            return None
        return date(year, month, counted) + timedelta(days=self.offset)


class Recurring(Protocol):
    """What of a window says its days: exactly one of the three is not empty."""

    @property
    def days(self) -> frozenset[int]: ...
    @property
    def nth(self) -> tuple[NthDay, ...]: ...
    @property
    def rrule(self) -> str: ...


def days_from(window: Recurring, first: date) -> Iterator[date]:
    """Yield the local days on which a window starts, from `first` on, each once, in order."""
    if window.nth:
        return _nth_from(window.nth, first)
    if window.rrule:
        return _ruled_from(window.rrule, first)
    return _weekdays_from(window.days, first)


def recurrence_fault(window: Recurring) -> str:
    """Say why a window recurs in no way, or in more than one; empty when nothing is wrong."""
    if sum(map(bool, (window.days, window.nth, window.rrule))) != 1:
        return "needs exactly one of days, nth and rrule, because empty is not every day"
    if not window.days <= set(range(7)):
        return "days are numbers from 0 (Monday) to 6"
    faults = (fault for nth in window.nth if (fault := nth.fault()))
    return next(faults, "") or (_rule_fault(window.rrule) if window.rrule else "")


def shortest_distance(window: Recurring) -> int:
    """Return the least number of days between two starts. Raises CalendarError without any two.

    Of a whole cycle of the calendar: what does not meet in it, never does.
    """
    return _shortest(window.days, window.nth, window.rrule)


@dataclass(frozen=True, slots=True)
class _Days:
    days: frozenset[int]
    nth: tuple[NthDay, ...]
    rrule: str


@lru_cache(maxsize=1024)
def _shortest(days: frozenset[int], nth: tuple[NthDay, ...], rule: str) -> int:
    first, last = ANCHOR.date(), ANCHOR.replace(year=ANCHOR.year + CYCLE_YEARS).date()
    found = itertools.takewhile(lambda day: day < last, days_from(_Days(days, nth, rule), first))
    shortest = 0
    for earlier, later in itertools.pairwise(found):
        distance = (later - earlier).days
        shortest = min(shortest or distance, distance)
        if shortest == 1:  # there is no shorter one
            break
    if not shortest:
        raise CalendarError(f"has not two days from {first} to {last}; a window must recur")
    return shortest


def _weekdays_from(days: frozenset[int], first: date) -> Iterator[date]:
    for number in itertools.count():
        day = first + timedelta(days=number)
        if day.weekday() in days:
            yield day


def _nth_from(nth: tuple[NthDay, ...], first: date) -> Iterator[date]:
    for months in itertools.count(first.year * 12 + first.month - 1):
        yield from (day for day in _days_of_month(nth, months) if day >= first)


@lru_cache(maxsize=4096)
def _days_of_month(nth: tuple[NthDay, ...], months: int) -> tuple[date, ...]:
    """Return the days that fall into one month, whichever month they are counted in."""
    around = (divmod(months + shift, 12) for shift in range(-_REACH, _REACH + 1))
    counted = {each.date_in(year, month + 1) for year, month in around for each in nth}
    year, month = divmod(months, 12)
    return tuple(sorted(d for d in counted if d and (d.year, d.month) == (year, month + 1)))


_DAYS = frozenset({"BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYSETPOS"})
_ALLOWED = _DAYS | {"FREQ", "INTERVAL", "WKST"}
_TIMES = frozenset({"BYHOUR", "BYMINUTE", "BYSECOND"})
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "DAILY": (),
    "WEEKLY": ("BYDAY",),
    "MONTHLY": ("BYDAY", "BYMONTHDAY"),
    "YEARLY": ("BYDAY", "BYMONTHDAY", "BYYEARDAY"),
}
"""What says the days of a period; without it a rule takes them from a first day, which no window
has."""


_NUMBERS: Mapping[str, range] = {
    "BYMONTH": range(1, 13),
    "BYMONTHDAY": range(1, 32),
    "BYYEARDAY": range(1, 367),
    "BYWEEKNO": range(1, 54),
    "BYSETPOS": range(1, 367),
}
"""What parts of a rule count by; all but months count from the end too, with a minus."""
_WEEKDAYS: Mapping[str, range] = {"MONTHLY": range(1, 6), "YEARLY": range(1, 54)}
"""How many of one weekday a period has at most, where they are counted."""
_WEEKDAY = re.compile(r"([+-]?\d+)?(?:MO|TU|WE|TH|FR|SA|SU)", re.ASCII)


def numbers_fault(parts: Mapping[str, str]) -> str:
    """Say which number of an RFC 5545 rule means no day; empty when each does.

    `parts` by name, in capitals. dateutil drops such numbers without a word: a rule of day 0 alone
    holds every day, the second Tuesday of a week is every Tuesday.
    """
    for key, allowed in _NUMBERS.items():
        for text in filter(None, parts.get(key, "").split(",")):
            if not _is_whole(text) or abs(number := int(text)) not in allowed:
                return f"{key}={text} is not 1 to {allowed[-1]}"
            if number < 0 and key == "BYMONTH":
                return f"{key}={text} is not 1 to 12"
    return _weekdays_fault(parts)


def _weekdays_fault(parts: Mapping[str, str]) -> str:
    frequency = parts.get("FREQ", "")
    for text in filter(None, parts.get("BYDAY", "").split(",")):
        found = _WEEKDAY.fullmatch(text.strip())
        if found is None:
            return f"BYDAY={text} is no weekday; write MO, or 2TU for the second Tuesday"
        if found[1] is None:
            continue
        if frequency not in _WEEKDAYS:
            return f"BYDAY={text} counts weekdays of a month or year, and FREQ is {frequency}"
        if abs(int(found[1])) not in _WEEKDAYS[frequency]:
            return f"BYDAY={text}: no such weekday with FREQ={frequency}"
    return ""


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d{1,9}\s*", text, re.ASCII) is not None


def _parts(rule: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in rule.upper().split(";"))
    return {key: value for key, _, value in pairs}


def _rule_fault(rule: str) -> str:
    parts = _parts(rule)
    if len(parts) != rule.count(";") + 1 or "" in parts.values():
        return f'"{rule}" is no rule; write it as FREQ=MONTHLY;BYMONTHDAY=-1'
    if times := sorted(parts.keys() & _TIMES):
        return f"a rule says days only; {times[0]} is what start is for"
    if ends := sorted(parts.keys() & {"COUNT", "UNTIL"}):
        return f"a window recurs until it is taken out of the fleet; take {ends[0]} out of the rule"
    if unknown := sorted(parts.keys() - _ALLOWED):
        return f"{unknown[0]} is no part of a rule; known: {', '.join(sorted(_ALLOWED))}"
    frequency = parts.get("FREQ", "")
    if frequency not in _NEEDED:
        return f"FREQ is one of {', '.join(_NEEDED)}"
    needed = _NEEDED[frequency]
    if needed and not parts.keys() & set(needed):
        return f"FREQ={frequency} needs {' or '.join(needed)}: nothing else says which days"
    return _values_fault(rule) or numbers_fault(parts) or _skipping_fault(parts)


def _skipping_fault(parts: Mapping[str, str]) -> str:
    """Say which months a day of the month is not in: they would be skipped without a word."""
    named = parts.get("BYMONTHDAY", "")
    if not named or "," in named or parts.keys() & {"BYDAY", "BYSETPOS"}:
        return ""
    months = [int(month) for month in parts.get("BYMONTH", "").split(",") if month] or range(1, 13)
    # 2023 was no leap year: the 29th of February comes every four years only.
    if abs(int(named)) <= min(calendar.monthrange(2023, month)[1] for month in months):
        return ""
    return f"not every month has a day {named}; BYMONTHDAY=-1 is the last day of each"


def _values_fault(rule: str) -> str:
    try:
        interval = int(_parts(rule).get("INTERVAL", "1"))
        if not 1 <= interval <= LONGEST_INTERVAL:
            return f"INTERVAL is a number from 1 to {LONGEST_INTERVAL}"
        _rule_at(rule, ANCHOR)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        return f'"{rule}" is no rule ({str(error) or type(error).__name__})'
    return ""


def _rule_at(rule: str, first: datetime) -> rrule:
    found = rrulestr(rule.upper(), dtstart=first)
    if not isinstance(found, rrule):
        raise TypeError("one rule expected")
    return found


def _ruled_from(rule: str, first: date) -> Iterator[date]:
    for moment in _rule_at(rule, _period_before(_parts(rule), first)):
        if moment.date() >= first:
            yield moment.date()


def _period_before(parts: Mapping[str, str], day: date) -> datetime:
    """Return where a period begins that a rule counts, at least one before that of `day`.

    Of the first one only what lies behind its beginning is found, which BYSETPOS would notice.
    """
    interval = int(parts.get("INTERVAL", "1"))

    def back(passed: int) -> int:
        return (passed // interval - 1) * interval

    match parts["FREQ"]:
        case "YEARLY":
            return ANCHOR.replace(year=ANCHOR.year + back(day.year - ANCHOR.year))
        case "MONTHLY":
            months = back((day.year - ANCHOR.year) * 12 + day.month - ANCHOR.month)
            year, month = divmod(ANCHOR.year * 12 + months, 12)
            return ANCHOR.replace(year=year, month=month + 1)
        case "WEEKLY":
            # With another WKST a week begins up to six days earlier than ours.
            return ANCHOR + timedelta(weeks=back((day - ANCHOR.date()).days // 7 - 1))
        case _:
            return ANCHOR + timedelta(days=back((day - ANCHOR.date()).days))
