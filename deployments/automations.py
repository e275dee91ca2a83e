"""The automation that a self-hosted Prefect lacks: a run without heartbeats is a dead run.

Without it a run whose process was killed stays RUNNING for ever and holds its deployment's only
slot. It covers the flows that only look. A rollout's run may be suspended for hours, and Prefect
loses events now and then: after a lost "Suspended" the automation would crash the very run that
waits for an approver. Dead rollouts are found by their leases instead (flow `resume-rollouts`).
"""

from datetime import timedelta

from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

NAME = "wavemend: runs without heartbeat are dead"

FLOWS = (
    "refresh-feeds",
    "scan-fleet",
    "report-compliance",
    "resume-rollouts",
    "renew-schedules",
    "watch-nights",
)
"""The flows that are never suspended."""

SILENCE = timedelta(seconds=90)
"""Three heartbeats of 30 s, as `wavemend up` sets them."""

_ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Scheduled")
"""States after which a run owes no heartbeat."""


def ensure_dead_runs_are_marked() -> bool:
    """Create the automation unless it is there. Returns True when it was made."""
    try:
        found = Automation.read(name=NAME)
    except ValueError:
        found = None
    if found is None:
        _ = _dead_run_automation().create()  # synchronous, as this module is
    return found is None


def _dead_run_automation() -> Automation:
    heartbeat = "prefect.flow-run.heartbeat"
    return Automation(
        name=NAME,
        description="Marks a flow run as crashed when its process no longer says that it lives.",
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat, *(f"prefect.flow-run.{state}" for state in _ENDS)},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            match_related=ResourceSpecification(
                {"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)}
            ),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message="no heartbeat: the process of this run is gone"
            )
        ],
    )
