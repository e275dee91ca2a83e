"""A Windows program finds exactly the arguments that were given, or nothing is sent at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.errors import TransportError
from wavemend.transports.winrm_quoting import LONGEST_COMMAND, command_line

SENDABLE = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
    | st.sampled_from('\t\n "\\')
)
NASTY = st.text(st.sampled_from('\\" \ta'), max_size=12)


def split_as_windows_does(line: str) -> list[str]:
    """Split a command line by the documented rules of CommandLineToArgvW, written on their own.

    The first word ends at its closing quote or at a blank, and backslashes mean nothing in it. In
    all others 2n backslashes before a quote are n and the quote opens or closes, 2n+1 are n and the
    quote is meant; two quotes within quotes are one, and the quotes stay open.
    """
    if line.startswith('"'):
        program, _, rest = line[1:].partition('"')
    else:
        end = next((at for at, sign in enumerate(line) if sign in " \t"), len(line))
        program, rest = line[:end], line[end:]
    return [program, *_words(rest)]


def _words(rest: str) -> list[str]:
    words: list[str] = []
    word, quoted, at = None, False, 0
    while at < len(rest):
        sign = rest[at]
        if sign in " \t" and not quoted:
            words, word = ([*words, word], None) if word is not None else (words, None)
            at += 1
            continue
        word = word or ""
        backslashes = len(rest[at:]) - len(rest[at:].lstrip("\\"))
        at += backslashes
        if at < len(rest) and rest[at] == '"':
            word += "\\" * (backslashes // 2)
            if backslashes % 2:
                word += '"'
            elif quoted and rest[at + 1 : at + 2] == '"':
                word += '"'
                at += 1
            else:
                quoted = not quoted
            at += 1
        else:
            word += "\\" * backslashes
            if not backslashes:
                word += sign
                at += 1
    return words if word is None else [*words, word]


def sent(argv: list[str]) -> str:
    line = command_line(argv)
    return f"{line.program} {line.arguments}"


@given(st.lists(SENDABLE | NASTY, max_size=6))
def test_every_argument_comes_out_as_it_went_in(arguments: list[str]) -> None:
    assert split_as_windows_does(sent(["powershell.exe", *arguments])) == [
        "powershell.exe",
        *arguments,
    ]


@given(NASTY.filter(lambda name: name and '"' not in name))
def test_the_program_is_found_whatever_its_path_holds(program: str) -> None:
    assert split_as_windows_does(sent([program, "a b", "c"])) == [program, "a b", "c"]


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ('test "a b c" d e', ["test", "a b c", "d", "e"]),
        (r'test "ab\"c" "\\" d', ["test", 'ab"c', "\\", "d"]),
        (r'test a\\\b d"e f"g h', ["test", r"a\\\b", "de fg", "h"]),
        (r"test a\\\"b c d", ["test", r"a\"b", "c", "d"]),
        (r'test a\\\\"b c" d e', ["test", r"a\\b c", "d", "e"]),
        (r'"C:\with blank\x" ""', ["C:\\with blank\\x", ""]),
    ],
)
def test_the_reference_splits_the_examples_of_the_documentation(line: str, argv: list[str]) -> None:
    assert split_as_windows_does(line) == argv


@pytest.mark.parametrize("sign", ["\0", "\r", "\x1b", "\x01", "\ud800", "\ufffe"])
def test_what_would_be_changed_on_the_way_is_refused(sign: str) -> None:
    with pytest.raises(TransportError, match=r"stdin"):
        command_line(["cmd.exe", f"a{sign}b"])


@pytest.mark.parametrize("argv", [[], [""], ['a"b.exe']])
def test_what_is_no_program_is_refused(argv: list[str]) -> None:
    with pytest.raises(TransportError):
        command_line(argv)


def test_a_command_is_as_long_as_windows_takes_it_and_no_longer() -> None:
    fits = "x" * (LONGEST_COMMAND - len("a.exe "))
    assert len(sent(["a.exe", fits])) == LONGEST_COMMAND
    with pytest.raises(TransportError, match="Windows takes at most 32766"):
        command_line(["a.exe", f"{fits}x"])
    with pytest.raises(TransportError, match="Windows takes at most"):
        command_line(["a.exe", "\U0001f600" * (LONGEST_COMMAND // 2)])
