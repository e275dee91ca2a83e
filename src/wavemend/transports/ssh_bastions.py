"""Connections to bastions, shared by all hosts behind them and closed with the last one."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from wavemend.errors import TransportError
from wavemend.transports.ssh_handshake import Link


@dataclass(slots=True)
class Bastion:
    """A bastion's connection, being opened or open, and how many hosts use it."""

    key: tuple[str, ...]
    link: Future[Link] = field(default_factory=Future)
    users: int = 0

    @property
    def is_dead(self) -> bool:
        """True when it was open and no longer is."""
        return self.link.done() and not self.link.result().transport.is_active()


class BastionPool:
    """One connection per bastion and login in this process.

    Whoever comes while it is being opened waits for that one attempt and shares its result:
    a bastion that is down costs its hosts one time-out, not one after the other.
    """

    def __init__(self) -> None:
        self._bastions: dict[tuple[str, ...], Bastion] = {}
        self._lock = threading.Lock()

    def lease(self, key: tuple[str, ...], connect: Callable[[], Link]) -> Bastion:
        """Return the open bastion for `key`, opening it when nobody has. Give it back by `release`.

        Raises what `connect` raises, a TransportError.
        """
        with self._lock:
            bastion = self._bastions.get(key)
            mine = bastion is None or bastion.is_dead
            if bastion is None or mine:
                bastion = self._bastions[key] = Bastion(key)
            bastion.users += 1
        if mine:
            self._open(bastion, connect)
        else:
            self._wait(bastion)
        return bastion

    def _open(self, bastion: Bastion, connect: Callable[[], Link]) -> None:
        try:
            bastion.link.set_result(connect())
        except BaseException as error:
            with self._lock:  # the next host tries again
                self._forget(bastion)
            bastion.link.set_exception(error)
            raise

    @staticmethod
    def _wait(bastion: Bastion) -> None:
        try:
            bastion.link.result()
        except TransportError as error:
            # One exception object raised in many threads would collect all their tracebacks.
            raise type(error)(error.message, hint=error.hint) from None

    def release(self, bastion: Bastion) -> None:
        """Give a leased bastion back; the last one closes it."""
        with self._lock:
            bastion.users -= 1
            last = bastion.users <= 0
            if last:
                self._forget(bastion)
        if last:
            bastion.link.result().close()

    def _forget(self, bastion: Bastion) -> None:
        if self._bastions.get(bastion.key) is bastion:
            del self._bastions[bastion.key]

    def counts(self) -> dict[str, int]:
        """Return how many hosts use each bastion now, by its address."""
        with self._lock:
            return {bastion.key[-1]: bastion.users for bastion in self._bastions.values()}
