"""Events of an iCalendar document (RFC 5545), each time they happen, within bounds. Pure.

What was decided once for every calendar and roster:

- An event that is TRANSPARENT or TENTATIVE counts: calendars mark all-day events so by default.
  CANCELLED ones are given with their status; whoever asks leaves them out.
- A day, and a time without zone, is one of the zone that was asked for.
- A zone nobody knows, a broken line in an event, an event without a start: the document as a whole
  cannot be read, because what it says cannot be told from what it was meant to say.
- A document that is larger than `MAX_BYTES`, or whose events happen more often than bounds allow,
  is refused: nothing that somebody else writes may hold up a patch night.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import recurring_ical_events
from icalendar import Calendar

from wavemend.calendar.windows import local_start
from wavemend.errors import CalendarError

MAX_BYTES = 4 * 1024 * 1024
"""Ten thousand events of a real calendar have half of it."""
MAX_EVENTS = 5_000
MAX_RULES = 200
"""Events that recur. A rule without any day costs up to three seconds until that is known."""
MAX_TIMES = 20_000
"""Each time an event happens, over all events: ten that happen every day, for five years."""
MAX_SECONDS = 20.0
"""To expand one document; looked at between events."""

_SHORT = 120
_DENSE = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
Component = Any
"""icalendar's own type says of every property that it may be anything."""

_BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What the libraries raise about documents that are none."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Event:
    """One time that an event happens. UTC; the end itself is outside."""

    start: datetime
    end: datetime
    all_day: bool = False
    summary: str = ""
    """Printable, on one line."""
    categories: tuple[str, ...] = ()
    status: str = ""
    """In capitals, e.g. `CANCELLED`; empty: it says none."""


def events(
    document: bytes,
    zone: str,
    *,
    since: datetime,
    until: datetime,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[Event, ...]:
    """Return what happens between two moments (UTC-aware), sorted, cancelled events too.

    `zone`: IANA zone of days and of times without a zone. Raises CalendarError with the reason,
    naming the event, when the document cannot be read as a whole.
    """
    found = _expanded(document, since, until, monotonic)
    return tuple(sorted(_event(component, zone) for component in found))


@lru_cache(maxsize=4)
def _expanded(
    document: bytes, since: datetime, until: datetime, monotonic: Callable[[], float]
) -> tuple[Component, ...]:
    """Expand once for all zones: a freeze for everybody is asked for in each company's."""
    calendars = _parsed(document)
    series = [one for each in calendars for one in _series(each)]
    deadline, found = monotonic() + MAX_SECONDS, list[Component]()
    for name, one in series:
        try:
            found += recurring_ical_events.of(one).between(since, until)
        except _BROKEN as error:
            raise CalendarError(f"{name}: {_words(error)}") from error
        if len(found) > MAX_TIMES:
            raise CalendarError(f"its events happen more than {MAX_TIMES:,} times in these years")
        if monotonic() > deadline:
            raise CalendarError(f"{name}: expanding the events takes over {MAX_SECONDS:.0f} s")
    return tuple(found)


def _parsed(document: bytes) -> list[Component]:
    if len(document) > MAX_BYTES:
        raise CalendarError(f"it is larger than {MAX_BYTES // 1024**2} MiB")
    # Without its last line it was cut off: the events that would forbid may be what is missing.
    text = document.removeprefix(b"\xef\xbb\xbf").strip()
    if not (text.startswith(b"BEGIN:VCALENDAR") and text.endswith(b"END:VCALENDAR")):
        raise CalendarError("it is no whole iCalendar document (BEGIN:VCALENDAR … END:VCALENDAR)")
    if text.count(b"BEGIN:VEVENT") > MAX_EVENTS:
        raise CalendarError(f"it has more than {MAX_EVENTS:,} events")
    try:
        found = Calendar.from_ical(text, multiple=True)
    except _BROKEN as error:
        raise CalendarError(f"it is no iCalendar document: {_words(error)}") from error
    return list(found)


def _series(calendar: Component) -> Iterator[tuple[str, Component]]:
    """Yield each event with its changed occurrences as a calendar of its own, and its name."""
    by_uid: dict[str, list[Component]] = {}
    rules = 0
    for number, event in enumerate(calendar.walk("VEVENT"), start=1):
        name = _name(event, number)
        if fault := _fault(event):
            raise CalendarError(f"{name}: {fault}")
        rules += "RRULE" in event
        by_uid.setdefault(str(event.get("UID", "")) or f"#{number}", []).append(event)
    if rules > MAX_RULES:
        raise CalendarError(f"it has more than {MAX_RULES} recurring events")
    for members in by_uid.values():
        one = Calendar()
        if zone := calendar.get("X-WR-TIMEZONE"):
            one.add("X-WR-TIMEZONE", zone)
        for event in members:
            one.add_component(event)
        yield _name(members[0], 0), one


def _fault(event: Component) -> str:
    """Say why one event cannot be understood; empty when it can."""
    if event.errors:
        line, why = event.errors[0]
        return f"{line or 'a line'} cannot be read ({short(_one_line(str(why)))})"
    if "DTSTART" not in event:
        return "has no DTSTART"
    for key in ("DTSTART", "DTEND"):
        if fault := _time_fault(event, key):
            return fault
    rule = event.get("RRULE")
    return "" if rule is None else _rule_fault(rule)


def _time_fault(event: Component, key: str) -> str:
    value: Any = event.get(key)
    if value is None:
        return ""
    if isinstance(value, list):
        return f"has more than one {key}"
    zone, moment = value.params.get("TZID", ""), value.dt
    if zone and isinstance(moment, datetime) and moment.tzinfo is None:
        return f"nobody knows the zone {short(_one_line(str(zone)))} of its {key}"
    begun = event["DTSTART"].dt
    if type(moment) is not type(begun):
        return "begins with a day and ends with a time, or the other way round"
    if isinstance(moment, datetime) and (moment.tzinfo is None) != (begun.tzinfo is None):
        return "has a zone at one end only"
    return "ends before it begins" if moment < begun else ""


def _rule_fault(rule: Any) -> str:
    if isinstance(rule, list):
        return "has more than one RRULE"
    frequency = str(next(iter(rule.get("FREQ", [])), ""))
    if frequency.upper() in _DENSE:
        return f"recurs {frequency}, and {MAX_TIMES:,} times are the most"
    if any(len(rule.get(key, [])) > 1 for key in ("BYHOUR", "BYMINUTE", "BYSECOND")):
        return "recurs more than once a day"
    return ""


def _event(component: Component, zone: str) -> Event:
    start, end = component["DTSTART"].dt, component["DTEND"].dt
    all_day = not isinstance(start, datetime)
    if all_day and end <= start:  # some programs write the last day instead of the one after
        end = start + timedelta(days=1)
    categories = {
        str(item) for group in _listed(component.get("CATEGORIES")) for item in group.cats
    }
    return Event(
        start=_instant(start, zone),
        end=_instant(end, zone),
        all_day=all_day,
        summary=_one_line(str(component.get("SUMMARY", ""))),
        categories=tuple(sorted(categories)),
        status=str(component.get("STATUS", "")).upper(),
    )


def _instant(moment: date | datetime, zone: str) -> datetime:
    if not isinstance(moment, datetime):
        return local_start(zone, moment, datetime.min.time())
    if moment.tzinfo is None:
        return local_start(zone, moment.date(), moment.time())
    return moment.astimezone(UTC)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _name(event: Component, number: int) -> str:
    summary = _one_line(str(event.get("SUMMARY", "")))
    if summary:
        return f'event "{short(summary)}"'
    return f"event {number}" if number else f"event {short(_one_line(str(event.get('UID', ''))))}"


def _words(error: Exception) -> str:
    return short(_one_line(str(error))) or type(error).__name__


def _one_line(text: str) -> str:
    """Return foreign text as it may stand in a reason: printable and on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def short(text: str) -> str:
    """Return a title as it may stand in a reason."""
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
