"""Take up the rollouts whose run died; leave alone what works, begins, or waits for an approver."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.taking_up import take_up
from tasks.workbench import open_workbench


@flow(
    name="resume-rollouts",
    flow_run_name="resume · {site}",
    description="Finds unfinished rollouts that nobody works for, by their leases in the ledger, "
    "and starts a new run for each. What was begun on hosts is collected, never repeated.",
)
def resume_rollouts(site: str = "default") -> State:
    """Look for rollouts that were left behind.

    Args:
        site: Name of the `Wavemend Site` block.
    """
    lines = take_up(open_workbench(site))
    return Completed(message="; ".join(lines) or "no rollout is unfinished")
