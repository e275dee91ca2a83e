"""How a login becomes root: it is root, or by sudo, by sudo with a password, or by doas.

The password travels on stdin alone: an argv and an environment can be read on the host. sudo may
or may not take the line (a NOPASSWD rule, another user's rule), and none of it may reach the
command: a shell between the two drops what comes before the mark and leaves the rest as it is.
"""

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from wavemend.errors import LoginRefused
from wavemend.transport import CommandResult, Login
from wavemend.transports.login_guard import LoginGuard
from wavemend.transports.output import readable

SAYS_NO: Mapping[str, tuple[bytes, ...]] = {
    "sudo": (
        b"a password is required",
        b"a terminal is required",
        b"no tty present",
        b"you must have a tty",
        b"is not in the sudoers file",
        b"is not allowed to execute",
        b"may not run sudo",
        b"no valid sudoers sources",
        b"must be owned by uid 0",
        b"effective uid is not 0",
        b"no new privileges",
        b"account validation failure",
        b"is expired",
        # sudo-rs has words of its own.
        b"interactive authentication is required",
        b"I'm afraid I can't do that",
    ),
    "doas": (
        b"Operation not permitted",
        b"Authentication required",
        b"Authorization required",
        b"doas is not enabled",
        b"not installed setuid",
    ),
}
"""How these programs say that they will not; in English because the locale is forced."""

MARK = "wavemend: the command's own input follows"

_SKIP = """\
mark=$1
shift
IFS= read -r line && { [ "$line" = "$mark" ] || { IFS= read -r line && [ "$line" = "$mark" ]; }; } \
|| exit 125
unset line mark
exec "$@"
"""
"""Drops the password's line if it is still there. `read` takes single bytes from a pipe."""

TAKEN = 9
_TRIAL = ("/bin/sh", "-c", f"IFS= read -r line || exit {TAKEN}")
"""What a password is tried with: it ends with TAKEN when sudo took the line, with 0 when sudo did
not ask. By the same program that runs all commands: sudo's rules may allow no other."""

TRY_SECONDS = 30.0
"""Longest trial of a password: a wrong one costs two delays of PAM, 2 s each by default."""

FLEET = LoginGuard()
HOSTS = LoginGuard(limit=1)
"""Per process: a wrong password is sent to a host once, and to three hosts in a row at most."""


class Run(Protocol):
    """The `run` of a transport."""

    def __call__(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = ...
    ) -> CommandResult:
        """Run a command and wait for its end."""
        ...


@dataclass(slots=True, kw_only=True)
class Root:
    """Commands as root over one connection. Raises LoginRefused where the login may not."""

    host: str
    run_plain: Run = field(repr=False)
    become: tuple[str, ...]
    """From `become_argv`; empty: the connection is root's."""
    login: Login
    _tried: bool = False

    def run(
        self, argv: Sequence[str], *, stdin: bytes, deadline: float, bound: int
    ) -> CommandResult:
        """Run a command as root, directly where the login is root."""
        if not self.become:
            return self.run_plain(argv, stdin=stdin, deadline=deadline, bound=bound)
        if self.login.become_password:
            deadline -= self._try_password(deadline)
            argv = (*self.become, "/bin/sh", "-c", _SKIP, "wavemend-root", MARK, *argv)
            stdin = self._password_line() + f"{MARK}\n".encode() + stdin
        else:
            argv = (*self.become, *argv)
        # They speak the login's language; a refusal is recognised by its words.
        argv = ("env", "LC_ALL=C", *argv)
        result = self.run_plain(argv, stdin=stdin, deadline=deadline, bound=bound)
        if words := _refusal(result, self.program):
            raise self._refused(words)
        return result

    @property
    def program(self) -> str:
        """What the login becomes root by, without its directory."""
        return posixpath.basename(self.become[0])

    def _password_line(self) -> bytes:
        return f"{self.login.become_password}\n".encode()

    def _try_password(self, deadline: float) -> float:
        """Send the password once and alone, before anything is sent behind it; return the seconds.

        sudo asks three times and would take the lines that follow for further passwords.
        """
        if self._tried:
            return 0.0
        secret = f"{self.login.user}\0{self.login.become_password}"
        credential = hashlib.sha256(secret.encode()).hexdigest()
        fleet, here = f"{self.login.name} (sudo)", f"{self.login.name} (sudo on {self.host})"
        with HOSTS.attempt(here, credential) as once, FLEET.attempt(fleet, credential) as trial:
            result = self.run_plain(
                ("env", "LC_ALL=C", *self.become, *_TRIAL),
                stdin=self._password_line(),
                deadline=min(deadline, TRY_SECONDS),
            )
            unfit = _refusal(result, self.program)
            once.tells = trial.tells = result.exit_status == TAKEN
            if result.exit_status not in {0, TAKEN} and not unfit:
                raise LoginRefused(
                    f"{self.host}: sudo does not accept the login's password:"
                    f" {readable(result.stderr) or f'exit status {result.exit_status}'}",
                    hint="check `become_password` of the login; it is not tried here again",
                )
        if unfit:
            raise self._refused(unfit)
        self._tried = True
        return result.seconds

    def _refused(self, words: bytes) -> LoginRefused:
        return LoginRefused(
            f"{self.host}: {self.program} does not make the login root: {readable(words)}",
            hint="allow it in /etc/sudoers.d with NOPASSWD (for doas in doas.conf with nopass),"
            " or set `become` and `become_password` of the login",
        )


def become_argv(login: Login) -> tuple[str, ...]:
    """Return the argv prefix of a login's commands as root; empty where the login is root.

    Raises LoginRefused for what cannot work on any host, before a connection is made.
    """
    if not login.become:
        return ()
    program = posixpath.basename(login.become[0])
    if program == "su":
        raise LoginRefused(
            f"login {login.name!r}: su is not supported, it takes a password only on a terminal",
            hint="use sudo or doas, or log in as root with a key",
        )
    if not login.become_password:
        return login.become
    if program != "sudo":
        raise LoginRefused(
            f"login {login.name!r}: {program} cannot be given a password without a terminal",
            hint="give it a rule without a password (doas: nopass), or use sudo",
        )
    if login.become_password == MARK or any(sign in login.become_password for sign in "\n\r\0"):
        raise LoginRefused(
            f"login {login.name!r}: the password for sudo is not a single line",
            hint="look at what the reference in `become_password` returns",
        )
    return _with_password(login.become)


def _with_password(become: Sequence[str]) -> tuple[str, ...]:
    """Return sudo's argv with the password from stdin, asked for anew each time, unprompted."""
    kept = [word for word in become[1:] if word not in {"-n", "--non-interactive", "--"}]
    return (become[0], *kept, "-S", "-k", "-p", "", "--")


def _refusal(result: CommandResult, program: str) -> bytes:
    """Return the words with which `program` itself, not the command, said no; empty otherwise.

    It says so with exit status 1 and before the command can say anything: only the first lines of
    stderr count that are its own. `env` says with 126 or 127 that it cannot be run.
    """
    lines = result.stderr.lstrip().split(b"\n")
    if result.exit_status in {126, 127} and lines[0].startswith(b"env:"):
        return lines[0] if program.encode() in lines[0] else b""
    if result.exit_status != 1:
        return b""
    for line in lines:
        if not (line.startswith((program.encode() + b":", b"Sorry, user")) or b"sudoers" in line):
            return b""
        if any(words in line for words in SAYS_NO.get(program, ())):
            return line
    return b""
