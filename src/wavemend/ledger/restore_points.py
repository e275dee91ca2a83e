"""Restore points over their life: made before a change, due after it, removed or kept."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, and_, col, or_, select

from wavemend.ledger import audit, rollback_approvals, rollback_runs
from wavemend.ledger.care_tables import RestorePointRow, RollbackRow
from wavemend.ledger.rollouts import FINISHED, Lease, check_lease, get_rollout, stopped
from wavemend.ledger.tables import RolloutRow
from wavemend.rollout import AttemptState


class PointState(StrEnum):
    """What became of a restore point."""

    MADE = "made"
    KEPT = "kept"
    """Until a person removes it: the change did not go well, or was taken back."""
    REMOVING = "removing"
    """Its removal has begun: nothing is taken back by it any more."""
    REMOVED = "removed"
    GONE = "gone"
    """It was used up by a rollback, or vanished without us: also with a host that is no more."""


NOTHING_MADE = "package_versions"
"""The kind of point that is only proven: nothing of it lies anywhere, so nothing is removed."""

STANDING = (PointState.MADE, PointState.KEPT, PointState.REMOVING)
"""States in which a point is expected to be listed."""

_PAST = (PointState.REMOVING, PointState.REMOVED, PointState.GONE)
"""States in which nothing may be taken back by a point."""


def record_restore_points(
    session: Session, lease: Lease, points: Iterable[RestorePointRow], now: datetime
) -> None:
    """Write what was proven about going back, before anything is changed.

    A resumed run proves again; the point is as old as when it was made.
    """
    check_lease(session, lease)
    for point in points:
        known = session.get(RestorePointRow, (point.rollout_id, point.host))
        if known is not None and known.proven and point.proven:
            point.at = known.at
        session.merge(point)
        audit.append(
            session,
            now,
            lease.owner,
            "restore_point.checked",
            lease.rollout_id,
            host=point.host,
            form=point.kind,
            proven=point.proven,
        )


def point_of(session: Session, rollout_id: str, host: str) -> RestorePointRow | None:
    """Return one host's restore point in a rollout."""
    return session.get(RestorePointRow, (rollout_id, host))


def standing_points(session: Session) -> tuple[RestorePointRow, ...]:
    """Return every point that should be listed somewhere, by host and rollout."""
    query = select(RestorePointRow).where(
        col(RestorePointRow.state).in_(STANDING), RestorePointRow.kind != NOTHING_MADE
    )
    ordered = query.order_by(col(RestorePointRow.host), col(RestorePointRow.rollout_id))
    return tuple(session.exec(ordered))


def undecided_points(session: Session) -> tuple[RestorePointRow, ...]:
    """Return the points of finished rollouts of which nobody has said yet how long they stay."""
    query = (
        select(RestorePointRow)
        .join(RolloutRow, col(RolloutRow.id) == RestorePointRow.rollout_id)
        .where(
            RestorePointRow.state == PointState.MADE,
            RestorePointRow.kind != NOTHING_MADE,
            col(RestorePointRow.remove_after).is_(None),
            RolloutRow.state == FINISHED,
        )
    )
    ordered = query.order_by(col(RestorePointRow.rollout_id), col(RestorePointRow.host))
    return tuple(session.exec(ordered))


def due_points(session: Session, now: datetime) -> tuple[RestorePointRow, ...]:
    """Return the points whose time is over, or whose removal was begun, by host and rollout."""
    is_over = and_(
        col(RestorePointRow.state) == PointState.MADE, col(RestorePointRow.remove_after) <= now
    )
    query = select(RestorePointRow).where(
        or_(is_over, col(RestorePointRow.state) == PointState.REMOVING)
    )
    ordered = query.order_by(col(RestorePointRow.host), col(RestorePointRow.rollout_id))
    return tuple(session.exec(ordered))


def decide_stay(
    session: Session, point: RestorePointRow, until: datetime | None, *, actor: str, now: datetime
) -> None:
    """Write down how long a point stays: until then, or (None) until a person removes it.

    One that was moved on since it was read stays as it is.
    """
    row = session.get_one(RestorePointRow, (point.rollout_id, point.host))
    if row.state != PointState.MADE or row.remove_after is not None:
        return
    if until is None:
        set_state(session, row, PointState.KEPT, actor=actor, now=now)
        return
    row.remove_after = until
    audit.append(
        session,
        now,
        actor,
        "restore_point.due",
        row.rollout_id,
        host=row.host,
        name=row.name,
        remove_after=until.isoformat(),
    )


def begin_removal(
    session: Session, point: RestorePointRow, *, actor: str, only_due: bool, now: datetime
) -> str:
    """Mark a point as being removed; return why it stays as it is, or nothing.

    Decided in the transaction that marks it: a rollback that begins at the same moment either has
    the point, or is refused. `only_due`: nobody asked for this one; its time must be over, and
    nobody may be about to need it.
    """
    row = session.get_one(RestorePointRow, (point.rollout_id, point.host))
    if only_due and (reason := stopped(session, get_rollout(session, row.rollout_id).tenant)):
        return f"stopped: {reason}"
    if row.state == PointState.REMOVING:
        return ""
    if row.state not in STANDING:
        return f"it is {row.state} already"
    is_due = row.state == PointState.MADE and row.remove_after and row.remove_after <= now
    if only_due and not is_due:
        return "it is to stay by now"
    if reason := _wanted(session, row, now if only_due else None):
        return reason
    set_state(session, row, PointState.REMOVING, actor=actor, now=now)
    return ""


def _wanted(session: Session, row: RestorePointRow, now: datetime | None) -> str:
    """Say what may need a point, its rollout or a rollback of it; empty when nothing does.

    `now`: those count too that only wait for a signature, or for being repeated with one.
    """
    if get_rollout(session, row.rollout_id).state != FINISHED:
        return f"rollout {row.rollout_id} is not finished, and may need it"
    runs = rollback_runs.open_runs(session, row.rollout_id)
    if any(row.host == host.host for run in runs for host in run.case.hosts):
        return "a run that takes the host back has not ended, and may need it"
    if now is not None and row.host in rollback_approvals.asked_for(session, row.rollout_id, now):
        return "somebody has asked to take the host back, and may need it"
    using = select(RollbackRow.id).where(
        RollbackRow.rollout_id == row.rollout_id,
        RollbackRow.host == row.host,
        RollbackRow.state != AttemptState.ENDED,
    )
    rollback = session.exec(using).first()
    return f"rollback {rollback} has not ended, and may need it" if rollback else ""


def forget(
    session: Session, point: RestorePointRow, *, actor: str, reason: str, now: datetime
) -> str:
    """Write down that a point is gone, because somebody says so; return why not, or nothing."""
    row = session.get_one(RestorePointRow, (point.rollout_id, point.host))
    if row.state not in STANDING:
        return f"it is {row.state} already"
    if needed := _wanted(session, row, None):
        return needed
    set_state(session, row, PointState.GONE, actor=actor, now=now, reason=reason)
    return ""


def end_removal(
    session: Session,
    point: RestorePointRow,
    *,
    trouble: str,
    actor: str,
    now: datetime,
    reason: str = "",
) -> None:
    """Note what became of a removal. One that failed leaves the point as it was, to be used."""
    row = session.get_one(RestorePointRow, (point.rollout_id, point.host))
    if row.state != PointState.REMOVING:
        return  # another run has ended it
    as_before = PointState.MADE if row.remove_after else PointState.KEPT
    state = as_before if trouble else PointState.REMOVED
    set_state(session, row, state, actor=actor, now=now, reason=trouble or reason)


def hold_for_rollback(
    session: Session, rollout_id: str, host: str, *, actor: str, now: datetime
) -> str:
    """Keep a point for a rollback that begins; return why it cannot be used, or nothing."""
    row = point_of(session, rollout_id, host)
    if row is None or row.kind == NOTHING_MADE:
        return ""
    if row.state in _PAST:
        what = "being removed" if row.state == PointState.REMOVING else row.state
        return f"the restore point {row.name} is {what}"
    set_state(session, row, PointState.KEPT, actor=actor, now=now, reason="a rollback needs it")
    return ""


def set_state(
    session: Session,
    point: RestorePointRow,
    state: PointState,
    *,
    actor: str,
    now: datetime,
    reason: str = "",
) -> None:
    """Move a point on, with an event; one that is in this state already stays untouched."""
    row = session.get_one(RestorePointRow, (point.rollout_id, point.host))
    if row.state == state or row.kind == NOTHING_MADE:
        return
    row.state = state
    if state in {PointState.REMOVED, PointState.GONE}:
        row.removed_at = now
    elif state is PointState.KEPT:
        row.remove_after = None
    audit.append(
        session,
        now,
        actor,
        f"restore_point.{state}",
        row.rollout_id,
        host=row.host,
        name=row.name,
        reason=reason,
    )
