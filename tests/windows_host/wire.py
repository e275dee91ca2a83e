"""A connection to a played host without a network: for tests of what is above the transport."""

import io
import subprocess
import threading
import time
from collections.abc import Sequence
from functools import cache
from typing import Literal

from tests.windows_host.host import WindowsHost
from wavemend.errors import ConnectionLost, HostPortClosed
from wavemend.transport import OUTPUT_BOUND, CommandResult


@cache
def _line(argv: tuple[str, ...]) -> str:
    return subprocess.list2cmdline(argv)


class _Command:
    """One command, in memory."""

    def __init__(self, line: str, sent: bytes) -> None:
        self.line = line
        self.stdin = io.BytesIO(sent)
        self.out = bytearray()
        self.err = bytearray()
        self.code = 0
        self.terminated = threading.Event()

    def write_stdout(self, data: bytes) -> None:
        self.out += data

    def write_stderr(self, data: bytes) -> None:
        self.err += data

    def exit(self, code: int = 0) -> None:
        self.code = code


class Wire:
    """A WindowsTransport straight into a `WindowsHost`; a restart loses the connection."""

    def __init__(self, windows: WindowsHost) -> None:
        self.windows = windows
        self._down = False
        self._lost = False
        windows.on_reboot = self._restarted
        windows.on_hang_up = self._cut

    is_windows: Literal[True] = True
    peer_key = ""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run a command on the played host: its time is virtual, and `deadline` never passes."""
        _ = deadline
        if self._down:
            raise HostPortClosed("the simulated host is down")
        self._lost = False
        began = time.monotonic()
        command = _Command(_line(tuple(argv)), stdin)
        self.windows.run(command)
        if self._lost or self._down:
            raise ConnectionLost("the simulated host went away in the middle of a call")
        return CommandResult(
            exit_status=command.code,
            stdout=bytes(command.out[:bound]),
            stderr=bytes(command.err),
            dropped_bytes=max(0, len(command.out) - bound),
            seconds=time.monotonic() - began,
        )

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """The login is an administrator."""
        return self.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    def close(self) -> None:
        """Nothing is open."""

    def _restarted(self, returns: bool) -> None:
        self._lost, self._down = True, not returns

    def _cut(self) -> None:
        self._lost = True
