"""What every transport does alike: keep output within bounds, quote once, notice sudo's refusal."""

import shlex
from collections import deque
from collections.abc import Sequence

from wavemend.errors import LoginRefused, TransportError
from wavemend.transport import CommandResult

LONGEST_COMMAND = 131_071
"""Bytes. Linux refuses a single argument above 128 KiB, and `sh -c` gets the command as one."""

SUDO_WORDS = (
    b"a password is required",
    b"a terminal is required",
    b"no tty present",
    b"you must have a tty",
    b"is not in the sudoers file",
    b"is not allowed to execute",
    b"may not run sudo",
)
"""How sudo says that it will not; in English because `as_root` forces the locale."""


class BoundedOutput:
    """Keeps the first and the last bytes of a stream, at most `bound` in all, and counts the rest.

    The head shows how a command began and the tail how it ended; a flood in between costs
    no memory. Nothing is inserted where bytes are missing: `dropped` says so.
    """

    def __init__(self, bound: int) -> None:
        self._head_room = bound // 2
        self._tail_room = bound - self._head_room
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.dropped = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        room = self._head_room - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= self._tail_room:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self.dropped += gone

    def finish(self) -> tuple[bytes, int]:
        """Return the kept bytes and how many were dropped."""
        tail = b"".join(self._tail)
        extra = max(0, len(tail) - self._tail_room)
        return bytes(self._head) + tail[extra:], self.dropped + extra


def check_argv(argv: Sequence[str]) -> None:
    """Refuse what no program can be given, before anything is sent."""
    if not argv:
        raise TransportError("an empty command cannot be run")
    if any("\0" in part for part in argv):
        raise TransportError(
            f"an argument of {argv[0]!r} holds a NUL byte, which no program can be given",
            hint="pass such data through stdin",
        )


def quote(argv: Sequence[str]) -> bytes:
    """Return the one command line that makes a POSIX login shell pass `argv` on unchanged.

    The only place where a command is quoted. Undecodable bytes that came in as surrogates go
    out as the bytes they were.
    """
    check_argv(argv)
    command = shlex.join(argv).encode("utf-8", "surrogateescape")
    if len(command) > LONGEST_COMMAND:
        raise TransportError(
            f"the command {argv[0]!r} is {len(command)} bytes long,"
            f" a host takes at most {LONGEST_COMMAND}",
            hint="pass the data through stdin",
        )
    return command


def as_root(argv: Sequence[str], become: Sequence[str]) -> tuple[str, ...]:
    """Return `argv` as the login's `become` runs it; unchanged where nothing has to be become."""
    if not become:
        return tuple(argv)
    # sudo speaks the login's language; its refusal is recognised by its words.
    return ("env", "LC_ALL=C", *become, *argv)


def refuse_sudo(result: CommandResult, host: str, become: Sequence[str]) -> None:
    """Raise LoginRefused where sudo itself, not the command, said no.

    Only exit status 1 counts, and only the first line of stderr that is sudo's own.
    """
    if result.exit_status != 1 or not become:
        return
    first = result.stderr.lstrip().split(b"\n", 1)[0]
    own = first.startswith((b"sudo:", b"Sorry, user")) or b"sudoers" in first
    if own and any(words in first for words in SUDO_WORDS):
        raise LoginRefused(
            f"{host}: the login may not become root without a password: {readable(first)}",
            hint="allow the login in /etc/sudoers.d with NOPASSWD, or set `become` of the login",
        )


def readable(text: bytes | str, longest: int = 200) -> str:
    """Return words of a host for a message: one short line, no control or direction characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(line.split())[:longest]
