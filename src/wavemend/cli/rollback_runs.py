"""Runs of the flow that takes hosts back, as Prefect is asked for them."""

from collections.abc import Sequence

from wavemend.cli.here import PrefectApi
from wavemend.errors import EnvironmentUnfit

DEPLOYMENT = "roll-back/manual"


def start_rollback(
    api: PrefectApi,
    rollout: str,
    hosts: Sequence[str],
    *,
    reason: str,
    requester: str,
    outside_window: bool = False,
) -> str:
    """Ask Prefect for a run that takes these hosts back; returns the flow run's id."""
    try:
        deployment = api.get(f"/deployments/name/{DEPLOYMENT}")
    except EnvironmentUnfit as error:
        raise EnvironmentUnfit(
            f"Prefect has no deployment {DEPLOYMENT}: {error.message}",
            hint="`wavemend up` registers it; run it again",
        ) from error
    parameters = {
        **deployment["parameters"],
        "rollout": rollout,
        "hosts": list(hosts),
        "reason": reason,
        "requester": requester,
        "outside_window": outside_window,
    }
    run = api.post(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    return str(run["id"])
