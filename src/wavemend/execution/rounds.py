"""What follows a job: the second look, the restart, and another round where that helps.

A round is the same change once more, for what is still missing of the plan: a job of its own with
a name that follows from the attempt's, written down before it is started. Everything that a first
start is asked is asked again. Only managers that need rounds get any.
"""

from dataclasses import dataclass, replace

from wavemend.errors import ConnectionLost, DeadlinePassed, HostAnswerInvalid
from wavemend.execution import drift
from wavemend.execution.before import Obstacle, check_look
from wavemend.execution.conclude import bad_end_of
from wavemend.execution.follow import Followed
from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.looks import look
from wavemend.execution.order import Order
from wavemend.execution.reboot import Rebooted, once_up, reboot_if_due, until_serviced
from wavemend.execution.round_job import follow_round, forbid_round, of_round
from wavemend.execution.start import begin, may_begin
from wavemend.hosts import Facts
from wavemend.ledger import attempts
from wavemend.ledger.attempts import Granted
from wavemend.ledger.rollouts import check_lease
from wavemend.ledger.rounds import intend_round, rounds_of
from wavemend.ledger.scans import record_look
from wavemend.managers import NeedsRounds, NextRound, TellsReboot
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import JobEnd
from wavemend.rounds import MAX_ROUNDS

_TRIES = 2
"""Starts of one round: a host that does not take the second one takes none."""

_ASK_AGAIN_SECONDS = (60.0, 180.0, 300.0)
"""Pauses before a last look is repeated: after a night's restarts a whole fleet asks one server for
its updates, and what a host says in the first minutes of its boot may be no answer."""

_PASSING = frozenset({HostAnswerInvalid.reason, DeadlinePassed.reason, ConnectionLost.reason})
"""Why a host that is there was not seen."""

_NOT_BEGUN = Followed(view=JobView(state=JobState.ABSENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The last that was seen of an attempt's jobs and of its host."""

    followed: Followed
    """The newest job that was begun."""
    rebooted: Rebooted
    stopped: str = ""
    """Why no further round was begun, although one might have helped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One round whose job was begun."""

    number: int
    granted: Granted
    """The attempt's."""
    before: Look
    """The host before the attempt."""
    followed: Followed


def run_rounds(
    hands: Hands, order: Order, granted: Granted, before: Look, followed: Followed
) -> Ran:
    """Look, restart and begin further rounds until nothing more helps, or may be done.

    `followed`: the first round's job. Rounds that an earlier process began are taken up.
    """
    first = _Round(number=1, granted=granted, before=before, followed=followed)
    last, tried = _newest(hands, order, first), 0
    while True:
        rebooted, further = _look_again(hands, order, last)
        if not further.targets:
            return Ran(followed=last.followed, rebooted=rebooted, stopped=further.reason)
        begun, obstacle = _next_round(hands, order, last, rebooted, further)
        if obstacle is not None:
            tried += 1
            if obstacle.outcome is Outcome.UNREACHABLE and tried < _TRIES:
                continue  # it was lost on its way: once more, after a look of now
            begun = _never(hands, order, last, obstacle.reason)
            if begun.not_begun:
                return Ran(followed=last.followed, rebooted=rebooted, stopped=obstacle.reason)
        last, tried = replace(last, number=last.number + 1, followed=begun), 0


def _newest(hands: Hands, order: Order, first: _Round) -> _Round:
    """Return the last round whose job was begun, by this process or an earlier one."""
    with hands.ledger.reading() as book:
        intended = rounds_of(book, first.granted.attempt_id)
    for number in range(intended, 1, -1):
        followed = follow_round(hands, order, first.granted, None, number=number)
        if not followed.not_begun:
            return replace(first, number=number, followed=followed)
    return first


def _look_again(hands: Hands, order: Order, last: _Round) -> tuple[Rebooted, NextRound]:
    """Look over a fresh connection, reboot if that is due, keep the last look in the ledger.

    Says too what another round would bring in.
    """
    rebooted = Rebooted(look=_seen(hands, order, last))
    view, facts = last.followed.view, rebooted.look.facts
    whole = last.followed.ended and facts is not None and not facts.broken
    further = _further(hands, order, last, rebooted)
    # What no look can see may be half done: nobody knows what a restart would bring up.
    stays = further.reason or bad_end_of(hands, order, last.followed)
    if view is not None and whole and (further.targets or not stays):
        rebooted = reboot_if_due(
            hands,
            order,
            last.granted,
            rebooted.look,
            view.boot_id_at_begin,
            first=further.reboot_first,
        )
    rebooted = replace(rebooted, look=_certain(hands, order, rebooted.look))
    with hands.ledger.writing() as book:
        check_lease(book, order.lease)  # else an older owner would tell of its look as the newest
        record_look(book, order.host, rebooted.look, purpose="after", rollout_id=order.plan.rollout)
    return rebooted, _further(hands, order, last, rebooted)


def _seen(hands: Hands, order: Order, last: _Round) -> Look:
    """Look at the host; one that counts down to the restart it was told to may go meanwhile."""
    view = last.followed.view
    until_serviced(hands, order, last.before, view.boot_id_at_begin if view else "")
    seen = look(hands, order.host, refresh=False)
    if seen.facts is None:
        seen = _certain(hands, order, seen)
    if seen.facts is None and isinstance(hands.manager(order.host), TellsReboot):
        with hands.ledger.reading() as book:
            told = attempts.reboots_of(book, last.granted.attempt_id) > 0
        return once_up(hands, order) if told else seen
    return seen


def _certain(hands: Hands, order: Order, seen: Look) -> Look:
    """Look again, a bounded number of times, where a look failed or could not say what is pending.

    Nobody is failed for what an answer of a few minutes later would have shown.
    """
    if not isinstance(hands.manager(order.host), NeedsRounds):
        return seen
    for pause in _ASK_AGAIN_SECONDS:
        if seen.facts is None:
            settled = seen.reason not in _PASSING
        else:
            missing = drift.missing_targets(order.planned, seen.facts)
            settled = not (seen.facts.unsearched and missing)
        if settled:
            break
        hands.sleep(pause)
        seen = look(hands, order.host, refresh=False)
    return seen


def _further(hands: Hands, order: Order, last: _Round, rebooted: Rebooted) -> NextRound:
    """Ask the manager whether another round would help a host, as it was just seen."""
    manager, facts, view = hands.manager(order.host), rebooted.look.facts, last.followed.view
    if not isinstance(manager, NeedsRounds) or order.restart_only or order.is_repair:
        return NextRound()
    if facts is None or view is None or rebooted.trouble or not _is_over(last.followed, facts):
        return NextRound()
    missing = drift.missing_targets(order.planned, facts)
    if not missing:
        return NextRound()
    return manager.next_round(
        missing,
        last.before.facts or facts,
        facts,
        JobEnd(exit_status=view.exit_status, log=view.log),
        rounds=last.number,
        restarted=_restarted(view, facts),
    )


def _is_over(followed: Followed, facts: Facts) -> bool:
    """True when nothing of a job runs any more: it ended, or a restart of the host interrupted it.

    One that died otherwise may have left work behind that goes on.
    """
    view = followed.view
    if followed.trouble or view is None:
        return False
    return followed.ended or (view.state is JobState.LOST and _restarted(view, facts))


def _restarted(view: JobView, facts: Facts) -> bool:
    return bool(view.boot_id_at_begin) and facts.boot_id != view.boot_id_at_begin


def _next_round(
    hands: Hands, order: Order, last: _Round, rebooted: Rebooted, further: NextRound
) -> tuple[Followed, Obstacle | None]:
    """Begin a further round and follow its job; say too what kept it from beginning, if so."""
    number = last.number + 1
    if refusal := _refusal(hands, order, rebooted, further, number):
        return _NOT_BEGUN, Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=refusal)
    targets = check_look(hands, order, rebooted.look, only=further.targets)
    if isinstance(targets, Obstacle):
        return _NOT_BEGUN, targets
    attempt_id, now = last.granted.attempt_id, hands.clock()
    with hands.ledger.writing() as book:
        intend_round(book, order.lease, attempt_id, number, reason=further.reason, now=now)
    begun = begin(hands, order, of_round(last.granted, number), targets)
    followed = follow_round(hands, order, last.granted, begun.view, number=number)
    if followed.refusal:
        return _NOT_BEGUN, Obstacle(outcome=Outcome.NOT_ATTEMPTED, reason=followed.refusal)
    if followed.not_begun:
        reason = f"the host did not take the job {begun.trouble}".rstrip()
        return _NOT_BEGUN, Obstacle(outcome=Outcome.UNREACHABLE, reason=reason)
    return followed, None


def _refusal(
    hands: Hands, order: Order, rebooted: Rebooted, further: NextRound, number: int
) -> str:
    """Say why a further round must not begin now; empty when it may."""
    if number > MAX_ROUNDS:
        return f"there were {MAX_ROUNDS} rounds"
    if rebooted.pending or further.reboot_first:
        return rebooted.pending or f"a restart comes first: {further.reason}"
    return may_begin(hands, order)


def _never(hands: Hands, order: Order, last: _Round, why: str) -> Followed:
    """Make sure that a round which was intended never begins; if it has after all, follow it."""
    number = last.number + 1
    with hands.ledger.reading() as book:
        intended = rounds_of(book, last.granted.attempt_id) >= number
    if not intended:
        return _NOT_BEGUN
    return forbid_round(hands, order, last.granted, why, number=number)
