"""The end of an attempt: the hooks that always run, the one outcome, and a host left tidy."""

from contextlib import suppress
from dataclasses import replace

from wavemend.errors import TransportError
from wavemend.execution.conclude import Conclusion
from wavemend.execution.hands import Hands
from wavemend.execution.hooks import run_hooks
from wavemend.execution.jobs import remove_old_jobs
from wavemend.execution.order import Order
from wavemend.ledger import attempts
from wavemend.ledger.attempts import Granted
from wavemend.outcomes import Outcome
from wavemend.policy.care import When

KEPT_JOBS = 5
"""Job directories that stay on a host: their full logs, for whoever looks into a failure."""

_TIDY_SECONDS = 30.0


def end(hands: Hands, order: Order, granted: Granted, conclusion: Conclusion) -> Outcome:
    """Run the hooks after the change, write the outcome, and remove old jobs from the host.

    A hook that fails is named in the reason; it neither hides the host's outcome nor makes it
    better.
    """
    troubles = run_hooks(
        hands, order, granted.attempt_id, When.AFTER, outcome=conclusion.outcome.value
    )
    reason = "; ".join([*([conclusion.reason] if conclusion.reason else []), *troubles])
    conclusion = replace(conclusion, reason=reason)
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
    if conclusion.evidence is not None and conclusion.evidence.second_look_at is not None:
        _tidy(hands, order)
    return conclusion.outcome


def _tidy(hands: Hands, order: Order) -> None:
    # The evidence is stored: what is left on the host is for people, and the journal keeps it.
    with suppress(TransportError):
        transport = hands.connect(order.host)
        try:
            remove_old_jobs(transport, keep=KEPT_JOBS, deadline=_TIDY_SECONDS)
        finally:
            transport.close()
