"""Attach to a detached job, poll, lose the connection, attach again: until it ends or time does."""

from dataclasses import dataclass

from wavemend.errors import TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobState, JobView, read_job
from wavemend.execution.order import Order
from wavemend.execution.start import note_running
from wavemend.ledger.attempts import Granted
from wavemend.transport import Transport

POLL_SECONDS = (0.5, 5.0)
"""First and longest pause between two questions: quick for small updates, cheap for long ones."""

READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The last that was seen of a job. `trouble`: why its end was not seen; empty when it was."""

    view: JobView | None
    trouble: str = ""


def follow(hands: Hands, order: Order, granted: Granted, first: JobView | None) -> Followed:
    """Return how the job ended, or why its end could not be seen within the host's deadline.

    The job itself is never touched: a package transaction is not killed because we cannot see it.
    """
    if first is not None and first.state is not JobState.RUNNING:
        return Followed(view=first)
    until = hands.monotonic() + order.profile.host_deadline.total_seconds()
    transport: Transport | None = None
    view, trouble, pause = first, "", POLL_SECONDS[0]
    try:
        while True:
            try:
                transport = transport or hands.connect(order.host)
                view = read_job(transport, granted.attempt_id, granted.nonce, deadline=READ_SECONDS)
                trouble = ""
            except TransportError as error:
                trouble = f"{error.reason}: {error}"
                if transport is not None:
                    transport.close()
                transport = None
            if not trouble and view is not None:
                note_running(hands, order, granted.attempt_id, view)
                if view.state is not JobState.RUNNING:
                    return Followed(view=view)
            if hands.monotonic() >= until:
                minutes = int(order.profile.host_deadline.total_seconds() // 60)
                return Followed(
                    view=view, trouble=trouble or f"still running after {minutes} minutes"
                )
            hands.sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS[1])
    finally:
        if transport is not None:
            transport.close()
