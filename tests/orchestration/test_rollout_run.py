"""A rollout can be followed in Prefect, and running it again does nothing."""

import os

import pytest

from tests.orchestration.artifacts import by_key
from tests.world.standing import Standing
from tests.world.world import World

pytestmark = pytest.mark.orchestration

TENANT = "mixed"


@pytest.fixture(scope="module")
def ended(world: World) -> Standing:
    world.begin(TENANT)
    found = world.wait_finished(TENANT)
    world.wait_ended(found.flow_run)
    return found


def test_plan_progress_outcomes_and_verdict_are_shown_as_artifacts(
    world: World, ended: Standing
) -> None:
    found = by_key(world, ended.flow_run)

    assert set(found) == {
        f"{TENANT}-{what}-{ended.rollout}" for what in ("plan", "progress", "outcomes", "verdict")
    }
    shown = {
        row["host"].split()[0]: row for row in found[f"{TENANT}-outcomes-{ended.rollout}"].rows()
    }
    assert set(shown) == set(ended.outcomes)
    assert found[f"{TENANT}-progress-{ended.rollout}"].data == 100.0
    assert ended.rollout in str(found[f"{TENANT}-verdict-{ended.rollout}"].data)


def test_the_run_is_named_after_what_it_does_and_its_state_is_the_verdict(
    world: World, ended: Standing
) -> None:
    run = world.flow_run(ended.flow_run)
    told = " (SIMULATED)" if world.hosts.simulated else ""
    assert run["name"] == f"mixed · server · now{told}"
    assert ("SIMULATED" in run["tags"]) == world.hosts.simulated
    assert run["state"]["name"].startswith("Verdict")
    assert ended.reason.endswith(run["state"]["message"])


def test_every_host_and_every_step_is_a_task_run_of_its_own(world: World, ended: Standing) -> None:
    body = {"flow_runs": {"id": {"any_": [ended.flow_run]}}, "limit": 200}
    names = {run["name"] for run in world.api.post("/task_runs/filter", body)}

    assert {"freeze plan", "prepare mixed1", "pilot: patch mixed1", "gate pilot"} <= names
    assert "pilot: probe mixed1" in names
    assert "broad-1: probe mixed2" not in names, "it had failed: nothing new can be said of it"
    assert {"broad-1: patch mixed2", "gate broad-1", "verify mixed1", "report"} <= names
    assert "broad-2: patch mixed3" not in names


def test_a_report_that_is_older_than_the_ledger_is_written_again_by_the_watch(
    world: World, ended: Standing
) -> None:
    page = world.home / "reports" / f"rollout-{ended.rollout}.html"
    before = page.read_bytes()
    os.utime(page, (0, 0))

    run = world.run_deployment("resume-rollouts/watch")

    told = f"rollout {ended.rollout}: its report was out of date, and is written again"
    assert told in run["state"]["message"]
    assert page.stat().st_mtime > 0
    assert page.read_bytes() != before  # its own time


def test_a_second_run_of_a_finished_rollout_does_nothing_and_says_so(
    world: World, ended: Standing
) -> None:
    run = world.start(TENANT)
    world.wait_ended(run)

    state = world.flow_run(run)["state"]
    assert (state["type"], state["name"]) == ("COMPLETED", "AlreadyDone")
    assert ended.rollout in state["message"]
    after = world.standing(TENANT)
    assert after.events == ended.events
    assert len(world.journal("mixed1")) == 2
