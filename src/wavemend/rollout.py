"""Decide what a rollout does next. Pure: the plan, what the ledger says, and the time.

The flow asks, does that one thing, writes it to the ledger, and asks again. Equal inputs give
the equal answer, so any process that has the ledger can go on where another one died.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from wavemend.outcomes import Outcome
from wavemend.plans import Plan, PlannedWave
from wavemend.policy.care import RollBack
from wavemend.rollout_actions import (
    Action,
    AskApproval,
    CheckWave,
    Close,
    Done,
    Gap,
    Hold,
    JudgeGate,
    Prepare,
    ProbeWave,
    Report,
    RollBackWave,
    RunWave,
    Soak,
    Verify,
)
from wavemend.rollout_view import AttemptState, AttemptView, GateNumbers, RolloutView, Standing

__all__ = [
    "Action",
    "AskApproval",
    "AttemptState",
    "AttemptView",
    "CheckWave",
    "Close",
    "Done",
    "Gap",
    "GateNumbers",
    "Hold",
    "JudgeGate",
    "Prepare",
    "ProbeWave",
    "Report",
    "RollBackWave",
    "RolloutView",
    "RunWave",
    "Soak",
    "Standing",
    "Verify",
    "errors_in",
    "in_flight",
    "judge_errors",
    "judge_gate",
    "next_action",
]


_NAMED = 5
"""Hosts named in a gate's reason."""

_CHANGED = frozenset({Outcome.PATCHED, Outcome.PATCHED_REBOOT_PENDING})


def next_action(
    plan: Plan, view: RolloutView, now: datetime, roll_back: RollBack = RollBack.NEVER
) -> Action:
    """Return the one thing to do now: same inputs, same answer, any number of times.

    `roll_back`: what the profile takes back by itself.
    """
    if unfinished := _unfinished(plan, view):
        return unfinished
    if roll_back is RollBack.WAVE and (back := _wave_to_take_back(plan, view)):
        return back
    if step := _step_before_waves(plan, view, now):
        return step
    if "closed" not in view.steps:
        for wave in plan.waves:
            if view.gates.get(wave.number) is not True:
                return _within_wave(plan, wave, view, now)
    return _after_waves(plan, view)


def judge_gate(wave: PlannedWave, view: RolloutView) -> GateNumbers:
    """Decide a gate from terminal outcomes. Missing is not zero: too few observed is a failure."""
    known = [view.attempts[name] for name in wave.hosts if name in view.attempts]
    seen = [attempt for attempt in known if attempt.outcome is not None]
    good = sum(attempt.is_good for attempt in seen)
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
    reason += _who_is_unwell(wave, view) if reason else ""
    return GateNumbers(
        passed=not reason, observed=observed, good=good, errors=errors, reason=reason
    )


def _who_is_unwell(wave: PlannedWave, view: RolloutView) -> str:
    known = ((name, view.attempts[name]) for name in wave.hosts if name in view.attempts)
    unwell = [name for name, seen in known if seen.unwell]
    more = f" and {len(unwell) - _NAMED} more" if len(unwell) > _NAMED else ""
    return f"; not well any more: {', '.join(unwell[:_NAMED])}{more}" if unwell else ""


def errors_in(wave: PlannedWave, view: RolloutView) -> int:
    """Count the hosts of a wave that ended badly; a host lost after its start is one of them."""
    members = wave.members
    return sum(attempt.is_bad for name, attempt in view.attempts.items() if name in members)


def in_flight(wave: PlannedWave, view: RolloutView) -> int:
    """Count the hosts of a wave that use its disruption budget right now."""
    members = wave.members
    return sum(attempt.uses_budget for name, attempt in view.attempts.items() if name in members)


def _wave_to_take_back(plan: Plan, view: RolloutView) -> RollBackWave | None:
    """Return the pilot that is to be taken back because one of its hosts was, if there is one.

    While everything is stopped no host is begun; what was begun is collected all the same.
    """
    for wave in plan.waves:
        known = {name: view.attempts[name] for name in wave.hosts if name in view.attempts}
        back = [name for name, seen in known.items() if seen.outcome is Outcome.ROLLED_BACK]
        patched = tuple(_patched(known, only_begun=bool(view.stopped)))
        reason = f"{', '.join(back)} of {wave.name} was not well after the change"
        action = RollBackWave(wave, patched, reason)
        if wave.kind == "pilot" and back and patched and action.step not in view.steps:
            return action
    return None


def _patched(known: Mapping[str, AttemptView], *, only_begun: bool) -> Iterator[str]:
    for name, seen in known.items():
        if seen.outcome in _CHANGED and not seen.taken_back and (seen.going_back or not only_begun):
            yield name


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
    if view.halted:
        return Close(f"halted: {view.halted}", _untouched(plan, view))
    if "prepared" in view.steps or not plan.hosts:
        return None
    if now >= plan.last_start:
        # Nothing will be started any more, so nothing is prepared, and no hook is run.
        return Close("window: the cut-off has passed", _untouched(plan, view))
    if plan.all_signed and (asking := _signature(plan, plan.waves[0], view, now)):
        return asking
    later = {name for wave in plan.waves if wave.kind == "critical" for name in wave.hosts}
    names = (host.name for host in plan.hosts if host.name not in later)
    return Prepare(_with_packages(plan, names))


def _with_packages(plan: Plan, names: Iterable[str]) -> tuple[str, ...]:
    """A host that is only restarted has nothing that a restore point could bring back."""
    return tuple(name for name in names if plan.host(name).changes_packages)


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
    if wave.kind == "critical" and (asking := _signature(plan, wave, view, now)):
        return asking
    return _not_yet(plan, wave, view, now) or _begin_wave(plan, wave, waiting, view)


def _signature(plan: Plan, wave: PlannedWave, view: RolloutView, now: datetime) -> Action | None:
    """Return what is done for want of a signature; None when there is one."""
    if view.standing is Standing.REJECTED:
        return Close("rejected by the approver", _untouched(plan, view))
    if now >= plan.last_start:
        return Close("window: no approval before the cut-off", _untouched(plan, view))
    return AskApproval(wave) if view.standing is Standing.NONE else None


def _not_yet(plan: Plan, wave: PlannedWave, view: RolloutView, now: datetime) -> Action | None:
    """Wait for a gap, this rollout's or the company's, but not beyond the cut-off."""
    if now >= plan.last_start:
        waited = f" while it waited: {view.hold.reason}" if view.hold else ""
        return Close(f"window: the cut-off has passed{waited}", _untouched(plan, view))
    if (until := _gap_until(plan, wave, view)) and now < until:
        return Gap(wave, until)
    if view.hold and now < view.hold.until:
        return Gap(wave, min(view.hold.until, plan.last_start))
    return None


def _begin_wave(
    plan: Plan, wave: PlannedWave, waiting: tuple[str, ...], view: RolloutView
) -> Action:
    if view.barred:
        return Close(view.barred, _untouched(plan, view))
    # A snapshot holds a machine still: critical hosts get theirs only with the approval.
    prepare = Prepare(_with_packages(plan, waiting), step=f"prepared {wave.name}")
    if wave.kind == "critical" and prepare.hosts and prepare.step not in view.steps:
        return prepare
    check = CheckWave(wave, waiting)
    return RunWave(wave, waiting) if check.step in view.steps else check


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
    if view.probed and (changed := _to_probe(wave, view)):
        again = ProbeWave(wave, changed)
        if again.step not in view.steps:
            return again
    return JudgeGate(wave)


def _to_probe(wave: PlannedWave, view: RolloutView) -> tuple[str, ...]:
    """Return the hosts of a wave that were changed, and were well when their attempts ended."""
    known = {name: view.attempts[name] for name in wave.hosts if name in view.attempts}
    return tuple(name for name, seen in known.items() if seen.outcome in _CHANGED and seen.is_good)


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
