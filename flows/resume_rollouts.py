"""Take up what runs left that died: rollouts, and reports that are older than the ledger.

What works, begins, or waits for an approver is left alone.
"""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.taking_up import renew, take_up
from tasks.workbench import open_workbench


@flow(
    name="resume-rollouts",
    flow_run_name="resume · {site}",
    description="Finds unfinished rollouts that nobody works for, by their leases in the ledger, "
    "and starts a new run for each. What was begun on hosts is collected, never repeated. Reports "
    "that are older than the ledger are written again.",
)
def resume_rollouts(site: str = "default") -> State:
    """Look for rollouts that were left behind.

    Args:
        site: Name of the `Wavemend Site` block.
    """
    bench = open_workbench(site)
    taken_up = take_up(bench, return_state=True)
    renewed = renew(bench)  # also when Prefect has refused to begin a run
    lines = [*taken_up.result(), *renewed]
    return Completed(message="; ".join(lines) or "no rollout is unfinished")
