"""Events of an iCalendar document (RFC 5545), each time they happen, within bounds. Pure.

What was decided once for every calendar and roster:

- An event that is TRANSPARENT or TENTATIVE counts: calendars mark all-day events so by default.
  CANCELLED ones are given with their status; whoever asks leaves them out.
- A day, and a time without zone, is one of the zone that was asked for.
- A zone nobody knows, a broken line in an event, an event without a start, a lost `END:VEVENT`, two
  events with one UID: the document as a whole cannot be read, because what it says cannot be told
  from what it was meant to say.
- A document that is larger than `MAX_BYTES`, or whose events happen more often than bounds allow,
  is refused: nothing that somebody else writes may hold up a patch night.
"""

import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import recurring_ical_events
from icalendar import Calendar

from wavemend.calendar.days import numbers_fault
from wavemend.calendar.windows import local_start
from wavemend.errors import CalendarError

MAX_BYTES = 4 * 1024 * 1024
"""Ten thousand events of a real calendar have half of it."""
MAX_EVENTS = 5_000
MAX_RULES = 200
"""Events that recur. A rule without any day costs up to five seconds until that is known."""
MAX_TIMES = 20_000
"""Each time an event happens, over all events: ten that happen every day, for five years."""
MAX_SECONDS = 20.0
"""To expand one document; looked at between events, because a rule's walk cannot be left."""

_SHORT = 120
_FRAMES = re.compile(rb"(?:^|[\r\n])(BEGIN|END)[ \t]*:[ \t]*(VCALENDAR|VEVENT)", re.IGNORECASE)
"""What begins and ends calendars and events, however lines end and whatever the parser makes of
it."""
_ONCE = ("UID", "DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "SUMMARY", "STATUS")
"""An event with two of one has lost the line between itself and another event."""
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


def titles(document: bytes) -> tuple[str, ...]:
    """Return the titles of all events, whenever they happen. Raises CalendarError."""
    return tuple(_title(event) for each in _parsed(document) for event in _own(each))


@lru_cache(maxsize=4)
def _expanded(
    document: bytes, since: datetime, until: datetime, monotonic: Callable[[], float]
) -> tuple[Component, ...]:
    """Expand once for all zones: a freeze for everybody is asked for in each company's."""
    try:
        series = list(_series(_parsed(document)))
    except _BROKEN as error:
        raise CalendarError(f"it is no iCalendar document: {_words(error)}") from error
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
    calendars = [each for each in found if each.name == "VCALENDAR"]
    _refuse_lost(text, calendars)
    return calendars


def _refuse_lost(text: bytes, calendars: list[Component]) -> None:
    """Raise CalendarError when the parser found other calendars and events than the lines name.

    It drops what is never closed: without one END:VEVENT a year of freezes reads as none at all.
    """
    named = Counter((word.upper(), name.upper()) for word, name in _FRAMES.findall(text))
    events = sum(len(_own(each)) for each in calendars)
    for name, count in ((b"VCALENDAR", len(calendars)), (b"VEVENT", events)):
        begun, ended = named[b"BEGIN", name], named[b"END", name]
        if not begun == ended == count:
            raise CalendarError(
                f"it is damaged: {begun} times BEGIN:{name.decode()}, {ended} times "
                f"END:{name.decode()}, and {count} of them whole and in their place"
            )


def _own(calendar: Component) -> list[Component]:
    return [each for each in calendar.subcomponents if each.name == "VEVENT"]


def _series(calendars: list[Component]) -> Iterator[tuple[str, Component]]:
    """Yield each event with its changed occurrences as a calendar of its own, and its name."""
    numbered = enumerate(((each, event) for each in calendars for event in _own(each)), start=1)
    by_uid: dict[str, _Series] = {}
    rules = 0
    for number, (calendar, event) in numbered:
        name = _name(event, number)
        if fault := _fault(event):
            raise CalendarError(f"{name}: {fault}")
        rules += "RRULE" in event
        uid = str(event.get("UID", "")) or f"#{number}"
        series = by_uid.setdefault(uid, _Series(name=name, calendar=calendar))
        if fault := series.take(event, calendar):
            raise CalendarError(f"{name}: {fault}")
    if rules > MAX_RULES:
        raise CalendarError(f"it has more than {MAX_RULES} recurring events")
    for each in by_uid.values():
        yield each.name, each.alone()


@dataclass(slots=True, kw_only=True)
class _Series:
    """One event and its changed occurrences."""

    name: str
    calendar: Component
    members: dict[Any, Component] = field(default_factory=dict)
    """By what RECURRENCE-ID says; the event itself by None."""

    def take(self, event: Component, calendar: Component) -> str:
        """Add an event of the same UID; return why it cannot be one of these, else nothing."""
        changed = event.get("RECURRENCE-ID")
        place = None if changed is None else changed.dt
        # Which of two is meant nobody can say: the library takes one and drops the other.
        if place in self.members or calendar is not self.calendar:
            return f"has the UID of {self.name}; each event needs one of its own"
        self.members[place] = event
        return ""

    def alone(self) -> Component:
        """Return it as a calendar."""
        one = Calendar()
        if zone := self.calendar.get("X-WR-TIMEZONE"):
            one.add("X-WR-TIMEZONE", zone)
        for event in self.members.values():
            one.add_component(event)
        return one


def _fault(event: Component) -> str:
    """Say why one event cannot be understood; empty when it can."""
    if event.errors:
        line, why = event.errors[0]
        return f"{line or 'a line'} cannot be read ({short(_one_line(str(why)))})"
    if "EXRULE" in event:
        return "has an EXRULE, which is followed no more; write EXDATE"
    for key in _ONCE:
        if isinstance(event.get(key), list):
            return f"has more than one {key}"
    if "DTSTART" not in event:
        return "has no DTSTART"
    faults = (
        *(_zone_fault(event, key) for key in ("DTSTART", "DTEND", "RECURRENCE-ID")),
        *(_zone_fault(event, key) for key in ("RDATE", "EXDATE")),
        _end_fault(event),
        _rule_fault(event.get("RRULE")),
    )
    return next(filter(None, faults), "")


def _zone_fault(event: Component, key: str) -> str:
    """Say which zone of a property's times nobody knows; they come without one then."""
    listed = _listed(event.get(key))
    if sum(len(getattr(each, "dts", ())) for each in listed) > MAX_TIMES:
        return f"has more than {MAX_TIMES:,} times in {key}"
    for each in listed:
        zone = each.params.get("TZID", "")
        moments = [item.dt for item in getattr(each, "dts", (each,))]
        # Of a period, its beginning.
        begun = [moment[0] if isinstance(moment, tuple) else moment for moment in moments]
        if zone and any(isinstance(m, datetime) and m.tzinfo is None for m in begun):
            return f"nobody knows the zone {short(_one_line(str(zone)))} of its {key}"
    return ""


def _end_fault(event: Component) -> str:
    begun: Any = event["DTSTART"].dt
    if "DURATION" in event:
        if "DTEND" in event:
            return "has both DTEND and DURATION"
        return "ends before it begins" if event["DURATION"].dt < timedelta(0) else ""
    if "DTEND" not in event:
        return ""
    ended: Any = event["DTEND"].dt
    if type(ended) is not type(begun):
        return "begins with a day and ends with a time, or the other way round"
    if isinstance(ended, datetime) and (ended.tzinfo is None) != (begun.tzinfo is None):
        return "has a zone at one end only"
    return "ends before it begins" if ended < begun else ""


def _rule_fault(rule: Any) -> str:
    if rule is None:
        return ""
    parts = {str(key).upper(): ",".join(map(str, rule[key])).upper() for key in rule}
    if parts.get("FREQ") in _DENSE:
        return f"recurs {parts['FREQ']}, and {MAX_TIMES:,} times are the most"
    if any("," in parts.get(key, "") for key in ("BYHOUR", "BYMINUTE", "BYSECOND")):
        return "recurs more than once a day"
    # With 0 the walk from one time to the next never ends.
    if any(int(number) < 1 for number in rule.get("INTERVAL", ())):
        return "recurs with an INTERVAL that is not 1 or more"
    fault = numbers_fault(parts)
    return f"has an RRULE that means nothing: {fault}" if fault else ""


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
        summary=_title(component),
        categories=tuple(sorted(categories)),
        status=_one_line(str(component.get("STATUS", ""))).upper(),
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


def _title(event: Component) -> str:
    return _one_line(" ".join(map(str, _listed(event.get("SUMMARY")))))


def _name(event: Component, number: int) -> str:
    title = _title(event)
    return f'event "{short(title)}"' if title else f"event {number}"


def _words(error: Exception) -> str:
    return short(_one_line(str(error))) or type(error).__name__


def _one_line(text: str) -> str:
    """Return foreign text as it may stand in a reason: printable and on one line.

    What nobody sees (zero-width spaces, marks of direction) goes; it would part a name.
    """
    seen = (c for c in text if unicodedata.category(c) != "Cf")
    return " ".join("".join(c if c.isprintable() else " " for c in seen).split())


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """Return what makes a name or title the same: not its spaces, capitals, or how it is encoded.

    An umlaut may be one sign or two, and a name that was copied may hold signs nobody sees.
    """
    return unicodedata.normalize("NFKC", _one_line(unicodedata.normalize("NFKC", text).casefold()))


def short(text: str) -> str:
    """Return a title as it may stand in a reason."""
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
