"""Make the plan and freeze it: findings, priorities, waves, and the digest that is approved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.advisories import Intelligence
from wavemend.errors import PlanError
from wavemend.execution.hands import Hands
from wavemend.findings import HostFindings, match
from wavemend.fleet import Fleet, RolloutKey
from wavemend.hosts import Facts, Host
from wavemend.ledger import rollouts
from wavemend.ledger.intake import record_snapshots
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import first_seen, newest_look, record_findings
from wavemend.ledger.tables import RolloutRow
from wavemend.managers import Manager
from wavemend.observations import Look, Ranked
from wavemend.packages import Target
from wavemend.planning import Candidate, Occasion, make_plan
from wavemend.plans import Plan
from wavemend.scoring import RankedUpdate, prioritise, rank_updates


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """One host with its findings, ready to be planned."""

    scan_id: int
    candidate: Candidate
    findings: tuple[Ranked, ...]


def weigh(hands: Hands, host: Host, intelligence: Intelligence, rollout_id: str) -> Weighed:
    """Match and rank what the last preflight saw of one host."""
    with hands.ledger.reading() as book:
        found = newest_look(book, host.name, purpose="preflight", rollout_id=rollout_id)
        earlier = first_seen(book, host.name)
    now = hands.clock()
    if found is None:
        missing = Look(
            host=host.name, at=now, facts=None, reason="unseen", detail="it was never looked at"
        )
        return Weighed(
            scan_id=0, candidate=Candidate(host=host, look=missing, ranked=()), findings=()
        )
    scan_id, seen = found
    if seen.facts is None:
        candidate = Candidate(host=host, look=seen, ranked=())
        return Weighed(scan_id=scan_id, candidate=candidate, findings=())
    matched, ranked = rank_findings(host, seen.facts, intelligence, now, earlier)
    updates = rank_updates(host, seen.facts, matched, intelligence, now, first_seen=earlier)
    candidate = Candidate(
        host=host, look=seen, ranked=updates, unfit=_unfit(hands.manager(host), updates)
    )
    return Weighed(scan_id=scan_id, candidate=candidate, findings=ranked)


def _unfit(manager: Manager, updates: Sequence[RankedUpdate]) -> dict[tuple[str, str], str]:
    """Return the updates whose name or version the manager cannot be asked for, and why.

    Found out now: one such update must not keep the rest of its host's from being installed.
    """
    refused: dict[tuple[str, str], str] = {}
    for update in (ranked.update for ranked in updates):
        target = Target(name=update.name, arch=update.arch, version=update.candidate)
        try:
            manager.apply_script((target,))
        except PlanError as error:
            refused[update.name, update.arch] = str(error)
    return refused


def rank_findings(
    host: Host,
    facts: Facts,
    intelligence: Intelligence,
    now: datetime,
    earlier: Mapping[str, datetime],
) -> tuple[HostFindings, tuple[Ranked, ...]]:
    """Match one host's packages with the feeds; return the findings, most urgent first.

    `earlier`: by finding id, when it was found first; due dates count from there.
    """
    matched = match(host, facts, intelligence)
    ranked = [
        Ranked(
            finding=finding,
            vulnerability=known,
            priority=prioritise(finding, host, known, now, first_seen=earlier.get(finding.id)),
        )
        for finding in matched.findings
        for known in (intelligence.vulnerability(finding.cve),)
    ]
    return matched, tuple(sorted(ranked, key=lambda item: item.priority.order))


def freeze_plan(
    hands: Hands, lease: Lease, row: RolloutRow, fleet: Fleet, intelligence: Intelligence
) -> Plan:
    """Store the findings and the plan of a rollout, in one transaction; return the plan."""
    key = RolloutKey(tenant=row.tenant, profile=row.profile, window=row.window)
    weighed = [weigh(hands, host, intelligence, lease.rollout_id) for host in fleet.members(key)]
    plan = plan_of(hands, row, fleet, weighed, intelligence)
    with hands.ledger.writing() as book:
        record_snapshots(book, intelligence.snapshots, actor="freeze-plan", now=hands.clock())
        for item in weighed:
            if item.scan_id:
                record_findings(book, item.scan_id, item.findings)
        rollouts.store_plan(book, lease, plan, hands.clock())
    return plan


def plan_of(
    hands: Hands,
    row: RolloutRow,
    fleet: Fleet,
    weighed: list[Weighed],
    intelligence: Intelligence,
) -> Plan:
    """Return the plan that would be frozen now."""
    occasion = Occasion(
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
    candidates = [item.candidate for item in weighed]
    return make_plan(occasion, fleet.profile(row.profile), candidates, intelligence.snapshots)
