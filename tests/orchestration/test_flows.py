"""All flows load in Prefect and run to their state through their deployments."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.feeds import EXPLOITED_EVENT
from tests.orchestration.artifacts import by_key
from tests.world.fleet import CLOSED
from tests.world.world import World
from wavemend.ledger.assessments import Question, open_findings
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

    state, message = told(run)
    assert state == "COMPLETED"
    assert message.startswith("4 fetched, ")
    assert message.endswith(" stale; 0 CVEs newly exploited")
    tables = by_key(world, run["id"])
    rows = tables["feeds"].rows()
    assert {row["feed"] for row in rows} == {"debian", "epss", "kev", "nvd"}
    assert all(row["age"] and row["changed since the copy before"] for row in rows)
    assert tables["newly-exploited"].rows() == []


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


def test_a_cve_that_becomes_exploited_is_shown_and_an_automation_can_act_on_it(
    world: World,
) -> None:
    """Overnight the catalogue lists a CVE that a host has: nobody scans, everybody is told."""
    world.run_deployment("scan-fleet/daily", tenant="late")
    with world.ledger.reading() as book:
        line = next(line for line in open_findings(book, Question(tenant="late")) if not line.kev)
    automation = wait_for(world, EXPLOITED_EVENT)
    list_as_exploited(world.feeds / "kev" / "known_exploited_vulnerabilities.json", line.cve)

    run = world.run_deployment("refresh-feeds/daily")

    assert run["state"]["type"] == "COMPLETED"
    rows = by_key(world, run["id"])["newly-exploited"].rows()
    assert (line.cve, "late") in {(row["CVE"], row["company"]) for row in rows}
    assert any(line.host in row["hosts"] for row in rows)
    with world.ledger.reading() as book:
        (now,) = open_findings(book, Question(finding_id=line.finding_id, host=line.host))
    assert now.kev
    assert now.order < line.order
    eventually(lambda: was_triggered(world, automation), "the automation was triggered")


def wait_for(world: World, event: str) -> str:
    """Make an automation as an operator would; its action is nothing, that it acts is seen."""
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "expect": [event],
        "match": {"prefect.resource.id": "wavemend.cve.*", "wavemend.tenant": "late"},
        "threshold": 1,
        "within": 0,
    }
    body = {"name": f"on {event}", "trigger": trigger, "actions": [{"type": "do-nothing"}]}
    return str(world.api.post("/automations/", body)["id"])


def list_as_exploited(catalogue: Path, cve: str) -> None:
    """Write the catalogue of the day after, with one CVE more."""
    body = json.loads(catalogue.read_text())
    released = datetime.fromisoformat(body["dateReleased"]) + timedelta(days=1)
    entry = {**body["vulnerabilities"][0], "cveID": cve, "dateAdded": f"{released:%Y-%m-%d}"}
    entry["dueDate"] = f"{released + timedelta(days=14):%Y-%m-%d}"
    body["vulnerabilities"].append(entry)
    body["count"] += 1
    body["dateReleased"] = released.isoformat()
    body["catalogVersion"] = f"{released:%Y.%m.%d}"
    catalogue.write_text(json.dumps(body))


def was_triggered(world: World, automation: str) -> bool:
    asked = {"filter": {"event": {"name": ["prefect.automation.triggered"]}}, "limit": 50}
    found = world.api.post("/events/filter", asked)["events"]
    resource = f"prefect.automation.{automation}"
    return any(event["resource"]["prefect.resource.id"] == resource for event in found)


def eventually(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)


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


def test_who_asks_for_a_run_while_another_one_is_at_work_gets_it_afterwards(world: World) -> None:
    # As happens when the watch's own schedule has a run.
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(world.run_deployment, 2 * ["resume-rollouts/watch"]))

    assert {run["state"]["type"] for run in runs} == {"COMPLETED"}
    assert len({run["id"] for run in runs}) == 2
