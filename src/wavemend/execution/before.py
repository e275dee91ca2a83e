"""Everything that is found out about a host before it is changed, each time it is to be begun.

Nothing here changes the host. What keeps it from being changed is an obstacle: an outcome with
its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wavemend.errors import PlanError, TransportError
from wavemend.execution import drift, reboot_rules
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look_and_record, seconds_of
from wavemend.execution.order import Order
from wavemend.execution.probes import run_probes
from wavemend.execution.restore_points import restore_point_gone
from wavemend.execution.start import START_SECONDS
from wavemend.execution.unseen import still_running
from wavemend.hosts import Facts
from wavemend.ledger import journals, machines
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import Target
from wavemend.readiness import Check, judge_look, lack_of_room, outcome_of

_WAITED_FOR = frozenset({Check.LOCK})
"""No obstacle to a transaction: its job waits for the lock, for a bounded time, and names who
holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why nothing may be started on a host, and what outcome that is."""

    outcome: Outcome
    reason: str


def check_host(
    hands: Hands, order: Order, *, hooked: bool
) -> tuple[Look, tuple[Target, ...] | Obstacle]:
    """Look at a host and say what is to be installed there, or why nothing is started.

    `hooked`: its hooks before the change may have run, so it may be drained: whether it was well
    before has been found out already.
    """
    rollout, lease = order.plan.rollout, order.lease
    _, seen = look_and_record(hands, order.host, purpose="intent", rollout_id=rollout, lease=lease)
    found = check_look(hands, order, seen)
    # What is half done does not run well: that is what the repair is for.
    if not isinstance(found, Obstacle) and not hooked and not order.is_repair:
        return seen, _unwell(hands, order) or found
    return seen, found


def check_look(
    hands: Hands, order: Order, seen: Look, *, only: tuple[Target, ...] | None = None
) -> tuple[Target, ...] | Obstacle:
    """Say what is to be installed on a host that was just looked at, or why nothing is started.

    `only`: of what is missing nothing but these is wanted.
    """
    with hands.ledger.reading() as book:
        strangers = journals.strangers(book, order.host.name, seen.facts)
        twins = machines.other_names(book, order.host.name, seen.facts) if seen.facts else ()
    found = compare(order, seen, strangers)
    if isinstance(found, Obstacle) or seen.facts is None:
        return found
    if twins:
        reason = f"it is the same machine as {', '.join(twins)}: take one of the two out"
        return Obstacle(outcome=Outcome.BLOCKED, reason=reason)
    if only is not None:
        found = tuple(target for target in found if target in only)
    obstacle = _still_changing(hands, order) or _nothing_for(hands, order, seen.facts, found)
    return obstacle or found


def compare(
    order: Order, seen: Look, strangers: Sequence[str] = ()
) -> tuple[Target, ...] | Obstacle:
    """Compare a host, as it was just seen, with the plan: what is to be installed, or why not."""
    if reason := order.in_force().fleet_drift:
        return Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=f"drift: {reason}")
    if seen.facts is None:
        return Obstacle(outcome=seen.unseen_outcome, reason=f"{seen.reason}: {seen.detail}")
    if seen.facts.broken and not order.is_repair:
        names = ", ".join(f"{p.name} ({p.status})" for p in seen.facts.broken)
        reason = f"packages are not whole before the change: {names}"
        return Obstacle(outcome=Outcome.BLOCKED, reason=reason)
    if reason := drift.host_drift(order.planned, seen.facts, seen.peer_key):
        return Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=f"drift: {reason}")
    ignored = frozenset() if order.restart_only else _WAITED_FOR
    for problem in judge_look(seen, strangers=strangers, kind=order.kind).blocking:
        if problem.check not in ignored:
            return Obstacle(outcome=outcome_of(seen), reason=f"not ready: {problem}")
    return drift.missing_targets(order.planned, seen.facts)


def _still_changing(hands: Hands, order: Order) -> Obstacle | None:
    """Ask the host whether a job whose end was never seen still runs: nothing begins beside it."""
    try:
        reason = still_running(hands, order.host)
    except TransportError as error:
        return Obstacle(outcome=Outcome.UNREACHABLE, reason=f"{error.reason}: {error}")
    return Obstacle(outcome=Outcome.BLOCKED, reason=reason) if reason else None


def _nothing_for(
    hands: Hands, order: Order, facts: Facts, targets: tuple[Target, ...]
) -> Obstacle | None:
    """Say why there is nothing to do for this kind of rollout, or why it cannot be done."""
    if order.restart_only:
        return _no_restart(hands, order, facts)
    if order.is_repair:
        return _no_repair(hands, order, facts)
    return _no_transaction(hands, order, facts, targets)


def _no_repair(hands: Hands, order: Order, facts: Facts) -> Obstacle | None:
    """Compare what is half done with what was approved: less is less to do, more is a new plan."""
    if not facts.defects and facts.lock_holder:
        # Some managers cannot say it meanwhile, and what is under way may leave something behind.
        reason = f"lock: what is half done cannot be told: {facts.lock_holder} changes packages"
        return Obstacle(outcome=Outcome.SKIPPED, reason=reason)
    if not facts.defects:
        reason = "nothing of its packages is half done any more"
        return Obstacle(outcome=Outcome.NOTHING_TO_DO, reason=reason)
    if more := sorted(set(facts.defects) - set(order.planned.repairs)):
        reason = f"drift: half done, and not in the plan: {', '.join(more)}"
        return Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=reason)
    try:
        hands.manager(order.host).repair_script()
    except PlanError as error:
        return Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=f"drift: {error}")
    return _no_way_back(hands, order)


def _no_restart(hands: Hands, order: Order, facts: Facts) -> Obstacle | None:
    if not reboot_rules.is_due(order, facts):
        reason = "no restart is due any more"
        return Obstacle(outcome=Outcome.NOTHING_TO_DO, reason=reason)
    if reason := reboot_rules.deferral(order, facts, hands.clock()):
        # Found out before anything is drained; the restart goes on waiting.
        return Obstacle(outcome=Outcome.PATCHED_REBOOT_PENDING, reason=f"not restarted: {reason}")
    return None


def _no_transaction(
    hands: Hands, order: Order, facts: Facts, targets: tuple[Target, ...]
) -> Obstacle | None:
    if not targets:
        reason = "every target version is installed already"
        if facts.reboot_reasons:
            # Somebody else was faster, and old code runs still: it is not what the plan wanted.
            waits = f"{reason}; it waits for a restart: {'; '.join(facts.reboot_reasons)}"
            return Obstacle(outcome=Outcome.PATCHED_REBOOT_PENDING, reason=waits)
        return Obstacle(outcome=Outcome.NOTHING_TO_DO, reason=reason)
    return _rehearsed(hands, order, facts, targets) or _no_way_back(hands, order)


def _rehearsed(
    hands: Hands, order: Order, facts: Facts, targets: tuple[Target, ...]
) -> Obstacle | None:
    """Ask the package manager what it would do: exactly the plan, and does that fit?"""
    try:
        transport = hands.connect(order.host)
        try:
            manager = hands.manager(order.host)
            deadline = seconds_of(manager, 2 * START_SECONDS)
            transaction = manager.rehearse(transport, targets, deadline=deadline)
        finally:
            transport.close()
    except PlanError as error:
        return Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=f"drift: {error}")
    except TransportError as error:
        return Obstacle(outcome=Outcome.UNREACHABLE, reason=f"{error.reason}: {error}")
    if reason := drift.transaction_drift(targets, transaction):
        return Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=f"drift: {reason}")
    if reason := lack_of_room(facts, transaction):
        return Obstacle(outcome=Outcome.BLOCKED, reason=f"disk: {reason}")
    return None


def _no_way_back(hands: Hands, order: Order) -> Obstacle | None:
    """List the restore point back, as late as possible: it may have vanished since it was made."""
    if reason := restore_point_gone(hands, order):
        return Obstacle(outcome=Outcome.BLOCKED, reason=reason)
    return None


def _unwell(hands: Hands, order: Order) -> Obstacle | None:
    """Probe the host before its change: one that is ill already would only be blamed on it."""
    for result in run_probes(hands, order.host, order.profile.probes):
        if not result.ok:
            reason = f"unhealthy before the change: probe {result.name}: {result.detail}"
            return Obstacle(outcome=Outcome.BLOCKED, reason=reason)
    return None
