"""The shell of one visit and the commands in it, one after the other, by pywinrm's Protocol.

What may be repeated is decided here: an operation that may have happened is not, once it starts or
feeds a command. The end of a command that was not seen is ConnectionLost.
"""

import math
import time
from collections.abc import Callable, Mapping
from enum import Enum, auto
from functools import partial
from typing import TypeVar, cast

from winrm.protocol import Protocol
from winrm.transport import Transport as HttpTransport

from wavemend.errors import HostKeyRefused, LoginRefused, TransportError
from wavemend.hosts import Host
from wavemend.transport import STDERR_BOUND, CommandResult, Login
from wavemend.transports.bounds import Bounds
from wavemend.transports.login_guard import LoginGuard
from wavemend.transports.output import BoundedOutput
from wavemend.transports.winrm_faults import FAILURES, Trouble, not_started, trouble_of, words_of
from wavemend.transports.winrm_http import Line
from wavemend.transports.winrm_quoting import CommandLine

OPERATION_SECONDS = 20
"""The host answers at least this often: "nothing new" where a command is silent."""
ANSWER_SECONDS = 15
"""An answer may be so much later before the connection counts as dead."""
ROUNDING_SECONDS = 1.0
"""Time-outs on the host are whole seconds: so much later than the deadline it still may answer."""
CLEAN_UP_SECONDS = 3.0
"""Longest time for ending a command or a shell, if need be beyond a command's deadline."""
IDLE_TIMEOUT = "PT180S"
"""The host itself ends a shell of which nothing was heard for so long, if we could not."""
STALE_SECONDS = 60.0
"""Windows closes connections after two idle minutes; one older than this is replaced before it can
break off in the middle of starting a command."""
CHUNK = 65_536
"""Bytes of input in one message; with its coding 90 KB, and old hosts take 150 KB."""
UNFED_SECONDS = 3.0
"""How long a command whose input the host does not take may still need to end."""
PACE_SECONDS = 0.2
"""Shortest time between two questions for output that there is none of."""
MOST_TRIES = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
"""Seconds before the second try, doubled for each further one."""

Answer = TypeVar("Answer")


class Operation(Enum):
    """What is asked of the host."""

    CREATE = auto()
    COMMAND = auto()
    SEND = auto()
    RECEIVE = auto()
    END = auto()
    """Signal and Delete."""


_UNDONE = frozenset({Trouble.UNSENT, Trouble.UNREAD})
_MAYBE_DONE = frozenset({Trouble.UNKNOWN, Trouble.TIMED_OUT, Trouble.BUSY})

RETRYABLE: Mapping[Operation, frozenset[Trouble]] = {
    # A shell too many ends by itself.
    Operation.CREATE: _UNDONE | _MAYBE_DONE | {Trouble.QUOTA},
    Operation.COMMAND: frozenset({Trouble.UNSENT, Trouble.QUOTA}),
    Operation.SEND: _UNDONE,
    # Output that was on its way is lost then, and counted.
    Operation.RECEIVE: _UNDONE | {Trouble.UNKNOWN, Trouble.UNREACHED},
    Operation.END: _UNDONE | _MAYBE_DONE,
}
"""After which troubles an operation is repeated; never after a refused login or certificate."""

_ANSWERED = frozenset(
    {
        Trouble.TIMED_OUT,
        Trouble.QUOTA,
        Trouble.SHELL_GONE,
        Trouble.NO_PROGRAM,
        Trouble.DENIED,
        Trouble.REFUSED,
    }
)
"""The host answered in good form: its connection stays."""


class Failed(Exception):
    """An operation failed for good."""

    def __init__(self, operation: Operation, error: Exception) -> None:
        super().__init__(operation)
        self.operation = operation
        self.error = error
        self.trouble = trouble_of(error)


class Shell:
    """The one shell of a visit, opened anew where the host has ended it."""

    def __init__(self, host: Host, login: Login, guard: LoginGuard) -> None:
        self._name = host.name
        self._line = Line(host, login, guard)
        # Its own HTTP half is replaced at once; see `winrm_http`.
        self._protocol = Protocol(self._line.url, username="-", password="")
        self._protocol.transport = cast("HttpTransport", self._line)
        self._id = ""
        self._gaps = 0
        """Answers with output that may have been lost on their way."""

    def open(self, seconds: float) -> None:
        """Connect, log in and open the shell. Raises a TransportError and leaves nothing open."""
        bounds = Bounds(self._name, seconds, time.monotonic())
        try:
            with self._line.within(seconds):
                self._create(bounds)
        except Failed as failed:
            self._line.close_session()
            raise not_started(self._name, failed.error) from failed.error
        except BaseException:
            self._line.close_session()
            raise

    def run(
        self, command: CommandLine, *, stdin: bytes, deadline: float, bound: int
    ) -> CommandResult:
        """Run a command to its end. Input is sent before output is asked for.

        Raises ConnectionLost or DeadlinePassed when its end was not seen, other TransportErrors
        when it was not started. `dropped_bytes` also counts answers that were lost on the way, as
        one byte each: how many there were nobody knows.
        """
        bounds = Bounds(self._name, deadline, time.monotonic())
        self._gaps = 0
        try:
            with self._line.within(deadline + ROUNDING_SECONDS):
                return self._run(command, stdin, bounds, bound)
        except BaseException:
            self.close()
            raise

    def cut(self) -> None:
        """Break the connection; the shell stays, and the next command finds it again."""
        self._line.cut()

    def close(self) -> None:
        """End the shell, and with it what still runs in it; never raises for the host's trouble."""
        if shell := self._id:
            self._id = ""
            with self._line.within(CLEAN_UP_SECONDS):
                # If this fails, the host ends it after IDLE_TIMEOUT.
                self._end(partial(self._protocol.close_shell, shell, close_session=False))
        self._line.close_session()

    def _run(self, command: CommandLine, stdin: bytes, bounds: Bounds, bound: int) -> CommandResult:
        try:
            command_id = self._start(command, bounds)
        except Failed as failed:
            if failed.trouble is Trouble.NO_PROGRAM:
                return _no_such_program(command, bounds)
            if _may_have_started(failed):
                raise bounds.lost(words_of(failed.error)) from failed.error
            raise not_started(self._name, failed.error) from failed.error
        out, err = BoundedOutput(bound), BoundedOutput(min(bound, STDERR_BOUND))
        try:
            status = self._see_it_through(command_id, stdin, (out, err), bounds)
        except Failed as failed:
            raise bounds.lost(words_of(failed.error)) from failed.error
        if not self._end(partial(self._protocol.cleanup_command, self._id, command_id)):
            self.close()
        stdout, dropped_out = out.finish()
        stderr, dropped_err = err.finish()
        return CommandResult(
            exit_status=status,
            stdout=stdout,
            stderr=stderr,
            dropped_bytes=dropped_out + self._gaps,
            dropped_stderr=dropped_err,
            seconds=time.monotonic() - bounds.started,
        )

    def _create(self, bounds: Bounds) -> str:
        self._take_at_most(OPERATION_SECONDS)
        create = partial(
            self._protocol.open_shell, codepage=65001, noprofile=True, idle_timeout=IDLE_TIMEOUT
        )
        self._id = self._do(Operation.CREATE, create, bounds)
        return self._id

    def _start(self, command: CommandLine, bounds: Bounds) -> str:
        """Start the command once, in a new shell where the host has ended the old one."""
        if self._id and self._line.idle_seconds > STALE_SECONDS:
            self._line.close_session()
        self._take_at_most(OPERATION_SECONDS)
        try:
            return self._start_in(self._id or self._create(bounds), command, bounds)
        except Failed as failed:
            if failed.operation is not Operation.COMMAND or failed.trouble != Trouble.SHELL_GONE:
                raise
            return self._start_in(self._create(bounds), command, bounds)

    def _start_in(self, shell: str, command: CommandLine, bounds: Bounds) -> str:
        start = partial(
            self._protocol.run_command,
            shell,
            command.program,
            [command.arguments] if command.arguments else [],
            console_mode_stdin=False,
            skip_cmd_shell=True,
        )
        return self._do(Operation.COMMAND, start, bounds)

    def _see_it_through(
        self,
        command_id: str,
        stdin: bytes,
        streams: tuple[BoundedOutput, BoundedOutput],
        bounds: Bounds,
    ) -> int:
        """Send the input and take the output until the command ends; return its exit status."""
        unfed = self._feed(command_id, stdin, bounds)
        patience = min(bounds.left, UNFED_SECONDS) if unfed else bounds.left
        status = self._drain(command_id, streams, bounds, time.monotonic() + patience)
        if status is not None:
            return status
        raise (
            bounds.late()
            if bounds.passed
            else bounds.lost(f"the command does not take its input: {unfed}")
        )

    def _feed(self, command_id: str, stdin: bytes, bounds: Bounds) -> str:
        """Send the input and its end; return why the host does not take it, if it does not.

        A command that has ended takes none, and its exit status is what counts.
        """
        for at in range(0, max(1, len(stdin)), CHUNK):
            if bounds.passed:
                raise bounds.late()
            send = partial(
                self._protocol.send_command_input,
                self._id,
                command_id,
                stdin[at : at + CHUNK],
                end=at + CHUNK >= len(stdin),
            )
            try:
                self._do(Operation.SEND, send, bounds)
            except Failed as failed:
                if failed.trouble in _ANSWERED:
                    return words_of(failed.error)
                raise
        return ""

    def _drain(
        self,
        command_id: str,
        streams: tuple[BoundedOutput, BoundedOutput],
        bounds: Bounds,
        ends_at: float,
    ) -> int | None:
        """Take output until the command ends; None when that is not seen in time."""
        out, err = streams
        receive = partial(self._protocol.get_command_output_raw, self._id, command_id)
        while (left := ends_at - time.monotonic()) > 0:
            asked = time.monotonic()
            self._take_at_most(left)
            try:
                stdout, stderr, status, done = self._do(Operation.RECEIVE, receive, bounds)
            except Failed as failed:
                if failed.trouble is not Trouble.TIMED_OUT:
                    raise
                stdout, stderr, status, done = b"", b"", -1, False
            out.add(stdout)
            err.add(stderr)
            if done:
                return status
            if not stdout and not stderr:  # a host that answers at once must not be hammered
                time.sleep(max(0.0, PACE_SECONDS - (time.monotonic() - asked)))
        return None

    def _end(self, call: Callable[[], None]) -> bool:
        """Carry out a Signal or Delete; False when that failed."""
        self._take_at_most(CLEAN_UP_SECONDS)
        self._line.patience = CLEAN_UP_SECONDS
        try:
            self._do(Operation.END, call, Bounds(self._name, CLEAN_UP_SECONDS, time.monotonic()))
        except Failed:
            return False
        return True

    def _take_at_most(self, seconds: float) -> None:
        """Set how long the host may take for the next operation."""
        whole = max(1, min(OPERATION_SECONDS, math.ceil(seconds)))
        self._protocol.operation_timeout_sec = whole
        self._line.patience = whole + ANSWER_SECONDS

    def _do(self, operation: Operation, call: Callable[[], Answer], bounds: Bounds) -> Answer:
        """Carry out an operation, again where that is allowed and time is left."""
        tries = 0
        while True:
            try:
                return call()
            except FAILURES as error:
                failed = Failed(operation, error)
            tries += 1
            self._note(failed)
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1))
            if failed.trouble is Trouble.UNSENT:
                pause = 0.0
            enough = tries >= MOST_TRIES and failed.trouble is not Trouble.QUOTA
            if failed.trouble not in RETRYABLE[operation] or enough or bounds.left <= pause:
                raise failed from failed.error
            time.sleep(pause)

    def _note(self, failed: Failed) -> None:
        """Draw the conclusions of a failure for what comes next."""
        if failed.trouble not in _ANSWERED:
            self._line.close_session()
        if failed.operation is Operation.RECEIVE and failed.trouble is Trouble.UNKNOWN:
            self._gaps += 1
        if isinstance(failed.error, LoginRefused | HostKeyRefused):
            self._id = ""  # even to end the shell nobody logs in again


def _may_have_started(failed: Failed) -> bool:
    if failed.operation is not Operation.COMMAND:
        return False
    if isinstance(failed.error, TransportError):
        unsent = isinstance(failed.error, LoginRefused | HostKeyRefused)
        return not unsent and failed.trouble is not Trouble.UNREACHED
    return failed.trouble not in {Trouble.UNSENT, *_ANSWERED} - {Trouble.TIMED_OUT}


def _no_such_program(command: CommandLine, bounds: Bounds) -> CommandResult:
    """Say it as a shell would: nothing was started, and no answer of a program is this number."""
    return CommandResult(
        exit_status=127,
        stdout=b"",
        stderr=f"{command.program}: no such program on the host\n".encode(),
        dropped_bytes=0,
        seconds=time.monotonic() - bounds.started,
    )
