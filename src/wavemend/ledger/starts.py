"""The right to start: one host in one plan, decided and written in one transaction.

So that budget, errors, gaps, order, lease, window and kill switch are those of the moment of the
start, over all workers and rollouts together.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlmodel import Session, func, select

from wavemend.errors import LedgerConflict
from wavemend.fleet_limits import NO_LIMITS, HostLimits
from wavemend.ledger import audit
from wavemend.ledger.answers import Answer, Granted, Refused, Wait
from wavemend.ledger.gaps import group_hold
from wavemend.ledger.journals import next_fence
from wavemend.ledger.limits import others_verdict
from wavemend.ledger.rollbacks import in_the_way
from wavemend.ledger.rollouts import HALTED, Lease, check_lease, read_view, stopped
from wavemend.ledger.tables import AttemptRow, StepRow
from wavemend.outcomes import Outcome
from wavemend.plans import Plan, PlannedWave
from wavemend.rollout import (
    AttemptState,
    RolloutView,
    Standing,
    errors_in,
    in_flight,
    judge_errors,
)


def intend(
    session: Session,
    lease: Lease,
    plan: Plan,
    host: str,
    *,
    attempt_id: str,
    nonce: str,
    now: datetime,
    local_stop: str,
    barred: str = "",
    limits: HostLimits = NO_LIMITS,
) -> Answer:
    """Decide whether a host may be changed now and, if so, write the intent.

    The caller has verified the approval of a critical host in the same breath; everything that
    other workers can change is decided here. `local_stop`: the stop file of this machine;
    `barred`: why calendars forbid a start now; `limits`: what the fleet in force says of it.
    """
    if refusal := start_refusal(
        session, lease, plan, now, local_stop, barred=barred, host=host, limits=limits
    ):
        return Refused(refusal)
    view = read_view(session, lease.rollout_id)
    if host in view.attempts:
        raise LedgerConflict(f"{host} has an attempt in this rollout already")
    if refusal := _refusal(session, plan, host, view, now):
        return Refused(refusal)
    wave = plan.wave_of(host)
    if answer := _not_yet(session, plan, host, limits, now) or wave_budget(wave, view):
        return answer
    # Its own, not the lease's: of two rollouts a host may be in, either may come to it last.
    fence = next_fence(session)
    session.add(
        AttemptRow(
            id=attempt_id,
            rollout_id=lease.rollout_id,
            plan_digest=plan.digest,
            host=host,
            wave=wave.number,
            fence=fence,
            nonce=nonce,
            state=AttemptState.INTENT,
            touched=True,
            intent_at=now,
            packages=b"[]",
            evidence=b"",
        )
    )
    audit.append(
        session, now, lease.owner, "attempt.intent", lease.rollout_id, host=host, id=attempt_id
    )
    return Granted(attempt_id, nonce, fence)


def has_place(
    session: Session,
    lease: Lease,
    plan: Plan,
    host: str,
    *,
    now: datetime,
    limits: HostLimits = NO_LIMITS,
) -> bool:
    """True when there is room for this host, or never will be: `intend` decides which.

    Every waiting host asks this again and again: it counts in the database and reads no view.
    """
    row = check_lease(session, lease)
    if now >= plan.last_start or stopped(session, row.tenant) or _halted(session, lease):
        return True
    wave = plan.wave_of(host)
    counts = session.exec(
        select(AttemptRow.outcome, func.count())
        .where(AttemptRow.rollout_id == lease.rollout_id, AttemptRow.wave == wave.number)
        .group_by(AttemptRow.outcome)
    )
    known = dict(counts.all())
    errors = sum(count for outcome, count in known.items() if outcome and Outcome(outcome).is_bad)
    if errors > wave.max_errors or errors >= wave.concurrency:
        return True
    if known.get("", 0) + errors >= wave.concurrency:
        return False
    return not isinstance(_not_yet(session, plan, host, limits, now), Wait)


def start_refusal(
    session: Session,
    lease: Lease,
    plan: Plan,
    now: datetime,
    local_stop: str,
    *,
    barred: str = "",
    host: str = "",
    limits: HostLimits = NO_LIMITS,
) -> str:
    """Say why nothing of this plan may start now, whichever host; empty when it may.

    After the cut-off the reason says what `host` has waited for until then.
    """
    row = check_lease(session, lease)
    if row.plan_digest != plan.digest:
        return "the plan is not the one this rollout has frozen"
    if reason := local_stop or stopped(session, row.tenant):
        return f"stopped: {reason}"
    if reason := _halted(session, lease):
        return f"halted: {reason}"
    if not plan.window_start <= now < plan.last_start:
        waited = _waited_for(session, plan, host, limits, now) if host else ""
        return f"window: {now:%Y-%m-%d %H:%M} UTC is outside {_span(plan)}{waited}"
    return barred


def _waited_for(session: Session, plan: Plan, host: str, limits: HostLimits, now: datetime) -> str:
    """Say what keeps a host back that was not started until the cut-off; empty when nothing."""
    view = read_view(session, plan.rollout)
    if now < plan.last_start or host in view.attempts:
        return ""
    answer = _not_yet(session, plan, host, limits, now) or wave_budget(plan.wave_of(host), view)
    return f" while it waited: {answer.reason}" if answer else ""


def too_long(plan: Plan, host: str, now: datetime) -> str:
    """Say that a host's change may not end inside the window; empty when it does. Pure."""
    seconds = plan.host(host).at_most_seconds
    if now + timedelta(seconds=seconds) <= plan.window_end:
        return ""
    left = max(0, int((plan.window_end - now).total_seconds() // 60))
    return (
        f"window: it may take {-(-seconds // 60)} minutes, and the window ends in {left} minutes, "
        f"at {plan.window_end:%H:%M} UTC"
    )


def _refusal(session: Session, plan: Plan, host: str, view: RolloutView, now: datetime) -> str:
    """Say why this host is not started in this rollout any more; empty when it may be."""
    wave = plan.wave_of(host)
    if view.standing is Standing.REJECTED and plan.needs_signature(host):
        return "rejected by the approver"
    if errors_in(wave, view) > wave.max_errors:
        return f"gate {wave.name}: {judge_errors(wave, view)}"
    return (
        earlier_gate_open(plan, wave, view.gates.get)
        or in_use(session, host)
        or too_long(plan, host, now)
    )


def _not_yet(
    session: Session, plan: Plan, host: str, limits: HostLimits, now: datetime
) -> Wait | Refused | None:
    """Say what other groups and hosts keep this one from starting now; None when nothing does."""
    wave = plan.wave_of(host)
    if hold := group_hold(session, plan, wave, limits.gap, now):
        return Wait(f"{hold.reason}: until {hold.until:%H:%M:%S} UTC")
    return others_verdict(session, plan.tenant, host, limits, now, plan=plan)


def wave_budget(wave: PlannedWave, view: RolloutView) -> Wait | Refused | None:
    """Say why no further host of a wave may be out now; None when one may. Pure."""
    if in_flight(wave, view) < wave.concurrency:
        return None
    # A failed host keeps its place for good: then waiting would never end.
    if errors_in(wave, view) >= wave.concurrency:
        return Refused(f"budget of {wave.name} is used up by hosts that are not well")
    return Wait(f"{wave.concurrency} hosts of {wave.name} are out already")


def _halted(session: Session, lease: Lease) -> str:
    """Say why this rollout has stopped itself; empty when it has not."""
    step = session.get(StepRow, (lease.rollout_id, HALTED))
    return step.detail if step else ""


def in_use(session: Session, host: str) -> str:
    """Say which other rollout, or rollback, changes this host right now; empty when none does.

    One that is only to be restarted yet is among them.

    Patches and restarts of one host are two rollouts: one must not restart it under the other.
    """
    attempt = select(AttemptRow.rollout_id).where(
        AttemptRow.host == host, AttemptRow.state != AttemptState.ENDED
    )
    if other := session.exec(attempt).first():
        return f"the rollout {other} is at work on it"
    return in_the_way(session, host)


def earlier_gate_open(plan: Plan, wave: PlannedWave, gate: Callable[[int], bool | None]) -> str:
    """Say which gate before a wave was not passed; empty when all were. Pure."""
    for earlier in plan.waves:
        if earlier.number < wave.number and gate(earlier.number) is not True:
            return f"the gate of {earlier.name} was not passed"
    return ""


def _span(plan: Plan) -> str:
    return (
        f"{plan.window_start:%Y-%m-%d %H:%M} to {plan.last_start:%Y-%m-%d %H:%M} UTC (last start)"
    )
