"""Lines between controller and host that break, crawl or lag: a proxy where the cable would be."""

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from wavemend.hosts import Host

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What one connection suffers."""

    reset_after: int = -1
    """Bytes from the host after which both ends are reset; below 0: never."""
    delay: float = 0.0
    """Seconds by which each piece comes late."""
    bytes_per_second: float = 0.0
    """0: as fast as it goes."""


WHOLE = Fault()


@dataclass
class Line:
    """A loopback port that leads to a host; what its connections suffer goes by their number."""

    host: Host
    """The host as it is reached through the line."""
    opened: int = 0


@contextlib.contextmanager
def line_to(host: Host, key: str, fault: Callable[[int], Fault]) -> Iterator[Line]:
    """Lay a line to a host, whose key is pinned: its address is another one now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
        line = Line(replace(host, address="127.0.0.1", port=port, host_keys=(key,)))

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    suffers = fault(line.opened)
                    line.opened += 1
                    words = (client, (host.address, host.port), suffers)
                    threading.Thread(target=_carry, args=words, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield line
        finally:
            server.shutdown(socket.SHUT_RDWR)


def _carry(client: socket.socket, address: tuple[str, int], fault: Fault) -> None:
    """Carry both directions until one ends or the line breaks; then reset both ends."""
    left = fault.reset_after
    with client, socket.create_connection(address, 5) as host, contextlib.suppress(OSError):
        host.settimeout(None)
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, host)
            ready.register(host, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    data = source.recv(4096)
                    time.sleep(fault.delay)
                    if fault.bytes_per_second:
                        time.sleep(len(data) / fault.bytes_per_second)
                    broken = not data
                    if source is host and fault.reset_after >= 0:
                        data, left = data[:left], left - len(data)
                        broken = broken or left <= 0
                    target.sendall(data)
                    if broken:
                        for end in (client, host):
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        return
