"""The door to a host of a rootless lab: a port of the ordinary namespace that leads to its sshd.

The socket is bound in the ordinary namespace and handed to the supervisor, which listens on it
only while the host's sshd answers. So a host that is off refuses connections.
"""

import socket
import struct
import time
from collections.abc import Callable
from threading import Thread

_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.05
# Close with a reset, so that nobody takes an unanswered connection for a living host.
_RESET = struct.pack("ii", 1, 0)


def answers(address: str, port: int, seconds: float) -> bool:
    """Say whether something accepts connections there."""
    try:
        socket.create_connection((address, port), timeout=seconds).close()
    except OSError:
        return False
    return True


class Door:
    """Forwards a bound socket's connections to one host's port 22."""

    def __init__(self, bound: socket.socket, address: str) -> None:
        """Take over the bound socket; it does not listen yet."""
        self._socket = bound
        self._address = address

    def open_when_ready(self, running: Callable[[], bool]) -> None:
        """Listen as soon as sshd answers, unless the host stops before."""
        Thread(target=self._open, args=(running,), daemon=True).start()

    def close(self) -> None:
        """Refuse new connections; the port stays ours. Open ones end with the host."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was not listening

    def _open(self, running: Callable[[], bool]) -> None:
        while running() and not answers(self._address, 22, 1.0):
            time.sleep(_POLL_SECONDS)
        if not running():
            return
        self._socket.listen(64)
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return  # closed: the host is down
            Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        try:
            host = socket.create_connection((self._address, 22), timeout=_CONNECT_SECONDS)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        host.settimeout(None)
        Thread(target=_copy, args=(client, host), daemon=True).start()
        _copy(host, client)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction to its end, and pass the end on."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side broke off: so must the other. Closing here could free a descriptor in use.
        for end in (source, target):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
