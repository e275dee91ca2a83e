"""What every transport does alike: keep output within bounds, quote once, quote hosts safely."""

import io
import shlex
from collections import deque
from collections.abc import Sequence

from wavemend.errors import TransportError

LONGEST_COMMAND = 131_071
"""Bytes. Linux refuses a single argument above 128 KiB, and `sh -c` gets the command as one."""


PIECE = 16_384
"""Bytes that are gathered before a new piece begins: a host may send single bytes, and half a
million objects of one byte would cost fifty times what they hold."""


class BoundedOutput:
    """Keeps the first and the last bytes of a stream, at most `bound` in all, and counts the rest.

    The head shows how a command began and the tail how it ended; a flood in between costs
    no memory. Nothing is inserted where bytes are missing: `dropped` says so.
    """

    def __init__(self, bound: int) -> None:
        self._head_room = bound // 2
        self._tail_room = bound - self._head_room
        self._head = io.BytesIO()
        self._tail: deque[bytearray] = deque()
        self._tail_size = 0
        self.dropped = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        room = self._head_room - self._head.tell()
        if room > 0:
            self._head.write(data[:room])
            data = data[room:]
        if not data:
            return
        if self._tail and len(self._tail[-1]) < PIECE:
            self._tail[-1] += data
        else:
            self._tail.append(bytearray(data))
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= self._tail_room:
            self._drop(len(self._tail.popleft()))

    def _drop(self, count: int) -> None:
        self._tail_size -= count
        self.dropped += count

    def finish(self) -> tuple[bytes, int]:
        """Return the kept bytes and how many were dropped; nothing may be added afterwards."""
        extra = max(0, self._tail_size - self._tail_room)
        if extra:
            del self._tail[0][:extra]
            self._drop(extra)
        while self._tail:  # piece by piece, and `getvalue` is no copy: nothing is held twice
            self._head.write(self._tail.popleft())
        return self._head.getvalue(), self.dropped


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
    try:
        command = shlex.join(argv).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise TransportError(
            f"an argument of {argv[0]!r} stands for no bytes: {error.reason}",
            hint="half of a surrogate pair is no character",
        ) from None
    if len(command) > LONGEST_COMMAND:
        raise TransportError(
            f"the command {argv[0]!r} is {len(command)} bytes long,"
            f" a host takes at most {LONGEST_COMMAND}",
            hint="pass the data through stdin",
        )
    return command


def readable(text: bytes | str, longest: int = 200) -> str:
    """Return words of a host for a message: one short line, no control or direction characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(line.split())[:longest]
