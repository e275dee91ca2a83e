"""The connections of one download, so that it can be cut off from outside when its time is over.

A timeout per read does not bound a download: a server may send its headers byte by byte, answer
"100 Continue" for ever, or let the name service hang. Nothing of that is asked here; the work runs
in a thread of its own, and whoever waits for it shuts its connections and goes on.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_T = TypeVar("_T")

LAST_WORDS_SECONDS = 1.0
"""How long work that was cut off may take to let go of its file."""

THREAD_NAME = "feed-download"


class TimeIsOver(Exception):
    """The work did not end in time; its connections are shut."""


class Line:
    """The open connections of one piece of work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self._is_cut = False

    def hold(self, connection: socket.socket) -> None:
        """Remember a connection; shut it at once when the time is over already.

        A duplicate is kept: wrapping in TLS takes the descriptor away from the original.
        """
        spare = connection.dup()
        with self._lock:
            self._held.append(spare)
            if self._is_cut:
                _shut(spare)

    def cut(self) -> None:
        """Shut every connection, also those that are still to be made: a waiting read ends."""
        with self._lock:
            self._is_cut = True
            for connection in self._held:
                _shut(connection)

    def close(self) -> None:
        """Give the descriptors back. Called by the work itself when it has ended."""
        with self._lock:
            for connection in self._held:
                connection.close()
            self._held.clear()


def bounded(work: Callable[[Line], _T], seconds: float) -> _T:
    """Return what the work returns, or raise what it raises, or TimeIsOver after `seconds`.

    Work that hangs where no connection is open yet (the name service) is left behind; it ends
    with the resolver's own patience, and what it then connects to is shut at once.
    """
    if seconds <= 0:
        raise TimeIsOver
    line = Line()
    ended: Future[_T] = Future()

    def run() -> None:
        try:
            ended.set_result(work(line))
        except BaseException as error:  # noqa: BLE001 - handed over to the one who waits
            ended.set_exception(error)
        finally:
            line.close()

    # A daemon: a hanging resolver must not keep the process from ending.
    threading.Thread(target=run, name=THREAD_NAME, daemon=True).start()
    in_time = False
    try:
        in_time = not wait((ended,), timeout=min(seconds, threading.TIMEOUT_MAX)).not_done
    finally:  # also when the operator interrupts
        if not in_time:
            line.cut()
            wait((ended,), timeout=LAST_WORDS_SECONDS)
    if not in_time:
        raise TimeIsOver
    return ended.result()


class _Session(requests.Session):
    """A session that leaves redirects alone.

    Even when told not to follow them, requests reads the whole body of a redirect, unpacked, into
    memory, only to know where it leads.
    """

    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[Any]:
        return iter(())


class _Adapter(HTTPAdapter):
    """Opens connections that the line knows of."""

    def __init__(self, line: Line) -> None:
        self._pools = _pools(line)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):  # SOCKS brings connections of its own
            manager.pool_classes_by_scheme = self._pools
        return manager


def open_session(line: Line) -> requests.Session:
    """Return a session whose connections can be cut by `line`, and that follows no redirect."""
    session = _Session()
    adapter = _Adapter(line)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _pools(line: Line) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            line.hold(connection)
            return connection

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            line.hold(connection)
            return connection

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is down already
