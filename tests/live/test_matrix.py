"""Each fault that a Linux host can play ends as the failure model says; the table is printed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, probe
from tests.live.matrix_rows import ROWS, UNPLAYED, Row
from tests.live.matrix_table import PAGE, page, seen_rows
from tests.live.matrix_world import HOSTS, World

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found = probe()
    if found.mode is None and os.environ.get("WAVEMEND_LAB") == "required":
        pytest.fail(found.reason)
    if found.mode is None:
        pytest.skip(found.reason)
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.up(HOSTS)
        yield World(lab, tmp_path_factory.mktemp("rollouts"))
    finally:
        lab.down()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_fault_ends_as_the_failure_model_says(
    world: World, row: Row, request: pytest.FixtureRequest
) -> None:
    seen = "nothing: the play broke off"
    try:
        seen = row.play(world)
    finally:
        seen_rows(request.config)[row.id] = seen

    assert row.holds(seen), f"expected: {row.expected}\nseen:     {seen}"


def test_every_row_of_the_failure_model_is_played_or_listed_with_its_reason() -> None:
    wanted = [f"N{n}" for n in range(1, 17)] + [f"P{n}" for n in range(1, 19)]
    wanted += [f"R{n}" for n in range(1, 6)]
    listed = {row.id for row in ROWS} | {left.id for left in UNPLAYED if left.reason}

    assert sorted(listed) == sorted(wanted)


def test_the_page_says_what_is_played() -> None:
    assert Path(PAGE).read_text() == page(), "python -m tests.live.matrix_table writes it anew"
