"""What becomes of an opening: it is used, waited for, skipped or missed; and who looks after it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.judging import bars
from wavemend.calendar.openings import openings_between
from wavemend.calendar.preview import first_start
from wavemend.calendar.windows import Occurrence
from wavemend.execution.barring import in_words, needed_overrides
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKey
from wavemend.ledger import nights
from wavemend.ledger.nights import FleetSpan
from wavemend.nights import Night, NightVerdict

LOOK_BACK = timedelta(days=7)
"""How far back a night is looked for that nobody started: longer than any weekend without us."""
GRACE = timedelta(minutes=10)
"""How long after an opening began its scheduled run may take to reach the ledger."""
SWITCHED_OFF = "its schedule is switched off in Prefect, and nobody started it by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What may be done in an opening at one moment."""

    verdict: NightVerdict | None = None
    """Why nothing runs in it; None: something may start now, or later."""
    reason: str = ""
    wait: timedelta = timedelta(0)
    """How long until something may start."""


def judge_night(hands: Hands, calendar: TenantCalendar, occurrence: Occurrence) -> Judged:
    """Say what may be done now in an opening that nothing ran in yet."""
    now = hands.clock()
    if now >= occurrence.last_start:
        return Judged(verdict=NightVerdict.MISSED, reason=_too_late(occurrence))
    if not (calendar.freezes or calendar.duty):
        return Judged()
    almanac = hands.almanac()
    overrides = needed_overrides(hands, calendar, almanac, occurrence.end)
    begins = first_start(occurrence, calendar, almanac, now, overrides=overrides)
    if begins is not None:
        return Judged(wait=max(begins - now, timedelta(0)))
    found = bars(calendar, almanac, window_end=occurrence.end, now=now, overrides=overrides)
    return Judged(verdict=NightVerdict.SKIPPED, reason=in_words(found))


def note_night(
    hands: Hands, key: RolloutKey, occurrence: Occurrence, verdict: NightVerdict, reason: str
) -> Night:
    """Write down once that nothing runs in an opening; return it as it is written."""
    with hands.ledger.writing() as book:
        nights.record(book, key, occurrence, verdict=verdict, reason=reason, now=hands.clock())
        found = nights.night_of(book, key, occurrence.start)
    if found is None:
        raise AssertionError("a night that was just recorded is not there")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A rollout that nobody started in an opening with enough left for it."""

    key: RolloutKey
    opened: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a look over the last openings found."""

    missed: tuple[Night, ...] = ()
    """Nights that nobody started, not known before."""
    skipped: tuple[Night, ...] = ()
    """Nights that a calendar forbids, or whose schedule is switched off, not known before."""
    startable: tuple[Due, ...] = ()
    held: tuple[Due, ...] = ()
    """What would be startable if its schedule were not switched off."""


def watch_openings(hands: Hands, switched_off: Callable[[RolloutKey, datetime], bool]) -> Watched:
    """Compare the last openings with the ledger; write down those that nobody started.

    An opening counts when its rollout was part of the fleet in force as it began. What may still
    start in it is a question to the fleet in force now, and so is what its calendars say.

    `switched_off`: whether somebody switched off what would have started a rollout in the opening
    that began then. Then nobody else starts it by itself either. That it did not run is no alarm
    if this is seen right after its last start; of an older night nobody knows what was on then.
    """
    now = hands.clock()
    pending = list(_pending(hands, now))
    # Before anything is written down: a run that ends while it asks loses no alarm.
    off = [
        each.waits_for_switch(now) and switched_off(each.key, each.occurrence.start)
        for each in pending
    ]
    missed: list[Night] = []
    skipped: list[Night] = []
    startable: list[Due] = []
    held: list[Due] = []
    for each, is_off in zip(pending, off, strict=True):
        verdict, reason = each.judged.verdict, each.judged.reason
        if verdict is None:
            if each.judged.wait <= timedelta(0):
                due = Due(key=each.key, opened=each.occurrence.start)
                (held if is_off else startable).append(due)
            continue
        if is_off:
            verdict, reason = NightVerdict.SKIPPED, SWITCHED_OFF
        night = note_night(hands, each.key, each.occurrence, verdict, reason)
        (missed if night.verdict is NightVerdict.MISSED else skipped).append(night)
    return Watched(
        missed=tuple(missed),
        skipped=tuple(skipped),
        startable=tuple(startable),
        held=tuple(held),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """An opening without a rollout of which something is still to be said."""

    key: RolloutKey
    occurrence: Occurrence
    judged: Judged

    def waits_for_switch(self, now: datetime) -> bool:
        """Whether it matters if its schedule is switched off."""
        if self.judged.verdict is None:
            return self.judged.wait <= timedelta(0)
        recent = now < self.occurrence.last_start + 2 * GRACE
        return self.judged.verdict is NightVerdict.MISSED and recent


def _pending(hands: Hands, now: datetime) -> Iterator[_Pending]:
    with hands.ledger.reading() as book:
        spans = nights.fleets_since(book, now - LOOK_BACK, now)
        opened = nights.openings_used(book, now - LOOK_BACK)
        known = {
            (night.key, night.window_start): night
            for night in nights.written_since(book, now - LOOK_BACK)
        }
    for key, occurrence in _due(spans, now):
        place = (str(key), occurrence.start)
        if place in opened or (place in known and now >= occurrence.last_start):
            continue
        judged = _judge_due(hands, spans[-1].fleet, key, occurrence)
        if judged.verdict is None or place not in known:
            yield _Pending(key=key, occurrence=occurrence, judged=judged)


def _judge_due(hands: Hands, fleet: Fleet, key: RolloutKey, occurrence: Occurrence) -> Judged:
    """Say what may still be done in an opening that an older fleet may have declared."""
    if hands.clock() >= occurrence.last_start:
        return Judged(verdict=NightVerdict.MISSED, reason=_too_late(occurrence))
    if key in {*fleet.rollouts(), *fleet.restarts()}:
        moment = occurrence.start
        window = fleet.window(key.window)
        for current in openings_between(window, moment, moment + timedelta(microseconds=1)):
            return judge_night(hands, fleet.calendar_of(key.tenant), current)
    reason = f"{key} does not open at this time any more: the fleet was changed since it began"
    return Judged(verdict=NightVerdict.SKIPPED, reason=reason)


def _due(spans: tuple[FleetSpan, ...], now: datetime) -> Iterator[tuple[RolloutKey, Occurrence]]:
    """Yield the openings that should have been used by now, by the fleet they began under."""
    for span in spans:
        fleet = span.fleet
        until = min(span.until, now - GRACE)
        for key in (*fleet.rollouts(), *fleet.restarts()):
            for occurrence in openings_between(fleet.window(key.window), span.since, until):
                yield key, occurrence


def _too_late(occurrence: Occurrence) -> str:
    return (
        f"nobody started it between {occurrence.start:%Y-%m-%d %H:%M} and "
        f"{occurrence.last_start:%H:%M} UTC, the last moment for a start"
    )
