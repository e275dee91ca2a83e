"""The supervisor's socket: one request and one answer per connection, with open files attached.

A path socket is reached from every network namespace, and the kernel names the process at the
other end, so neither a port nor a PID file is needed.
"""

import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError

_NAME = "supervisor.sock"
_MAX_FILES = 4


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Name the socket by an open folder: socket paths end at 107 bytes, state folders do not."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{_NAME}"
    finally:
        os.close(handle)


def listen(state: Path) -> socket.socket:
    """Open the supervisor's end; only its own user may talk to it."""
    (state / _NAME).unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    with _short(state) as path:
        server.bind(path)
    (state / _NAME).chmod(0o600)
    server.listen(64)
    return server


def connect(state: Path) -> socket.socket | None:
    """Open the client's end, or return None where no supervisor runs."""
    client = socket.socket(socket.AF_UNIX)
    try:
        with _short(state) as path:
            client.connect(path)
    except OSError:
        client.close()
        return None
    return client


def peer_pid(client: socket.socket) -> int:
    """Return the supervisor's process number as seen from here."""
    size = struct.calcsize("3i")
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[0])


def ask(
    state: Path,
    verb: str,
    *,
    files: Sequence[int] = (),
    timeout: float | None = None,
    **arguments: Any,
) -> Any:
    """Send one request and return its answer; the supervisor's error is raised here."""
    client = connect(state)
    if client is None:
        raise LabError(f"no lab runs in {state}: start it with `python -m tests.lab up`")
    with client:
        client.settimeout(timeout)
        line = json.dumps({"verb": verb, **arguments}).encode() + b"\n"
        if files:
            socket.send_fds(client, [line[:1]], list(files))
            line = line[1:]
        client.sendall(line)
        answer = _read_line(client, b"")
    if not answer:
        raise LabError(f"the lab's supervisor ended during `{verb}`: see {state}/supervisor.log")
    reply = json.loads(answer)
    if "error" in reply:
        raise LabError(reply["error"])
    return reply["result"]


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Read one request and the files that came with it."""
    start, files, _, _ = socket.recv_fds(connection, 1, _MAX_FILES)
    for handle in files:
        os.set_inheritable(handle, False)  # noqa: FBT003 - the name is in the function
    return json.loads(_read_line(connection, start)), files


def answer(connection: socket.socket, **reply: Any) -> None:
    """Send the answer; a client that left meanwhile is no error."""
    try:
        connection.sendall(json.dumps(reply).encode() + b"\n")
    except OSError:
        return


def _read_line(connection: socket.socket, start: bytes) -> bytes:
    data = bytearray(start)
    while not data.endswith(b"\n"):
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return bytes(data)
