"""One command of a shell: what a runner reads and writes, what a client sends and receives."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

RECEIVE_BOUND = 32 * 1024
"""Bytes of output in one answer to Receive, as Windows packs them."""
PENDING_BOUND = 1024 * 1024
"""Output nobody has received yet; a runner that writes more waits, as on a full pipe."""
TERMINATED = -1073741510
"""STATUS_CONTROL_C_EXIT as a signed number: what a terminated command ends with."""


class Stdin:
    """What the client sent: a blocking reader."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._data = bytearray()
        self._closed = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all until the end by default. Empty at the end, or terminated."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (size >= 0 and len(self._data) >= size))
            taken = bytes(self._data if size < 0 else self._data[:size])
            del self._data[: len(taken)]
            return taken

    def put(self, data: bytes, *, end: bool) -> None:
        with self._changed:
            if not self._closed:
                self._data += data
                self._closed = end
            self._changed.notify_all()

    def close(self) -> None:
        self.put(b"", end=True)


class Command:
    """A command that runs; made by the peer, handed to the runner on a thread of its own."""

    def __init__(
        self,
        *,
        line: str,
        user: str,
        skip_cmd_shell: bool,
        environment: Mapping[str, str],
        working_directory: str,
    ) -> None:
        self.line = line
        """The whole command line: program and arguments, joined by spaces."""
        self.user = user
        self.skip_cmd_shell = skip_cmd_shell
        self.environment = environment
        self.working_directory = working_directory
        self.terminated = threading.Event()
        """Set when the client, a dropped shell or a reboot ended the command."""
        self._changed = threading.Condition()
        self.stdin = Stdin(self._changed)
        self._chunks: deque[tuple[str, bytes]] = deque()
        self._pending = 0
        self._exit_code: int | None = None

    def write_stdout(self, data: bytes) -> None:
        self._write("stdout", data)

    def write_stderr(self, data: bytes) -> None:
        self._write("stderr", data)

    def exit(self, code: int = 0) -> None:
        """The first exit holds; a later one, as of a runner already terminated, is nothing."""
        with self._changed:
            if self._exit_code is None:
                self._exit_code = code
            self._changed.notify_all()
        self.stdin.close()

    @property
    def exited(self) -> bool:
        with self._changed:
            return self._exit_code is not None

    def terminate(self) -> None:
        self.terminated.set()
        self.exit(TERMINATED)

    def _write(self, stream: str, data: bytes) -> None:
        """Each write is a Stream element of its own, as each read of a pipe is on Windows."""
        view = memoryview(data)
        while view:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._exit_code is not None or self._pending < PENDING_BOUND
                )
                if self._exit_code is not None:
                    return
                taken = bytes(view[: PENDING_BOUND - self._pending])
                self._chunks.append((stream, taken))
                self._pending += len(taken)
                self._changed.notify_all()
            view = view[len(taken) :]

    def wake(self) -> None:
        """Make a waiting `receive` look again whether it is still wanted."""
        with self._changed:
            self._changed.notify_all()

    def receive(
        self, seconds: float, wanted: Callable[[], bool]
    ) -> tuple[list[tuple[str, bytes]], int | None] | None:
        """Output that is there and, once nothing is left behind it, the exit code.

        What is given away is gone: it is never sent a second time. None: nothing came in time, or
        nobody wants it any more.
        """
        ends_at = time.monotonic() + seconds
        with self._changed:
            while wanted() and not self._chunks and self._exit_code is None:
                left = ends_at - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return None
            if not wanted():
                return None
            taken = self._take()
            self._changed.notify_all()
            return taken, self._exit_code if not self._chunks else None

    def _take(self) -> list[tuple[str, bytes]]:
        taken: list[tuple[str, bytes]] = []
        room = RECEIVE_BOUND
        while self._chunks and room > 0:
            stream, data = self._chunks.popleft()
            if len(data) > room:
                self._chunks.appendleft((stream, data[room:]))
                data = data[:room]
            taken.append((stream, data))
            room -= len(data)
            self._pending -= len(data)
        return taken
