"""What every part of a report is read from: one rollout in the ledger, at one moment."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from sqlmodel import Session

from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollbacks, rollouts
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.host_lines import by_host
from wavemend.ledger.scans import judged_looks, played_hosts
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
        self._rollbacks: dict[str, list[RollbackRow]] = {}
        for row in rollbacks.of_rollout(book, rollout_id):
            self._rollbacks.setdefault(row.attempt_id, []).append(row)

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
        return tuple(self._rollbacks.get(attempt_id, ()))

    @cached_property
    def judged_before(self) -> Mapping[str, tuple[int, int]]:
        """Of the hosts that were judged before the rollout, which look it was, and its findings."""
        return judged_looks(self.book, self.row.id, purpose="preflight")

    @cached_property
    def last_look_differences(self) -> Mapping[str, str]:
        """What the last look after everything saw otherwise than it was left, by host."""
        detail = rollouts.detail_of(self.book, self.row.id, "verified")
        return {name: said for name, said in by_host(detail).items() if name in self.attempts}

    def seen_since(self, host: str) -> str:
        """Return what was last seen of a host that is not as its attempt left it, and when."""
        if "verified" in self.view.steps:
            said = self.last_look_differences.get(host, "")
            return f"at the last look: {said}" if said else ""
        said = self.view.attempts[host].unwell
        return f"before the gate: {said}" if said else ""

    def step(self, name: str) -> StepRow | None:
        """Return a phase of the rollout that was written down as done."""
        return self.book.get(StepRow, (self.row.id, name))

    def closed_reason(self) -> str:
        """Return why nothing further was started; empty when nothing stopped it."""
        step = self.step("closed")
        return step.detail if step else ""
