"""Findings, policy and fleet make a plan. Pure: equal inputs give an equal digest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wavemend.advisories import FeedSnapshot
from wavemend.hosts import Facts, Host, PendingUpdate
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.plans import (
    ExcludedHost,
    FeedUsed,
    LeftOut,
    Plan,
    PlannedHost,
    PlannedPackage,
    PlannedWave,
)
from wavemend.policy.profiles import Profile, Updates, WaveKind, WaveRule, place
from wavemend.readiness import group_answer, judge_look, outcome_of
from wavemend.scoring import RankedUpdate


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One host of the selection: what was seen of it, and its pending updates by rank."""

    host: Host
    look: Look
    ranked: tuple[RankedUpdate, ...]
    unfit: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Updates by name and architecture that the manager cannot be asked for, and why."""
    strangers: tuple[str, ...] = ()
    """Attempts in the host's own journal that the ledger does not know of."""


PlanHost = Callable[[Candidate, Profile], PlannedHost | ExcludedHost]


def make_plan(
    occasion: Occasion,
    profile: Profile,
    candidates: Sequence[Candidate],
    feeds: Sequence[FeedSnapshot],
    *,
    accepted: bool = False,
    plan_host: PlanHost | None = None,
) -> Plan:
    """Return the frozen plan. Every candidate is in it: planned, or excluded with a reason.

    `accepted`: somebody said that hosts which are not ready keep nobody back, whatever the
    profile says. `plan_host`: what is planned for one host; its pending updates unless said.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.host.name)
    planned: dict[str, PlannedHost] = {}
    excluded: list[ExcludedHost] = []
    for candidate in ordered:
        made = (plan_host or plan_updates)(candidate, profile)
        if isinstance(made, PlannedHost):
            planned[made.name] = made
        else:
            excluded.append(made)
    waiting = _behind_the_group(profile, ordered, planned, accepted=accepted)
    for left in waiting or _behind_a_lost_pilot(profile, ordered, planned, excluded):
        excluded.append(left)
        del planned[left.name]
    hosts = tuple(c.host for c in ordered if c.host.name in planned)
    urgency = {c.host.name: c.ranked[0].priority.order if c.ranked else () for c in ordered}
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
        hosts=tuple(planned[name] for name in sorted(planned)),
        waves=_waves(profile, hosts, urgency),
        excluded=tuple(sorted(excluded, key=lambda left: left.name)),
    )


def _behind_the_group(
    profile: Profile,
    candidates: Sequence[Candidate],
    planned: Mapping[str, PlannedHost],
    *,
    accepted: bool,
) -> list[ExcludedHost]:
    """Return every planned host when the group's rule is that none goes without the others."""
    found = [judge_look(candidate.look, strangers=candidate.strangers) for candidate in candidates]
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
    wave would be the pilot. A pilot that has nothing to install keeps nobody back.
    """
    outcomes = {left.name: left.outcome for left in excluded}
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
            idle = all(outcomes.get(name) is Outcome.NOTHING_TO_DO for name in names)
            if len(gone) == len(names) and not idle:
                lost = f"no host of {placement.wave.name} can be observed: {', '.join(gone[:5])}"
    return waiting


def plan_updates(candidate: Candidate, profile: Profile) -> PlannedHost | ExcludedHost:
    """Return what is planned of a host's pending updates, or why it takes no part."""
    host, look = candidate.host, candidate.look
    readiness = judge_look(look, strangers=candidate.strangers)
    if look.facts is None or not readiness.ready:
        reason = f"preflight: {readiness.blocking[0]}"
        return ExcludedHost(name=host.name, outcome=outcome_of(look), reason=reason)
    packages: dict[_Key, PlannedPackage] = {}
    left_out: dict[_Key, LeftOut] = {}
    for ranked in candidate.ranked:
        if refusal := _not_planned(ranked, profile, candidate.unfit, look.facts):
            left_out[_key(ranked.update)] = _left(ranked.update, *refusal)
        else:
            packages[_key(ranked.update)] = _package(ranked)
    for ranked in candidate.ranked:
        if _key(ranked.update) in packages:
            for package in _brought(ranked, look.facts):
                packages.setdefault((package.name, package.arch), package)
    remaining = tuple(left for key, left in left_out.items() if key not in packages)
    if not packages:
        return _nothing(host, remaining)
    return PlannedHost(
        name=host.name,
        address=f"{host.address}:{host.port}",
        critical=host.critical,
        exposed=host.exposed,
        simulated=host.simulated or look.facts.simulated,
        machine_id=look.facts.machine_id,
        host_key=look.peer_key,
        packages=tuple(packages.values()),
        left_out=remaining,
        reboot=profile.reboot,
    )


_Key = tuple[str, str]
"""Name and architecture of a package."""


def _key(update: PendingUpdate) -> _Key:
    return update.name, update.arch


def _not_planned(
    ranked: RankedUpdate, profile: Profile, unfit: Mapping[_Key, str], facts: Facts
) -> tuple[PackageOutcome, str] | None:
    update = ranked.update
    if reason := unfit.get(_key(update)):
        return PackageOutcome.NOT_OFFERED, reason
    if update.held:
        return PackageOutcome.HELD, "on hold on the host"
    if update.phased:
        return PackageOutcome.PHASED, "the distribution has not released it to this host yet"
    if reason := update.not_taken:
        return PackageOutcome.NOT_OFFERED, reason
    if profile.updates is Updates.SECURITY and not (update.security or ranked.cves):
        reason = "not known to be a security update, and the profile takes only those"
        return PackageOutcome.NOT_ATTEMPTED, reason
    new = [t.name for t in update.brings if not facts.version_of(t.name, t.arch)]
    if new and not profile.new_packages:
        reason = f"it needs packages new to the host, {', '.join(new)}: the profile takes none"
        return PackageOutcome.NOT_ATTEMPTED, reason
    return None


def _brought(ranked: RankedUpdate, facts: Facts) -> Iterator[PlannedPackage]:
    """Plan what comes along with an update, with the urgency of that update."""
    for target in ranked.update.brings:
        yield PlannedPackage(
            name=target.name,
            arch=target.arch,
            installed=facts.version_of(target.name, target.arch),
            target=target.version,
            origin=ranked.update.origin,
            lane=ranked.priority.lane,
            due=ranked.priority.due,
        )


def _left(update: PendingUpdate, outcome: PackageOutcome, reason: str) -> LeftOut:
    return LeftOut(
        name=update.name,
        arch=update.arch,
        installed=update.installed,
        candidate=update.candidate,
        outcome=outcome,
        reason=reason,
    )


def _package(ranked: RankedUpdate) -> PlannedPackage:
    return PlannedPackage(
        name=ranked.update.name,
        arch=ranked.update.arch,
        installed=ranked.update.installed,
        target=ranked.update.candidate,
        origin=ranked.update.origin,
        lane=ranked.priority.lane,
        due=ranked.priority.due,
        cves=ranked.cves,
    )


def _nothing(host: Host, left_out: Sequence[LeftOut]) -> ExcludedHost:
    if not left_out:
        return ExcludedHost(
            name=host.name, outcome=Outcome.NOTHING_TO_DO, reason="nothing is pending"
        )
    reasons = "; ".join(f"{left.name} {left.outcome}: {left.reason}" for left in left_out)
    return ExcludedHost(name=host.name, outcome=Outcome.SKIPPED, reason=reasons)


def _waves(
    profile: Profile, hosts: tuple[Host, ...], urgency: Mapping[str, tuple[object, ...]]
) -> tuple[PlannedWave, ...]:
    """Number the waves that have hosts; inside a wave the most urgent host comes first."""
    waves: list[PlannedWave] = []
    for placement in place(profile, hosts):
        names = sorted(host.name for host in placement.hosts)
        names.sort(key=lambda name: urgency[name])
        if names:
            waves.append(_wave(len(waves) + 1, placement.wave, tuple(names)))
    return tuple(waves)


def _wave(number: int, rule: WaveRule, hosts: tuple[str, ...]) -> PlannedWave:
    return PlannedWave(
        number=number,
        name=rule.name,
        kind=rule.kind,
        hosts=hosts,
        concurrency=rule.concurrency,
        max_errors=rule.gate.max_errors,
        min_success_percent=rule.gate.min_success_percent,
        min_observed=rule.gate.min_observed,
        soak_seconds=int(rule.gate.soak.total_seconds()),
        gap_seconds=int(rule.gap.total_seconds()),
    )


def _feed(snapshot: FeedSnapshot) -> FeedUsed:
    return FeedUsed(
        feed=snapshot.feed,
        digest=snapshot.digest,
        data_date=str(snapshot.data_date or ""),
        model=snapshot.model,
        stale=snapshot.stale,
    )
