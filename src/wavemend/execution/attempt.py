"""Change one host once: intent, detached job, reboot, second look, one outcome.

Any process may die between any two lines. Whoever comes next finds the intent in the ledger,
asks the host what became of the job of that attempt id, and goes on from there: a start is
never simply repeated, and an outcome is never guessed.
"""

from dataclasses import dataclass

from wavemend.errors import PlanError, TransportError
from wavemend.execution import drift
from wavemend.execution.conclude import Conclusion, conclude
from wavemend.execution.follow import Followed, follow
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobState, JobView, forbid_job
from wavemend.execution.looks import look, look_and_record
from wavemend.execution.order import Order
from wavemend.execution.reboot import Rebooted, reboot_if_due
from wavemend.execution.start import START_SECONDS, begin, intend, may_begin_again, wait_for_place
from wavemend.ledger import attempts
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.scans import newest_look, record_look
from wavemend.ledger.tables import AttemptRow
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import Target
from wavemend.rollout import AttemptState
from wavemend.transport import Transport


def attempt_host(hands: Hands, order: Order) -> Outcome:
    """Bring one host to its terminal outcome, write it down, and return it.

    Raises only for what is no host's trouble: a lost lease, a ledger that cannot be written.
    """
    with hands.ledger.reading() as book:
        row = attempts.find(book, order.plan.digest, order.host.name)
    if row is None:
        return _first_attempt(hands, order)
    if row.state == AttemptState.ENDED:
        return Outcome(row.outcome)
    return _resume(hands, order, row)


def settle(hands: Hands, order: Order, outcome: Outcome, reason: str, seen: Look) -> Outcome:
    """Give the host an outcome without having touched it."""
    with hands.ledger.writing() as book:
        attempts.settle(
            book,
            order.lease,
            order.plan,
            order.host.name,
            attempt_id=f"a-{hands.token()}",
            outcome=outcome,
            reason=reason,
            packages=drift.untouched_results(order.planned, seen.facts),
            now=hands.clock(),
        )
    return outcome


def _first_attempt(hands: Hands, order: Order) -> Outcome:
    """Try until there is a place for the host: each try looks anew, so nothing stale is decided."""
    while True:
        wait_for_place(hands, order)
        outcome = _try_once(hands, order)
        if outcome is not None:
            return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Obstacle:
    """Why nothing may be started on a host, and what outcome that is."""

    outcome: Outcome
    reason: str


def _compare(order: Order, seen: Look) -> tuple[Target, ...] | _Obstacle:
    """Compare a host, as it was just seen, with the plan: what is to be installed, or why not."""
    if order.fleet_drift:
        return _Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=f"drift: {order.fleet_drift}")
    if seen.facts is None:
        return _Obstacle(outcome=seen.unseen_outcome, reason=f"{seen.reason}: {seen.detail}")
    if seen.facts.broken:
        names = ", ".join(f"{p.name} ({p.status})" for p in seen.facts.broken)
        reason = f"packages are not whole before the change: {names}"
        return _Obstacle(outcome=Outcome.BLOCKED, reason=reason)
    if reason := drift.host_drift(order.planned, seen.facts, seen.peer_key):
        return _Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=f"drift: {reason}")
    return drift.missing_targets(order.planned, seen.facts)


def _rehearsed(
    hands: Hands, order: Order, transport: Transport, targets: tuple[Target, ...]
) -> str:
    """Say what the package manager would do beyond the plan; empty when it is exactly the plan."""
    try:
        manager = hands.manager(order.host)
        transaction = manager.rehearse(transport, targets, deadline=2 * START_SECONDS)
    except PlanError as error:
        return str(error)
    return drift.transaction_drift(targets, transaction)


def _try_once(hands: Hands, order: Order) -> Outcome | None:
    """Look, compare with the plan, and start. None: somebody else took the place meanwhile."""
    _, seen = look_and_record(hands, order.host, purpose="intent", rollout_id=order.plan.rollout)
    targets = _compare(order, seen)
    if isinstance(targets, _Obstacle):
        return settle(hands, order, targets.outcome, targets.reason, seen)
    if not targets:
        reason = "every target version is installed already"
        return settle(hands, order, Outcome.NOTHING_TO_DO, reason, seen)
    return _rehearse_and_start(hands, order, seen, targets)


def _rehearse_and_start(
    hands: Hands, order: Order, seen: Look, targets: tuple[Target, ...]
) -> Outcome | None:
    """Rehearse, ask for the intent and start the job, all over one connection."""
    try:
        transport = hands.connect(order.host)
    except TransportError as error:
        return settle(hands, order, Outcome.UNREACHABLE, f"{error.reason}: {error}", seen)
    try:
        if reason := _rehearsed(hands, order, transport, targets):
            return settle(hands, order, Outcome.NOT_ATTEMPTED, f"drift: {reason}", seen)
        answer = intend(hands, order)
        if isinstance(answer, Wait):
            return None
        if isinstance(answer, Refused):
            return settle(hands, order, Outcome.NOT_ATTEMPTED, answer.reason, seen)
        view = begin(hands, order, transport, answer, targets)
    except TransportError as error:  # while rehearsing: nothing was started
        return settle(hands, order, Outcome.UNREACHABLE, f"{error.reason}: {error}", seen)
    finally:
        transport.close()
    return _go_on(hands, order, answer, seen, view)


def _resume(hands: Hands, order: Order, row: AttemptRow) -> Outcome:
    """Go on with what an earlier process began: ask the host before anything else."""
    with hands.ledger.writing() as book:
        attempts.take_over(book, order.lease, row.id)
        found = newest_look(book, order.host.name, purpose="intent", rollout_id=order.plan.rollout)
    seen = found[1] if found else Look(host=order.host.name, at=hands.clock(), facts=None)
    return _go_on(hands, order, Granted(row.id, row.nonce, order.lease.fence), seen, None)


def _go_on(
    hands: Hands, order: Order, granted: Granted, before: Look, view: JobView | None
) -> Outcome:
    """Follow the job to its end, reboot if that is due, look again, and conclude."""
    followed = follow(hands, order, granted, view)
    if _not_begun(followed):
        before, followed, obstacle = _begin_again(hands, order, granted, before)
        if _not_begun(followed):
            followed = _forbid(hands, order, granted)
        if _not_begun(followed):
            return _end_unbegun(hands, order, granted, before, obstacle)
    rebooted = _second_look(hands, order, granted, followed)
    with hands.ledger.reading() as book:
        row = attempts.find(book, order.plan.digest, order.host.name)
    reboots = row.reboots if row else 0
    conclusion = conclude(hands, order, before, rebooted, followed, reboots=reboots)
    return _end(hands, order, granted, conclusion)


def _not_begun(followed: Followed) -> bool:
    view = followed.view
    return not followed.trouble and view is not None and view.state is JobState.ABSENT


def _forbid(hands: Hands, order: Order, granted: Granted) -> Followed:
    """Make "not begun" final on the host: a start whose answer was lost may still be travelling."""
    try:
        transport = hands.connect(order.host)
        try:
            view = forbid_job(transport, granted.attempt_id, granted.nonce, deadline=START_SECONDS)
        finally:
            transport.close()
    except TransportError as error:
        return Followed(view=None, trouble=f"{error.reason}: {error}")
    return (
        Followed(view=view)
        if view.state is JobState.ABSENT
        else follow(hands, order, granted, view)
    )


def _begin_again(
    hands: Hands, order: Order, granted: Granted, before: Look
) -> tuple[Look, Followed, _Obstacle]:
    """Start a job that was never begun, after all checks of a first start.

    Its intent stands, but time has passed since: the host may be another one by now. The obstacle
    says why it was not begun, for the case that it was not.
    """
    not_begun = Followed(view=JobView(state=JobState.ABSENT))
    if reason := may_begin_again(hands, order):
        return before, not_begun, _Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=reason)
    _, seen = look_and_record(hands, order.host, purpose="intent", rollout_id=order.plan.rollout)
    targets = _compare(order, seen)
    if isinstance(targets, _Obstacle):
        return seen, not_begun, targets
    if not targets:
        reason = "every target version is installed already"
        return seen, not_begun, _Obstacle(outcome=Outcome.NOTHING_TO_DO, reason=reason)
    try:
        transport = hands.connect(order.host)
        try:
            if reason := _rehearsed(hands, order, transport, targets):
                obstacle = _Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=f"drift: {reason}")
                return seen, not_begun, obstacle
            view = begin(hands, order, transport, granted, targets)
        finally:
            transport.close()
    except TransportError as error:  # connecting or rehearsing: nothing was started
        lost = _Obstacle(outcome=Outcome.UNREACHABLE, reason=f"{error.reason}: {error}")
        return seen, not_begun, lost
    refused = _Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason="the host did not take the job")
    return seen, follow(hands, order, granted, view), refused


def _second_look(hands: Hands, order: Order, granted: Granted, followed: Followed) -> Rebooted:
    """Look over a fresh connection, reboot if that is due, and keep the last look in the ledger."""
    rebooted = Rebooted(look=look(hands, order.host, refresh=False))
    view, facts = followed.view, rebooted.look.facts
    ended = not followed.trouble and view is not None and view.state is JobState.ENDED
    if ended and view is not None and facts is not None and not facts.broken:
        rebooted = reboot_if_due(
            hands, order, granted.attempt_id, rebooted.look, view.boot_id_at_begin
        )
    with hands.ledger.writing() as book:
        record_look(book, order.host, rebooted.look, purpose="after", rollout_id=order.plan.rollout)
    return rebooted


def _end_unbegun(
    hands: Hands, order: Order, granted: Granted, before: Look, obstacle: _Obstacle
) -> Outcome:
    conclusion = Conclusion(
        outcome=obstacle.outcome,
        reason=f"was never begun: {obstacle.reason}",
        packages=drift.untouched_results(order.planned, before.facts),
        evidence=None,
    )
    return _end(hands, order, granted, conclusion)


def _end(hands: Hands, order: Order, granted: Granted, conclusion: Conclusion) -> Outcome:
    with hands.ledger.writing() as book:
        attempts.end_attempt(
            book,
            order.lease,
            granted.attempt_id,
            outcome=conclusion.outcome,
            reason=conclusion.reason,
            packages=conclusion.packages,
            evidence=conclusion.evidence,
            now=hands.clock(),
        )
    return conclusion.outcome
