"""Hosts that stop answering while they are changed, and what several of them at once mean."""

from datetime import datetime

from sqlmodel import Session

from wavemend.common_cause import common_cause
from wavemend.ledger import audit
from wavemend.ledger.rollouts import HALTED, Lease, check_lease, read_view
from wavemend.ledger.tables import AttemptRow, StepRow


def note_lost(session: Session, lease: Lease, attempt_id: str, reason: str, now: datetime) -> None:
    """Write down that a host in flight does not answer any more, once; halt if it is not alone."""
    check_lease(session, lease)
    row = session.get_one(AttemptRow, attempt_id)
    if row.lost_since is None:
        row.lost_since = now
        audit.append(
            session, now, lease.owner, "attempt.lost", row.rollout_id, host=row.host, reason=reason
        )
        halt_if_lost_together(session, lease, now)


def note_found(session: Session, lease: Lease, row: AttemptRow, now: datetime) -> None:
    """Write down that a lost host answers again."""
    if row.lost_since is not None:
        row.lost_since = None
        audit.append(session, now, lease.owner, "attempt.found", row.rollout_id, host=row.host)


def halt_if_lost_together(session: Session, lease: Lease, now: datetime) -> None:
    """Let nothing further start in a rollout whose hosts vanish together; say so once.

    For good: whether it was the bastion or the update is for a person to say. The hosts in flight
    keep their places and are collected.
    """
    session.flush()
    reason = common_cause(read_view(session, lease.rollout_id).attempts)
    if reason and session.get(StepRow, (lease.rollout_id, HALTED)) is None:
        session.add(StepRow(rollout_id=lease.rollout_id, step=HALTED, at=now, detail=reason))
        audit.append(session, now, lease.owner, "rollout.halted", lease.rollout_id, reason=reason)
