"""What a rollout may be told to do next: one value per action, with what it is about."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from wavemend.plans import PlannedWave

PROBED = "probed "
"""What the step of a wave begins with whose probes were asked again."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Prove a restore point for each of these hosts."""

    hosts: tuple[str, ...]
    step: str = "prepared"
    """What the ledger calls it once it is done: for a critical wave it comes after its approval."""


@dataclass(frozen=True, slots=True)
class CheckWave:
    """Look whether the hosts of a wave are ready, right before the first of them starts."""

    wave: PlannedWave
    hosts: tuple[str, ...]

    @property
    def step(self) -> str:
        """What the ledger calls it once it is done."""
        return f"ready {self.wave.name}"


@dataclass(frozen=True, slots=True)
class RollBackWave:
    """Take back the hosts of a pilot that are patched, because others of it were not well."""

    wave: PlannedWave
    hosts: tuple[str, ...]
    reason: str

    @property
    def step(self) -> str:
        """What the ledger calls it once it is done."""
        return f"taken back {self.wave.name}"


@dataclass(frozen=True, slots=True)
class RunWave:
    """Attempt, or go on with, these hosts of a wave."""

    wave: PlannedWave
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Soak:
    """Leave the wave alone until then, watching nothing change."""

    wave: PlannedWave
    until: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Leave the configured gap before this wave starts."""

    wave: PlannedWave
    until: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """Until when something else keeps the next group back, and what."""

    until: datetime
    reason: str
    known: bool = True
    """False: nobody knows how long it lasts, and `until` is only when to ask again."""


@dataclass(frozen=True, slots=True)
class ProbeWave:
    """Ask the declared probes of these hosts again, right before the gate of their wave."""

    wave: PlannedWave
    hosts: tuple[str, ...]

    @property
    def step(self) -> str:
        """What the ledger calls it once it is done; its detail is who is not well any more."""
        return f"{PROBED}{self.wave.name}"


@dataclass(frozen=True, slots=True)
class JudgeGate:
    """Decide from the outcomes whether the next wave may start."""

    wave: PlannedWave


@dataclass(frozen=True, slots=True)
class AskApproval:
    """Ask a named approver for a signature over this plan before this wave."""

    wave: PlannedWave


@dataclass(frozen=True, slots=True)
class Close:
    """Start no further host; each one left gets `not_attempted` with this reason."""

    reason: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verify:
    """Look at every host that was touched once more."""

    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Write the report."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do."""


Action: TypeAlias = (
    Prepare
    | CheckWave
    | RunWave
    | RollBackWave
    | Soak
    | Gap
    | ProbeWave
    | JudgeGate
    | AskApproval
    | Close
    | Verify
    | Report
    | Done
)
