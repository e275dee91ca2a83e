"""What every part of a report is read from: one rollout in the ledger, at one moment."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from sqlmodel import Session

from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollbacks, rollouts
from wavemend.ledger.assessments import assessment_of_scan
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.scans import newest_look, played_hosts
from wavemend.ledger.tables import (
    RolloutRow,
    StepRow,
)
from wavemend.observations import Assessment
from wavemend.plans import Plan


class Source:
    """One rollout with its plan and attempts, each table read once."""

    def __init__(self, book: Session, fleet: Fleet, rollout_id: str, now: datetime) -> None:
        self.book = book
        self.fleet = fleet
        self.now = now
        self.row: RolloutRow = rollouts.get_rollout(book, rollout_id)
        self.plan: Plan | None = rollouts.read_plan(book, rollout_id)
        self.attempts = {row.host: row for row in attempts.of_rollout(book, rollout_id)}
        self.view = rollouts.read_view(book, rollout_id)
        self._rollbacks = rollbacks.of_rollout(book, rollout_id)

    @cached_property
    def declared(self) -> Mapping[str, Host]:
        """The hosts of the fleet as it is declared now, by name."""
        return {host.name: host for host in self.fleet.hosts}

    @cached_property
    def simulated(self) -> frozenset[str]:
        """The hosts that are simulated, by their declaration or by what a look saw."""
        declared = {host.name for host in self.fleet.hosts if host.simulated}
        return frozenset(declared | played_hosts(self.book, self.row.id))

    def rollbacks_of(self, attempt_id: str) -> tuple[RollbackRow, ...]:
        """Return all rollbacks of an attempt, oldest first."""
        return tuple(row for row in self._rollbacks if row.attempt_id == attempt_id)

    @cached_property
    def judged_before(self) -> Mapping[str, Assessment | None]:
        """How every expected host was judged before the rollout; None: it was not seen."""
        judged: dict[str, Assessment | None] = {}
        for host in self.plan.expected() if self.plan else ():
            found = newest_look(self.book, host, purpose="preflight", rollout_id=self.row.id)
            judged[host] = assessment_of_scan(self.book, found[0]) if found else None
        return judged

    @cached_property
    def last_look_differences(self) -> Mapping[str, str]:
        """What the last look after everything saw otherwise than it was left, by host."""
        detail = rollouts.detail_of(self.book, self.row.id, "verified")
        found = (line.partition(": ") for line in detail.splitlines())
        return {name: said for name, _, said in found if name in self.attempts}

    def step(self, name: str) -> StepRow | None:
        """Return a phase of the rollout that was written down as done."""
        return self.book.get(StepRow, (self.row.id, name))

    def closed_reason(self) -> str:
        """Return why nothing further was started; empty when nothing stopped it."""
        step = self.step("closed")
        return step.detail if step else ""
