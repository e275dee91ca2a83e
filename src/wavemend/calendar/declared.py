"""What a fleet file says about calendars: where they are, what they forbid, who is on duty.

Values only. What the calendars hold at a moment is an `Almanac`, read by `reading.py`.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

CALENDAR_AGE = timedelta(days=2)
"""A copy of a calendar at an address is used this long after it was last fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSource:
    """An iCalendar file (RFC 5545), or an address that serves one."""

    name: str
    source: str
    """`file:PATH`, relative to the fleet file, or an `https://` address."""
    max_age: timedelta = CALENDAR_AGE
    """A copy older than this is not believed any more: nothing starts that it could forbid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Times when nothing may start: one span, or every event of a calendar."""

    name: str
    tenant: str = ""
    """Whose hosts; empty: everybody's."""
    start: datetime | None = None
    """UTC-aware; with `end`, for one span."""
    end: datetime | None = None
    """First instant at which things may start again."""
    calendar: str = ""
    """Name of the calendar whose events are the spans."""
    summaries: tuple[str, ...] = ()
    """Glob patterns, sorted: only events with such a SUMMARY count. Empty: all of them."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Who is at work when: an iCalendar, CSV or YAML file."""

    name: str
    source: str
    """`file:PATH`, relative to the fleet file, or an `https://` address (iCalendar)."""
    zone: str
    """IANA zone of local times in the file that name none."""
    max_age: timedelta = CALENDAR_AGE


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyRule:
    """Nothing starts in a night whose morning nobody is there to see.

    The morning is that of the first working hours that begin at or after the window's end, in the
    company's zone; a window that ends inside the hours needs these too, and the next ones. It must
    not be a day off, and at every instant of the hours somebody with one
    of the skills must be on duty.
    """

    roster: str
    hours_from: time
    """Local time at which the watched part of a working day begins."""
    hours_until: time
    skills: tuple[str, ...] = ()
    """One of these is enough, sorted; empty: anybody."""
    days_off: frozenset[int] = frozenset({5, 6})
    """Days of the week that are no working days, 0 = Monday."""
    holidays: tuple[str, ...] = ()
    """Public holidays by country or region, ISO 3166: `DE-BY`, `US`. Sorted."""
    calendars: tuple[str, ...] = ()
    """Calendars whose all-day events are days off too, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCalendar:
    """Everything declared that can close an open window for one company."""

    tenant: str
    zone: str
    """IANA zone of its working days."""
    freezes: tuple[Freeze, ...] = ()
    """Its own and everybody's, sorted by name."""
    duty: DutyRule | None = None
    approvers: tuple[str, ...] = ()
    """Who may sign that a night may be used although the duty rule forbids it."""
