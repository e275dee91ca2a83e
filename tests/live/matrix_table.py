"""The table of faults, for the terminal and as a page: `python -m tests.live.matrix_table`."""

from pathlib import Path
from textwrap import fill

import pytest

from tests.live.matrix_rows import ROWS, UNPLAYED

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "failure-matrix.md"

_HEAD = """\
# Failure matrix

What `tests/live/test_matrix.py` plays on real hosts, row by row of the failure model: N for lines
and logins, P for package managers, R for restarts. Expected is compared with what was seen, in
code; `*` stands for any words. A run prints both side by side. Written by
`python -m tests.live.matrix_table`.

| row | fault | expected |
|---|---|---|
"""

_REST = """
## Not played on a lab host

| row | what | reason |
|---|---|---|
"""

_SEEN = pytest.StashKey[dict[str, str]]()


def seen_rows(config: pytest.Config) -> dict[str, str]:
    """Return what was seen so far in this session, by row."""
    return config.stash.setdefault(_SEEN, {})


def terminal_lines(seen: dict[str, str]) -> list[str]:
    """Return the table of a run: fault, expected, seen, one below the other."""
    lines = []
    for row in ROWS:
        if row.id in seen:
            verdict = "as expected" if row.holds(seen[row.id]) else "NOT AS EXPECTED"
            lines.append(f"{row.id:4} {row.title}: {verdict}")
            lines += [_indented("expected", row.expected), _indented("seen", seen[row.id])]
    lines += [f"{left.id:4} {left.what}: not played: {left.reason}" for left in UNPLAYED]
    return lines


def _indented(word: str, text: str) -> str:
    lead = f"     {word:9} "
    return fill(text, 110, initial_indent=lead, subsequent_indent=" " * len(lead))


def page() -> str:
    """Return the page for people who look a fault up."""
    rows = [f"| {row.id} | {row.title} | {_cell(row.expected)} |\n" for row in ROWS]
    rest = [f"| {left.id} | {left.what} | {left.reason} |\n" for left in UNPLAYED]
    return "".join([_HEAD, *rows, _REST, *rest])


def _cell(text: str) -> str:
    return text.replace("; ", ";<br>").replace("*", r"\*")


if __name__ == "__main__":
    PAGE.write_text(page())
