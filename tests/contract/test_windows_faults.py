"""Whatever befalls a Windows host or the way to it, its attempt ends as the table says, and truly.

The host is simulated, all else is real: `World.played` holds each outcome against the host's own
state. `python -m tests.contract.windows_fault_rows` prints the table.
"""

from pathlib import Path

import pytest

from tests.contract.windows_fault_rows import ROWS, Row
from tests.contract.winrm_bench import no_thread_left


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_fault_ends_as_the_table_says(row: Row, tmp_path: Path) -> None:
    with no_thread_left():
        seen = row.play(tmp_path)

    assert row.holds(seen), f"{row.title}\nexpected: {row.expected}\nseen:     {seen}"
