"""WinRM by pywinrm: verified hosts, bounded waits, one shell for all commands of a visit.

What decides is in the neighbours: `winrm_auth` (who), `winrm_tls` (to whom), `winrm_http` (one
connection), `winrm_shell` (what may be repeated), `winrm_faults`, `winrm_quoting`. Nothing here
was ever run against a real Windows host: see docs/adr/0021.
"""

import random
from collections.abc import Sequence
from typing import Literal

from wavemend.errors import ConnectionLost
from wavemend.hosts import Host
from wavemend.transport import OUTPUT_BOUND, CommandResult, Login
from wavemend.transports.login_guard import ConnectLimiter, LoginGuard
from wavemend.transports.winrm_auth import check_login, credential_id
from wavemend.transports.winrm_quoting import command_line
from wavemend.transports.winrm_shell import Shell

LONGEST_JITTER = 0.02
"""Seconds. Spreads the starts of a burst."""

GUARD = LoginGuard()
LIMITER = ConnectLimiter(jitter=lambda: random.SystemRandom().uniform(0, LONGEST_JITTER))
"""Per process: what is bounded here is the fleet, not one host."""


class WinrmTransport:
    """One verified, logged-in connection. See `Transport` and `WindowsTransport`."""

    def __init__(self, name: str, shell: Shell) -> None:
        self._name = name
        self._shell = shell
        self._closed = False

    @property
    def is_windows(self) -> Literal[True]:
        """Commands are Windows' own."""
        return True

    @property
    def peer_key(self) -> str:
        """Empty: a certificate is renewed; authorities verify the host, and its machine id tells
        it from others."""
        return ""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run a command and wait for its end, at most `deadline` seconds in all.

        Input is sent whole before output is asked for: a program that writes megabytes before it
        has read its input blocks until the deadline. An exit status is any 32-bit number.
        """
        command = command_line(argv)
        if self._closed:
            raise ConnectionLost(
                f"{self._name}: the connection is closed; the command was not started",
                hint="connect again",
            )
        return self._shell.run(command, stdin=stdin, deadline=deadline, bound=bound)

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """As `run`: the login is an administrator."""
        return self.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    def drop(self) -> None:
        """Break the connection as a network does, for the self-test: shell and jobs go on, and the
        next command connects again."""
        self._shell.cut()

    def close(self) -> None:
        """End the shell and the connection; never raises, may be called twice."""
        self._closed = True
        self._shell.close()


def connect(host: Host, login: Login) -> WinrmTransport:
    """Open a verified, logged-in connection to a host, with a shell.

    All of it within `login.connect_seconds`; waiting for a free slot of this process is not
    counted. Raises a TransportError, and leaves nothing open then.
    """
    check_login(login)
    GUARD.check(login.name, credential_id(login))
    shell = Shell(host, login, GUARD)
    with LIMITER.slot():
        shell.open(login.connect_seconds)
    return WinrmTransport(host.name, shell)
