"""Plans that rest on the looks alone: restarts and repairs bring no update in, and ask no feed.

Waves, gates, budget, approvals and evidence are those of every rollout.
"""

from collections.abc import Sequence

from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKind
from wavemend.ledger import journals, rollouts
from wavemend.ledger.readiness import is_accepted
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import newest_look
from wavemend.ledger.tables import RolloutRow
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.planning import Candidate, PlanHost, make_plan
from wavemend.plans import ExcludedHost, Plan
from wavemend.policy.resolving import resolver_of
from wavemend.readiness import judge_look, outcome_of
from wavemend.steps.freeze import members_of, occasion_of


def candidates_of(hands: Hands, row: RolloutRow, fleet: Fleet) -> tuple[Candidate, ...]:
    """Return the hosts of a rollout as its preflight saw them, without their updates."""
    hosts = members_of(row, fleet)
    resolver = resolver_of(fleet)
    with hands.ledger.reading() as book:
        found = {
            host.name: newest_look(book, host.name, purpose="preflight", rollout_id=row.id)
            for host in hosts
        }
        unknown = {
            name: journals.strangers(book, name, seen[1].facts)
            for name, seen in found.items()
            if seen is not None
        }
    return tuple(
        Candidate(
            host=host,
            look=seen[1] if (seen := found[host.name]) else _unseen(hands, host.name),
            ranked=(),
            strangers=unknown.get(host.name, ()),
            settings=resolver.settings(host, fleet.profile(row.profile)),
        )
        for host in hosts
    )


def freeze_seen(
    hands: Hands,
    lease: Lease,
    row: RolloutRow,
    fleet: Fleet,
    *,
    candidates: Sequence[Candidate],
    plan_host: PlanHost,
) -> Plan:
    """Store the plan that `plan_host` makes of each candidate; return it."""
    with hands.ledger.reading() as book:
        accepted = is_accepted(book, row.id)
    plan = make_plan(
        occasion_of(hands, row, fleet),
        fleet.profile(row.profile),
        candidates,
        (),
        accepted=accepted,
        plan_host=plan_host,
    )
    with hands.ledger.writing() as book:
        rollouts.store_plan(book, lease, plan, hands.clock())
    return plan


def unready(candidate: Candidate, kind: RolloutKind) -> ExcludedHost | None:
    """Return a host that is not ready for a rollout of that kind, with the reason. Pure."""
    found = judge_look(candidate.look, strangers=candidate.strangers, kind=kind)
    if found.ready:
        return None
    return ExcludedHost(
        name=candidate.host.name,
        outcome=outcome_of(candidate.look),
        reason=f"preflight: {found.blocking[0]}",
    )


def nothing_to_do(candidate: Candidate, reason: str) -> ExcludedHost:
    """Return a host that the rollout is not about, after it was looked at. Pure."""
    return ExcludedHost(name=candidate.host.name, outcome=Outcome.NOTHING_TO_DO, reason=reason)


def _unseen(hands: Hands, name: str) -> Look:
    return Look(
        host=name, at=hands.clock(), facts=None, reason="unseen", detail="it was never looked at"
    )
