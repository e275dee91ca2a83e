"""The live ring prints the matrix it played.

What takes long runs beside it: the line that is cut for five minutes is judged last.
"""

import pytest

from tests.live.cutting import cut_line, judge_last
from tests.live.matrix_table import seen_rows, terminal_lines

__all__ = ["cut_line"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the test of the cut line be the last one."""
    judge_last(items)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the failure matrix when rows of it were played: fault, expected, seen."""
    if seen := seen_rows(config):
        terminalreporter.section("failure matrix")
        for line in terminal_lines(seen):
            terminalreporter.write_line(line)
