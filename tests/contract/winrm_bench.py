"""The WinRM peer with real programs of this machine behind it, and how to reach it.

The peer plays the protocol; what runs is POSIX, so that the promises all transports keep can be
asked of this one, too. Nothing here is Windows but the command line's rules.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.unit.test_winrm_quoting import split_as_windows_does
from tests.winrm_peer import Command, Peer, run_tls
from wavemend.hosts import Host
from wavemend.transport import Login
from wavemend.transports.winrm import GUARD, WinrmTransport, connect

USERS = {"admin": "correct horse", "other": "battery staple"}
LOGIN = Login(name="win", user="admin", password=USERS["admin"], connect_seconds=5.0)


def run_here(command: Command) -> None:
    """Run the command as a process of this machine, as the peer's runner."""
    argv = split_as_windows_does(command.line)
    with tempfile.TemporaryFile() as stdin:
        stdin.write(command.stdin.read())
        stdin.seek(0)
        with subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdout
            assert process.stderr
            pumps = [
                _pump(process.stdout.fileno(), command.write_stdout),
                _pump(process.stderr.fileno(), command.write_stderr),
            ]
            _wait(process, command)
            for pump in pumps:
                pump.join(0.5)  # what runs on in the background may hold the pipes
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for pump in pumps:
                pump.join()
    command.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)


def _pump(source: int, write: Callable[[bytes], None]) -> threading.Thread:
    def pump() -> None:
        while data := os.read(source, 65_536):
            write(data)

    thread = threading.Thread(target=pump, name="winrm-bench-pump")
    thread.start()
    return thread


def _wait(process: "subprocess.Popen[bytes]", command: Command) -> None:
    while process.poll() is None:
        if command.terminated.wait(0.02):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def echo(command: Command) -> None:
    """Say what was given, quickly."""
    command.write_stdout(command.stdin.read() or b"nothing")
    command.exit(7)


def https_peer(runner: Callable[[Command], None] = echo, **switches: object) -> Peer:
    """A peer behind HTTPS that insists on channel binding."""
    return Peer(users=USERS, runner=runner, tls=run_tls(), cbt="strict", **switches)  # type: ignore[arg-type]


def http_peer(runner: Callable[[Command], None] = echo, **switches: object) -> Peer:
    """A peer on plain HTTP that takes encrypted messages only."""
    return Peer(users=USERS, runner=runner, **switches)  # type: ignore[arg-type]


def is_here(program: str) -> bool:
    """Whether there is such a program on this machine."""
    return shutil.which(program) is not None


def host_on(peer: Peer, address: str = "127.0.0.1") -> Host:
    return Host(name="w1", tenant="acme", address=address, port=peer.port, transport="winrm")


def login_for(peer: Peer, **changes: object) -> Login:
    """The right login for a peer, or one that is wrong in what is said."""
    login = replace(LOGIN, ca=peer.ca_pem, plain_http=peer.url.startswith("http:"))
    return replace(login, **changes)  # type: ignore[arg-type]


@contextlib.contextmanager
def opened(peer: Peer, **changes: object) -> Iterator[WinrmTransport]:
    """A connection that is closed at the end."""
    with contextlib.closing(connect(host_on(peer), login_for(peer, **changes))) as transport:
        yield transport


@contextlib.contextmanager
def no_thread_left() -> Iterator[None]:
    """Fail where a thread of ours outlives the body, and forget refused logins."""
    GUARD.forget()
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.name.startswith("wavemend")]
    assert not left, f"threads were left: {left}"
