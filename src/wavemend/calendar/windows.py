"""Maintenance windows: a recurring local start in an IANA zone, a duration and a cut-off.

The daylight-saving rule, once and for all: a start that falls into the hour a switch skips
begins at the first valid instant after it; a start that exists twice begins at the first of the
two, once. Duration and cut-off are elapsed time, so a window of 6 hours lasts 6 hours on every
night of the year.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wavemend.calendar.days import NthDay, days_from, recurrence_fault, shortest_distance
from wavemend.calendar.durations import format_duration
from wavemend.errors import CalendarError

LONGEST_WINDOW = timedelta(days=7)
"""No night is longer; and what may hold a moment is looked for no further back."""

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

HOST_ZONE = "host"
"""Instead of a zone: each device's own. Loading a fleet makes one window per zone out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When hosts may be changed. Raises CalendarError when it means nothing."""

    name: str
    zone: str
    """IANA name, e.g. `Europe/Berlin`."""
    start: time
    """Local time of day in `zone`; what a daylight-saving switch does to it: see the module."""
    days: frozenset[int]
    """Days of the week on which it starts, 0 = Monday. Empty when `nth` or `rrule` says them."""
    duration: timedelta
    """Elapsed time from start to end, at most seven days."""
    cutoff: timedelta
    """Elapsed time before the end from which nothing new may start."""
    nth: tuple[NthDay, ...] = ()
    """Days of the month on which it starts, sorted."""
    rrule: str = ""
    """RFC 5545 rule of its days, without times and without an end."""

    def __post_init__(self) -> None:
        zone_info(self.zone)
        if self.start.tzinfo is not None or self.start.microsecond:
            raise CalendarError(f"window {self.name}: the start is a local time in whole seconds")
        if fault := recurrence_fault(self) or self._length_fault():
            raise CalendarError(f"window {self.name}: {fault}")

    def _length_fault(self) -> str:
        if not timedelta(0) < self.duration <= LONGEST_WINDOW:
            return f"the duration {format_duration(self.duration)} is not between 1s and 7d"
        if not timedelta(0) <= self.cutoff < self.duration:
            return (
                f"the cut-off {format_duration(self.cutoff)} leaves no time to start anything in "
                f"{format_duration(self.duration)}; make it shorter than the duration"
            )
        try:
            room = timedelta(days=shortest_distance(self))
        except CalendarError as error:
            return error.message
        if self.duration > room:
            return (
                f"the duration {format_duration(self.duration)} runs into its own next start "
                f"{format_duration(room)} later; shorten it or take days out"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One opening of a window. All times are UTC; the end itself is outside."""

    window: str
    start: datetime
    end: datetime
    last_start: datetime
    """From this instant on nothing new may start; what runs may end."""

    @property
    def id(self) -> str:
        """Names this opening in plans and in the ledger, e.g. `sat-night@2026-03-28T21:00Z`."""
        return f"{self.window}@{self.start:%Y-%m-%dT%H:%MZ}"

    def may_start(self, now: datetime) -> bool:
        """Return whether something new may start at `now`."""
        return self.start <= now < self.last_start


@lru_cache(maxsize=1024)
def zone_info(name: str) -> ZoneInfo:
    """Return an IANA zone. Raises CalendarError for a name this machine does not know."""
    unknown = CalendarError(
        f'"{name}" is no time zone', hint="use an IANA name such as Europe/Berlin or UTC"
    )
    # Files beside the zones: what they mean differs between machines, or counts leap seconds.
    if name.startswith(("posix", "right/")) or name in {"localtime", "Factory"}:
        raise unknown
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise unknown from error


def local_start(zone: str, day: date, start: time) -> datetime:
    """Return the instant (UTC) at which a local time of day begins, by the module's rule."""
    info = zone_info(zone)
    wanted = datetime.combine(day, start)
    early, late = (wanted.replace(tzinfo=info, fold=fold).astimezone(UTC) for fold in (1, 0))
    # fold=0 reads the clock as it went before a switch: the first of two equal readings, and in
    # a gap an instant after the switch. Only a gap makes it the later of the two.
    if early >= late:
        return late
    # The switch lies in (early, late]: the first second at which the clock shows `wanted` or more.
    low, high = 0, int((late - early).total_seconds())
    while low + 1 < high:
        middle = (low + high) // 2
        if _clock(early + timedelta(seconds=middle), info) < wanted:
            low = middle
        else:
            high = middle
    return early + timedelta(seconds=high)


def occurrence_at(window: Window, now: datetime) -> Occurrence | None:
    """Return the opening that holds `now` (UTC-aware), or None when the window is closed.

    Should a switch to summer time make two openings of a back-to-back window touch, the one that
    started later is returned: it gives the full right to start.
    """
    today = _aware(now).astimezone(zone_info(window.zone)).date()
    first = today - LONGEST_WINDOW - timedelta(days=2)
    found: Occurrence | None = None
    for occurrence in _from_day(window, first):
        if occurrence.start > now:
            break
        if now < occurrence.end:
            found = occurrence
    return found


def next_occurrences(window: Window, after: datetime, count: int) -> tuple[Occurrence, ...]:
    """Return the next `count` openings that start later than `after` (UTC-aware), in order."""
    found: list[Occurrence] = []
    yesterday = _aware(after).astimezone(zone_info(window.zone)).date() - timedelta(days=1)
    for occurrence in _from_day(window, yesterday):
        if len(found) >= count:
            break
        if occurrence.start > after:
            found.append(occurrence)
    return tuple(found)


def _from_day(window: Window, first: date) -> Iterator[Occurrence]:
    """Yield openings from a local day on, for ever, each start once."""
    previous = datetime.min.replace(tzinfo=UTC)
    for day in days_from(window, first):
        start = local_start(window.zone, day, window.start)
        # A zone that skips a whole day (Samoa, 2011) moves its start onto the next day's.
        if start > previous:
            end = start + window.duration
            yield Occurrence(
                window=window.name, start=start, end=end, last_start=end - window.cutoff
            )
            previous = start


def _clock(instant: datetime, info: ZoneInfo) -> datetime:
    return instant.astimezone(info).replace(tzinfo=None)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise CalendarError("a time without zone was given", hint="pass UTC-aware times")
    return moment
