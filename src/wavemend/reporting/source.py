"""What every part of a report is read from: one rollout in the ledger, at one moment."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from sqlmodel import Session

from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.scans import played_hosts
from wavemend.ledger.tables import (
    RolloutRow,
    StepRow,
)
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

    @cached_property
    def declared(self) -> Mapping[str, Host]:
        """The hosts of the fleet as it is declared now, by name."""
        return {host.name: host for host in self.fleet.hosts}

    @cached_property
    def simulated(self) -> frozenset[str]:
        """The hosts that are simulated, by their declaration or by what a look saw."""
        declared = {host.name for host in self.fleet.hosts if host.simulated}
        return frozenset(declared | played_hosts(self.book, self.row.id))

    def step(self, name: str) -> StepRow | None:
        """Return a phase of the rollout that was written down as done."""
        return self.book.get(StepRow, (self.row.id, name))

    def closed_reason(self) -> str:
        """Return why nothing further was started; empty when nothing stopped it."""
        step = self.step("closed")
        return step.detail if step else ""
