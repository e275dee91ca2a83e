"""Go over every opening of the months ahead and find what nobody meant. Pure.

Each rule is looked at where calendars are odd: switches of the clock, leap days, months with and
without a fifth weekday, holidays, the turn of the year. Nothing is run; the almanac is as it was
read, so a holiday or freeze that is declared later is not known.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from itertools import combinations

from wavemend.calendar.agenda import WindowUse, window_uses
from wavemend.calendar.almanac import Almanac, Bar, NightOverride
from wavemend.calendar.durations import format_duration
from wavemend.calendar.judging import bars
from wavemend.calendar.openings import openings_between
from wavemend.calendar.preview import first_start
from wavemend.calendar.windows import Occurrence, Window, local_start, zone_info
from wavemend.fleet import Fleet
from wavemend.fleet_limits import FleetLimits

DATES_NAMED = 5
"""Of each finding; the others are counted."""

OFFICE_HOURS = (time(8), time(17))
"""Of a company without a duty rule, Monday to Friday."""

_WEEKEND = frozenset({5, 6})


class Trouble(StrEnum):
    """What is wrong with a window, the gravest first."""

    NEVER_OPENS = "never opens"
    NO_OPENING = "months without an opening"
    OVERLAPS = "overlaps in an exclusion set"
    WORKING_HOURS = "reaches into working hours"
    CUTOFF = "cut-off too short"
    CLOCK = "clock change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that nobody meant."""

    trouble: Trouble
    window: str
    tenant: str
    """Empty: it holds for every company that uses the window."""
    reason: str
    dates: tuple[date, ...] = ()
    """Local dates of the openings concerned, the first ones; of months their first day."""
    count: int = 0
    """How many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What was found in the openings of a time."""

    first: datetime
    until: datetime
    openings: int
    found: tuple[Found, ...]

    @property
    def never_opens(self) -> bool:
        """True when a window never opens for a company that relies on it."""
        return any(item.trouble is Trouble.NEVER_OPENS for item in self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What every opening is judged by."""

    fleet: Fleet
    almanac: Almanac
    overrides: Mapping[str, Sequence[NightOverride]]
    first: datetime
    until: datetime


def simulate(
    fleet: Fleet,
    almanac: Almanac,
    first: datetime,
    until: datetime,
    *,
    overrides: Mapping[str, Sequence[NightOverride]],
) -> Simulation:
    """Return what is found in the openings that start from `first` on and before `until` (UTC).

    `overrides`: the signed nights by company, already verified.
    """
    uses = window_uses(fleet)
    openings = {
        name: tuple(openings_between(fleet.window(name), first, until))
        for name in sorted({use.window for use in uses})
    }
    ground = _Ground(fleet=fleet, almanac=almanac, overrides=overrides, first=first, until=until)
    found: list[Found] = []
    for use in uses:
        found += _of_use(ground, use, openings[use.window])
    for name, mine in openings.items():
        found += _clock_changes(fleet.window(name), mine)
    found += _overlaps(fleet, openings)
    order = list(Trouble)
    found.sort(key=lambda item: (order.index(item.trouble), item.tenant, item.window, item.reason))
    total = sum(len(openings[use.window]) for use in uses)
    return Simulation(first=first, until=until, openings=total, found=tuple(found))


def _of_use(ground: _Ground, use: WindowUse, openings: Sequence[Occurrence]) -> Iterator[Found]:
    window = ground.fleet.window(use.window)
    usable, closed = _sorted_out(ground, use, openings)
    if usable:
        yield from _empty_months(ground, use, usable, closed)
        yield from _in_working_hours(ground, use, usable)
    else:
        yield _never(use, closed)
    for name in use.profiles:
        deadline = ground.fleet.profile(name).host_deadline
        if window.cutoff < deadline:
            yield Found(
                trouble=Trouble.CUTOFF,
                window=use.window,
                tenant=use.tenant,
                reason=f"a host of {name} may take {format_duration(deadline)}, and may start "
                f"{format_duration(window.cutoff)} before the end",
            )


def _sorted_out(
    ground: _Ground, use: WindowUse, openings: Sequence[Occurrence]
) -> tuple[list[Occurrence], dict[date, tuple[Bar, ...]]]:
    """Return the openings in which something may start, and why not in the others, by day."""
    window, rules = ground.fleet.window(use.window), ground.fleet.calendar_of(use.tenant)
    if not (rules.freezes or rules.duty):
        return list(openings), {}
    almanac, overrides = ground.almanac, ground.overrides.get(use.tenant, ())
    closed: dict[date, tuple[Bar, ...]] = {}
    usable: list[Occurrence] = []
    for opening in openings:
        begins = opening.start
        if first_start(opening, rules, almanac, begins, overrides=overrides) is not None:
            usable.append(opening)
        else:
            closed[_day(opening, window)] = bars(
                rules, almanac, window_end=opening.end, now=begins, overrides=overrides
            )
    return usable, closed


def _never(use: WindowUse, closed: Mapping[date, Sequence[Bar]]) -> Found:
    reason = "its rule gives no opening"
    if closed:
        reason = f"all {len(closed)} openings are barred; the first: {_first_of(closed)}"
    return _found(Trouble.NEVER_OPENS, use.window, use.tenant, reason, sorted(closed))


def _empty_months(
    ground: _Ground,
    use: WindowUse,
    usable: Sequence[Occurrence],
    closed: Mapping[date, Sequence[Bar]],
) -> Iterator[Found]:
    """Tell the months in which nothing runs: no such day in them, or every opening barred."""
    window = ground.fleet.window(use.window)
    used = {_day(opening, window).replace(day=1) for opening in usable}
    empty = [month for month in _whole_months(ground.first, ground.until) if month not in used]
    barred = {day: found for day, found in closed.items() if day.replace(day=1) in set(empty)}
    months = {day.replace(day=1) for day in barred}
    for reason, which in (
        ("its rule gives none", [month for month in empty if month not in months]),
        (f"each is barred; the first: {_first_of(barred)}" if barred else "", sorted(months)),
    ):
        if which:
            yield _found(Trouble.NO_OPENING, use.window, use.tenant, reason, which)


def _in_working_hours(
    ground: _Ground, use: WindowUse, usable: Sequence[Occurrence]
) -> Iterator[Found]:
    """Tell the openings that share time with hours in which the company works."""
    tenant, window = ground.fleet.tenant(use.tenant), ground.fleet.window(use.window)
    begins, ends = OFFICE_HOURS
    days_off = _WEEKEND
    if tenant.duty:
        begins, ends = tenant.duty.hours_from, tenant.duty.hours_until
        days_off = tenant.duty.days_off
    holidays = ground.almanac.days_off.get(use.tenant, {})
    zone = zone_info(tenant.zone)

    def works(day: date) -> bool:
        return day.weekday() not in days_off and day not in holidays

    days = [
        _day(opening, window)
        for opening in usable
        if any(
            works(day)
            and opening.start < _instant(tenant.zone, day, ends)
            and _instant(tenant.zone, day, begins) < opening.end
            for day in _days_between(opening.start.astimezone(zone), opening.end.astimezone(zone))
        )
    ]
    if days:
        hours = f"{begins:%H:%M}-{ends:%H:%M} {tenant.zone}"
        reason = f"{use.tenant} works then ({hours})"
        yield _found(Trouble.WORKING_HOURS, use.window, use.tenant, reason, days)


def _clock_changes(window: Window, openings: Sequence[Occurrence]) -> Iterator[Found]:
    """Tell the openings that a switch moves, or whose end it moves on the clock."""
    zone = zone_info(window.zone)
    moved: list[date] = []
    ends: dict[str, list[date]] = defaultdict(list)
    for opening in openings:
        start, end = opening.start.astimezone(zone), opening.end.astimezone(zone)
        if start.time() != window.start:
            moved.append(start.date())
            continue
        change = (end.utcoffset() or timedelta(0)) - (start.utcoffset() or timedelta(0))
        if change:
            later = "later" if change > timedelta(0) else "earlier"
            ends[f"{format_duration(abs(change))} {later}"].append(start.date())
    if moved:
        reason = f"the clock skips {window.start:%H:%M}: it opens at the first instant after it"
        yield _found(Trouble.CLOCK, window.name, "", reason, moved)
    for how, days in sorted(ends.items()):
        reason = f"by the clock it ends {how} than usual; its length stays the same"
        yield _found(Trouble.CLOCK, window.name, "", reason, days)


def _overlaps(fleet: Fleet, openings: Mapping[str, Sequence[Occurrence]]) -> Iterator[Found]:
    """Tell the windows that are open at one time for two members of one exclusion set."""
    windows = _windows_by_host(fleet)
    for members in FleetLimits(fleet).sets:
        if members.most_out != 1:
            continue
        users: dict[str, str] = {}  # one member of each window is enough to name
        for host in members.hosts:
            for name in windows.get(host, ()):
                users.setdefault(name, host)
        for one, other in combinations(sorted(users), 2):
            days = _shared(fleet.window(one), openings[one], openings[other])
            if days:
                reason = (
                    f"{users[one]} and {users[other]} of {members.name} must not be out together, "
                    f"and {other} is open then too: one of them waits, perhaps until it is too late"
                )
                yield _found(Trouble.OVERLAPS, one, "", reason, days)


def _shared(window: Window, mine: Sequence[Occurrence], others: Sequence[Occurrence]) -> list[date]:
    """Return the days of one window's openings that share time with another's; both sorted."""
    days: list[date] = []
    at = 0
    for opening in mine:
        while at < len(others) and others[at].end <= opening.start:
            at += 1
        if at < len(others) and others[at].start < opening.end:
            days.append(_day(opening, window))
    return days


def _windows_by_host(fleet: Fleet) -> Mapping[str, tuple[str, ...]]:
    """Return in which windows each host is changed: its own, and its profile's for restarts."""
    restarts = {(key.tenant, key.profile): key.window for key in fleet.restarts()}
    return {
        host.name: tuple(
            sorted({host.window, restarts.get((host.tenant, host.profile), host.window)})
        )
        for host in fleet.hosts
        if host.profile
    }


def _found(trouble: Trouble, window: str, tenant: str, reason: str, dates: Sequence[date]) -> Found:
    return Found(
        trouble=trouble,
        window=window,
        tenant=tenant,
        reason=reason,
        dates=tuple(dates[:DATES_NAMED]),
        count=len(dates),
    )


def _first_of(closed: Mapping[date, Iterable[Bar]]) -> str:
    return "; ".join(str(bar) for bar in closed[min(closed)])


def _day(opening: Occurrence, window: Window) -> date:
    return opening.start.astimezone(zone_info(window.zone)).date()


def _whole_months(first: datetime, until: datetime) -> Iterator[date]:
    """Yield the first day of each month that lies within a time as a whole."""
    month = first.astimezone(UTC).date().replace(day=1)
    if month < first.date():
        month = _next_month(month)
    while (following := _next_month(month)) <= until.date():
        yield month
        month = following


def _next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _days_between(first: datetime, last: datetime) -> Iterator[date]:
    day = first.date()
    while day <= last.date():
        yield day
        day += timedelta(days=1)


@cache
def _instant(zone: str, day: date, at: time) -> datetime:
    return local_start(zone, day, at)
