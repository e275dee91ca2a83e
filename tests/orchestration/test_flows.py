"""All flows load in Prefect and run to their state through their deployments."""

from typing import Any

import pytest

from tests.orchestration.artifacts import by_key
from tests.world.fleet import CLOSED
from tests.world.world import World
from wavemend.ledger.intake import current_fleet

pytestmark = pytest.mark.orchestration


def told(run: dict[str, Any]) -> tuple[str, str]:
    return run["state"]["type"], str(run["state"]["message"])


def test_every_flow_has_its_deployment(world: World) -> None:
    found = world.api.post("/deployments/filter", {})
    entrypoints = {each["entrypoint"] for each in found}

    assert {
        "flows/patch_rollout.py:patch_rollout",
        "flows/refresh_feeds.py:refresh_feeds",
        "flows/report_compliance.py:report_compliance",
        "flows/resume_rollouts.py:resume_rollouts",
        "flows/scan_fleet.py:scan_fleet",
    } <= entrypoints
    with world.ledger.reading() as book:
        keys = current_fleet(book).rollouts()
    names = {each["name"] for each in found}
    assert {f"{key.tenant}-{key.profile}-{key.window}" for key in keys} <= names


def test_feeds_are_refreshed_and_shown_with_their_age(world: World) -> None:
    run = world.run_deployment("refresh-feeds/daily")

    assert told(run) == ("COMPLETED", "4 feeds are current")
    (table,) = by_key(world, run["id"]).values()
    assert {row["feed"] for row in table.rows()} == {"debian", "epss", "kev", "nvd"}


def test_a_scan_tells_what_every_host_lacks_and_changes_nothing(world: World) -> None:
    before = world.packages("late1")

    run = world.run_deployment("scan-fleet/daily", tenant="late")

    assert told(run) == ("COMPLETED", "4 hosts, 1 without an answer")
    rows = {row["host"]: row for row in by_key(world, run["id"])["scan"].rows()}
    assert rows["late4"]["pending"] == "no answer"
    assert rows["late1"]["pending"] > 0
    assert rows["late1"]["note"] == ("SIMULATED" if world.hosts.simulated else "")
    assert world.packages("late1") == before
    assert world.journal("late1") == []


def test_compliance_counts_every_company_and_calls_unseen_hosts_unknown(world: World) -> None:
    run = world.run_deployment("report-compliance/morning")

    assert run["state"]["type"] == "COMPLETED"
    rows = {row["company"]: row for row in by_key(world, run["id"])["compliance"].rows()}
    with world.ledger.reading() as book:
        assert set(rows) == {tenant.name for tenant in current_fleet(book).tenants}
    assert rows[CLOSED]["unknown"] == 1


def test_outside_its_window_a_rollout_says_so_and_touches_nothing(world: World) -> None:
    run = world.start(CLOSED)
    world.wait_ended(run)

    state = world.flow_run(run)["state"]
    assert state["type"] == "FAILED"
    assert "the window later is not open" in str(state["message"])
    assert world.standing(CLOSED).rollout == ""


def test_the_watch_over_dead_runs_leaves_alone_what_nobody_began(world: World) -> None:
    run = world.run_deployment("resume-rollouts/watch")

    assert run["state"]["type"] == "COMPLETED"
    assert "taken up again" not in str(run["state"]["message"])
