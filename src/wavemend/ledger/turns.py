"""Turns to write: the threads of one process wait for each other before they contend with others.

SQLite's own waiting is not fair: of a hundred threads one may never get its turn. A turn is a
courtesy; what excludes is the file's own lock. So a turn that nobody hands on is passed over: an
exception may come from outside at any moment (a time-out, a cancellation, Ctrl-C), and at the one
between taking a lock and knowing of it, no code can give it back.
"""

from threading import Lock
from time import monotonic

HELD_SECONDS = 10.0
"""How long nobody gets a turn before it is passed over. A transaction takes milliseconds, and a
lease's heartbeats are 15 s apart: one lost turn loses no lease."""

_ALL: dict[str, "Turns"] = {}
_LOCK = Lock()


class Turns:
    """The turns of this process's threads to write to one file."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._given = 0

    def take(self, seconds: float) -> "Lock | None":
        """Wait for a turn and return what to release at its end; None: no turn within `seconds`."""
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            turn, given = self._turn, self._given
            if turn.acquire(timeout=min(left, HELD_SECONDS)):
                self._given += 1
                return turn
            if given == self._given:
                self._pass_over(turn)
        return None

    def _pass_over(self, turn: Lock) -> None:
        with _LOCK:
            if self._turn is turn:
                self._turn = Lock()


def turns_of(url: str) -> Turns:
    """Return the turns at a ledger, the same for all who opened it."""
    with _LOCK:
        return _ALL.setdefault(url, Turns())
