"""Why a host may not be changed now, and what would have to be otherwise. Pure.

What forbids a start is said by those who decide it (`steps/why_not.py` asks them); here their
answers become a chain, and the smallest set of changes after which nothing forbids it any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from wavemend.calendar.almanac import Almanac, BarKind, NightOverride
from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.duty import mornings
from wavemend.calendar.freezes import freeze_bars
from wavemend.calendar.preview import first_start
from wavemend.calendar.windows import Occurrence, Window, next_occurrences, occurrence_at

OPENINGS = 120
"""How many openings ahead are asked for a free one: two years of a weekly window."""


class Rule(StrEnum):
    """What is asked before a host is changed, in the executor's own order."""

    MANAGED = "managed"
    ROLLOUT = "rollout"
    PLAN = "plan"
    FLEET = "fleet"
    APPROVAL = "approval"
    STOP = "stop"
    HALTED = "halted"
    WINDOW = "window"
    CALENDAR = "calendar"
    ERRORS = "errors"
    GATES = "gates"
    IN_USE = "in use"
    TIME_LEFT = "time left"
    GAP = "gap"
    ORDER = "order"
    BUDGET = "budget"
    WAVE = "wave"
    READY = "ready"


class ChangeKind(StrEnum):
    """What can be changed so that a host may start."""

    WAIT = "wait"
    SIGN = "sign"
    """An approver signs the plan."""
    SIGN_NIGHT = "sign night"
    """An approver signs for a morning that the duty rule forbids."""
    RELEASE = "release"
    """A switch or a stop file is released."""
    OTHER = "other"
    """Other hosts are done, or get well."""
    LIFT = "lift"
    """The plan leaves the host out: a rule, a hold or its own state is changed."""
    ASSIGN = "assign"
    """The host gets a profile."""
    MEND = "mend"
    """The host, or a calendar, is mended."""
    LENGTHEN = "lengthen"
    """The window is made longer, or what it is filled with smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that would have to be otherwise."""

    kind: ChangeKind
    of: Rule
    """The rule that it makes hold."""
    what: str
    """A sentence without a full stop: what to do, or what to wait for."""
    about: str = ""
    """The company of a switch, a host, the dates of mornings, the name of a calendar."""
    at: datetime | None = None
    """Of waiting: the first instant (UTC) at which nothing forbids a start any more."""
    then: timedelta = timedelta(0)
    """How long a gap has to be kept once that has been done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One rule, and what it says of the host now."""

    rule: Rule
    says: str
    origin: str = ""
    """Who says so: the rollout, the company's calendar, a budget of the fleet."""
    blocks: bool = False
    change: Change | None = None
    """What lifts the block, whatever the time. None: only time does."""
    not_before: datetime | None = None
    """When the block ends by itself inside this opening (UTC)."""
    another_opening: bool = False
    """True: nothing lifts it in this opening; a later one begins with a new plan."""
    this_opening: bool = False
    """True: its change counts for this opening's rollout alone, not for a later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """Everything that decides about one host at one moment."""

    host: str
    now: datetime
    """UTC."""
    links: tuple[Link, ...]
    """What each rule says, in order."""
    window: Window | None = None
    """None: the host has none."""
    opening: Occurrence | None = None
    """The opening of its unfinished rollout, or the one that is open now."""
    calendar: TenantCalendar | None = None
    almanac: Almanac | None = None
    overrides: tuple[NightOverride, ...] = ()
    takes: timedelta = timedelta(0)
    """How long 95 of 100 such changes take; nothing: nobody estimated it yet."""
    signs_each_plan: bool = False
    """True: every plan with this host needs a signature of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """May the host be changed now; if not, what would flip that."""

    allowed: bool
    links: tuple[Link, ...]
    ways: tuple[tuple[Change, ...], ...] = ()
    """Sets of changes, the suggestion first. Each is enough; within one, all are needed."""
    starts: tuple[datetime | None, ...] = ()
    """For each way the first instant (UTC) at which the host may start; None: nobody can say."""

    @property
    def suggestion(self) -> tuple[Change, ...]:
        """The smallest set of changes; waiting alone is preferred to a signature."""
        return self.ways[0] if self.ways else ()

    @property
    def not_before(self) -> datetime | None:
        """When the host may start if the suggestion is followed; None: nobody can say."""
        return self.starts[0] if self.starts else None


@dataclass(frozen=True, slots=True)
class _Way:
    start: datetime | None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Needs:
    """What people have to do, whatever the time."""

    always: tuple[Change, ...]
    this_opening: tuple[Change, ...]
    """What counts for this opening's rollout alone."""

    def at(self, *, later: bool) -> tuple[Change, ...]:
        """Return what is needed in this opening, or in a later one."""
        return self.always if later else (*self.always, *self.this_opening)


def _needs(blocked: Sequence[Link]) -> _Needs:
    found = dict.fromkeys((link.change, link.this_opening) for link in blocked)
    return _Needs(
        always=tuple(change for change, bound in found if change and not bound),
        this_opening=tuple(change for change, bound in found if change and bound),
    )


def decide(state: HostState) -> Decision:
    """Return whether the host may be changed now, the chain, and what would flip a no."""
    blocked = tuple(link for link in state.links if link.blocks)
    if not blocked:
        return Decision(allowed=True, links=state.links)
    needs = _needs(blocked)
    ways = tuple(_whole(state, needs, way) for way in _ways(state, blocked, needs))
    if not ways:
        ways = (_Way(None, needs.always),) if state.window is None else (_longer(state),)
    return Decision(
        allowed=False,
        links=state.links,
        ways=tuple(way.changes for way in ways),
        starts=tuple(way.start for way in ways),
    )


def _ways(state: HostState, blocked: Sequence[Link], needs: _Needs) -> Iterator[_Way]:
    """Yield what to do about time: waiting, then a signature that is sooner, then a repair."""
    if state.window is None or state.calendar is None or state.almanac is None:
        return
    skips = any(link.another_opening for link in blocked)
    floors = [state.now + change.then for change in needs.at(later=skips)]
    floors += [link.not_before for link in blocked if link.not_before is not None]
    floor = max(floors, default=state.now)
    openings = tuple(_openings(state, state.window, skips))
    waiting = _first_free(state, openings, floor)
    if waiting is not None:
        yield _Way(waiting)
    night = _signed_night(state, state.calendar, openings, floor)
    if night is not None and (waiting is None or (night.start or floor) < waiting):
        yield night
    if waiting is None and night is None:
        yield from _mended(state, state.calendar, state.almanac, openings, floor)


def _openings(state: HostState, window: Window, skips: bool) -> Iterator[Occurrence]:
    """Yield the openings that come into question: this one unless it is lost, and the next."""
    opening = state.opening
    now_open = occurrence_at(window, state.now)
    if opening is not None and not skips:
        yield opening
    elif now_open is not None and opening is not None and opening.end <= now_open.start:
        yield now_open  # its rollout is that of an earlier night, and nobody has closed it yet
    after = opening.start if opening else state.now
    yield from next_occurrences(window, max(after, state.now), OPENINGS)


def _first_free(
    state: HostState, openings: Sequence[Occurrence], floor: datetime
) -> datetime | None:
    """Return the first instant from `floor` on at which nothing but people forbids a start."""
    for opening in openings:
        start = _start_in(state, opening, floor)
        if start is not None:
            return start
    return None


def _start_in(state: HostState, opening: Occurrence, floor: datetime) -> datetime | None:
    if state.calendar is None or state.almanac is None:
        return None
    start = first_start(opening, state.calendar, state.almanac, floor, overrides=state.overrides)
    return start if start is not None and start + state.takes <= opening.end else None


def _signed_night(
    state: HostState, calendar: TenantCalendar, openings: Sequence[Occurrence], floor: datetime
) -> _Way | None:
    """Return the first opening that a signature for its morning would free."""
    if calendar.duty is None or not calendar.approvers:
        return None
    for opening in openings:
        days = [morning.day for morning in mornings(calendar, opening.end)]
        signed = tuple(
            NightOverride(
                tenant=calendar.tenant, morning=day, identity="", reason="", signed_at=state.now
            )
            for day in days
        )
        start = _start_in(replace(state, overrides=(*state.overrides, *signed)), opening, floor)
        if start is not None:
            known = {item.morning for item in state.overrides}
            names = [f"{day}" for day in days if day not in known]
            what = f"an approver of {calendar.tenant} signs for the morning of {', '.join(names)}"
            change = Change(
                kind=ChangeKind.SIGN_NIGHT, of=Rule.CALENDAR, what=what, about=",".join(names)
            )
            return _Way(start, (change,))
    return None


def _mended(
    state: HostState,
    calendar: TenantCalendar,
    almanac: Almanac,
    openings: Sequence[Occurrence],
    floor: datetime,
) -> Iterator[_Way]:
    """Yield what becomes possible once calendars of freezes that cannot be read are mended."""
    dark = tuple(
        item
        for item in calendar.freezes
        for bar in freeze_bars(replace(calendar, freezes=(item,)), almanac, state.now)
        if bar.kind is BarKind.UNKNOWN
    )
    if not dark:
        return
    clear = tuple(item for item in calendar.freezes if item not in dark)
    mended = replace(state, calendar=replace(calendar, freezes=clear))
    changes = tuple(
        Change(
            kind=ChangeKind.MEND,
            of=Rule.CALENDAR,
            what=f"the calendar {item.calendar} can be read again and holds no freeze then",
            about=item.calendar,
        )
        for item in dark
    )
    start = _first_free(mended, openings, floor)
    if start is not None:
        yield _Way(start, changes)
    elif night := _signed_night(mended, replace(calendar, freezes=clear), openings, floor):
        yield _Way(night.start, (*changes, *night.changes))


def _whole(state: HostState, needs: _Needs, way: _Way) -> _Way:
    """Return a way with everything that it needs, whatever the time, and the wait itself last."""
    opening = state.opening
    later = opening is None or way.start is None or way.start >= opening.end
    changes = [*needs.at(later=later), *way.changes]
    if state.signs_each_plan and later:
        what = "an approver signs the plan of that opening"
        changes.append(Change(kind=ChangeKind.SIGN, of=Rule.APPROVAL, what=what))
    if way.start is not None and way.start > state.now:
        what = f"wait until {way.start:%Y-%m-%d %H:%M:%S} UTC"
        changes.append(Change(kind=ChangeKind.WAIT, of=Rule.WINDOW, what=what, at=way.start))
    return _Way(way.start, tuple(changes))


def _longer(state: HostState) -> _Way:
    """Return what is left when no opening ahead has room: the window or its rules are too tight."""
    minutes = -(-int(state.takes.total_seconds()) // 60)
    takes = f" that leaves {minutes} minutes after a start" if minutes else ""
    what = f"none of the next {OPENINGS} openings is free: declare a window{takes}"
    return _Way(None, (Change(kind=ChangeKind.LENGTHEN, of=Rule.WINDOW, what=what),))
