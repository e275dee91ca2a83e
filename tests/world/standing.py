"""How far a company's rollout is, read from the ledger and from nothing else."""

from dataclasses import dataclass, field

from wavemend.ledger import approvals, attempts, audit, rollouts
from wavemend.ledger.approvals import OpenRequest
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import (
    AttemptRow,
    AuditEventRow,
    DecisionRow,
)
from wavemend.plans import Plan


@dataclass(frozen=True, slots=True)
class Standing:
    """One rollout at one moment; all empty before there is one."""

    rollout: str = ""
    flow_run: str = ""
    reason: str = ""
    finished: bool = False
    owner: str = ""
    plan: Plan | None = None
    request: OpenRequest | None = None
    """What waits for an approver now."""
    decisions: tuple[DecisionRow, ...] = ()
    attempts: dict[str, AttemptRow] = field(default_factory=dict)
    gates: dict[int, bool] = field(default_factory=dict)
    events: tuple[AuditEventRow, ...] = ()

    @property
    def outcomes(self) -> dict[str, str]:
        """Every host that has an outcome, planned or excluded."""
        found = {name: row.outcome for name, row in self.attempts.items() if row.outcome}
        if self.plan is not None:
            found |= {left.name: str(left.outcome) for left in self.plan.excluded}
        return found

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why answers did not count, oldest first."""
        return tuple(row.refusal for row in self.decisions if not row.accepted)

    def kinds(self) -> list[str]:
        """The audit events of this rollout, by kind, oldest first."""
        return [event.kind for event in self.events]


def standing(ledger: Ledger, tenant: str, profile: str = "server") -> Standing:
    """Return how far the newest rollout of a company and profile is."""
    with ledger.reading() as book:
        rows = rollouts.list_rollouts(book)
        row = next((r for r in rows if (r.tenant, r.profile) == (tenant, profile)), None)
        if row is None:
            return Standing()
        asked = approvals.newest(book, row.id)
        waits = asked is not None and not approvals.answered(book, asked.request.id)
        return Standing(
            rollout=row.id,
            flow_run=row.flow_run_id,
            reason=row.reason,
            finished=row.state == rollouts.FINISHED,
            owner=row.lease_owner,
            plan=rollouts.read_plan(book, row.id),
            request=asked if waits else None,
            decisions=approvals.decisions(book, row.id),
            attempts={each.host: each for each in attempts.of_rollout(book, row.id)},
            gates=dict(rollouts.read_view(book, row.id).gates),
            events=tuple(audit.events(book, row.id)),
        )
