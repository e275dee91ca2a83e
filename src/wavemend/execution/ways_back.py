"""By which way a host can be taken back, after its point was listed back; or why by none."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from wavemend.errors import PlanError, TransportError
from wavemend.execution import drift
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.execution.reboot_rules import in_use
from wavemend.execution.restore_points import asking, snapshotter, subject_of
from wavemend.execution.rollback_end import RollbackEnd, is_back, unnamed_version
from wavemend.execution.taking_back import Way
from wavemend.execution.unseen import still_running
from wavemend.hosts import Facts
from wavemend.ledger import journals
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.managers import Manager, TakesUpdatesBack
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import Target
from wavemend.rollbacks import AT_NEXT_BOOT
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
        if reason := _changed_since(hands, order, before.facts):
            return blocked(reason)
        if not way.whole and is_back(order.planned, before.facts, whole=way.removes):
            return blocked("every package is at its old version already")
    if end := _in_the_way(hands, order, way, before):
        return end
    if not way.whole:
        return way  # the manager's own transaction says what it cannot get any more
    subject = replace(subject_of(hands, order.plan, order.host), name=point.name)
    with asking(hands, order.host) as ask:
        found = snapshotter(order.profile.restore_point).find(ask, subject)
    return blocked(found.reason) if isinstance(found, Missing) else way_by(hands, order, found)


def _in_the_way(hands: Hands, order: Order, way: Way, before: Look) -> RollbackEnd | None:
    """Say what on the host keeps it from being taken back now; None when nothing does."""
    if way.command is None and (end := _still_changing(hands, order)):
        return end
    if way.restarts and before.facts is not None and (held := in_use(order, before.facts)):
        # Rather not begun: what is written until somebody restarts the host is lost with that.
        return blocked(f"{AT_NEXT_BOOT}, and it is not restarted now: {held}")
    return None


def _changed_since(hands: Hands, order: Order, seen: Facts) -> str:
    """Say what was changed on the host after the plan's own change; empty when nothing was."""
    if reason := unnamed_version(order.planned, seen):
        return f"somebody has changed it since: {reason}"
    with hands.ledger.reading() as book:
        strangers = journals.strangers(book, order.host.name, seen)
    if not strangers:
        return ""
    number = f"its journal has {len(strangers)} changes that this ledger does not know of"
    return f"{number}, and they may be later ones: run `wavemend reconcile` first"


def _still_changing(hands: Hands, order: Order) -> RollbackEnd | None:
    """Say that a job of an earlier change still runs: a disk is not put back under it.

    A command on the worker may: it puts the whole machine back, that job with it.
    """
    try:
        reason = still_running(hands, order.host)
    except TransportError as error:
        return RollbackEnd(outcome=Outcome.UNREACHABLE, detail=f"{error.reason}: {error}")
    return blocked(reason) if reason else None


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
