"""Attach to a detached job, poll, lose the connection, attach again: until it ends or time does."""

from collections.abc import Callable
from dataclasses import dataclass

from wavemend.errors import TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import REFUSALS, JobState, JobView
from wavemend.execution.jobs import read_job
from wavemend.hosts import Host
from wavemend.ledger.attempts import Granted
from wavemend.transport import Transport

POLL_SECONDS = (0.5, 5.0)
"""First and longest pause between two questions: quick for small updates, cheap for long ones."""

READ_SECONDS = 60.0

WAIT_SECONDS = 15
"""A host that waits itself does so for that long: each question costs a Windows host a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The last that was seen of a job. `trouble`: why its end was not seen; empty when it was."""

    view: JobView | None
    trouble: str = ""

    @property
    def not_begun(self) -> bool:
        """True when the host says that the job does not exist there."""
        return not self.trouble and self.view is not None and self.view.state is JobState.ABSENT

    @property
    def ended(self) -> bool:
        """True when the job's own end was seen."""
        return not self.trouble and self.view is not None and self.view.state is JobState.ENDED

    @property
    def over(self) -> bool:
        """True when the job does nothing any more, whether or not its end was recorded."""
        over = (JobState.ENDED, JobState.LOST)
        return not self.trouble and self.view is not None and self.view.state in over

    @property
    def refusal(self) -> str:
        """Why the host refused to begin the job; empty when it did not."""
        if self.trouble or self.view is None:
            return ""
        return REFUSALS.get(self.view.state, "")


def _nobody(_: str) -> None:
    """Tell nobody that a host is lost."""


def follow(
    hands: Hands,
    host: Host,
    granted: Granted,
    first: JobView | None,
    *,
    seconds: float,
    note: Callable[[JobView], None],
    lost: Callable[[str], None] = _nobody,
) -> Followed:
    """Return how the job ended, or why its end could not be seen within so many seconds.

    The job itself is never touched: a package transaction is not killed because we cannot see it.
    `first`: the answer to the start, if there was one. `note` gets each answer, `lost` the reason
    each time there is none.
    """
    if first is not None and first.state is not JobState.RUNNING:
        return Followed(view=first)
    until = hands.monotonic() + seconds
    transport: Transport | None = None
    view, trouble, pause = first, "", POLL_SECONDS[0]
    try:
        while True:
            try:
                transport = transport or hands.connect(host)
                view = read_job(
                    transport,
                    granted.attempt_id,
                    granted.nonce,
                    deadline=READ_SECONDS,
                    wait_seconds=WAIT_SECONDS,
                )
                trouble = ""
            except TransportError as error:
                trouble = f"{error.reason}: {error}"
                if transport is not None:
                    transport.close()
                transport = None
            if trouble:
                lost(trouble)
            elif view is not None:
                note(view)
                if view.state is not JobState.RUNNING:
                    return Followed(view=view)
            if hands.monotonic() >= until:
                minutes = int(seconds // 60)
                return Followed(
                    view=view, trouble=trouble or f"still running after {minutes} minutes"
                )
            hands.sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS[1])
    finally:
        if transport is not None:
            transport.close()
