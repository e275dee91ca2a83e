"""Runs of the whole product take hosts back: a pilot by policy, a host and a wave by command."""

import json
from typing import Any

import pytest

from tests.world.standing import Standing
from tests.world.world import World
from wavemend.ledger import rollbacks
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.scans import newest_look

pytestmark = pytest.mark.live

SECONDS = 420.0
"""Sixteen real packages go forth and back, and a probe is given its time to recover."""


@pytest.fixture(scope="module")
def auto(world: World) -> Standing:
    """A pilot of two whose profile takes the whole pilot back when one is not well."""
    world.begin("auto", "watchful")
    world.begin("back")
    return world.wait(
        "auto",
        lambda standing: standing.finished,
        "the end of a rollout that takes its pilot back",
        profile="watchful",
        seconds=SECONDS,
    )


@pytest.fixture(scope="module")
def patched(world: World) -> Standing:
    """A pilot of two that is well."""
    world.begin("back")
    return world.wait_finished("back")


def rows(world: World, standing: Standing) -> dict[str, RollbackRow]:
    """Return the last rollback of each host."""
    with world.ledger.reading() as book:
        return {row.host: row for row in rollbacks.of_rollout(book, standing.rollout)}


def take_back(world: World, *words: str) -> str:
    """Ask for a rollback as an operator does, and wait for its run; return what was said."""
    reason = ("--reason", "the shop is slow", "--outside-window")
    said = world.wavemend("rollback", *words, *reason, "--yes").stdout
    world.wait_ended(said.split()[-1])
    return said


def report(world: World, standing: Standing) -> dict[str, dict[str, Any]]:
    """Return what the rollout's JSON report says, by host."""
    file = world.home / "reports" / f"rollout-{standing.rollout}.json"
    return {host["name"]: host for host in json.loads(file.read_text())["hosts"]}


def test_a_pilot_is_taken_back_when_one_of_its_hosts_is_not_well(
    world: World, auto: Standing
) -> None:
    assert auto.outcomes == {"auto1": "rolled_back", "auto2": "patched"}
    assert {name: world.packages(name)["wm-fine"] for name in auto.outcomes} == {
        "auto1": "1.0",
        "auto2": "1.0",
    }
    back = rows(world, auto)
    assert {row.outcome for row in back.values()} == {"rolled_back"}
    assert all(row.automatic for row in back.values())
    assert back["auto2"].reason == "auto1 of pilot was not well after the change"


def test_the_report_says_that_a_patched_host_was_taken_back(world: World, auto: Standing) -> None:
    told = report(world, auto)

    assert {host["outcome"] for host in told.values()} == {"rolled_back"}
    assert "was patched; rollback on" in told["auto2"]["reason"]


def test_a_rollback_says_first_what_comes_back_and_does_nothing_without_yes(
    world: World, patched: Standing
) -> None:
    assert patched.outcomes == {"back1": "patched", "back2": "patched"}

    said = world.wavemend("rollback", "back1", "--reason", "the shop is slow").stdout

    assert "package versions only" in said
    assert "wm-fine 2.0 -> 1.0" in said
    assert "data stays as it is" in said
    assert "nothing was done" in said
    assert world.packages("back1")["wm-fine"] == "2.0"


def test_an_operator_takes_one_host_back_and_then_the_rest_of_its_wave(
    world: World, patched: Standing
) -> None:
    take_back(world, "back1")
    assert world.packages("back1")["wm-fine"] == "1.0"
    assert world.packages("back2")["wm-fine"] == "2.0"

    take_back(world, "pilot", "--rollout", patched.rollout)

    assert world.packages("back2")["wm-fine"] == "1.0"
    back = rows(world, patched)
    assert {name: row.outcome for name, row in back.items()} == {
        "back1": "rolled_back",
        "back2": "rolled_back",
    }
    assert len([line for line in world.journal("back1") if line.startswith("begin b-")]) == 1
    told = [package for host in report(world, patched).values() for package in host["packages"]]
    assert {(p["after"], p["detail"]) for p in told if p["name"] == "wm-fine"} == {
        ("1.0", "taken back")
    }
    with world.ledger.reading() as book:
        looks = [newest_look(book, name, purpose="verify") for name in ("back1", "back2")]
    assert all(found and found[1].at > back["back1"].intent_at for found in looks)
    shown = world.wavemend("rollout", "show", patched.rollout).stdout
    assert "rollback by" in shown
    assert "(the shop is slow): rolled_back" in shown
    assert {host["outcome"] for host in report(world, patched).values()} == {"rolled_back"}


def test_restore_points_are_tidied_and_nothing_is_left_that_nobody_knows(world: World) -> None:
    run = world.run_deployment("tidy-restore-points/hourly", orphans=True)  # type: ignore[arg-type]

    assert run["state_type"] == "COMPLETED", world.logs(run["id"])
    assert "0 could not be, 0 to look at" in run["state"]["message"]
    assert world.wavemend("restore-points", "--orphans").stdout.startswith("0 to look at")
