"""Look at everything a rollout showed, for views that hide that its hosts are simulated."""

import json
from collections.abc import Iterator
from pathlib import Path

from examples.demo.standing import Standing
from wavemend.cli.here import PrefectApi, api_note
from wavemend.simulated import SIMULATED


def unlabelled(home: Path, rollout: Standing) -> list[str]:
    """Return the reports, and the views in Prefect, that do not say so; all hosts are simulated."""
    views = (*_reports(home, rollout), *_in_prefect(home, rollout))
    return [name for name, says_so in views if not says_so]


def _reports(home: Path, rollout: Standing) -> Iterator[tuple[str, bool]]:
    page, data = (
        home / "reports" / f"rollout-{rollout.rollout}.{form}" for form in ("html", "json")
    )
    yield "the report's page", SIMULATED in page.read_text()
    told = json.loads(data.read_text())
    yield "the report's data", told["simulated"] is True
    yield "hosts of the report's data", all(host["simulated"] is True for host in told["hosts"])


def _in_prefect(home: Path, rollout: Standing) -> Iterator[tuple[str, bool]]:
    api = PrefectApi(api_note(home).read_text().strip())
    run = api.get(f"/flow_runs/{rollout.flow_run}")
    yield "the flow run's name", SIMULATED in run["name"]
    yield "the flow run's tags", SIMULATED in run["tags"]
    deployment = api.get(f"/deployments/{run['deployment_id']}")
    yield "the deployment", SIMULATED in deployment["description"]
    of_run = {"flow_runs": {"id": {"any_": [rollout.flow_run]}}}
    for task in api.post("/task_runs/filter", of_run):
        if "changes-hosts" in task["tags"]:
            yield f"the task {task['name']}", SIMULATED in task["tags"]
    shown = api.post("/artifacts/filter", of_run)
    yield "what the run should show of plan, outcomes and verdict", len(shown) >= 3
    for artifact in shown:
        yield f"the artifact {artifact['key']}", SIMULATED in artifact["description"]
        hosts = [row["host"] for row in _rows(artifact["data"])]
        yield f"hosts of the artifact {artifact['key']}", all(SIMULATED in host for host in hosts)


def _rows(data: object) -> list[dict[str, str]]:
    """Return the rows of a table; other artifacts have none."""
    rows = json.loads(data) if isinstance(data, str) and data.startswith("[") else []
    return [row for row in rows if row.get("host")]
