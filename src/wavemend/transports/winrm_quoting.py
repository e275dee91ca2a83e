"""One argv as one Windows command line, so that the program's own parser finds the argv again.

Windows hands a program one string; nearly all split it by the rules of `CommandLineToArgvW`. No
shell is in between: commands are started without cmd.exe.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wavemend.errors import TransportError
from wavemend.transports.output import check_argv

LONGEST_COMMAND = 32_766
"""UTF-16 units that CreateProcess takes, without the closing NUL."""

_UNSENDABLE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, and the carriage return, which it turns into a line feed."""

_SPECIAL = re.compile(r'[ \t\n\v"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """A command as WinRS takes it: the program, and everything behind it in one string."""

    program: str
    arguments: str


def command_line(argv: Sequence[str]) -> CommandLine:
    """Quote an argv. Raises TransportError for what no Windows program can be given."""
    check_argv(argv)
    for part in argv:
        if found := _UNSENDABLE.search(part):
            raise TransportError(
                f"an argument of {argv[0]!r} holds the character U+{ord(found[0]):04X}, which"
                " cannot be sent to a Windows host",
                hint="pass such data through stdin",
            )
    line = CommandLine(
        program=_program(argv[0]), arguments=" ".join(_argument(part) for part in argv[1:])
    )
    length = len(f"{line.program} {line.arguments}".encode("utf-16-le")) // 2
    if length > LONGEST_COMMAND:
        raise TransportError(
            f"the command {argv[0]!r} is {length} characters long, Windows takes at most"
            f" {LONGEST_COMMAND}",
            hint="pass the data through stdin",
        )
    return line


def _program(name: str) -> str:
    """Quote the first word: it ends at the next quote, whatever stands before that."""
    if '"' in name or not name:
        raise TransportError(
            f"{name!r} cannot be the name of a Windows program", hint="name the program's file"
        )
    return f'"{name}"' if _SPECIAL.search(name) else name


def _argument(text: str) -> str:
    """Quote any other word: backslashes count only where a quote follows them."""
    if text and not _SPECIAL.search(text):
        return text
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'
