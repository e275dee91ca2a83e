"""Ask everything that decides about one host, as the executor asks it, and write nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from wavemend.calendar.almanac import Almanac, NightOverride
from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.judging import bars
from wavemend.execution.barring import in_words
from wavemend.execution.before import Obstacle, compare
from wavemend.execution.drift import fleet_drift
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.execution.pilots_first import untried
from wavemend.execution.start import approval_refusal
from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger import nights, rollouts
from wavemend.ledger.answers import Refused, Wait
from wavemend.ledger.rollouts import FINISHED, Lease
from wavemend.ledger.scans import newest_look
from wavemend.ledger.starts import earlier_gate_open, in_use, too_long, wave_budget
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.plans import PlannedWave
from wavemend.readiness import Check, judge_look, outcome_of
from wavemend.rollout import Standing, errors_in, judge_errors
from wavemend.steps.why_not_case import JOINED_LATER, Case, case_of
from wavemend.steps.why_not_others import lost, other, others
from wavemend.why_not import Change, ChangeKind, HostState, Link, Rule

OVERRIDES_AHEAD = timedelta(days=400)
"""Mornings further ahead are not asked for signatures."""


def look_into(hands: Hands, fleet: Fleet, name: str) -> HostState:
    """Return everything that decides about a host at `hands.clock()`. Writes nothing.

    `hands.clock` may be ahead: then the ledger of today is asked about that moment.
    """
    host, now = fleet.host(name), hands.clock()
    host = replace(host, window=host.window or fleet.tenant(host.tenant).window)
    if not host.window:
        return HostState(host=name, now=now, links=(_managed(host),))
    calendar, almanac = fleet.calendar_of(host.tenant), hands.almanac()
    with hands.ledger.reading() as book:
        case = case_of(book, hands, fleet, host, now)
        overrides = _overrides(book, hands, calendar, now)
        links = (*_links(case, calendar, almanac, overrides),)
    # What the host is in now decides how long it takes; another plan estimates it anew.
    takes = case.plan.host(name).at_most_seconds if case.is_planned else 0
    return HostState(
        host=name,
        now=now,
        links=links,
        window=fleet.window(host.window),
        opening=case.opening,
        calendar=calendar,
        almanac=almanac,
        overrides=overrides,
        takes=timedelta(seconds=takes),
        signs_each_plan=host.critical,
    )


def _overrides(
    book: Session, hands: Hands, calendar: TenantCalendar, now: datetime
) -> tuple[NightOverride, ...]:
    if calendar.duty is None:
        return ()
    first, last = now.date() - timedelta(days=1), (now + OVERRIDES_AHEAD).date()
    return nights.overrides_of(book, calendar, hands.signers_file, first=first, last=last)


def _links(
    case: Case,
    calendar: TenantCalendar,
    almanac: Almanac,
    overrides: tuple[NightOverride, ...],
) -> Iterator[Link]:
    """Yield what each rule says, in the order in which a start asks them."""
    yield _managed(case.host)
    yield _rollout(case)
    if (place := _place(case)) is not None:
        yield place
    yield _approval(case)
    yield from _switches(case)
    yield _window(case)
    yield _calendar(case, calendar, almanac, overrides)
    yield from _within(case)
    yield from others(case)
    yield _ready(case)


def _managed(host: Host) -> Link:
    if host.profile:
        return Link(rule=Rule.MANAGED, says=f"profile {host.profile}", origin="fleet")
    says = "no profile fits it: it is unmanaged and never changed"
    what = f"give {host.name} a profile, or labels that one fits"
    change = Change(kind=ChangeKind.ASSIGN, of=Rule.MANAGED, what=what, about=host.name)
    return Link(rule=Rule.MANAGED, says=says, origin="fleet", blocks=True, change=change)


def _rollout(case: Case) -> Link:
    row = case.row
    if row is None:
        says = "none is open: its run opens one when the window does, and makes the plan then"
        return Link(rule=Rule.ROLLOUT, says=says, origin=case.origin)
    if row.state == FINISHED:
        says = f"the one of this opening has ended: {row.reason}"
        return lost(case, Rule.ROLLOUT, says)
    if row.window_end <= case.now:
        change = Change(
            kind=ChangeKind.OTHER,
            of=Rule.ROLLOUT,
            what=f"a run closes the rollout {row.id}: `wavemend rollout go-on {row.id}`",
            about=row.id,
        )
        return lost(case, Rule.ROLLOUT, "its window is over, and it is not closed", change)
    if case.view.halted:
        return lost(case, Rule.HALTED, f"it stopped itself: {case.view.halted}")
    if "closed" in case.view.steps:
        return lost(case, Rule.ROLLOUT, "it is closed: it starts no further host")
    return Link(rule=Rule.ROLLOUT, says=f"{row.id} is open", origin=case.origin)


def _place(case: Case) -> Link | None:
    """Return what the frozen plan, and the fleet since, say of the host."""
    if case.excluded == JOINED_LATER:
        return lost(case, Rule.PLAN, f"left out: {case.excluded}")
    if case.excluded is not None:
        change = Change(
            kind=ChangeKind.LIFT,
            of=Rule.PLAN,
            what=f"what left it out no longer holds when the next plan is made ({case.excluded})",
            about=case.host.name,
        )
        return lost(case, Rule.PLAN, f"left out: {case.excluded}", change)
    if not case.is_planned:
        return None
    attempt = case.view.attempts.get(case.host.name)
    if attempt is not None:
        became = attempt.outcome or "it is being changed"
        return lost(case, Rule.PLAN, f"it has had its turn in this rollout: {became}")
    if reason := fleet_drift(case.plan, case.host.name, case.fleet):
        return lost(case, Rule.FLEET, reason)
    wave = case.plan.wave_of(case.host.name)
    says = f"wave {wave.name}, {wave.number} of {len(case.plan.waves)}"
    return Link(rule=Rule.PLAN, says=says, origin=case.origin)


def _approval(case: Case) -> Link:
    if not case.is_planned:
        if not case.host.critical:
            return Link(rule=Rule.APPROVAL, says="not needed", origin="fleet")
        return _unsigned(case, "it is critical: each plan with it needs a signature")
    if reason := approval_refusal(case.hands, _order(case)):
        if case.view.standing is Standing.REJECTED:
            return lost(case, Rule.APPROVAL, "an approver has rejected this plan")
        return _unsigned(case, reason)
    needed = case.plan.needs_signature(case.host.name)
    says = "the plan is signed" if needed else "not needed"
    return Link(rule=Rule.APPROVAL, says=says, origin=case.origin)


def _unsigned(case: Case, says: str) -> Link:
    who = ", ".join(case.tenant.approvers) or "nobody: the fleet names no approver"
    rollout = case.row.id if case.row else "ROLLOUT"
    what = f"an approver ({who}) signs the plan: `wavemend approve {rollout}`"
    change = Change(kind=ChangeKind.SIGN, of=Rule.APPROVAL, what=what, about=rollout)
    return Link(
        rule=Rule.APPROVAL,
        says=says,
        origin=case.origin,
        blocks=True,
        change=change,
        this_opening=True,
    )


def _order(case: Case) -> Order:
    """Return the host's part of its rollout as the executor gets it; no lease is taken."""
    row = case.row
    lease = Lease(row.id, row.lease_owner, row.fence) if row else Lease("", "", 0)
    return Order(
        lease=lease,
        plan=case.plan,
        host=case.host,
        profile=case.fleet.profile(case.host.profile),
        tenant=case.tenant,
        limits=case.limits,
    )


def _switches(case: Case) -> Iterator[Link]:
    """Yield the kill switches that hold, those of the ledger and the file of this machine."""
    told = False
    if reason := case.hands.local_stop():
        told = True
        file = str(case.hands.stop_file)
        change = Change(
            kind=ChangeKind.RELEASE, of=Rule.STOP, what=f"remove the file {file}", about=file
        )
        yield Link(rule=Rule.STOP, says=reason, origin=file, blocks=True, change=change)
    for row in rollouts.engaged_switches(case.book):
        if row.tenant not in {"", case.host.tenant}:
            continue
        told = True
        who = row.tenant or "everybody"
        argument = f" --tenant {row.tenant}" if row.tenant else ""
        change = Change(
            kind=ChangeKind.RELEASE,
            of=Rule.STOP,
            what=f"release the stop: `wavemend go{argument}`",
            about=row.tenant,
        )
        says = f"stopped for {who}: {row.reason} (by {row.actor})"
        yield Link(rule=Rule.STOP, says=says, origin="kill switch", blocks=True, change=change)
    if not told:
        yield Link(rule=Rule.STOP, says="nothing is stopped", origin="kill switch")


def _window(case: Case) -> Link:
    opening, name = case.opening, case.host.window
    if opening is not None and opening.may_start(case.now):
        says = f"open: last start {opening.last_start:%Y-%m-%d %H:%M} UTC"
        return Link(rule=Rule.WINDOW, says=says, origin=f"window {name}")
    if opening is None or case.now < opening.start:
        return Link(rule=Rule.WINDOW, says="closed", origin=f"window {name}", blocks=True)
    says = f"too late: the last start was {opening.last_start:%Y-%m-%d %H:%M} UTC"
    return replace(lost(case, Rule.WINDOW, says), origin=f"window {name}")


def _calendar(
    case: Case,
    calendar: TenantCalendar,
    almanac: Almanac,
    overrides: tuple[NightOverride, ...],
) -> Link:
    origin = f"calendars and rosters of {calendar.tenant}"
    opening = case.opening
    if opening is None or not opening.start <= case.now < opening.end:
        return Link(rule=Rule.CALENDAR, says="asked when the window opens", origin=origin)
    found = bars(calendar, almanac, window_end=opening.end, now=case.now, overrides=overrides)
    says = in_words(found) or "no freeze, and somebody is there the morning after"
    return Link(rule=Rule.CALENDAR, says=says, origin=origin, blocks=bool(found))


def _within(case: Case) -> Iterator[Link]:
    """Yield what the rollout's own waves say, and whatever else works on the host."""
    wave = case.plan.wave_of(case.host.name)
    if errors_in(wave, case.view) > wave.max_errors:
        yield lost(case, Rule.ERRORS, f"{wave.name}: {judge_errors(wave, case.view)}")
    if reason := earlier_gate_open(case.plan, wave, case.view.gates.get):
        yield _gate(case, wave, reason)
    elif case.is_planned and (reason := untried(case.hands, case.plan, case.host.name)):
        yield lost(case, Rule.GATES, reason)
    if reason := in_use(case.book, case.host.name):
        yield other(case, Rule.IN_USE, reason, f"it ends: {reason}", case.origin)
    if case.is_planned and (reason := too_long(case.plan, case.host.name, case.now)):
        yield lost(case, Rule.TIME_LEFT, reason)
    answer = wave_budget(wave, case.view)
    if isinstance(answer, Refused):
        yield lost(case, Rule.WAVE, answer.reason)
    elif isinstance(answer, Wait):
        what = f"one of its wave ends well ({answer.reason})"
        link = other(case, Rule.WAVE, answer.reason, what, case.origin)
        yield replace(link, this_opening=True)


def _gate(case: Case, wave: PlannedWave, reason: str) -> Link:
    earlier = [item for item in case.plan.waves if item.number < wave.number]
    if any(case.view.gates.get(item.number) is False for item in earlier):
        return lost(case, Rule.GATES, reason)
    open_ = [item for item in earlier if case.view.gates.get(item.number) is not True]
    names = ", ".join(item.name for item in open_)
    seconds = max(max(item.gap_seconds, item.soak_seconds) for item in earlier)
    then = max(timedelta(seconds=seconds), case.limits.gap or timedelta(0))
    change = Change(
        kind=ChangeKind.OTHER,
        of=Rule.GATES,
        what=f"{names} end well and pass their gates",
        about=names,
        then=then,
    )
    return Link(
        rule=Rule.GATES,
        says=reason,
        origin=case.origin,
        blocks=True,
        change=change,
        this_opening=True,
    )


def _ready(case: Case) -> Link:
    """Return what the last look says: it is repeated right before a start."""
    planned = case.is_planned and case.host.name not in case.view.attempts
    rollout = case.row.id if planned and case.row else ""
    found = newest_look(case.book, case.host.name, rollout_id=rollout)
    if found is None:
        return Link(rule=Rule.READY, says="it is looked at before it starts", origin="host")
    seen = found[1]
    origin = f"last look, {seen.at:%Y-%m-%d %H:%M} UTC"
    obstacle = compare(_order(case), seen) if planned else _unready(seen)
    if not isinstance(obstacle, Obstacle):
        return Link(rule=Rule.READY, says="nothing was found that keeps it back", origin=origin)
    if obstacle.outcome is Outcome.NOT_ATTEMPTED:  # it is not what was planned for
        return replace(lost(case, Rule.READY, obstacle.reason), origin=origin)
    what = f"mend it: {obstacle.reason}"
    change = Change(kind=ChangeKind.MEND, of=Rule.READY, what=what, about=case.host.name)
    return Link(rule=Rule.READY, says=obstacle.reason, origin=origin, blocks=True, change=change)


def _unready(seen: Look) -> Obstacle | None:
    """Judge a look at a host that no plan has yet; a busy package manager is waited for."""
    problems = [item for item in judge_look(seen).blocking if item.check is not Check.LOCK]
    reason = "; ".join(map(str, problems))
    return Obstacle(outcome=outcome_of(seen), reason=reason) if problems else None
