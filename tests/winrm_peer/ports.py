"""A local port that can be shut without being given up, and threads that are all waited for."""

import functools
import socket
import threading
import time
from collections.abc import Callable

ADDRESS = "127.0.0.1"


class Port:
    """Bound from its first moment to its last; connections are taken while it is open."""

    def __init__(self) -> None:
        self._socket = _bound_socket()
        self._lock = threading.Lock()
        self._closed = False
        self.open = False
        self.number = int(self._socket.getsockname()[1])

    def listen(self) -> bool:
        """False: it is open already, or closed for good."""
        with self._lock:
            if self.open or self._closed:
                return False
            self._socket.listen(128)
            self.open = True
            return True

    def shut(self) -> None:
        """New connections are refused. A waiting `accept` ends."""
        with self._lock:
            # Shut down twice, the socket would later accept connections that are at their end.
            if self.open:
                self.open = False
                self._socket.shutdown(socket.SHUT_RDWR)

    def accept(self) -> tuple[socket.socket, str] | None:
        """A connection and its client's address; None: the port was shut."""
        try:
            raw, (client, _) = self._socket.accept()
        except OSError:
            return None
        return raw, client

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self.shut()

    def give_up(self) -> None:
        """After everybody who accepts has ended."""
        self._socket.close()


def _bound_socket() -> socket.socket:
    """Bound to a free port by number: Linux then keeps the port while nothing listens on it."""
    for _ in range(20):
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            port = probe.getsockname()[1]
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((ADDRESS, port))
        except OSError:
            bound.close()
        else:
            return bound
    raise RuntimeError("no free port")


class Threads:
    """Runs what it is given, each on a thread of its own, and can wait for all of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()

    def run(self, what: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(
            target=functools.partial(self._end, target), name=f"{self._name}-{what}", daemon=True
        )
        with self._lock:
            self._running.add(thread)
        thread.start()

    def wait(self, seconds: float) -> None:
        """For all but the caller's own. Raises: RuntimeError naming what does not end."""
        ends_at = time.monotonic() + seconds
        while left := self._others():
            left[0].join(max(ends_at - time.monotonic(), 0))
            if time.monotonic() >= ends_at:
                raise RuntimeError(f"threads do not end: {[thread.name for thread in left]}")

    def _end(self, target: Callable[[], None]) -> None:
        try:
            target()
        finally:
            with self._lock:
                self._running.discard(threading.current_thread())

    def _others(self) -> list[threading.Thread]:
        with self._lock:
            return [one for one in self._running if one is not threading.current_thread()]
