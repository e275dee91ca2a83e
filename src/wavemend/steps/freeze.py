"""Make the plan and freeze it: findings, priorities, waves, and the digest that is approved."""

from collections.abc import Sequence
from dataclasses import dataclass

from wavemend.errors import PlanError
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKey
from wavemend.hosts import Host
from wavemend.knowledge import Intelligence
from wavemend.ledger import journals, rollouts
from wavemend.ledger.assessments import first_seen, record_assessment
from wavemend.ledger.intake import record_snapshots
from wavemend.ledger.readiness import is_accepted
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import newest_look
from wavemend.ledger.tables import (
    RolloutRow,
)
from wavemend.managers import Manager
from wavemend.observations import Assessment, Look
from wavemend.packages import Target
from wavemend.planning import Candidate, Occasion, make_plan
from wavemend.plans import Plan
from wavemend.policy.risk_profiles import risk_profile
from wavemend.scoring import RankedUpdate, rank_updates
from wavemend.steps.assess import Assessor


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
        earlier = first_seen(book, host.name)
    now = hands.clock()
    if found is None:
        missing = Look(
            host=host.name, at=now, facts=None, reason="unseen", detail="it was never looked at"
        )
        candidate = Candidate(host=host, look=missing, ranked=())
        return Weighed(scan_id=0, candidate=candidate, assessment=None)
    scan_id, seen = found
    if seen.facts is None:
        candidate = Candidate(host=host, look=seen, ranked=())
        return Weighed(scan_id=scan_id, candidate=candidate, assessment=None)
    assessed = assessor.assess(host, seen.facts, seen.at, now, earlier)
    updates = rank_updates(
        host,
        seen.facts,
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
    with hands.ledger.reading() as book:
        strangers = journals.strangers(book, host.name, seen.facts)
    candidate = Candidate(
        host=host,
        look=seen,
        ranked=updates,
        unfit=_unfit(hands.manager(host), updates),
        strangers=strangers,
    )
    return Weighed(scan_id=scan_id, candidate=candidate, assessment=assessed.assessment)


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
    weighed = [weigh(hands, host, assessor, lease.rollout_id) for host in members_of(row, fleet)]
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
    return make_plan(
        occasion_of(hands, row, fleet),
        fleet.profile(row.profile),
        candidates,
        intelligence.snapshots,
        accepted=accepted,
    )


def members_of(row: RolloutRow, fleet: Fleet) -> tuple[Host, ...]:
    """Return the hosts that a rollout is about, by name."""
    key = RolloutKey(tenant=row.tenant, profile=row.profile, window=row.window, kind=row.kind)
    return fleet.members(key)


def occasion_of(hands: Hands, row: RolloutRow, fleet: Fleet) -> Occasion:
    """Return for which rollout, in which window, on whose request a plan is made now."""
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
    )
