"""A reader that closes early ends the command quietly: `wavemend ... | head` is no fault."""

import os
import subprocess
import sys
from pathlib import Path


def test_output_cut_by_its_reader_is_no_fault(tmp_path: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "wavemend", "fleet", "schema"],
        env={**os.environ, "WAVEMEND_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()

    said = command.stderr.read().decode()

    assert command.wait(30) == 0
    assert said == ""
