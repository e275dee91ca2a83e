"""Two bounds on what a fleet's connections may do together: storms of logins and of connects."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wavemend.errors import LoginRefused

REFUSALS_ALLOWED = 3
"""Directories lock an account after five wrong logins or so; we stop before."""

CONNECTS_AT_ONCE = 16
"""Connections being set up at the same time: sshd drops bursts above 10 (MaxStartups 10:30:100)
on one server, domain controllers answer each login over WinRM, and setting one up takes some
30 ms, so that more brings nothing."""


@dataclass(slots=True)
class _Record:
    refusals: int = 0
    in_flight: int = 0
    proven: bool = False


@dataclass(slots=True)
class Trial:
    """One attempt at a login. Set `tells` to False where its end says nothing about the secret."""

    tells: bool = True


class LoginGuard:
    """Stops a fleet's logins after three refusals in a row, before an account gets locked.

    Counted per login name and credential, in this process. As long as a credential is not proven
    by an accepted login, only as many attempts run at once as may still fail: 500 hosts in
    parallel cannot overrun the limit. An accepted login proves the credential good and clears the
    count: a few hosts that lack the key are outcomes of these hosts, not a wrong key.
    """

    def __init__(self, limit: int = REFUSALS_ALLOWED) -> None:
        self._limit = limit
        self._records: dict[tuple[str, str], _Record] = {}
        self._changed = threading.Condition()

    def _record(self, name: str, credential: str) -> _Record:
        return self._records.setdefault((name, credential), _Record())

    def check(self, name: str, credential: str = "") -> None:
        """Raise LoginRefused when this login has been refused too often."""
        with self._changed:
            self._check(name, self._record(name, credential))

    def _check(self, name: str, record: _Record) -> None:
        if record.refusals >= self._limit:
            times = "once" if record.refusals == 1 else f"{record.refusals} times in a row"
            raise LoginRefused(
                f"login {name!r} was refused {times} and is not tried again",
                hint="check the key or the password and the account, then start again",
            )

    @contextmanager
    def attempt(self, name: str, credential: str = "") -> Iterator[Trial]:
        """Wait for the right to try the login, and count how the attempt in the body ends."""
        with self._changed:
            record = self._record(name, credential)
            while True:
                self._check(name, record)
                if record.proven or record.in_flight < self._limit - record.refusals:
                    break
                self._changed.wait()  # each attempt in flight ends within its own bound
            record.in_flight += 1
        refused = accepted = False
        trial = Trial()
        try:
            yield trial
            accepted = trial.tells
        except LoginRefused:
            refused = True
            raise
        finally:
            with self._changed:
                record.in_flight -= 1
                if refused:
                    record.refusals, record.proven = record.refusals + 1, False
                elif accepted:
                    record.refusals, record.proven = 0, True
                self._changed.notify_all()

    def forget(self) -> None:
        """Start counting anew, after somebody mended the login."""
        with self._changed:
            self._records.clear()
            self._changed.notify_all()


class ConnectLimiter:
    """At most so many connections being set up at once, with a little jitter between them."""

    def __init__(self, slots: int = CONNECTS_AT_ONCE, *, jitter: Callable[[], float]) -> None:
        self._slots = threading.BoundedSemaphore(slots)
        self._jitter = jitter

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot; the wait is not part of the connection's own time."""
        with self._slots:
            time.sleep(self._jitter())
            yield
