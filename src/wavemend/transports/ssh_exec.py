"""Run one command over an open connection: both streams drained, stdin fed, one deadline."""

import select
import time

import paramiko

from wavemend.errors import (
    HostAnswerInvalid,
    TransportError,
)
from wavemend.transport import STDERR_BOUND, CommandResult
from wavemend.transports.bounds import Bounds
from wavemend.transports.output import BoundedOutput, readable
from wavemend.transports.ssh_handshake import Link
from wavemend.transports.watchdog import WATCHDOG

CHUNK = 32_768
STDIN_RECHECK = 0.02
"""Seconds between looks at whether the host takes more stdin: paramiko signals data, not room."""
IDLE_RECHECK = 1.0
"""Seconds between looks at the connection while a command is silent."""
WINDOW = 262_144
"""Bytes a host may send before we have taken them: what paramiko holds of a flood. Enough for
1 MB/s at a round trip of a quarter of a second; its own default is 2 MiB."""
QUIET_AFTER_EXIT = 5.0
"""A command has ended by its exit status; what it left in the background may hold its output
open for ever. So many quiet seconds later the rest is not waited for: enough for a slow line."""


class Exchange:
    """One command: its channel, its streams, and when it must be over."""

    def __init__(self, channel: paramiko.Channel, stdin: bytes, bound: int) -> None:
        self._channel = channel
        self._stdin = memoryview(stdin)
        self._stdin_open = True
        self.stdout = BoundedOutput(bound)
        self.stderr = BoundedOutput(min(bound, STDERR_BOUND))
        self._last_news = time.monotonic()

    def pump(self, ends_at: float) -> bool:
        """Move what can be moved, or wait a little; return True when the command is over."""
        moved = self._drain()
        self._feed()
        if moved:
            self._last_news = time.monotonic()
            return False
        if self._is_over():
            return not self._drain()
        wait = STDIN_RECHECK if self._stdin_open else IDLE_RECHECK
        self._wait(max(0.0, min(wait, ends_at - time.monotonic())))
        return False

    def _wait(self, seconds: float) -> None:
        if self._channel.eof_received:
            # After the end of output its descriptor is ready for ever; only the status is missing.
            if not self._channel.exit_status_ready():
                self._channel.status_event.wait(seconds)
            return
        poller = select.poll()
        poller.register(self._channel.fileno(), select.POLLIN)
        poller.poll(seconds * 1000)

    def _is_over(self) -> bool:
        channel = self._channel
        if channel.closed:
            return True
        if not channel.exit_status_ready():
            return False
        quiet = time.monotonic() - self._last_news > QUIET_AFTER_EXIT
        return bool(channel.eof_received) or quiet

    def _drain(self) -> bool:
        moved = False
        # One chunk of each in turn: a flood on one stream must not starve the other.
        if self._channel.recv_ready() and (data := self._channel.recv(CHUNK)):
            self.stdout.add(data)
            moved = True
        if self._channel.recv_stderr_ready() and (data := self._channel.recv_stderr(CHUNK)):
            self.stderr.add(data)
            moved = True
        return moved

    def _feed(self) -> None:
        if not self._stdin_open:
            return
        if self._channel.closed or self._channel.exit_status_ready():
            self._stdin_open = False  # the command ended without reading all of it
            return
        try:
            while self._stdin and self._channel.send_ready():
                sent = self._channel.send(bytes(self._stdin[:CHUNK]))
                self._stdin = self._stdin[sent:]
                if not sent:
                    break
            if not self._stdin:
                self._channel.shutdown_write()
                self._stdin_open = False
        except OSError:
            self._stdin_open = False  # the command closed its stdin: its exit status will tell


def run_command(
    link: Link, host: str, command: bytes, *, stdin: bytes, deadline: float, bound: int
) -> CommandResult:
    """Run a quoted command line and wait for its end, at most `deadline` seconds in all.

    A watchdog closes the connection at the deadline, whatever this thread is waiting for.
    """
    bounds = Bounds(host, deadline, time.monotonic())
    try:
        with WATCHDOG.watch(deadline, link.cut):
            channel = _start(link, bounds, command)
            try:
                exchange = Exchange(channel, stdin, bound)
                while not exchange.pump(bounds.ends_at):
                    if bounds.passed:
                        raise bounds.late()
                return _result(link, bounds, exchange, channel)
            finally:
                channel.close()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise bounds.lost(readable(str(error))) from error


def _start(link: Link, bounds: Bounds, command: bytes) -> paramiko.Channel:
    """Open a channel and start the command; where the host says no, nothing has been started."""
    try:
        channel = link.transport.open_session(window_size=WINDOW, timeout=bounds.deadline)
    except paramiko.ChannelException as error:
        raise TransportError(
            f"{bounds.host}: refuses another session on this connection: {readable(error.text)};"
            " the command was not started",
            hint="MaxSessions of sshd bounds the sessions per connection",
        ) from error
    try:
        channel.exec_command(command)
    except paramiko.SSHException as error:
        if not link.transport.is_active():
            raise
        raise HostAnswerInvalid(
            f"{bounds.host}: refuses to run commands for this login; the command was not started",
            hint="look for a forced command or a restricted subsystem in sshd's configuration",
        ) from error
    return channel


def _result(
    link: Link, bounds: Bounds, exchange: Exchange, channel: paramiko.Channel
) -> CommandResult:
    # paramiko says -1 where the server never sent a status: unknown, never "failed".
    if channel.exit_status < 0:
        if link.transport.is_active():
            raise bounds.lost("the command ended without an exit status, by a signal perhaps")
        raise bounds.lost("the connection ended before the command did")
    stdout, dropped_out = exchange.stdout.finish()
    stderr, dropped_err = exchange.stderr.finish()
    return CommandResult(
        exit_status=channel.exit_status,
        stdout=stdout,
        stderr=stderr,
        dropped_bytes=dropped_out,
        dropped_stderr=dropped_err,
        seconds=time.monotonic() - bounds.started,
    )
