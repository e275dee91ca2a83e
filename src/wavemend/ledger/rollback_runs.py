"""Runs that take hosts back: the whole of what was asked for, written before the first host.

A run that dies is taken up with all of it, not only with the hosts it had begun.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from wavemend.documents import from_document, to_document
from wavemend.ledger import audit
from wavemend.ledger.rollouts import Lease, check_lease
from wavemend.ledger.tables import StepRow
from wavemend.rollbacks import RollbackCase

_STEP = "rollback run "
"""What the step of a run begins with; that of its end has `_ENDED` behind it."""

_ENDED = " ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRun:
    """What one run was asked for."""

    case: RollbackCase
    outside_window: bool


def begin_run(
    session: Session, lease: Lease, run_id: str, run: RollbackRun, *, now: datetime
) -> None:
    """Note what a run is about to do. It takes over the runs of the same case that have died."""
    check_lease(session, lease)
    if session.get(StepRow, (lease.rollout_id, f"{_STEP}{run_id}")) is not None:
        return
    for earlier, left in _open(session, lease.rollout_id).items():
        if left.case.digest == run.case.digest:
            _end(session, lease, earlier, now, f"taken over by {run_id}")
    step = StepRow(
        rollout_id=lease.rollout_id,
        step=f"{_STEP}{run_id}",
        at=now,
        detail=to_document(run).decode(),
    )
    session.add(step)
    audit.append(
        session,
        now,
        run.case.requested_by,
        "rollback.run_begun",
        lease.rollout_id,
        run=run_id,
        case=run.case.digest,
        hosts=[host.host for host in run.case.hosts],
        outside_window=run.outside_window,
    )


def end_run(session: Session, lease: Lease, run_id: str, *, now: datetime) -> None:
    """Note that a run has come to the end of its hosts, whatever became of each."""
    check_lease(session, lease)
    _end(session, lease, run_id, now, "")


def open_runs(session: Session, rollout_id: str = "") -> tuple[RollbackRun, ...]:
    """Return what the runs that have not ended were asked for, by rollout and beginning.

    Those of one rollout, where it is named.
    """
    return tuple(_open(session, rollout_id).values())


def _open(session: Session, rollout_id: str = "") -> dict[str, RollbackRun]:
    query = select(StepRow).where(col(StepRow.step).startswith(_STEP, autoescape=True))
    if rollout_id:
        query = query.where(StepRow.rollout_id == rollout_id)
    ordered = query.order_by(col(StepRow.rollout_id), col(StepRow.at), col(StepRow.step))
    steps = {row.step: row.detail for row in session.exec(ordered)}
    return {
        step.removeprefix(_STEP): from_document(RollbackRun, detail)
        for step, detail in steps.items()
        if not step.endswith(_ENDED) and f"{step}{_ENDED}" not in steps
    }


def _end(session: Session, lease: Lease, run_id: str, now: datetime, detail: str) -> None:
    step = f"{_STEP}{run_id}{_ENDED}"
    if session.get(StepRow, (lease.rollout_id, step)) is not None:
        return
    session.add(StepRow(rollout_id=lease.rollout_id, step=step, at=now, detail=detail))
    audit.append(
        session, now, lease.owner, "rollback.run_ended", lease.rollout_id, run=run_id, detail=detail
    )
