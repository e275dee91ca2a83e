"""Rollbacks: one host taken back to before one attempt, from intent to one outcome.

The intent is decided and written in one transaction, as an attempt's is: never two for the same
attempt, none beside another change of the host, none over a later one.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from wavemend.documents import canonical, from_document, to_data, to_document
from wavemend.errors import LedgerConflict
from wavemend.evidence import Evidence
from wavemend.fleet import RolloutKind
from wavemend.fleet_limits import NO_LIMITS, HostLimits
from wavemend.ledger import audit, restore_points
from wavemend.ledger.answers import Answer, Granted, Refused
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.journals import next_fence
from wavemend.ledger.limits import rollback_verdict
from wavemend.ledger.rollouts import Lease, check_lease, stopped
from wavemend.ledger.scans import newest_look
from wavemend.ledger.tables import AttemptRow, AuditEventRow, RolloutRow
from wavemend.outcomes import MAY_STILL_RUN, Outcome, PackageResult
from wavemend.rollbacks import AT_NEXT_BOOT, BY_HAND
from wavemend.rollout import AttemptState

_NOTHING_DONE = frozenset({Outcome.NOT_ATTEMPTED, Outcome.BLOCKED})
_RESTARTED = "rollback.restart"
_BY_BOOT = frozenset({"btrfs", "lvm", "snapper", "zfs"})
"""Kinds of restore points that put a disk back with the host's next boot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackIntent:
    """What is about to be done, and who wants it."""

    rollback_id: str
    nonce: str
    attempt_id: str
    kind: str
    requested_by: str
    reason: str
    automatic: bool
    outside_window: bool = False


def intend(
    session: Session,
    lease: Lease,
    intent: RollbackIntent,
    *,
    now: datetime,
    local_stop: str,
    limits: HostLimits = NO_LIMITS,
) -> Answer:
    """Write the intent to take one attempt back, or return why it is not written.

    The caller has checked window and approval in the same breath. `limits`: what the fleet in
    force says of the host; a rollback takes it out of service as a change does.
    """
    rollout = check_lease(session, lease)
    attempt = _attempt(session, intent.attempt_id)
    if reason := local_stop or stopped(session, rollout.tenant):
        return Refused(f"stopped: {reason}")
    reason = _not_this_one(session, attempt, automatic=intent.automatic)
    if reason := reason or _other_change(session, attempt):
        return Refused(reason)
    if answer := rollback_verdict(session, attempt.host, limits, now):
        return answer
    if reason := restore_points.hold_for_rollback(
        session, lease.rollout_id, attempt.host, actor=intent.requested_by, now=now
    ):
        return Refused(reason)
    row = _row_of(intent, attempt, lease, next_fence(session), now)
    session.add(row)
    audit.append(
        session,
        now,
        intent.requested_by,
        "rollback.intent",
        lease.rollout_id,
        host=attempt.host,
        id=row.id,
        attempt=attempt.id,
        form=intent.kind,
        reason=intent.reason,
        automatic=intent.automatic,
        outside_window=intent.outside_window,
    )
    return Granted(row.id, row.nonce, row.fence)


def _row_of(
    intent: RollbackIntent, attempt: AttemptRow, lease: Lease, fence: int, now: datetime
) -> RollbackRow:
    return RollbackRow(
        id=intent.rollback_id,
        rollout_id=lease.rollout_id,
        attempt_id=attempt.id,
        host=attempt.host,
        kind=intent.kind,
        requested_by=intent.requested_by,
        reason=intent.reason,
        automatic=intent.automatic,
        fence=fence,
        nonce=intent.nonce,
        state=AttemptState.INTENT,
        intent_at=now,
        packages=b"[]",
        evidence=b"",
    )


def _not_this_one(session: Session, attempt: AttemptRow, *, automatic: bool) -> str:
    if not attempt.touched:
        return "the host was not touched: there is nothing to take back"
    if not automatic and attempt.state != AttemptState.ENDED:
        return "its attempt has not ended: the rollout collects it first"
    if attempt.outcome == Outcome.ROLLED_BACK:
        return "it was taken back by its own attempt already"
    last = newest_of(session, attempt.id)
    if last is not None and last.outcome == Outcome.ROLLED_BACK:
        return f"it was taken back already, by rollback {last.id}"
    if last is not None and last.state != AttemptState.ENDED:
        return f"rollback {last.id} of it has not ended"
    return ""


def _other_change(session: Session, attempt: AttemptRow) -> str:
    """Say which other change of the host is in the way; empty when none is."""
    if reason := in_the_way(session, attempt.host):
        return reason
    for other in _touching(session, attempt.host):
        if other.id == attempt.id:
            continue
        if other.state != AttemptState.ENDED:
            return f"rollout {other.rollout_id} is changing the host"
        later = other.intent_at and attempt.intent_at and other.intent_at > attempt.intent_at
        if later and changed(session, other) and not _taken_back(session, other):
            return (
                f"rollout {other.rollout_id} has changed the host since: take that one back first"
            )
    return ""


def _taken_back(session: Session, attempt: AttemptRow) -> bool:
    last = newest_of(session, attempt.id)
    return attempt.outcome == Outcome.ROLLED_BACK or (
        last is not None and last.outcome == Outcome.ROLLED_BACK
    )


def unfinished_on(session: Session, host: str) -> str:
    """Say which rollback of a host has not ended: nothing else may change the host meanwhile."""
    query = select(RollbackRow.id).where(
        RollbackRow.host == host, RollbackRow.state != AttemptState.ENDED
    )
    found = session.exec(query).first()
    return f"rollback {found} of the host has not ended" if found else ""


def in_the_way(session: Session, host: str) -> str:
    """Say which rollback keeps every other change from a host, a rollback too; empty: none."""
    return unfinished_on(session, host) or waits_for_boot(session, host)


def waits_for_boot(session: Session, host: str) -> str:
    """Say which rollback puts a host's disk back with its next boot; empty when none does.

    What is written until then goes with it, a change too. A person restarts such a host: nobody
    knows by now whether what it has written since may be lost.
    """
    newest = select(RollbackRow).where(
        RollbackRow.host == host, RollbackRow.outcome != Outcome.BLOCKED
    )
    last = session.exec(newest.order_by(col(RollbackRow.intent_at).desc())).first()
    if last is None or AT_NEXT_BOOT not in last.detail or last.kind not in _BY_BOOT:
        return ""
    seen = newest_look(session, host)
    if last.evidence and seen is not None and seen[1].facts is not None:
        then = from_document(Evidence, last.evidence).boot_id_after
        if then and then != seen[1].facts.boot_id:
            return ""
    return f"rollback {last.id} puts its disk back with its next restart: {BY_HAND}"


def refuse(
    session: Session, lease: Lease, host: str, *, requested_by: str, reason: str, now: datetime
) -> None:
    """Note that a rollback was asked for and not begun."""
    check_lease(session, lease)
    audit.append(
        session, now, requested_by, "rollback.refused", lease.rollout_id, host=host, reason=reason
    )


def mark_running(
    session: Session, lease: Lease, rollback_id: str, begun_at: datetime, now: datetime
) -> None:
    """Note that the way back has begun, or is about to.

    Whoever does not hold the lease any more may not even ask: a newer owner may have begun it.
    """
    check_lease(session, lease)
    row = _rollback(session, rollback_id)
    if row.state == AttemptState.INTENT:
        row.state, row.begun_at = AttemptState.RUNNING, begun_at
        audit.append(session, now, lease.owner, "rollback.running", row.rollout_id, host=row.host)


def has_begun(session: Session, rollback_id: str) -> bool:
    """True when the host was seen to have begun: whatever it says later, it is not begun again."""
    return _rollback(session, rollback_id).begun_at is not None


def restarts_of(session: Session, rollback_id: str) -> int:
    """Return how many times a host was told to restart by a rollback."""
    row = _rollback(session, rollback_id)
    told = select(func.count()).where(
        AuditEventRow.subject == row.rollout_id,
        AuditEventRow.kind == _RESTARTED,
        col(AuditEventRow.body).contains(f'"{row.id}"', autoescape=True),
    )
    return session.exec(told).one()


def count_restart(session: Session, lease: Lease, rollback_id: str, now: datetime) -> int:
    """Write the intent to restart the host before it is told; return how many that makes."""
    check_lease(session, lease)
    row = _rollback(session, rollback_id)
    number = restarts_of(session, rollback_id) + 1
    audit.append(
        session, now, lease.owner, _RESTARTED, row.rollout_id, host=row.host, id=row.id, n=number
    )
    return number


def take_over(session: Session, lease: Lease, rollback_id: str) -> Granted:
    """Let a newer owner go on with a rollback that an older one began; above that one's fence."""
    check_lease(session, lease)
    row = _rollback(session, rollback_id)
    row.fence = next_fence(session)
    return Granted(row.id, row.nonce, row.fence)


def end(
    session: Session,
    lease: Lease,
    rollback_id: str,
    *,
    outcome: Outcome,
    detail: str,
    packages: tuple[PackageResult, ...],
    evidence: Evidence | None,
    now: datetime,
) -> None:
    """Write a rollback's one outcome. Raises LedgerConflict when there is one already."""
    check_lease(session, lease)
    row = _rollback(session, rollback_id)
    if row.state == AttemptState.ENDED:
        raise LedgerConflict(f"the rollback {rollback_id} of {row.host} has ended already")
    row.state, row.ended_at = AttemptState.ENDED, now
    row.outcome, row.detail = outcome, detail
    row.packages = canonical([to_data(package) for package in packages])
    row.evidence = to_document(evidence) if evidence else b""
    audit.append(
        session,
        now,
        lease.owner,
        "rollback.ended",
        row.rollout_id,
        host=row.host,
        id=row.id,
        outcome=str(outcome),
        reason=detail,
    )


def newest_of(session: Session, attempt_id: str) -> RollbackRow | None:
    """Return the last rollback of an attempt; earlier ones did not succeed."""
    query = select(RollbackRow).where(RollbackRow.attempt_id == attempt_id)
    return session.exec(query.order_by(col(RollbackRow.intent_at).desc())).first()


def unseen_ends(session: Session, host: str) -> tuple[tuple[str, str], ...]:
    """Return name and nonce of a host's ways back that were not seen to end, newest first."""
    query = select(RollbackRow.id, RollbackRow.nonce).where(
        RollbackRow.host == host, col(RollbackRow.outcome).in_(MAY_STILL_RUN)
    )
    found = session.exec(query.order_by(col(RollbackRow.intent_at).desc()).limit(5)).all()
    return tuple((row_id, nonce) for row_id, nonce in found)


def of_rollout(session: Session, rollout_id: str) -> tuple[RollbackRow, ...]:
    """Return all rollbacks of a rollout, by host and time."""
    query = select(RollbackRow).where(RollbackRow.rollout_id == rollout_id)
    return tuple(session.exec(query.order_by(col(RollbackRow.host), col(RollbackRow.intent_at))))


def begun_of(session: Session, rollout_id: str) -> frozenset[str]:
    """Return the hosts of a rollout for which a rollback was begun, whatever came of it."""
    query = select(RollbackRow.host).where(RollbackRow.rollout_id == rollout_id)
    return frozenset(session.exec(query))


def packages_of(row: RollbackRow) -> tuple[PackageResult, ...]:
    """Return what became of each package."""
    return from_document(tuple[PackageResult, ...], row.packages)


def last_touched(session: Session, host: str) -> AttemptRow | None:
    """Return the last attempt that may have changed a host's packages, of whatever rollout."""
    return next((row for row in _touching(session, host) if changed(session, row)), None)


def changed(session: Session, attempt: AttemptRow) -> bool:
    """True when an attempt may have changed packages: what it left can be taken back.

    A restart changes none, and an intent alone none either: a hook may have forbidden the change.
    """
    if not attempt.touched:
        return False
    never_begun = attempt.begun_at is None and (
        attempt.outcome in _NOTHING_DONE
        or (attempt.outcome == Outcome.UNREACHABLE and not attempt.evidence)
    )
    return not never_begun and (
        session.get_one(RolloutRow, attempt.rollout_id).kind != RolloutKind.RESTART
    )


def _touching(session: Session, host: str) -> tuple[AttemptRow, ...]:
    query = select(AttemptRow).where(AttemptRow.host == host, col(AttemptRow.touched).is_(True))
    return tuple(session.exec(query.order_by(col(AttemptRow.intent_at).desc())))


def _attempt(session: Session, attempt_id: str) -> AttemptRow:
    row = session.get(AttemptRow, attempt_id)
    if row is None:
        raise LedgerConflict(f"there is no attempt {attempt_id}")
    return row


def _rollback(session: Session, rollback_id: str) -> RollbackRow:
    row = session.get(RollbackRow, rollback_id)
    if row is None:
        raise LedgerConflict(f"there is no rollback {rollback_id}")
    return row
