"""The live ring works on the hosts of one shared world, and prints the matrix it played."""

import pytest

from tests.live.matrix_table import seen_rows, terminal_lines
from tests.world.fixture import world

__all__ = ["world"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the failure matrix when rows of it were played: fault, expected, seen."""
    if seen := seen_rows(config):
        terminalreporter.section("failure matrix")
        for line in terminal_lines(seen):
            terminalreporter.write_line(line)
