"""Open and start an emergency rollout wherever a vulnerability that is exploited touches hosts."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.emergencies import begin_emergencies


@flow(
    name="plan-emergencies",
    description="Looks for exploited vulnerabilities with a fix among the open findings, and "
    "starts an emergency rollout for the companies they touch: at once under a standing rule, "
    "waiting for a signature without one. What was taken within a day is not taken again.",
    persist_result=False,
)
def plan_emergencies(site: str = "default") -> State:
    """Begin what is due.

    Args:
        site: Name of the `Wavemend Site` block.
    """
    begun = begin_emergencies(site)
    lines = "; ".join(begun) or "no exploited vulnerability with a fix waits"
    return Completed(name="Begun" if begun else "Quiet", message=lines)
