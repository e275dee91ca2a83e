"""Decide what a rollout does next. Pure: the plan, what the ledger says, and the time.

The flow asks, does that one thing, writes it to the ledger, and asks again. Equal inputs give
the equal answer, so any process that has the ledger can go on where another one died.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from wavemend.outcomes import Outcome
from wavemend.plans import Plan, PlannedWave


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

    @property
    def uses_budget(self) -> bool:
        """True while the host may be out of service: running, unknown, lost or failed."""
        return self.outcome is None or self.outcome.is_bad


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


@dataclass(frozen=True, slots=True)
class Prepare:
    """Prove a restore point for each of these hosts."""

    hosts: tuple[str, ...]


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
    Prepare | RunWave | Soak | Gap | JudgeGate | AskApproval | Close | Verify | Report | Done
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateNumbers:
    """What a gate saw, and what it decided."""

    passed: bool
    observed: int
    good: int
    errors: int
    reason: str


def next_action(plan: Plan, view: RolloutView, now: datetime) -> Action:
    """Return the one thing to do now: same inputs, same answer, any number of times."""
    if unfinished := _unfinished(plan, view):
        return unfinished
    if step := _step_before_waves(plan, view, now):
        return step
    if "closed" not in view.steps:
        for wave in plan.waves:
            if view.gates.get(wave.number) is not True:
                return _within_wave(plan, wave, view, now)
    return _after_waves(plan, view)


def judge_gate(wave: PlannedWave, view: RolloutView) -> GateNumbers:
    """Decide a gate from terminal outcomes. Missing is not zero: too few observed is a failure."""
    outcomes = [view.attempts[name].outcome for name in wave.hosts if name in view.attempts]
    seen = [outcome for outcome in outcomes if outcome is not None]
    good = sum(outcome.is_good for outcome in seen)
    errors = errors_in(wave, view)
    # Hosts that were skipped by policy were never exposed to the patch: they prove nothing.
    observed = good + errors
    percent = 100 * good // observed if observed else 0
    reason = ""
    if len(seen) < len(wave.hosts):
        reason = f"{len(wave.hosts) - len(seen)} of {len(wave.hosts)} hosts have no outcome"
    elif errors > wave.max_errors:
        reason = judge_errors(wave, view)
    elif observed < wave.min_observed:
        reason = f"{observed} hosts observed, at least {wave.min_observed} needed"
    elif percent < wave.min_success_percent:
        reason = f"{percent} % succeeded, at least {wave.min_success_percent} % needed"
    return GateNumbers(
        passed=not reason, observed=observed, good=good, errors=errors, reason=reason
    )


def errors_in(wave: PlannedWave, view: RolloutView) -> int:
    """Count the hosts of a wave that ended badly; a host lost after its start is one of them."""
    return sum(
        attempt.outcome is not None and attempt.outcome.is_bad
        for name, attempt in view.attempts.items()
        if name in wave.members
    )


def in_flight(wave: PlannedWave, view: RolloutView) -> int:
    """Count the hosts of a wave that use its disruption budget right now."""
    members = wave.members
    return sum(attempt.uses_budget for name, attempt in view.attempts.items() if name in members)


def _unfinished(plan: Plan, view: RolloutView) -> Action | None:
    """What was begun is always collected first, whatever else was decided since."""
    for wave in plan.waves:
        names = tuple(
            name
            for name in wave.hosts
            if name in view.attempts and view.attempts[name].state is not AttemptState.ENDED
        )
        if names:
            return RunWave(wave, names)
    return None


def _step_before_waves(plan: Plan, view: RolloutView, now: datetime) -> Action | None:
    if "closed" in view.steps:
        return None
    if view.stopped:
        return Close(f"stopped: {view.stopped}", _untouched(plan, view))
    if "prepared" in view.steps or not plan.hosts:
        return None
    if now >= plan.last_start:
        # Nothing will be started any more, so nothing is prepared, and no hook is run.
        return Close("window: the cut-off has passed", _untouched(plan, view))
    return Prepare(tuple(host.name for host in plan.hosts))


def _within_wave(plan: Plan, wave: PlannedWave, view: RolloutView, now: datetime) -> Action:
    if view.gates.get(wave.number) is False:
        reason = view.gate_reasons.get(wave.number, "gate failed")
        return Close(f"gate {wave.name}: {reason}", _untouched(plan, view))
    waiting = tuple(name for name in wave.hosts if name not in view.attempts)
    if not waiting:
        return _after_hosts(wave, view, now)
    # Errors beyond the limit stop the issuing of further hosts at once, inside the wave.
    if errors_in(wave, view) > wave.max_errors:
        return Close(f"gate {wave.name}: {judge_errors(wave, view)}", _untouched(plan, view))
    if wave.kind == "critical":
        if view.standing is Standing.REJECTED:
            return Close("rejected by the approver", _untouched(plan, view))
        if now >= plan.last_start:
            return Close("window: no approval before the cut-off", _untouched(plan, view))
        if view.standing is Standing.NONE:
            return AskApproval(wave)
    if now >= plan.last_start:
        return Close("window: the cut-off has passed", _untouched(plan, view))
    if (until := _gap_until(plan, wave, view)) and now < until:
        return Gap(wave, until)
    return RunWave(wave, waiting)


def judge_errors(wave: PlannedWave, view: RolloutView) -> str:
    """Say how many errors a wave has against how many it may have."""
    errors = errors_in(wave, view)
    return f"{errors} error{'' if errors == 1 else 's'}, at most {wave.max_errors} allowed"


def _after_hosts(wave: PlannedWave, view: RolloutView, now: datetime) -> Action:
    ended = _last_end(wave, view)
    if ended is not None:
        until = ended + timedelta(seconds=wave.soak_seconds)
        if now < until:
            return Soak(wave, until)
    return JudgeGate(wave)


def _gap_until(plan: Plan, wave: PlannedWave, view: RolloutView) -> datetime | None:
    """A gap counts from the stored end of the wave it follows: a restart does not lose it."""
    untils = [
        end + timedelta(seconds=earlier.gap_seconds)
        for earlier in plan.waves
        if earlier.number < wave.number and (end := _last_end(earlier, view))
    ]
    return max(untils, default=None)


def _last_end(wave: PlannedWave, view: RolloutView) -> datetime | None:
    ends = [
        attempt.ended_at
        for name in wave.hosts
        if (attempt := view.attempts.get(name)) and attempt.ended_at
    ]
    return max(ends) if ends else None


def _untouched(plan: Plan, view: RolloutView) -> tuple[str, ...]:
    return tuple(host.name for host in plan.hosts if host.name not in view.attempts)


def _after_waves(plan: Plan, view: RolloutView) -> Action:
    if "verified" not in view.steps:
        good = [
            host.name
            for host in plan.hosts
            if (attempt := view.attempts.get(host.name)) and attempt.outcome is not None
        ]
        return Verify(tuple(good))
    if "reported" not in view.steps:
        return Report()
    return Done()
