"""The duty rule: no rollout before a morning that nobody is there to see. Pure.

The morning after a window is that of the first watched hours that begin at or after its end, by
the company's clock. A window that ends inside watched hours needs these too: who is there then
sees its end, and who comes the next morning sees the rest.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from wavemend.calendar.almanac import Almanac, Bar, BarKind, NightOverride, Shift
from wavemend.calendar.declared import DutyRule, TenantCalendar
from wavemend.calendar.windows import DAY_NAMES, local_start, zone_info

LONGEST_SHIFT = timedelta(days=31)
"""A shift that began earlier is not looked for: rosters refuse longer ones (a month on call)."""
SPANS_NAMED = 3
"""Uncovered spans that a reason names; the others are counted."""

_DAYS = dict(
    zip(
        DAY_NAMES,
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        strict=True,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """The watched hours of one local day. UTC; the end itself is outside."""

    day: date
    start: datetime
    end: datetime


def mornings(rules: TenantCalendar, window_end: datetime) -> tuple[Morning, ...]:
    """Return the mornings that a window's end is judged by, in order; none without a duty rule.

    Usually one. Two when the window ends inside watched hours, at their end or after it the next.
    """
    if rules.duty is None:
        return ()
    found: list[Morning] = []
    # The local date of the end, and the day before: a switch may move a start over midnight.
    day = window_end.astimezone(zone_info(rules.zone)).date() - timedelta(days=1)
    while not found or found[-1].start < window_end:
        morning = hours_of(rules.duty, rules.zone, day)
        if morning.start >= window_end or morning.start < window_end < morning.end:
            found.append(morning)
        day += timedelta(days=1)
    return tuple(found)


def duty_bars(
    rules: TenantCalendar,
    almanac: Almanac,
    window_end: datetime,
    overrides: Sequence[NightOverride],
) -> tuple[Bar, ...]:
    """Return why the morning after `window_end` (UTC-aware) forbids a start.

    `overrides` are taken as they are: who hands them in has checked their signatures.
    """
    if rules.duty is None:
        return ()
    signed = {item.morning for item in overrides if item.tenant == rules.tenant}
    return tuple(
        bar
        for morning in mornings(rules, window_end)
        if morning.day not in signed
        for bar in morning_bars(rules, rules.duty, almanac, morning)
    )


def morning_bars(
    rules: TenantCalendar, duty: DutyRule, almanac: Almanac, morning: Morning
) -> tuple[Bar, ...]:
    """Return what is wrong with one morning: a day off, nobody there, or nothing known of it."""
    if reason := _day_off(rules, duty, almanac, morning.day):
        return (_bar(BarKind.DAY_OFF, reason),)
    if unknown := tuple(_unknown(rules, duty, almanac)):
        return tuple(_bar(BarKind.UNKNOWN, reason) for reason in unknown)
    if gaps := uncovered(morning, _fit(duty, on_duty(almanac, duty, morning))):
        return (_bar(BarKind.NOBODY_ON_DUTY, _nobody(rules, duty, morning, gaps)),)
    return ()


def on_duty(almanac: Almanac, duty: DutyRule, morning: Morning) -> tuple[Shift, ...]:
    """Return the shifts that touch a morning, whatever their skills, sorted by start."""
    shifts = almanac.shifts.get(duty.roster, ())
    # Sorted by start: those in reach lie together.
    first = bisect_left(shifts, morning.start - LONGEST_SHIFT, key=_start)
    last = bisect_left(shifts, morning.end, key=_start)
    return tuple(shift for shift in shifts[first:last] if shift.end > morning.start)


def uncovered(morning: Morning, shifts: Sequence[Shift]) -> tuple[tuple[datetime, datetime], ...]:
    """Return the spans of a morning in which none of the shifts holds; `shifts` by start."""
    if morning.end <= morning.start:  # hours that a clock change swallows: nobody can be there
        return ((morning.start, morning.end),)
    gaps: list[tuple[datetime, datetime]] = []
    reached = morning.start
    for shift in shifts:
        if shift.start > reached:
            gaps.append((reached, min(shift.start, morning.end)))
        reached = max(reached, shift.end)
    if reached < morning.end:
        gaps.append((reached, morning.end))
    return tuple(gaps)


def has_skill(duty: DutyRule, shift: Shift) -> bool:
    """Say whether somebody is of use in the watched hours."""
    return not duty.skills or not set(duty.skills).isdisjoint(shift.skills)


def _fit(duty: DutyRule, shifts: Sequence[Shift]) -> tuple[Shift, ...]:
    return tuple(shift for shift in shifts if has_skill(duty, shift))


def hours_of(duty: DutyRule, zone: str, day: date) -> Morning:
    """Return the watched hours of a local day."""
    return Morning(
        day=day,
        start=local_start(zone, day, duty.hours_from),
        end=local_start(zone, day, duty.hours_until),
    )


def _day_off(rules: TenantCalendar, duty: DutyRule, almanac: Almanac, day: date) -> str:
    if day.weekday() in duty.days_off:
        name = _DAYS[DAY_NAMES[day.weekday()]]
        return f"{day} is a {name}, no working day of {rules.tenant}"
    named = almanac.days_off.get(rules.tenant, {}).get(day)
    return f"{day} is {named}" if named else ""


def _unknown(rules: TenantCalendar, duty: DutyRule, almanac: Almanac) -> Iterator[str]:
    """Yield what must be known about a morning and is not."""
    for name in (duty.roster, *duty.calendars):
        if name in almanac.unreadable:
            what = "roster" if name == duty.roster else "calendar"
            yield f"{what} {name} cannot be used: {almanac.unreadable[name]}"
    if duty.roster not in almanac.shifts and duty.roster not in almanac.unreadable:
        yield f"roster {duty.roster} has not been read"
    if (duty.holidays or duty.calendars) and rules.tenant not in almanac.days_off:
        yield f"the days off of {rules.tenant} have not been read"


def _nobody(
    rules: TenantCalendar,
    duty: DutyRule,
    morning: Morning,
    gaps: Sequence[tuple[datetime, datetime]],
) -> str:
    """Return the sentence that names the uncovered spans and the skill nobody has in them."""
    zone = zone_info(rules.zone)
    who = f"nobody with {' or '.join(duty.skills)}" if duty.skills else "nobody"
    spans = [
        f"{start.astimezone(zone):%H:%M} to {end.astimezone(zone):%H:%M}"
        for start, end in gaps[:SPANS_NAMED]
    ]
    more = f" and {len(gaps) - SPANS_NAMED} times more" if len(gaps) > SPANS_NAMED else ""
    return (
        f"{who} is on duty on {morning.day} from {', '.join(spans)}{more} "
        f"({rules.zone}, roster {duty.roster})"
    )


def _bar(kind: BarKind, reason: str) -> Bar:
    return Bar(kind=kind, reason=reason, overridable=True)


def _start(shift: Shift) -> datetime:
    return shift.start.astimezone(UTC)
