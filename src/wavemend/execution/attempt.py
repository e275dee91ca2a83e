"""Change one host once: intent, detached job, reboot, second look, one outcome.

Any process may die between any two lines. Whoever comes next finds the intent in the ledger,
asks the host what became of the job of that attempt id, and goes on from there: a start is
never simply repeated, and an outcome is never guessed.
"""

from wavemend.errors import TransportError
from wavemend.execution import drift
from wavemend.execution.conclude import Conclusion, conclude
from wavemend.execution.follow import Followed, follow
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobState, JobView, forbid_job
from wavemend.execution.looks import look, look_and_record
from wavemend.execution.order import Order
from wavemend.execution.reboot import reboot_if_due
from wavemend.execution.start import START_SECONDS, begin, intend, may_begin_again, wait_for_place
from wavemend.ledger import attempts
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.scans import newest_look, record_look
from wavemend.ledger.tables import AttemptRow
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import Target
from wavemend.rollout import AttemptState


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


def _try_once(hands: Hands, order: Order) -> Outcome | None:
    """Look, compare with the plan, and start. None: somebody else took the place meanwhile."""
    _, seen = look_and_record(hands, order.host, purpose="intent", rollout_id=order.plan.rollout)
    if seen.facts is None:
        return settle(hands, order, seen.unseen_outcome, f"{seen.reason}: {seen.detail}", seen)
    if seen.facts.broken:
        names = ", ".join(f"{p.name} ({p.status})" for p in seen.facts.broken)
        reason = f"packages are not whole before the change: {names}"
        return settle(hands, order, Outcome.BLOCKED, reason, seen)
    if reason := drift.host_drift(order.planned, seen.facts, seen.peer_key):
        return settle(hands, order, Outcome.NOT_ATTEMPTED, f"drift: {reason}", seen)
    targets = drift.missing_targets(order.planned, seen.facts)
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
        manager = hands.manager(order.host)
        rehearsed = manager.rehearse(transport, targets, deadline=2 * START_SECONDS)
        if reason := drift.transaction_drift(targets, rehearsed):
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
        reason = may_begin_again(hands, order)
        if not reason:
            followed = _begin_again(hands, order, granted, before)
            reason = "the host did not take the job"
        if _not_begun(followed):
            followed = _forbid(hands, order, granted)
        if _not_begun(followed):
            return _end_unbegun(hands, order, granted, before, reason)
    after = _second_look(hands, order, granted, followed)
    with hands.ledger.reading() as book:
        row = attempts.find(book, order.plan.digest, order.host.name)
    conclusion = conclude(hands, order, before, after, followed, reboots=row.reboots if row else 0)
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


def _begin_again(hands: Hands, order: Order, granted: Granted, before: Look) -> Followed:
    """Start a job that was proven not to exist: the host takes one attempt id only once."""
    targets = order.planned.targets()
    if before.facts is not None:
        targets = drift.missing_targets(order.planned, before.facts) or targets
    try:
        transport = hands.connect(order.host)
    except TransportError as error:
        return Followed(view=None, trouble=f"{error.reason}: {error}")
    try:
        view = begin(hands, order, transport, granted, targets)
    finally:
        transport.close()
    return follow(hands, order, granted, view)


def _second_look(hands: Hands, order: Order, granted: Granted, followed: Followed) -> Look:
    """Look over a fresh connection, reboot if that is due, and keep the last look in the ledger."""
    seen = look(hands, order.host, refresh=False)
    if not followed.trouble and followed.view is not None:
        boot_id = followed.view.boot_id_at_begin
        seen = reboot_if_due(hands, order, granted.attempt_id, seen, boot_id)
    with hands.ledger.writing() as book:
        record_look(book, order.host, seen, purpose="after", rollout_id=order.plan.rollout)
    return seen


def _end_unbegun(
    hands: Hands, order: Order, granted: Granted, before: Look, reason: str
) -> Outcome:
    conclusion = Conclusion(
        outcome=Outcome.NOT_ATTEMPTED,
        reason=f"was never begun: {reason}",
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
