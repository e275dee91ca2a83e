"""Make the plan and freeze it: findings, priorities, waves, and the digest that is approved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlmodel import Session

from wavemend.errors import PlanError
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKey, RolloutKind
from wavemend.hosts import Host
from wavemend.knowledge import Intelligence
from wavemend.ledger import journals, rollouts
from wavemend.ledger.assessments import first_seen, record_assessment
from wavemend.ledger.durations import learned_durations
from wavemend.ledger.intake import record_snapshots
from wavemend.ledger.readiness import is_accepted
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import newest_look
from wavemend.ledger.tables import (
    RolloutRow,
)
from wavemend.managers import Manager
from wavemend.observations import Assessment, Look, Sighting
from wavemend.packages import Target
from wavemend.planning import Candidate, Occasion, make_plan
from wavemend.planning.hosts import touched_by
from wavemend.plans import ExcludedHost, Plan
from wavemend.policy.emergencies import profile_for
from wavemend.policy.risk_profiles import risk_profile
from wavemend.scoring import RankedUpdate, rank_updates
from wavemend.steps.assess import Assessor
from wavemend.steps.freeze_policies import permits_for, with_policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """One host with its findings, ready to be planned."""

    scan_id: int
    candidate: Candidate
    assessment: Assessment | None
    """None: the host was not seen."""


def weigh(hands: Hands, host: Host, assessor: Assessor, rollout_id: str) -> Weighed:
    """Match and rank what the last preflight saw of one host."""
    with hands.ledger.reading() as book:
        found = newest_look(book, host.name, purpose="preflight", rollout_id=rollout_id)
        if found is None:
            missing = Look(
                host=host.name,
                at=hands.clock(),
                facts=None,
                reason="unseen",
                detail="it was never looked at",
            )
            found = 0, missing
        scan_id, seen = found
        known = _known_of(book, seen)
    candidate, assessment = _judge(hands, assessor, host, seen, known)
    return Weighed(scan_id=scan_id, candidate=candidate, assessment=assessment)


def judge_look_for(
    hands: Hands, assessor: Assessor, host: Host, seen: Look
) -> tuple[Candidate, Assessment | None]:
    """Match and rank what a look saw, by the feeds and the policies; None: it saw nothing."""
    with hands.ledger.reading() as book:
        known = _known_of(book, seen)
    return _judge(hands, assessor, host, seen, known)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ledger knows about what a look saw."""

    earlier: Mapping[str, Sighting]
    strangers: tuple[str, ...]


def _known_of(book: Session, seen: Look) -> _Known:
    if seen.facts is None:
        return _Known({}, ())
    earlier = first_seen(book, seen.host)
    return _Known(earlier, journals.strangers(book, seen.host, seen.facts))


def _judge(
    hands: Hands, assessor: Assessor, host: Host, seen: Look, known: _Known
) -> tuple[Candidate, Assessment | None]:
    if seen.facts is None:
        return Candidate(host=host, look=seen, ranked=()), None
    now = hands.clock()
    assessed = assessor.assess(host, seen.facts, seen.at, now, known.earlier)
    updates = rank_updates(
        host,
        assessed.facts,
        assessed.matched,
        assessor.intelligence,
        now,
        # As in the assessment: the same clocks, and no date moves later.
        first_seen=assessed.starts,
        held=assessed.held,
        profile=risk_profile(assessor.fleet.tenant(host.tenant).compliance),
        waivers=assessor.fleet.waivers_of(host.tenant),
        marked=assessor.marked(host),
    )
    candidate = Candidate(
        host=host,
        look=seen,
        ranked=updates,
        unfit=_unfit(hands.manager(host), updates),
        strangers=known.strangers,
    )
    return with_policies(hands, assessor.fleet, assessor.resolver, candidate), assessed.assessment


def _unfit(manager: Manager, updates: Sequence[RankedUpdate]) -> dict[tuple[str, str], str]:
    """Return the updates whose name or version the manager cannot be asked for, and why.

    Found out now: one such update must not keep the rest of its host's from being installed.
    """
    refused: dict[tuple[str, str], str] = {}
    for update in (ranked.update for ranked in updates):
        target = Target(name=update.name, arch=update.arch, version=update.candidate)
        try:
            manager.apply_script((target, *update.brings))
        except PlanError as error:
            refused[update.name, update.arch] = str(error)
    return refused


def freeze_plan(
    hands: Hands, lease: Lease, row: RolloutRow, fleet: Fleet, assessor: Assessor
) -> Plan:
    """Store the findings and the plan of a rollout, in one transaction; return the plan."""
    with hands.ledger.kept_open():
        hosts = members_of(row, fleet)
        weighed = [weigh(hands, host, assessor, lease.rollout_id) for host in hosts]
    intelligence = assessor.intelligence
    with hands.ledger.reading() as book:
        accepted = is_accepted(book, row.id)
    plan = plan_of(hands, row, fleet, weighed, intelligence, accepted=accepted)
    with hands.ledger.writing() as book:
        record_snapshots(book, intelligence.snapshots, actor="freeze-plan", now=hands.clock())
        for item in weighed:
            if item.assessment is not None:
                record_assessment(book, item.scan_id, item.assessment)
        rollouts.store_plan(book, lease, plan, hands.clock())
    return plan


def plan_of(
    hands: Hands,
    row: RolloutRow,
    fleet: Fleet,
    weighed: list[Weighed],
    intelligence: Intelligence,
    *,
    accepted: bool = False,
) -> Plan:
    """Return the plan that would be frozen now. `accepted`: unready hosts keep nobody back."""
    candidates = [item.candidate for item in weighed]
    occasion, profile = occasion_of(hands, row, fleet), fleet.profile(row.profile)
    permits = permits_for(hands, row, candidates)
    left: tuple[ExcludedHost, ...] = ()
    if row.kind == RolloutKind.EMERGENCY:
        rule = fleet.tenant(row.tenant).emergency
        about = tuple(sorted(permits.taken))
        occasion = replace(occasion, about=about, all_signed=not rule.standing)
        candidates, left = touched_by(candidates, permits.taken)
        profile = profile_for(profile, rule, tuple(each.host for each in candidates))
    plan = make_plan(
        occasion,
        profile,
        candidates,
        intelligence.snapshots,
        accepted=accepted,
        permits=permits,
    )
    excluded = sorted((*plan.excluded, *left), key=lambda host: host.name)
    return replace(plan, excluded=tuple(excluded)) if left else plan


def members_of(row: RolloutRow, fleet: Fleet) -> tuple[Host, ...]:
    """Return the hosts that a rollout is about, by name."""
    key = RolloutKey(tenant=row.tenant, profile=row.profile, window=row.window, kind=row.kind)
    return fleet.members(key)


def _elsewhere(row: RolloutRow, fleet: Fleet) -> frozenset[str]:
    """Return the dependencies whose first hosts are in other rollouts of the company."""
    mine = (row.profile, row.window)
    others = [
        host
        for host in fleet.hosts_of(row.tenant)
        if host.profile and (host.profile, host.window) != mine
    ]
    return frozenset(
        rule.name
        for rule in fleet.dependencies_of(row.tenant)
        if any(rule.first.matches(host.labels) for host in others)
    )


def occasion_of(hands: Hands, row: RolloutRow, fleet: Fleet) -> Occasion:
    """Return for which rollout, in which window, on whose request a plan is made now."""
    with hands.ledger.reading() as book:
        durations = learned_durations(book)
    return Occasion(
        rollout=row.id,
        tenant=row.tenant,
        window=row.window,
        window_start=row.window_start,
        window_end=row.window_end,
        last_start=row.last_start,
        requester=row.requester,
        nonce=hands.token(),
        fleet_digest=fleet.digest,
        now=hands.clock(),
        kind=row.kind,
        gap=fleet.tenant(row.tenant).gap or timedelta(0),
        dependencies=fleet.dependencies_of(row.tenant),
        elsewhere=_elsewhere(row, fleet),
        durations=durations,
    )
