"""A host in flight that stops answering is written down at once: others may vanish with it."""

from datetime import UTC, datetime

from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import JobView
from wavemend.execution.order import Order
from wavemend.ledger import attempts, losses


class Watch:
    """Writes down what changes while a job is followed: begun, lost, found again."""

    def __init__(self, hands: Hands, order: Order, attempt_id: str) -> None:
        self._hands = hands
        self._order = order
        self._attempt_id = attempt_id
        self._answers: bool | None = None
        """What the ledger was told last; None: nothing by this process."""

    def seen(self, view: JobView) -> None:
        """Note that the host answers and, with the host's own time of it, that it has begun."""
        if self._answers:
            return
        begun = None if view.begun_at is None else datetime.fromtimestamp(view.begun_at, UTC)
        with self._hands.ledger.writing() as book:
            attempts.mark_running(
                book, self._order.lease, self._attempt_id, begun, self._hands.clock()
            )
        self._answers = True

    def lost(self, reason: str) -> None:
        """Note that the host does not answer any more."""
        if self._answers is False:
            return
        with self._hands.ledger.writing() as book:
            losses.note_lost(book, self._order.lease, self._attempt_id, reason, self._hands.clock())
        self._answers = False
