"""Two bounds on what a fleet's connections may do together: storms of logins and of connects."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wavemend.errors import LoginRefused

REFUSALS_ALLOWED = 3
"""Directories lock an account after five wrong logins or so; we stop before."""

_MEND = "check the key or the password and the account, then start again"

CONNECTS_AT_ONCE = 16
"""Connections being set up at the same time: sshd drops bursts above 10 (MaxStartups 10:30:100)
on one server, domain controllers answer each login over WinRM, and setting one up takes some
30 ms, so that more brings nothing."""


HOST_REFUSALS_ALLOWED = 6
"""Of one host in a row, where the login is known to be right: a domain controller that comes up
answers WinRM minutes before it knows any account, and a Linux host may log nobody in yet. Fewer
than directories that count to ten before they lock."""

HOST_PAUSE_SECONDS = 90.0
"""Between two of them: whoever waits for a restart asks every few seconds."""


@dataclass(slots=True)
class _Refusals:
    """What one host has refused in a row."""

    count: int
    last: float


@dataclass(slots=True)
class _Record:
    refusals: int = 0
    """In a row, of a credential that nobody has accepted yet."""
    in_flight: int = 0
    proven: bool = False
    good: bool = False
    """Accepted at some time: not every refusal means that it is wrong."""
    in_a_row: set[str] = field(default_factory=set)
    """Hosts that refused it since anybody accepted it last."""
    by_host: dict[str, _Refusals] = field(default_factory=dict)

    @property
    def may_fail(self) -> int:
        """How many refusals count until now."""
        return self.refusals if not self.good or "" in self.in_a_row else len(self.in_a_row)

    @property
    def spent(self) -> bool:
        """True when a login that was right has been refused so often that it may be locked."""
        return self.good and self.refusals >= HOST_REFUSALS_ALLOWED

    def take(self, host: str, *, accepted: bool, now: float) -> None:
        """Count an end that tells something."""
        if accepted:
            self.refusals, self.proven, self.good = 0, True, True
            self.in_a_row.clear()
            self.by_host.pop(host, None)
            return
        self.refusals, self.proven = self.refusals + 1, False
        self.in_a_row.add(host)
        before = self.by_host.get(host)
        self.by_host[host] = _Refusals(count=before.count + 1 if before else 1, last=now)


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

    Of a credential that was good, three different hosts must refuse in a row, or few hosts so often
    that the account is near its lock. One host that goes on refusing while others accept is asked
    `HOST_REFUSALS_ALLOWED` times, with pauses, and keeps nobody else out.
    """

    def __init__(
        self, limit: int = REFUSALS_ALLOWED, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._records: dict[tuple[str, str], _Record] = {}
        self._changed = threading.Condition()

    def _record(self, name: str, credential: str) -> _Record:
        return self._records.setdefault((name, credential), _Record())

    def check(self, name: str, credential: str = "", *, host: str = "") -> None:
        """Raise LoginRefused when this login has been refused too often."""
        with self._changed:
            self._check(name, self._record(name, credential), host)

    def _check(self, name: str, record: _Record, host: str) -> None:
        if record.may_fail >= self._limit or record.spent:
            times = "once" if record.refusals == 1 else f"{record.refusals} times in a row"
            raise LoginRefused(
                f"login {name!r} was refused {times} and is not tried again", hint=_MEND
            )
        refused = record.by_host.get(host) if record.good else None
        if refused is None:
            return
        if refused.count >= HOST_REFUSALS_ALLOWED:
            raise LoginRefused(
                f"{host} refused the login {name!r} {refused.count} times in a row and is not "
                "asked again",
                hint=_MEND,
            )
        wait = refused.last + HOST_PAUSE_SECONDS - self._clock()
        if wait > 0:
            raise LoginRefused(
                f"{host} refused the login {name!r}, which others accept, and is asked again in "
                f"{wait:.0f} s"
            )

    @contextmanager
    def attempt(self, name: str, credential: str = "", *, host: str = "") -> Iterator[Trial]:
        """Wait for the right to try the login, and count how the attempt in the body ends.

        `host`: who is asked. Empty: all refusals count together, whoever refuses.
        """
        with self._changed:
            record = self._record(name, credential)
            while True:
                self._check(name, record, host)
                if record.proven or record.in_flight < self._limit - record.may_fail:
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
                if refused or accepted:
                    record.take(host, accepted=accepted, now=self._clock())
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
