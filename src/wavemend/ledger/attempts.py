"""Attempts: one host in one plan, from intent to exactly one terminal outcome.

The intent is decided and written in one transaction, so that budget, errors, lease, window and
kill switch are those of the moment of the start, over all workers together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlmodel import Session, col, func, select

from wavemend.documents import canonical, from_document, to_data, to_document
from wavemend.errors import LedgerConflict
from wavemend.evidence import Evidence
from wavemend.ledger import audit
from wavemend.ledger.losses import halt_if_lost_together, note_found
from wavemend.ledger.rollbacks import unfinished_on
from wavemend.ledger.rollouts import HALTED, Lease, check_lease, read_view, stopped
from wavemend.ledger.tables import AttemptRow, StepRow
from wavemend.outcomes import Outcome, PackageResult
from wavemend.plans import Plan, PlannedWave
from wavemend.rollout import AttemptState, Standing, errors_in, in_flight, judge_errors


@dataclass(frozen=True, slots=True)
class Granted:
    """The intent is written: the host may be started, once, under this fence."""

    attempt_id: str
    nonce: str
    fence: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: the wave's disruption budget is used up by others."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not in this rollout: the reason becomes the outcome's."""

    reason: str


Answer: TypeAlias = Granted | Wait | Refused


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
) -> Answer:
    """Decide whether a host may be changed now and, if so, write the intent.

    The caller has verified the approval of a critical host in the same breath; everything that
    other workers can change is decided here. `local_stop`: the stop file of this machine.
    """
    if refusal := start_refusal(session, lease, plan, now, local_stop):
        return Refused(refusal)
    wave = plan.wave_of(host)
    view = read_view(session, lease.rollout_id)
    if host in view.attempts:
        raise LedgerConflict(f"{host} has an attempt in this rollout already")
    if view.standing is Standing.REJECTED and plan.host(host).critical:
        return Refused("rejected by the approver")
    if errors_in(wave, view) > wave.max_errors:
        return Refused(f"gate {wave.name}: {judge_errors(wave, view)}")
    if reason := _earlier_gate_open(plan, wave, view.gates.get) or _in_use(session, host):
        return Refused(reason)
    if in_flight(wave, view) >= wave.concurrency:
        # A failed host keeps its place for good: then waiting would never end.
        if errors_in(wave, view) >= wave.concurrency:
            return Refused(f"budget of {wave.name} is used up by hosts that are not well")
        return Wait(f"{wave.concurrency} hosts of {wave.name} are out already")
    session.add(
        AttemptRow(
            id=attempt_id,
            rollout_id=lease.rollout_id,
            plan_digest=plan.digest,
            host=host,
            wave=wave.number,
            fence=lease.fence,
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
    return Granted(attempt_id, nonce, lease.fence)


def has_place(session: Session, lease: Lease, plan: Plan, host: str) -> bool:
    """True when the wave's budget has room for this host, or never will have (see `intend`).

    Every waiting host asks this again and again: it counts in the database and reads no rows.
    """
    row = check_lease(session, lease)
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
    if known.get("", 0) + errors < wave.concurrency:
        return True
    return bool(stopped(session, row.tenant)) or _halted(session, lease) != ""


def start_refusal(
    session: Session, lease: Lease, plan: Plan, now: datetime, local_stop: str
) -> str:
    """Say why nothing of this plan may start now, whichever host; empty when it may."""
    row = check_lease(session, lease)
    if row.plan_digest != plan.digest:
        return "the plan is not the one this rollout has frozen"
    if reason := local_stop or stopped(session, row.tenant):
        return f"stopped: {reason}"
    if reason := _halted(session, lease):
        return f"halted: {reason}"
    if not plan.window_start <= now < plan.last_start:
        return f"window: {now:%Y-%m-%d %H:%M} UTC is outside {_span(plan)}"
    return ""


def _halted(session: Session, lease: Lease) -> str:
    """Say why this rollout has stopped itself; empty when it has not."""
    step = session.get(StepRow, (lease.rollout_id, HALTED))
    return step.detail if step else ""


def _in_use(session: Session, host: str) -> str:
    """Say which other rollout, or rollback, changes this host right now; empty when none does.

    Patches and restarts of one host are two rollouts: one must not restart it under the other.
    """
    attempt = select(AttemptRow.rollout_id).where(
        AttemptRow.host == host, AttemptRow.state != AttemptState.ENDED
    )
    if other := session.exec(attempt).first():
        return f"the rollout {other} is at work on it"
    return unfinished_on(session, host)


def _earlier_gate_open(plan: Plan, wave: PlannedWave, gate: Callable[[int], bool | None]) -> str:
    for earlier in plan.waves:
        if earlier.number < wave.number and gate(earlier.number) is not True:
            return f"the gate of {earlier.name} was not passed"
    return ""


def mark_running(
    session: Session, lease: Lease, attempt_id: str, begun_at: datetime | None, now: datetime
) -> None:
    """Note that the host answers and, with a `begun_at`, that it has begun: the job is there."""
    check_lease(session, lease)
    row = _attempt(session, attempt_id)
    note_found(session, lease, row, now)
    if row.state == AttemptState.INTENT and begun_at is not None:
        row.state, row.begun_at = AttemptState.RUNNING, begun_at
        audit.append(session, now, lease.owner, "attempt.running", row.rollout_id, host=row.host)


def take_over(session: Session, lease: Lease, attempt_id: str) -> None:
    """Let a newer owner go on with an attempt that an older one began."""
    check_lease(session, lease)
    _attempt(session, attempt_id).fence = lease.fence


def count_reboot(session: Session, lease: Lease, attempt_id: str, now: datetime) -> int:
    """Write the intent to reboot before the host is told, and return how many that makes."""
    check_lease(session, lease)
    row = _attempt(session, attempt_id)
    row.reboots += 1
    audit.append(
        session, now, lease.owner, "attempt.reboot", row.rollout_id, host=row.host, n=row.reboots
    )
    return row.reboots


def unseen_ends(session: Session, host: str) -> tuple[tuple[str, str], ...]:
    """Return id and nonce of a host's attempts whose job was not seen to end, newest first."""
    query = select(AttemptRow.id, AttemptRow.nonce).where(
        AttemptRow.host == host,
        AttemptRow.outcome == Outcome.NEEDS_HUMAN,
        col(AttemptRow.touched).is_(True),
    )
    return tuple(session.exec(query.order_by(col(AttemptRow.intent_at).desc()).limit(5)))


def has_begun(session: Session, attempt_id: str) -> bool:
    """Say whether the host was seen to have begun: such a job is never begun again."""
    return _attempt(session, attempt_id).begun_at is not None


def reboots_of(session: Session, attempt_id: str) -> int:
    """Return how often the host was told to restart in this attempt."""
    return _attempt(session, attempt_id).reboots


def end_attempt(
    session: Session,
    lease: Lease,
    attempt_id: str,
    *,
    outcome: Outcome,
    reason: str,
    packages: tuple[PackageResult, ...],
    evidence: Evidence | None,
    now: datetime,
) -> None:
    """Write the one terminal outcome. Raises LedgerConflict when there is one already."""
    check_lease(session, lease)
    row = _attempt(session, attempt_id)
    if row.state == AttemptState.ENDED:
        raise LedgerConflict(f"the attempt {attempt_id} of {row.host} has ended already")
    row.state, row.ended_at = AttemptState.ENDED, now
    row.outcome, row.reason = outcome, reason
    row.packages = canonical([to_data(package) for package in packages])
    row.evidence = to_document(evidence) if evidence else b""
    _note_end(session, lease, row, now)


def settle(
    session: Session,
    lease: Lease,
    plan: Plan,
    host: str,
    *,
    attempt_id: str,
    outcome: Outcome,
    reason: str,
    packages: tuple[PackageResult, ...] = (),
    now: datetime,
) -> None:
    """Give a host its outcome without touching it. Changes nothing if it has an attempt."""
    check_lease(session, lease)
    if find(session, plan.digest, host) is not None:
        return
    row = AttemptRow(
        id=attempt_id,
        rollout_id=lease.rollout_id,
        plan_digest=plan.digest,
        host=host,
        wave=plan.wave_of(host).number,
        fence=lease.fence,
        state=AttemptState.ENDED,
        ended_at=now,
        outcome=outcome,
        reason=reason,
        packages=canonical([to_data(package) for package in packages]),
        evidence=b"",
    )
    session.add(row)
    _note_end(session, lease, row, now)


def find(session: Session, plan_digest: str, host: str) -> AttemptRow | None:
    """Return the attempt of a host in a plan, if there is one."""
    query = select(AttemptRow).where(AttemptRow.plan_digest == plan_digest, AttemptRow.host == host)
    return session.exec(query).first()


def of_rollout(session: Session, rollout_id: str) -> tuple[AttemptRow, ...]:
    """Return all attempts of a rollout, by wave and host."""
    query = select(AttemptRow).where(AttemptRow.rollout_id == rollout_id)
    return tuple(session.exec(query.order_by(col(AttemptRow.wave), col(AttemptRow.host))))


def boot_to_end(session: Session, host: str) -> str:
    """Return the boot that a pending restart of a host was to end; empty when none is pending.

    The last change that succeeded decides: those that came to nothing left what it left.
    """
    query = select(AttemptRow).where(
        AttemptRow.host == host,
        col(AttemptRow.touched).is_(True),
        col(AttemptRow.outcome).in_([Outcome.PATCHED, Outcome.PATCHED_REBOOT_PENDING]),
    )
    row = session.exec(query.order_by(col(AttemptRow.ended_at).desc())).first()
    if row is None or row.outcome != Outcome.PATCHED_REBOOT_PENDING:
        return ""
    evidence = evidence_of(row)
    return evidence.boot_id_after if evidence else ""


def packages_of(row: AttemptRow) -> tuple[PackageResult, ...]:
    """Return what became of each package."""
    return from_document(tuple[PackageResult, ...], row.packages)


def evidence_of(row: AttemptRow) -> Evidence | None:
    """Return the evidence of an attempt that touched its host."""
    return from_document(Evidence, row.evidence) if row.evidence else None


def _attempt(session: Session, attempt_id: str) -> AttemptRow:
    row = session.get(AttemptRow, attempt_id)
    if row is None:
        raise LedgerConflict(f"there is no attempt {attempt_id}")
    return row


def _note_end(session: Session, lease: Lease, row: AttemptRow, now: datetime) -> None:
    if row.outcome == Outcome.UNREACHABLE:
        halt_if_lost_together(session, lease, now)
    audit.append(
        session,
        now,
        lease.owner,
        "attempt.ended",
        row.rollout_id,
        host=row.host,
        outcome=str(row.outcome),
        reason=row.reason,
    )


def _span(plan: Plan) -> str:
    return (
        f"{plan.window_start:%Y-%m-%d %H:%M} to {plan.last_start:%Y-%m-%d %H:%M} UTC (last start)"
    )
