"""The job of one round of an attempt: followed by whoever comes, or forbidden for good."""

from wavemend.errors import TransportError
from wavemend.execution.follow import Followed, follow
from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.jobs import forbid_job
from wavemend.execution.lost import Watch
from wavemend.execution.order import Order
from wavemend.execution.start import START_SECONDS
from wavemend.ledger import attempts
from wavemend.ledger.attempts import Granted
from wavemend.rounds import job_of


def of_round(granted: Granted, number: int) -> Granted:
    """Return an attempt's right to start as that of one of its rounds."""
    return Granted(job_of(granted.attempt_id, number), granted.nonce, granted.fence)


def follow_round(
    hands: Hands, order: Order, granted: Granted, first: JobView | None, *, number: int = 1
) -> Followed:
    """Attach to a round's job until it ends or time does. `first`: the answer to its start."""
    watch = Watch(hands, order, granted.attempt_id)
    if first is not None:
        watch.seen(first)
    seconds = order.profile.host_deadline.total_seconds()
    followed = follow(
        hands,
        order.host,
        of_round(granted, number),
        first,
        seconds=seconds,
        note=watch.seen,
        lost=watch.lost,
    )
    with hands.ledger.reading() as book:
        begun = number == 1 and attempts.has_begun(book, granted.attempt_id)
    if followed.not_begun and begun:
        # The host has forgotten it (a restored disk, removed records): what it has done is unknown.
        return Followed(view=JobView(state=JobState.LOST))
    return followed


def forbid_round(
    hands: Hands, order: Order, granted: Granted, why: str, *, number: int = 1
) -> Followed:
    """Make "not begun" final on the host: a start whose answer was lost may still be travelling.

    `why` it is not to be begun; empty: nobody forbade it.
    """
    job = of_round(granted, number)
    try:
        transport = hands.connect(order.host)
        try:
            view = forbid_job(transport, job.attempt_id, job.nonce, deadline=START_SECONDS)
        finally:
            transport.close()
    except TransportError as error:
        forbidden = f"; it was not to be begun: {why}" if why else ""
        return Followed(view=None, trouble=f"{error.reason}: {error}{forbidden}")
    if view.state is JobState.ABSENT:
        return Followed(view=view)
    return follow_round(hands, order, granted, view, number=number)
