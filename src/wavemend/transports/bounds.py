"""How long things with a host may take, and what is said when they took longer."""

import time
from dataclasses import dataclass

from wavemend.errors import ConnectionLost, DeadlinePassed, TransportError


class Budget:
    """What is left of the time for one connection, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self._ends_at - time.monotonic())

    def extend(self, seconds: float) -> None:
        """Give back time spent waiting for ourselves."""
        self._ends_at += seconds


@dataclass(frozen=True, slots=True)
class Bounds:
    """Whose command it is and until when it may take, for decisions and for messages."""

    host: str
    deadline: float
    started: float

    @property
    def ends_at(self) -> float:
        """The end of the deadline, by the monotonic clock."""
        return self.started + self.deadline

    @property
    def left(self) -> float:
        """Seconds until then, never below zero."""
        return max(0.0, self.ends_at - time.monotonic())

    @property
    def passed(self) -> bool:
        """True from the end of the deadline on."""
        return time.monotonic() >= self.ends_at

    def late(self) -> DeadlinePassed:
        """Return the error for a command whose end was not seen in time."""
        return DeadlinePassed(
            f"{self.host}: the command did not end within {self.deadline:g} s; the connection was"
            " closed and what happened on the host is unknown",
            hint="look at the host before repeating anything",
        )

    def lost(self, words: str) -> TransportError:
        """Return the error for a command whose end was not seen; late where time ran out as well.

        The watchdog closes the connection at the deadline, which looks like a loss first.
        """
        if self.passed:
            return self.late()
        return ConnectionLost(
            f"{self.host}: {words or 'the connection was lost'}; what happened on the host is"
            " unknown",
            hint="look at the host before repeating anything",
        )
