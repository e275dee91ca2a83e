"""Attempts: one host in one plan, from intent to exactly one terminal outcome.

The intent itself, which is the right to start, is in `starts.py`.
"""

from datetime import datetime

from sqlmodel import Session, col, select

from wavemend.documents import canonical, from_document, to_data, to_document
from wavemend.errors import LedgerConflict
from wavemend.evidence import Evidence
from wavemend.ledger import audit
from wavemend.ledger.answers import Answer, Granted, Refused, Wait
from wavemend.ledger.journals import next_fence
from wavemend.ledger.losses import halt_if_lost_together, note_found
from wavemend.ledger.rollouts import Lease, check_lease
from wavemend.ledger.rounds import rounds_of
from wavemend.ledger.starts import has_place, intend, start_refusal
from wavemend.ledger.tables import AttemptRow
from wavemend.outcomes import MAY_STILL_RUN, Outcome, PackageResult
from wavemend.plans import Plan
from wavemend.rollout import AttemptState
from wavemend.rounds import job_of

__all__ = [
    "Answer",
    "Granted",
    "Refused",
    "Wait",
    "boot_to_end",
    "count_reboot",
    "end_attempt",
    "evidence_of",
    "find",
    "has_begun",
    "has_place",
    "intend",
    "mark_running",
    "of_rollout",
    "packages_of",
    "reboots_of",
    "settle",
    "start_refusal",
    "take_over",
    "unseen_ends",
]


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


def take_over(session: Session, lease: Lease, attempt_id: str) -> Granted:
    """Let a newer owner go on with an attempt that an older one began; above that one's fence."""
    check_lease(session, lease)
    row = _attempt(session, attempt_id)
    row.fence = next_fence(session)
    return Granted(row.id, row.nonce, row.fence)


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
    """Return name and nonce of a host's jobs that were not seen to end, newest first.

    Of an attempt of several rounds it is the last one's.
    """
    query = select(AttemptRow.id, AttemptRow.nonce).where(
        AttemptRow.host == host,
        col(AttemptRow.outcome).in_(MAY_STILL_RUN),
        col(AttemptRow.touched).is_(True),
    )
    found = session.exec(query.order_by(col(AttemptRow.intent_at).desc()).limit(5)).all()
    return tuple((job_of(row_id, rounds_of(session, row_id)), nonce) for row_id, nonce in found)


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
