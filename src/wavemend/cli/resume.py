"""Taking up rollouts again whose run died: the ledger says which, Prefect only runs them."""

from collections.abc import Iterator
from datetime import datetime

from wavemend.cli.here import PrefectApi
from wavemend.errors import EnvironmentUnfit
from wavemend.ledger import approvals, rollouts
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import RolloutRow

FLOW = "patch-rollout"
LIVE_STATES = {"SCHEDULED", "PENDING", "RUNNING", "PAUSED"}


def resume_orphans(ledger: Ledger, api_url: str, now: datetime) -> Iterator[str]:
    """Start a new run for each unfinished rollout that nobody works for; say what was done.

    Nobody works for it when its lease is free or expired and Prefect has no live run of it. A
    run that Prefect still calls RUNNING while its lease is gone is a dead one: it is told so.
    """
    api = PrefectApi(api_url)
    with ledger.reading() as book:
        rows = rollouts.list_rollouts(book, only_open=True)
    for row in rows:
        if row.lease_owner and row.lease_until and now < row.lease_until:
            yield f"rollout {row.id}: held by {row.lease_owner} until {row.lease_until:%H:%M:%S}"
            continue
        if _waits_for_human(ledger, api, row, now):
            yield f"rollout {row.id}: waits for an approver"
            continue
        _bury(api, row.flow_run_id)
        run = start_run(api, row.tenant, row.profile, row.window, row.requester)
        yield f"rollout {row.id}: taken up again by run {run}"


def start_run(api: PrefectApi, tenant: str, profile: str, window: str, requester: str) -> str:
    """Ask Prefect for a run of the window's deployment; returns the flow run's id."""
    deployment = api.get(f"/deployments/name/{FLOW}/{tenant}-{profile}-{window}")
    body = {"parameters": {**deployment["parameters"], "requester": requester}}
    made = api.post(f"/deployments/{deployment['id']}/create_flow_run", body)
    return str(made["id"])


def flow_run_state(api: PrefectApi, flow_run_id: str) -> str:
    """Return Prefect's word for a run's state; empty when Prefect does not know the run."""
    if not flow_run_id:
        return ""
    try:
        return str(api.get(f"/flow_runs/{flow_run_id}")["state_type"] or "")
    except EnvironmentUnfit:
        return ""


def _waits_for_human(ledger: Ledger, api: PrefectApi, row: RolloutRow, now: datetime) -> bool:
    with ledger.reading() as book:
        asked = approvals.newest(book, row.id)
        if asked is None or approvals.answered(book, asked.request.id):
            return False
    if now > asked.request.expires_at:
        return False  # nobody may answer any more: a run closes the rollout and reports
    return flow_run_state(api, row.flow_run_id) == "PAUSED"


def _bury(api: PrefectApi, flow_run_id: str) -> None:
    """Mark a run as crashed that Prefect believes alive: it holds the deployment's only slot."""
    if flow_run_state(api, flow_run_id) in LIVE_STATES:
        state = {"type": "CRASHED", "message": "its lease in the ledger has ended"}
        api.post(f"/flow_runs/{flow_run_id}/set_state", {"state": state, "force": True})
