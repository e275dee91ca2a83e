"""Freezes: declared spans, and events of calendars."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from wavemend.calendar.almanac import Almanac, Bar, BarKind, Span
from wavemend.calendar.declared import Freeze, TenantCalendar

HORIZON = timedelta(days=5 * 365)
"""How far ahead calendars are read: events without an end must have one somewhere."""


def zoned_name(freeze: str, zone: str) -> str:
    """Return under which name an almanac keeps everybody's freeze as it is in one zone.

    A day of a calendar (an all-day event, a time without zone) begins at another instant for each
    company; `@` is in no name of a fleet.
    """
    return f"{freeze}@{zone}"


def freeze_bars(rules: TenantCalendar, almanac: Almanac, now: datetime) -> tuple[Bar, ...]:
    """Return the freezes of a company that hold at `now` (UTC-aware).

    A calendar that is not known, or not known so far ahead, forbids: `BarKind.UNKNOWN`. A stale
    copy is believed for as long as its calendar's `max_age` says; reading decides that.
    """
    return tuple(_bars(rules, almanac, now))


def freeze_within(
    rules: TenantCalendar, almanac: Almanac, first: datetime, until: datetime
) -> datetime | None:
    """Return the first instant of a time (UTC-aware) that a freeze forbids; None: none does."""
    if freeze_bars(rules, almanac, first):
        return first
    starts = [
        span.start
        for freeze in rules.freezes
        if not _unknown(freeze, rules.zone, almanac, first)
        for span in _spans(freeze, rules.zone, almanac)
        if first < span.start < until
    ]
    return min(starts, default=None)


def _bars(rules: TenantCalendar, almanac: Almanac, now: datetime) -> Iterator[Bar]:
    for freeze in rules.freezes:
        if unknown := _unknown(freeze, rules.zone, almanac, now):
            reason = f"whether the freeze {freeze.name} holds cannot be said: {unknown}"
            yield Bar(kind=BarKind.UNKNOWN, reason=reason)
        elif held := _held(_spans(freeze, rules.zone, almanac), now):
            yield Bar(kind=BarKind.FREEZE, reason=_reason(freeze, held), until=_end(held))


def _unknown(freeze: Freeze, zone: str, almanac: Almanac, now: datetime) -> str:
    if not freeze.calendar:
        return ""
    if why := almanac.unreadable.get(freeze.calendar):
        return f"calendar {freeze.calendar}: {why}"
    if freeze.name not in almanac.freezes and zoned_name(freeze.name, zone) not in almanac.freezes:
        return f"calendar {freeze.calendar} was not read"
    if now >= almanac.read_at + HORIZON:
        return f"calendar {freeze.calendar} is read {HORIZON.days // 365} years ahead, no further"
    return ""


def _spans(freeze: Freeze, zone: str, almanac: Almanac) -> Sequence[Span]:
    if freeze.calendar:
        named = almanac.freezes.get(zoned_name(freeze.name, zone))
        return almanac.freezes[freeze.name] if named is None else named
    if freeze.start is None or freeze.end is None:
        return ()
    return (Span(start=freeze.start, end=freeze.end),)


def _held(spans: Sequence[Span], now: datetime) -> list[Span]:
    """Return the spans that hold, and those that go on where they end, in order."""
    begun = bisect_right(spans, now, key=lambda span: span.start)
    held = [span for span in spans[:begun] if now < span.end]
    if not held:
        return []
    for span in spans[begun:]:
        if span.start > _end(held):
            break
        held.append(span)
    return held


def _end(held: Sequence[Span]) -> datetime:
    return max(span.end for span in held)


def _reason(freeze: Freeze, held: Sequence[Span]) -> str:
    summary = held[0].summary
    event = f' "{summary}"' if summary else ""
    why = f" ({freeze.reason})" if freeze.reason else ""
    return f"{freeze.name}{event} holds until {_end(held):%Y-%m-%d %H:%M} UTC{why}"
