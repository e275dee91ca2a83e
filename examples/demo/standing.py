"""Read from the ledger how far a company's newest rollout is."""

from dataclasses import dataclass, field
from pathlib import Path

from wavemend.cli.here import PrefectApi, api_note
from wavemend.cli.resume import flow_run_state
from wavemend.ledger import approvals, attempts, rollouts
from wavemend.site import Site

TENANTS = ("acme", "globex", "initech")
"""The demo's companies. The third is there with Windows hosts only."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One rollout at one moment."""

    rollout: str = ""
    flow_run: str = ""
    finished: bool = False
    waiting: bool = False
    refusals: int = 0
    outcomes: dict[str, str] = field(default_factory=dict)


def standing(home: Path, tenant: str) -> Standing:
    """Return how far the newest rollout of a company is; empty before there is one."""
    with Site(home=home).open_ledger().reading() as book:
        rows = [row for row in rollouts.list_rollouts(book) if row.tenant == tenant]
        if not rows:
            return Standing()
        row = rows[0]
        plan = rollouts.read_plan(book, row.id)
        asked = approvals.newest(book, row.id)
        outcomes = {a.host: a.outcome for a in attempts.of_rollout(book, row.id) if a.outcome}
        if plan is not None:
            outcomes |= {left.name: str(left.outcome) for left in plan.excluded}
        return Standing(
            rollout=row.id,
            flow_run=row.flow_run_id,
            finished=row.state == rollouts.FINISHED,
            waiting=asked is not None and not approvals.answered(book, asked.request.id),
            refusals=sum(not known.accepted for known in approvals.decisions(book, row.id)),
            outcomes=outcomes,
        )


def dead_runs(home: Path) -> list[str]:
    """Return the runs that Prefect calls failed or crashed: waiting for them is in vain."""
    api = PrefectApi(api_note(home).read_text().strip())
    found = (standing(home, tenant) for tenant in TENANTS)
    runs = [one.flow_run for one in found if one.flow_run and not one.finished]
    return [run for run in runs if flow_run_state(api, run) in {"FAILED", "CRASHED"}]
