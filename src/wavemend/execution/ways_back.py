"""By which way a host can be taken back, after its point was listed back; or why by none."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from wavemend.errors import PlanError
from wavemend.execution import drift
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.execution.restore_points import asking, snapshotter, subject_of
from wavemend.execution.rollback_end import RollbackEnd, is_back, unnamed_version
from wavemend.execution.taking_back import Way
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.managers import Manager, TakesUpdatesBack
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import Target
from wavemend.snapshots import Found, Missing, RestoreOnHost, RestoreOnWorker, UndoPackages

WayBack: TypeAlias = Way | RollbackEnd


def way_back(hands: Hands, order: Order, point: RestorePointRow | None, before: Look) -> WayBack:
    """Say how the host is taken back, after listing its point back; or why it cannot be."""
    if point is None:
        return blocked("no restore point was recorded for it")
    try:
        way = way_by(hands, order, Found(name=point.name, reference=point.reference))
    except PlanError as error:
        return blocked(str(error))
    if before.facts is None and way.command is None:
        detail = f"{before.reason}: {before.detail}"
        return RollbackEnd(outcome=Outcome.UNREACHABLE, detail=detail)
    if before.facts is not None:
        bare = replace(order.planned, packages=())
        if reason := drift.host_drift(bare, before.facts, before.peer_key):
            return blocked(reason)
        if reason := unnamed_version(order.planned, before.facts):
            return blocked(f"somebody has changed it since: {reason}")
        if not way.whole and is_back(order.planned, before.facts, whole=way.removes):
            return blocked("every package is at its old version already")
    if not way.whole:
        return way  # the manager's own transaction says what it cannot get any more
    subject = replace(subject_of(hands, order.plan, order.host), name=point.name)
    with asking(hands, order.host) as ask:
        found = snapshotter(order.profile.restore_point).find(ask, subject)
    return blocked(found.reason) if isinstance(found, Missing) else way_by(hands, order, found)


def way_by(hands: Hands, order: Order, found: Found) -> Way:
    """Return the way back by a found point. Raises PlanError where there is none."""
    subject = replace(subject_of(hands, order.plan, order.host), name=found.name)
    restoring = snapshotter(order.profile.restore_point).restoring(subject, found)
    match restoring:
        case UndoPackages():
            return _undo(hands.manager(order.host), subject.before)
        case RestoreOnHost(script=script, restarts=restarts, uses_up=uses_up):
            return Way(script=script, restarts=restarts, uses_up=uses_up, whole=True)
        case RestoreOnWorker(command=command):
            return Way(command=command, whole=True)


def blocked(reason: str) -> RollbackEnd:
    """Say that nothing was begun, and why."""
    return RollbackEnd(outcome=Outcome.BLOCKED, detail=reason)


def _undo(manager: Manager, targets: Sequence[Target]) -> Way:
    """Return the manager's own way back."""
    if isinstance(manager, TakesUpdatesBack):
        return removal(manager, targets)
    return Way(script=manager.undo_script(targets), undoes=tuple(targets))


def removal(manager: Manager, targets: Sequence[Target]) -> Way:
    """Return the way back by removing updates. Pure.

    Each stands for itself: one that cannot be removed stays, with the reason, and keeps no other
    one on the host. Raises PlanError where none can be.
    """
    stays = {target: reason for target in targets if (reason := _stays(manager, target))}
    left = tuple(target for target in targets if target not in stays)
    if not left:
        reasons = (f"{target.name}: {reason}" for target, reason in stays.items())
        raise PlanError("; ".join(reasons) or "the change brought no update")
    script = manager.undo_script(left)
    return Way(script=script, removes=True, undoes=left, stays=tuple(stays.items()))


def _stays(manager: Manager, target: Target) -> str:
    try:
        manager.undo_script((target,))
    except PlanError as error:
        return str(error).removeprefix(f"{target.name}: ")
    return ""
