"""What the demo leaves to the reader works as it is printed."""

import re
from pathlib import Path

import pytest

from examples.demo.__main__ import HOME, way_to_answer


def test_the_command_to_answer_with_needs_nothing_on_the_path() -> None:
    program = re.findall(r"(\S+) approve r-1 --print", way_to_answer("r-1"))

    assert [Path(found).is_file() for found in program] == [True]


def test_a_demo_elsewhere_is_taken_down_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAVEMEND_DEMO_HOME", raising=False)
    assert "`make demo-down`" in way_to_answer("r-1")

    monkeypatch.setenv("WAVEMEND_DEMO_HOME", str(HOME))
    assert f"`WAVEMEND_DEMO_HOME={HOME} make demo-down`" in way_to_answer("r-1")
