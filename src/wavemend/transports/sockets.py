"""From a name to a connected socket: bounded, and each failure named."""

import errno
import ipaddress
import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from wavemend.errors import HostNameUnknown, HostPortClosed, HostUnreachable
from wavemend.transports.bounds import Budget

USER_TIMEOUT_MS = 10_000
"""Unacknowledged data older than this ends the connection: a silent partition is seen after some
16 s instead of hanging for minutes (measured)."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service of a host listens."""

    address: str
    port: int
    service: str
    """What listens there, in the words of an operator: `sshd`."""

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


def open_socket(place: Place, budget: Budget) -> socket.socket:
    """Connect to a place, trying each of its addresses within the budget.

    Raises HostNameUnknown, HostPortClosed or HostUnreachable.
    """
    addresses = _look_up(place, budget)
    failure: OSError | None = None
    for tried, (family, address) in enumerate(addresses):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(0.001, budget.left() / (len(addresses) - tried)))
            _tune(sock)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise _no_connection(place, failure, budget)


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only; elsewhere the deadline alone bounds
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def _no_connection(place: Place, failure: OSError | None, budget: Budget) -> HostUnreachable:
    if isinstance(failure, ConnectionRefusedError):
        return HostPortClosed(
            f"{place}: the machine answers and the port is closed",
            hint=f"is {place.service} running, and on this port?",
        )
    if isinstance(failure, TimeoutError) or (failure and failure.errno == errno.ETIMEDOUT):
        return HostUnreachable(f"{place}: no answer within {budget.seconds:g} s")
    return HostUnreachable(f"{place}: no connection: {failure}")


def _look_up(place: Place, budget: Budget) -> list[tuple[int, tuple[Any, ...]]]:
    """Resolve a name within the budget: the system's resolver has no time-out of its own."""
    try:
        literal = ipaddress.ip_address(place.address)
    except ValueError:
        pass
    else:
        family = socket.AF_INET if literal.version == 4 else socket.AF_INET6
        return [(family, (place.address, place.port))]
    try:
        found = _bounded(
            lambda: socket.getaddrinfo(place.address, place.port, type=socket.SOCK_STREAM),
            budget.left(),
        )
    except TimeoutError:
        raise HostNameUnknown(
            f"{place}: the name was not resolved within {budget.seconds:g} s",
            hint="check the name servers of this machine",
        ) from None
    except (OSError, UnicodeError) as error:
        raise HostNameUnknown(f"{place}: the name does not resolve: {error}") from error
    return [(family, address) for family, _, _, _, address in found]


def _bounded(call: Callable[[], Answer], seconds: float) -> Answer:
    """Run a call that cannot be bounded itself; one that hangs is left to a daemon thread."""
    answer: queue.SimpleQueue[Answer | OSError | UnicodeError] = queue.SimpleQueue()

    def work() -> None:
        try:
            answer.put(call())
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=work, name="wavemend-name-lookup", daemon=True).start()
    try:
        got = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(got, OSError | UnicodeError):
        raise got
    return got
