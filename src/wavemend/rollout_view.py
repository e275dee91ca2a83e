"""What the ledger says of a rollout at one moment: what the next action is decided from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wavemend.outcomes import Outcome
from wavemend.rollout_actions import Hold


class AttemptState(StrEnum):
    """How far the attempt of one host is."""

    INTENT = "intent"
    RUNNING = "running"
    ENDED = "ended"


class Standing(StrEnum):
    """Where the asking for approval of this plan stands."""

    NONE = "none"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt, as the ledger has it."""

    state: AttemptState
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    lost_at: datetime | None = None
    """Since when the host does not answer; empty while it does."""
    taken_back: bool = False
    """True once a rollback of this attempt has ended, whatever came of it."""
    going_back: bool = False
    """True while a rollback of this attempt has begun and not ended."""
    unwell: str = ""
    """What its probes said when they were asked again before its gate; empty when all was well."""

    @property
    def is_good(self) -> bool:
        """True when the host ended, and still is, in the state the plan wanted."""
        return self.outcome is not None and self.outcome.is_good and not self._is_spoilt

    @property
    def is_bad(self) -> bool:
        """True when the attempt counts as an error at the gate; taken back or unwell, it does."""
        return self.outcome is not None and (self.outcome.is_bad or self._is_spoilt)

    @property
    def _is_spoilt(self) -> bool:
        return self.taken_back or bool(self.unwell)

    @property
    def uses_budget(self) -> bool:
        """True while the host may be out of service: running, unknown, lost or failed."""
        return self.outcome is None or self.is_bad


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """What the ledger says about one rollout at one moment."""

    attempts: Mapping[str, AttemptView] = field(default_factory=dict)
    gates: Mapping[int, bool] = field(default_factory=dict)
    """Wave number to passed; a wave without an entry was not judged yet."""
    gate_reasons: Mapping[int, str] = field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    standing: Standing = Standing.NONE
    stopped: str = ""
    """Why the kill switch is engaged; empty when it is not."""
    halted: str = ""
    """Why this rollout stopped itself, for good; empty when it did not."""
    barred: str = ""
    """Why calendars forbid a start now; empty when none does."""
    hold: Hold | None = None
    """What keeps the next group of this rollout back for now: others of its company."""
    probed: bool = False
    """True when the profile declares probes: they are asked again before each gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateNumbers:
    """What a gate saw, and what it decided."""

    passed: bool
    observed: int
    good: int
    errors: int
    reason: str
