"""What a host says becomes neither markup in a table nor a line or a colour in a run's log."""

import logging
import re
from pathlib import Path

import pytest

from tasks.readiness import readiness_rows
from tasks.run_log import RunLog
from wavemend.readiness import Check, Problem, Readiness

pytestmark = pytest.mark.orchestration

ROOT = Path(__file__).resolve().parents[2]
NASTY = "\x1b[31mred\n12:00:00 | INFO | web1: patched\u202e [click](http://bad) <b>"


def test_a_value_in_a_log_line_is_one_line_without_hidden_signs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = RunLog(logging.getLogger("tests.words"))

    with caplog.at_level(logging.INFO):
        log.warning("%s: %d found, %s", "web1", 3, ValueError(NASTY))
        log.text(f"first line\nsecond {NASTY}")

    line, text = caplog.messages
    assert line == (
        "web1: 3 found, \\u001b[31mred\\u000a12:00:00 | INFO | web1: patched\\u202e "
        "[click](http://bad) <b>"
    )
    assert text.startswith("first line\nsecond \\u001b[31mred")
    assert "\x1b" not in text


def test_every_task_and_flow_logs_through_the_one_that_spells_out() -> None:
    files = [*(ROOT / "tasks").glob("*.py"), *(ROOT / "flows").glob("*.py")]
    own = [f.name for f in files if re.search(r"get_run_logger|getLogger", f.read_text())]

    assert own == ["run_log.py"]


def test_words_of_a_host_are_plain_in_the_table_of_readiness() -> None:
    problem = Problem(check=Check.ANSWER, reason=NASTY, hint="look `here`")
    rows = readiness_rows(
        [Readiness(host="web1", problems=()), Readiness(host="web2", problems=(problem,))]
    )

    assert [(row["host"], row["ready"]) for row in rows] == [("web2", "NO"), ("web1", "yes")]
    assert not set(rows[0]["found"] + rows[0]["what to do"]) & set("[]<>`|\x1b\n\u202e")
    assert rows[1]["found"] == "nothing"
