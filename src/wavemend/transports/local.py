"""The machine wavemend runs on, by the same contract as a remote one."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from wavemend.errors import ConnectionLost, DeadlinePassed
from wavemend.hosts import Host
from wavemend.transport import OUTPUT_BOUND, STDERR_BOUND, CommandResult, Login
from wavemend.transports.become import Root, become_argv
from wavemend.transports.output import BoundedOutput, check_argv

CHUNK = 65_536
RECHECK = 0.2
"""Seconds between looks at whether a command has ended whose output somebody else holds open."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""What a shell answers over SSH where a program is missing or may not be run."""


class LocalTransport:
    """Runs commands as processes of this machine, each in a process group of its own."""

    def __init__(self, name: str, login: Login) -> None:
        self._name = name
        become = () if os.geteuid() == 0 else become_argv(login)
        self._root = Root(host=name, run_plain=self.run, become=become, login=login)
        self._closed = False

    @property
    def peer_key(self) -> str:
        """Empty: nobody else's identity is involved."""
        return ""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run a command and wait for its end, at most `deadline` seconds in all."""
        check_argv(argv)
        if self._closed:
            raise ConnectionLost(f"{self._name}: closed; the command was not started")
        started = time.monotonic()
        try:
            process = _start(argv)
        except OSError as error:
            status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            return CommandResult(
                exit_status=status,
                stdout=b"",
                stderr=f"{argv[0]}: {error.strerror}\n".encode("utf-8", "surrogateescape"),
                dropped_bytes=0,
                seconds=time.monotonic() - started,
            )
        with process:
            try:
                return self._finish(process, stdin, started, deadline, bound)
            finally:
                if process.returncode is None:
                    _kill_group(process)

    def _finish(
        self,
        process: "subprocess.Popen[bytes]",
        stdin: bytes,
        started: float,
        deadline: float,
        bound: int,
    ) -> CommandResult:
        out, err = BoundedOutput(bound), BoundedOutput(min(bound, STDERR_BOUND))
        if not _exchange(process, stdin, out, err, started + deadline):
            raise DeadlinePassed(
                f"{self._name}: the command did not end within {deadline:g} s and was stopped;"
                " what it did until then is unknown",
                hint="look at the host before repeating anything",
            )
        if process.returncode < 0:
            raise ConnectionLost(
                f"{self._name}: the command ended without an exit status, by signal"
                f" {-process.returncode}; what it did until then is unknown"
            )
        stdout, dropped_out = out.finish()
        stderr, dropped_err = err.finish()
        return CommandResult(
            exit_status=process.returncode,
            stdout=stdout,
            stderr=stderr,
            dropped_bytes=dropped_out,
            dropped_stderr=dropped_err,
            seconds=time.monotonic() - started,
        )

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Like `run`, as root: directly where wavemend is root, else through `become`."""
        return self._root.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    def close(self) -> None:
        """Nothing is held open; commands are refused from here on, as on a closed connection."""
        self._closed = True


def connect(host: Host, login: Login) -> LocalTransport:
    """Return a transport to this machine."""
    return LocalTransport(host.name, login)


def _environment() -> Mapping[str, str]:
    """Return what a login would have: the worker's own environment may hold secrets."""
    names = ("HOME", "LOGNAME", "PATH", "SHELL", "TZ", "USER")
    chosen = {name: os.environ[name] for name in names if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **chosen}


def _start(argv: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(_environment()),
        cwd=Path.home() if Path.home().is_dir() else "/",
        start_new_session=True,
    )


def _exchange(
    process: "subprocess.Popen[bytes]",
    stdin: bytes,
    out: BoundedOutput,
    err: BoundedOutput,
    ends_at: float,
) -> bool:
    """Feed stdin and drain both streams until the command ends; False when time ran out first."""
    assert process.stdin  # noqa: S101 - all three are pipes, see _start
    assert process.stdout  # noqa: S101
    assert process.stderr  # noqa: S101
    pending = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdin, process.stdout, process.stderr):
            os.set_blocking(stream.fileno(), False)
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, err)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        while (left := ends_at - time.monotonic()) > 0:
            events = selector.select(min(left, RECHECK))
            for key, _ in events:
                if key.data is None:
                    pending = _feed(selector, process, pending)
                elif data := os.read(key.fd, CHUNK):
                    key.data.add(data)
                else:
                    selector.unregister(key.fileobj)
            if not any(key.data is not None for key in selector.get_map().values()):
                return _wait(process, ends_at)
            # What the command itself wrote is in the pipes when it ends; others may hold them open.
            if process.poll() is not None and not _readable(selector):
                return True
    return False


def _wait(process: "subprocess.Popen[bytes]", ends_at: float) -> bool:
    """Wait for a command that has closed its output; False when time ran out first."""
    try:
        process.wait(max(0.0, ends_at - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _readable(selector: selectors.BaseSelector) -> bool:
    return any(key.data is not None for key, _ in selector.select(0))


def _feed(
    selector: selectors.BaseSelector, process: "subprocess.Popen[bytes]", pending: memoryview
) -> memoryview:
    """Write what the pipe takes; close it after the last byte, or when the command closed it."""
    assert process.stdin  # noqa: S101
    try:
        pending = (
            pending[os.write(process.stdin.fileno(), pending[:CHUNK]) :] if pending else pending
        )
    except BrokenPipeError:
        pending = pending[len(pending) :]
    if not pending:
        selector.unregister(process.stdin)
        process.stdin.close()
    return pending


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    """End the command and its children; a job that made a session of its own lives on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
