"""Findings, policy and fleet make a plan. Pure: equal inputs give an equal digest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

from wavemend.advisories import FeedSnapshot
from wavemend.calendar.estimates import NOTHING_LEARNED, ChangeKind, Durations, size_class
from wavemend.fleet import RolloutKind
from wavemend.hosts import Facts
from wavemend.outcomes import Outcome
from wavemend.planning.hosts import (
    Candidate,
    is_simulated,
    plan_updates,
    settings_of,
    without_updates,
)
from wavemend.planning.reboot_forecast import will_restart
from wavemend.planning.rules import NO_PERMITS, Permits
from wavemend.planning.sets import plan_all
from wavemend.planning.waves import Layout, Member, lay_out
from wavemend.plans import (
    ExcludedHost,
    FeedUsed,
    Plan,
    PlannedHost,
)
from wavemend.policy.limits import Dependency
from wavemend.policy.profiles import Profile, RebootRule, WaveKind, place
from wavemend.readiness import group_answer, judge_look

__all__ = ["Candidate", "Occasion", "PlanHost", "make_plan", "plan_updates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """For which rollout, in which window, on whose request a plan is made."""

    rollout: str
    tenant: str
    window: str
    window_start: datetime
    window_end: datetime
    last_start: datetime
    requester: str
    nonce: str
    fleet_digest: str
    now: datetime
    kind: str = RolloutKind.PATCH
    gap: timedelta = timedelta(0)
    """The company's least gap between two groups."""
    dependencies: tuple[Dependency, ...] = ()
    """The company's, those of all companies too."""
    elsewhere: frozenset[str] = frozenset()
    """Those of which other rollouts of the company have the first hosts."""
    about: tuple[str, ...] = ()
    """CVEs and packages it takes and nothing else, sorted; empty: whatever is pending."""
    all_signed: bool = False
    durations: Durations = NOTHING_LEARNED
    """What the ledger says of how long changes take."""


PlanHost = Callable[[Candidate, Profile], PlannedHost | ExcludedHost]


def make_plan(
    occasion: Occasion,
    profile: Profile,
    candidates: Sequence[Candidate],
    feeds: Sequence[FeedSnapshot],
    *,
    accepted: bool = False,
    plan_host: PlanHost | None = None,
    permits: Permits = NO_PERMITS,
) -> Plan:
    """Return the frozen plan. Every candidate is in it: planned, or excluded with a reason.

    `accepted`: somebody said that hosts which are not ready keep nobody back, whatever the
    profile says. `plan_host`: what is planned for one host; its pending updates unless said.
    `permits`: what earlier rollouts tried, and what this one was told to take.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.host.name)
    planned: dict[str, PlannedHost] = {}
    excluded: list[ExcludedHost] = []
    if plan_host is None:
        all_made = plan_all(profile, ordered, permits)
    else:
        all_made = [plan_host(candidate, profile) for candidate in ordered]
    for candidate, first in zip(ordered, all_made, strict=True):
        made = _with_pending_restart(candidate, first, profile, occasion.kind)
        if isinstance(made, PlannedHost):
            planned[made.name] = made
        else:
            excluded.append(made)
    waiting = _behind_the_group(profile, ordered, planned, occasion.kind, accepted=accepted)
    for left in waiting or _behind_a_lost_pilot(profile, ordered, planned, excluded):
        excluded.append(left)
        del planned[left.name]
    layout = _layout(occasion, profile, ordered, planned)
    played = {candidate.host.name for candidate in ordered if is_simulated(candidate)}
    excluded = [replace(left, simulated=left.name in played) for left in excluded]
    return Plan(
        rollout=occasion.rollout,
        tenant=occasion.tenant,
        profile=profile.name,
        window=occasion.window,
        window_start=occasion.window_start,
        window_end=occasion.window_end,
        last_start=occasion.last_start,
        created_at=occasion.now,
        requester=occasion.requester,
        nonce=occasion.nonce,
        fleet_digest=occasion.fleet_digest,
        feeds=tuple(_feed(snapshot) for snapshot in sorted(feeds, key=lambda s: s.feed)),
        hosts=layout.hosts,
        waves=layout.waves,
        excluded=tuple(sorted(excluded, key=lambda left: left.name)),
        kind=occasion.kind,
        about=occasion.about,
        all_signed=occasion.all_signed,
    )


def _behind_the_group(
    profile: Profile,
    candidates: Sequence[Candidate],
    planned: Mapping[str, PlannedHost],
    kind: str,
    *,
    accepted: bool,
) -> list[ExcludedHost]:
    """Return every planned host when the group's rule is that none goes without the others."""
    found = [judge_look(each.look, strangers=each.strangers, kind=kind) for each in candidates]
    answer = group_answer(profile.unready, found, accepted=accepted, time_left=False)
    if answer.go_on:
        return []
    return [
        ExcludedHost(name=name, outcome=Outcome.NOT_ATTEMPTED, reason=answer.reason)
        for name in sorted(planned)
    ]


def _behind_a_lost_pilot(
    profile: Profile,
    candidates: Sequence[Candidate],
    planned: Mapping[str, PlannedHost],
    excluded: Sequence[ExcludedHost],
) -> list[ExcludedHost]:
    """Return the hosts that must wait because nobody would try the updates before them.

    A pilot wave whose hosts all failed preflight would vanish from the plan, and the first broad
    wave would be the pilot. A pilot that has nothing to install keeps nobody back, nor does one
    whose updates all stay out: it was observed.
    """
    outcomes = {left.name: left.outcome for left in excluded}
    seen = {each.host.name: each for each in candidates}
    lost = ""
    waiting: list[ExcludedHost] = []
    for placement in place(profile, tuple(candidate.host for candidate in candidates)):
        names = sorted(host.name for host in placement.hosts)
        if lost:
            waiting += [
                ExcludedHost(name=name, outcome=Outcome.NOT_ATTEMPTED, reason=lost)
                for name in names
                if name in planned
            ]
        elif placement.wave.kind is WaveKind.PILOT and names:
            gone = [name for name in names if name not in planned]
            idle = all(_is_idle(seen[name], outcomes.get(name)) for name in names)
            if len(gone) == len(names) and not idle:
                lost = f"no host of {placement.wave.name} can be observed: {', '.join(gone[:5])}"
    return waiting


def _is_idle(candidate: Candidate, outcome: Outcome | None) -> bool:
    """Say whether a host takes no part although nothing is wrong with it."""
    if outcome is Outcome.SKIPPED:  # by its look, or because its updates are held or ruled out
        return judge_look(candidate.look, strangers=candidate.strangers).ready
    return outcome in {Outcome.NOTHING_TO_DO, Outcome.PATCHED_REBOOT_PENDING}


def _with_pending_restart(
    candidate: Candidate, made: PlannedHost | ExcludedHost, profile: Profile, kind: str
) -> PlannedHost | ExcludedHost:
    """Return a host that has nothing to install but waits for a restart as one to be restarted.

    It was patched in a group that restarts nobody, or something else left it so.
    """
    facts, rule = candidate.look.facts, settings_of(candidate, profile).reboot
    waits = facts is not None and bool(facts.reboot_reasons) and rule is not RebootRule.NEVER
    idle = isinstance(made, ExcludedHost) and made.outcome is Outcome.NOTHING_TO_DO
    elsewhere = kind != RolloutKind.PATCH or profile.reboots.window or not profile.separate_reboots
    if facts is None or not (waits and idle) or elsewhere:
        return _told_of_restart(made, facts, kind) if idle else made
    return without_updates(candidate, facts, RebootRule.IF_NEEDED)


def _told_of_restart(
    made: PlannedHost | ExcludedHost, facts: Facts | None, kind: str
) -> PlannedHost | ExcludedHost:
    """Return a host that is left out, with the restart it waits for: old code runs on it still."""
    if isinstance(made, PlannedHost) or facts is None or kind != RolloutKind.PATCH:
        return made
    if not facts.reboot_reasons:
        return made
    reason = f"{made.reason}; it waits for a restart: {'; '.join(facts.reboot_reasons)}"
    return replace(made, outcome=Outcome.PATCHED_REBOOT_PENDING, reason=reason)


def _layout(
    occasion: Occasion,
    profile: Profile,
    candidates: Sequence[Candidate],
    planned: Mapping[str, PlannedHost],
) -> Layout:
    members = [
        _member(candidate, planned[candidate.host.name], profile, occasion.durations)
        for candidate in candidates
        if candidate.host.name in planned
    ]
    elsewhere = occasion.elsewhere if occasion.gap else frozenset()
    return lay_out(profile, members, occasion.dependencies, occasion.gap, elsewhere)


def _member(
    candidate: Candidate, planned: PlannedHost, profile: Profile, durations: Durations
) -> Member:
    """Return a planned host with what decides its place, and with how long it will take."""
    facts = candidate.look.facts
    restarts = will_restart(planned, facts, candidate.host)
    system = facts.system if facts else ""
    kind = ChangeKind(system=system, size=size_class(len(planned.packages)), reboot=restarts)
    takes = durations.of(kind, at_most=profile.host_deadline)
    return Member(
        host=candidate.host,
        planned=replace(planned, system=system, takes_seconds=takes.p50, at_most_seconds=takes.p95),
        restarts=restarts,
        urgency=candidate.ranked[0].priority.order if candidate.ranked else (inf,),
        importance=settings_of(candidate, profile).importance,
    )


def _feed(snapshot: FeedSnapshot) -> FeedUsed:
    return FeedUsed(
        feed=snapshot.feed,
        digest=snapshot.digest,
        data_date=str(snapshot.data_date or ""),
        model=snapshot.model,
        stale=snapshot.stale,
    )
