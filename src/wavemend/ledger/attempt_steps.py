"""Parts of one attempt that are done: each is written once, and a later process finds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, select

from wavemend.ledger import audit
from wavemend.ledger.care_tables import AttemptStepRow
from wavemend.ledger.rollouts import Lease, check_lease


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """One part of an attempt that has ended, and how."""

    step: str
    ok: bool
    detail: str


def steps_of(session: Session, attempt_id: str) -> Mapping[str, StepDone]:
    """Return what is done of an attempt, by the step's name."""
    rows = session.exec(select(AttemptStepRow).where(AttemptStepRow.attempt_id == attempt_id))
    return {row.step: StepDone(step=row.step, ok=row.ok, detail=row.detail) for row in rows}


def record_step(
    session: Session, lease: Lease, attempt_id: str, done: StepDone, now: datetime
) -> None:
    """Write down that a part of an attempt is done."""
    check_lease(session, lease)
    session.add(
        AttemptStepRow(
            attempt_id=attempt_id, step=done.step, at=now, ok=done.ok, detail=done.detail
        )
    )
    audit.append(
        session,
        now,
        lease.owner,
        "attempt.step",
        lease.rollout_id,
        id=attempt_id,
        step=done.step,
        ok=done.ok,
        detail=done.detail,
    )
