"""Commands of the operator that run on the worker: hooks, restore points, switching hosts on.

Under Prefect they go through prefect-shell (`tasks/operating.py`), elsewhere through `run_here`.
Runs as a program of its own too, so it imports nothing of the package: see `as_program`.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field

OUTPUT_BOUND = 65_536
"""Bytes of output kept, the last ones: what an operator reads when a command failed."""

_GRACE_SECONDS = 5.0
"""Between TERM and KILL of a command that is late: a storage's command unlocks what it locked."""

_LINGER_SECONDS = 1.0
"""How long output is read on after a command's end: a child it left behind may keep it open."""

_GLANCE_SECONDS = 0.1
"""Between two looks whether a silent command has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One command on the worker. What it is about travels in its environment, never in its text."""

    title: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the worker's own: WAVEMEND_HOST, WAVEMEND_ADDRESS, WAVEMEND_RESTORE_POINT…"""
    seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEnd:
    """How it ended. A negative exit status is the number of the signal that ended it.

    `exit_status` None: it was stopped because it was `late`, or it could not be run at all.
    """

    exit_status: int | None
    output: str
    late: bool = False

    @property
    def ok(self) -> bool:
        """True when the command says that it worked."""
        return self.exit_status == 0

    @property
    def trouble(self) -> str:
        """Why it does not count, in one sentence; empty when it does."""
        if self.ok:
            return ""
        if self.late:
            how = "did not end in time"
        elif self.exit_status is None:
            how = "could not be run"
        elif self.exit_status < 0:
            how = f"was ended by signal {-self.exit_status}"
        else:
            how = f"ended with {self.exit_status}"
        said = self.output.strip()[-300:]
        return f"{how}: {said}" if said else how


Operate = Callable[[Operation], OperationEnd]
"""Runs one command; whatever goes wrong with it is in how it ended, never raised."""


def run_here(operation: Operation) -> OperationEnd:
    """Run a command as a child of this process: closed stdin, a deadline, output bounded.

    At the deadline it is ended with everything it started. What it leaves behind when it ends by
    itself goes on; nobody waits for that or listens to it.
    """
    try:
        child = subprocess.Popen(
            operation.argv,
            env={**os.environ, **operation.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return OperationEnd(exit_status=None, output=f"{operation.argv[0]}: {why}")
    heard = _Heard(child)
    try:
        if heard.until_end(operation.seconds):
            heard.until_end(_LINGER_SECONDS, lingering=True)
            return OperationEnd(exit_status=child.returncode, output=heard.text())
        _signal_group(child, signal.SIGTERM)
        heard.until_end(_GRACE_SECONDS)
        _signal_group(child, signal.SIGKILL)  # its children too, if it ended without them
        return OperationEnd(exit_status=None, output=heard.text(), late=True)
    finally:
        heard.close()


def as_program(operation: Operation) -> tuple[str, ...]:
    """Return the argv of a process of its own that does what `run_here` does.

    It prints one line, which `read_end` reads, whatever the command said and however it ended.
    """
    python = (sys.executable, "-IS", __file__)  # isolated: no import path that leads elsewhere
    return (*python, str(operation.seconds), *operation.argv)


def read_end(line: str) -> OperationEnd:
    """Read what the program printed. Raises ValueError when that is not in form."""
    try:
        return OperationEnd(**json.loads(line))
    except TypeError as error:
        raise ValueError(f"not the end of a command: {line[:100]!r}") from error


def _main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the child too
    seconds, *argv = sys.argv[1:]
    ended = run_here(Operation(title=argv[0], argv=tuple(argv), seconds=float(seconds)))
    sys.stdout.write(json.dumps(asdict(ended)))


class _Heard:
    """The last words of a child, read while it runs: a flood costs no more than its end."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        if child.stdout is None:
            raise ValueError("the child's output is not a pipe")
        self._child = child
        self._pipe = child.stdout
        self._poll = select.poll()  # select(2) knows no descriptor above 1023
        self._poll.register(self._pipe, select.POLLIN)
        self._tail = bytearray()
        self._ended = self._closed = False

    def until_end(self, seconds: float, *, lingering: bool = False) -> bool:
        """Read until the child has ended, and say whether it has; lingering: until its pipe has."""
        until = time.monotonic() + seconds
        while not (self._closed if lingering else self._ended):
            left = until - time.monotonic()
            if left <= 0:
                break
            self._read(min(left, _GLANCE_SECONDS))
            self._ended = self._child.poll() is not None
        return self._ended

    def _read(self, seconds: float) -> None:
        if self._closed:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
            return
        if self._poll.poll(1000 * seconds):
            piece = os.read(self._pipe.fileno(), OUTPUT_BOUND)
            self._closed = not piece
            self._tail += piece
            del self._tail[:-OUTPUT_BOUND]

    def text(self) -> str:
        return self._tail.decode(errors="replace")

    def close(self) -> None:
        """Leave nothing of a child that was not seen to end, however this came about."""
        if self._child.returncode is None:
            _signal_group(self._child, signal.SIGKILL)
            self._child.wait()
        self._pipe.close()


def _signal_group(child: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    _main()
