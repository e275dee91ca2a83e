"""Reading the framed answer of a facts script."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.errors import HostAnswerInvalid
from wavemend.managers.apt import facts
from wavemend.managers.reading.sections import Section, split_sections

NONCE = "6f0c"


def line_by_line(text: str) -> dict[str, tuple[list[str], list[str], int]]:
    """Read an answer a line at a time: slower, and plain to see that it is right."""
    found: dict[str, tuple[list[str], list[str], int]] = {}
    name, lines, errors = "", list[str](), list[str]()
    into: list[str] | None = None
    for line in text.split("\n"):
        if not line.startswith(f"{NONCE} "):
            if into is not None and line.strip():
                into.append(line.rstrip("\r"))
            continue
        kind, _, what = line.removeprefix(f"{NONCE} ").partition(" ")
        if kind == "begin":
            name, lines, errors = what, [], []
            into = lines
        elif kind == "errors" and what == name:
            into = errors
        elif kind == "end" and re.fullmatch(rf"{re.escape(name)} [0-9]{{1,3}}", what):
            found[name] = list(lines), list(errors), int(what.split(" ")[-1])
            into = None
    return found


LINES = st.lists(
    st.sampled_from(
        [
            *(f"{NONCE} begin {name}" for name in ("a", "b", "end")),
            *(f"{NONCE} errors {name}" for name in ("a", "b")),
            *(f"{NONCE} end {name}" for name in ("a 0", "a 127", "b 1", "b x", "a 1000", "end 0")),
            *(f"{NONCE} ", f"{NONCE} other a", f" {NONCE} end a 0", f"x{NONCE} end a 0"),
            *("one line", "windows\r", "", "  ", "\r", "tab\there", "\x0bfeed", "\x85next"),
        ]
    ),
    max_size=25,
)


@given(LINES, st.sampled_from(["\n", ""]))
def test_an_answer_reads_the_same_at_once_as_line_by_line(lines: list[str], last: str) -> None:
    whole = [*lines, f"{NONCE} begin end", f"{NONCE} end end 0"]
    text = "\n".join(whole) + last
    got = split_sections(text, NONCE, "web-1")
    assert {
        name: (list(section.lines), list(section.errors), section.status)
        for name, section in got.items()
    } == line_by_line(text)


def test_an_answer_that_breaks_off_names_where() -> None:
    text = f"hello\n{NONCE} begin packages\nopenssl\n"
    with pytest.raises(HostAnswerInvalid, match="breaks off after packages"):
        split_sections(text, NONCE, "web-1")
    with pytest.raises(HostAnswerInvalid, match="breaks off after nothing"):
        split_sections("sh: not found", NONCE, "web-1")


def test_a_host_with_many_frames_costs_no_more_than_its_answer_is_long() -> None:
    """Of 1.5 MB, all frames: joined one after the other they would be copied 50,000 times."""
    text = f"{NONCE} begin a\n" + f"{NONCE} x\n1234567890123456789\n" * 50_000
    text += f"{NONCE} end a 0\n{NONCE} begin end\n{NONCE} end end 0\n"
    assert len(split_sections(text, NONCE, "web-1")["a"].lines) == 50_000


@pytest.mark.parametrize("name", ["a", "a" * 500_000])
def test_nor_does_one_with_many_ends(name: str) -> None:
    """Of 1.5 MB: what stands in a frame would be read again, or its name, at each of them."""
    text = f"{NONCE} begin {name}\n" + "line\n" * 100_000 + f"{NONCE} errors {name}\n"
    text += f"{NONCE} end {name} 0\n" + f"{NONCE} end {name[:1]} 1\n" * 40_000
    text += f"{NONCE} begin end\n{NONCE} end end 0\n"
    started = time.process_time()
    assert len(split_sections(text, NONCE, "web-1")[name].lines) == 100_000
    assert time.process_time() - started < 3


def test_packages_of_a_release_are_made_once_and_long_lines_are_not_kept() -> None:
    line = "openssl\t3.0.15-1\tamd64\topenssl\t3.0.15-1\tii "
    answer = Section(lines=(line, f"{'l' * 600}\t1\tamd64\tl\t1\tii "), errors=(), status=0)
    made = [facts._packages(host, answer, interrupted=False)[0] for host in ("web-1", "web-2")]
    kept, fresh = made[0][1], made[0][0]
    assert made[1] == made[0]
    assert kept.name == "openssl"
    assert made[1][1] is kept
    assert fresh.name.startswith("lll")
    assert made[1][0] is not fresh
