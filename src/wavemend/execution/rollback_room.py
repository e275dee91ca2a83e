"""A rollback's place in the budgets: waited for, but not for ever."""

from datetime import timedelta

from wavemend.calendar.durations import format_duration
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.ledger import rollbacks
from wavemend.ledger.answers import Answer, Refused, Wait
from wavemend.ledger.limits import rollback_verdict
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.ledger.rollouts import stopped
from wavemend.rollbacks import RollbackRequest, time_refusal

MOST_WAIT = timedelta(minutes=30)
"""95 of 100 changes have ended by then, restart included. Whoever asked for a rollback is watching,
and is told then who is in the way."""

_ASK_AGAIN_SECONDS = 5.0


def begin_refusal(hands: Hands, order: Order, request: RollbackRequest) -> str:
    """Say which switch or window forbids that a rollback begins now; empty when none does."""
    with hands.ledger.reading() as book:
        stop = hands.local_stop() or stopped(book, order.plan.tenant)
    return stop or time_refusal(request, order.plan, hands.clock())


def wait_for_room(hands: Hands, order: Order, request: RollbackRequest, until: float) -> str:
    """Wait while the hosts of its budgets that are at work leave no room for this one.

    Returns why it waits no more without having found room, and nothing when it may be tried: the
    answer itself is given with the intent. `until`: by `hands.monotonic`.
    """
    while True:
        limits = order.in_force().limits
        with hands.ledger.reading() as book:
            answer = rollback_verdict(book, order.host.name, limits, hands.clock())
        if not isinstance(answer, Wait):
            return ""
        if reason := begin_refusal(hands, order, request):
            return f"{reason}, while it waited: {answer.reason}"
        # By policy the hosts of a whole wave may come one after the other: until the window's end.
        if not request.automatic and hands.monotonic() >= until:
            return f"{answer.reason}, and it has waited {format_duration(MOST_WAIT)} for that"
        hands.sleep(_ASK_AGAIN_SECONDS)


def intend_rollback(
    hands: Hands, order: Order, request: RollbackRequest, intent: RollbackIntent
) -> Answer:
    """Write the intent if window and budgets allow it now, or say why it is not written."""
    limits = order.in_force().limits
    with hands.ledger.writing() as book:
        now = hands.clock()
        if reason := time_refusal(request, order.plan, now):
            return Refused(reason)
        return rollbacks.intend(
            book, order.lease, intent, now=now, local_stop=hands.local_stop(), limits=limits
        )
