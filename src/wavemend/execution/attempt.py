"""Change one host once: look, intent, hooks, detached job, restart, second look, one outcome.

Any process may die between any two lines. Whoever comes next finds the intent in the ledger,
asks the host what became of the job of that attempt id, and goes on from there: a start is
never simply repeated, and an outcome is never guessed. One module per phase: before, start,
follow, rounds (with reboot), conclude, finish.
"""

from dataclasses import dataclass, replace

from wavemend.execution import drift, finish
from wavemend.execution.before import Obstacle, check_host
from wavemend.execution.conclude import Conclusion, conclude
from wavemend.execution.follow import Followed
from wavemend.execution.hands import Hands
from wavemend.execution.hooks import run_hooks
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.order import Order
from wavemend.execution.rollback import resume_rollback, roll_back_attempt, rollback_reason
from wavemend.execution.round_job import follow_round, forbid_round
from wavemend.execution.rounds import run_rounds
from wavemend.execution.start import begin, intend, may_begin, wait_for_place
from wavemend.hosts import Facts
from wavemend.ledger import attempts
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.scans import newest_look
from wavemend.ledger.tables import AttemptRow
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import Target
from wavemend.policy.care import When
from wavemend.rollout import AttemptState

_TRY_AGAIN_SECONDS = 1.0
"""Somebody else took the place between two questions: the next look is not to come at once."""


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


def _settle(hands: Hands, order: Order, obstacle: Obstacle, facts: Facts | None) -> Outcome:
    """Give the host an outcome without having touched it."""
    with hands.ledger.writing() as book:
        attempts.settle(
            book,
            order.lease,
            order.plan,
            order.host.name,
            attempt_id=f"a-{hands.token()}",
            outcome=obstacle.outcome,
            reason=obstacle.reason,
            packages=drift.untouched_results(order.planned, facts),
            now=hands.clock(),
        )
    return obstacle.outcome


def _first_attempt(hands: Hands, order: Order) -> Outcome:
    """Try until there is a place for the host: each try looks anew, so nothing stale is decided."""
    while True:
        wait_for_place(hands, order)
        outcome = _try_once(hands, order)
        if outcome is not None:
            return outcome
        hands.sleep(_TRY_AGAIN_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    """How a start went on. `obstacle`: why it was not begun, for the case that it was not."""

    before: Look
    followed: Followed
    obstacle: Obstacle | None = None


def _try_once(hands: Hands, order: Order) -> Outcome | None:
    """Look, compare with the plan, and start. None: somebody else took the place meanwhile."""
    if reason := may_begin(hands, order):  # found out before anybody looks; `intend` asks again
        obstacle = Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=reason)
        return _settle(hands, order, obstacle, None)
    seen, found = check_host(hands, order, hooked=False)
    if isinstance(found, Obstacle):
        return _settle(hands, order, found, seen.facts)
    answer = intend(hands, order)
    if isinstance(answer, Wait):
        return None
    if isinstance(answer, Refused):
        obstacle = Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=answer.reason)
        return _settle(hands, order, obstacle, seen.facts)
    return _go_on(hands, order, answer, _start(hands, order, answer, seen, found))


def _resume(hands: Hands, order: Order, row: AttemptRow) -> Outcome:
    """Go on with what an earlier process began: ask the host before anything else."""
    with hands.ledger.writing() as book:
        granted = attempts.take_over(book, order.lease, row.id)
        found = newest_look(book, order.host.name, purpose="intent", rollout_id=order.plan.rollout)
    if rolled_back := resume_rollback(hands, order, granted):
        return finish.end(hands, order, granted, rolled_back)
    seen = found[1] if found else Look(host=order.host.name, at=hands.clock(), facts=None)
    followed = follow_round(hands, order, granted, None)
    return _go_on(hands, order, granted, _Started(before=seen, followed=followed))


def _start(
    hands: Hands, order: Order, granted: Granted, seen: Look, targets: tuple[Target, ...]
) -> _Started:
    """Run the hooks before the change, start its job, and follow it."""
    if obstacle := _hooked(hands, order, granted):
        not_begun = Followed(view=JobView(state=JobState.ABSENT))
        return _Started(before=seen, followed=not_begun, obstacle=obstacle)
    begun = begin(hands, order, granted, targets)
    followed = follow_round(hands, order, granted, begun.view)
    reason = f"the host did not take the job{': ' if begun.trouble else ''}{begun.trouble}"
    refused = Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=reason)
    return _Started(before=seen, followed=followed, obstacle=refused)


def _hooked(hands: Hands, order: Order, granted: Granted) -> Obstacle | None:
    """Run the hooks before the change; say what forbids it now, they or somebody meanwhile."""
    if all(hook.when is not When.BEFORE for hook in order.profile.hooks):
        return None
    troubles = run_hooks(
        hands,
        order,
        granted.attempt_id,
        When.BEFORE,
        refused=lambda: bool(may_begin(hands, order)),
    )
    if troubles:
        return Obstacle(outcome=Outcome.BLOCKED, reason=troubles[0])
    if reason := may_begin(hands, order):  # they may have taken minutes
        return Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=reason)
    return None


def _go_on(hands: Hands, order: Order, granted: Granted, started: _Started) -> Outcome:
    """Bring an attempt whose intent stands to its end, whether its job was begun or not."""
    if started.followed.not_begun and not _is_blocked(started):
        started = _begin_again(hands, order, granted, started.before)
    followed = started.followed
    if followed.not_begun:
        why = started.obstacle.reason if started.obstacle else ""
        followed = forbid_round(hands, order, granted, why)
    if followed.not_begun:
        conclusion = _not_begun(order, started)
    else:
        conclusion = _conclude(hands, order, granted, started.before, followed)
    return finish.end(hands, order, granted, conclusion)


def _is_blocked(started: _Started) -> bool:
    """True when a hook forbids the change: then it is not begun again."""
    return started.obstacle is not None and started.obstacle.outcome is Outcome.BLOCKED


def _begin_again(hands: Hands, order: Order, granted: Granted, before: Look) -> _Started:
    """Start a job that was never begun, after all checks of a first start.

    Its intent stands, but time has passed since: the host may be another one by now.
    """
    not_begun = Followed(view=JobView(state=JobState.ABSENT))
    if reason := may_begin(hands, order):
        refused = Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=reason)
        return _Started(before=before, followed=not_begun, obstacle=refused)
    seen, found = check_host(hands, order, hooked=True)
    if isinstance(found, Obstacle):
        return _Started(before=seen, followed=not_begun, obstacle=found)
    return _start(hands, order, granted, seen, found)


def _not_begun(order: Order, started: _Started) -> Conclusion:
    """Conclude an attempt that is proven never to have begun."""
    obstacle = started.obstacle
    return Conclusion(
        outcome=obstacle.outcome if obstacle else Outcome.NOT_ATTEMPTED,
        reason=f"was never begun: {obstacle.reason if obstacle else 'the host does not know it'}",
        packages=drift.untouched_results(order.planned, started.before.facts),
        evidence=None,
    )


def _conclude(
    hands: Hands, order: Order, granted: Granted, before: Look, followed: Followed
) -> Conclusion:
    """Look again, restart the host if that is due, judge, and take back what went wrong."""
    ran = run_rounds(hands, order, granted, before, followed)
    with hands.ledger.reading() as book:
        reboots = attempts.reboots_of(book, granted.attempt_id)
    conclusion = conclude(hands, order, before, ran.rebooted, ran.followed, reboots=reboots)
    if ran.stopped and not conclusion.outcome.is_good:
        reason = f"{conclusion.reason}; no further round: {ran.stopped}"
        conclusion = replace(conclusion, reason=reason)
    if rollback_reason(order, conclusion):
        return roll_back_attempt(hands, order, conclusion)
    return conclusion
