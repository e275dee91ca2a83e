"""Make and freeze the plan of a restart rollout: the hosts that wait for a restart, and no other.

A plan whose hosts have no packages: waves, gates, budget, approvals and evidence are those of
every rollout.
"""

from functools import partial

from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet
from wavemend.ledger import attempts, journals, rollouts
from wavemend.ledger.readiness import is_accepted
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import newest_look
from wavemend.ledger.tables import RolloutRow
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.planning import Candidate, make_plan
from wavemend.plans import ExcludedHost, Plan, PlannedHost
from wavemend.policy.profiles import Profile, RebootRule
from wavemend.readiness import Check, judge_look, outcome_of
from wavemend.steps.freeze import members_of, occasion_of

_NO_MATTER = frozenset({Check.SPACE, Check.REPOSITORIES})
"""Keeps no host from a restart."""


def freeze_restarts(hands: Hands, lease: Lease, row: RolloutRow, fleet: Fleet) -> Plan:
    """Store the plan of a restart rollout; return it."""
    hosts = members_of(row, fleet)
    with hands.ledger.reading() as book:
        waiting = {host.name: attempts.boot_to_end(book, host.name) for host in hosts}
        found = {
            host.name: newest_look(book, host.name, purpose="preflight", rollout_id=row.id)
            for host in hosts
        }
        unknown = {
            name: journals.strangers(book, name, seen[1].facts)
            for name, seen in found.items()
            if seen is not None
        }
        accepted = is_accepted(book, row.id)
    candidates = [
        Candidate(
            host=host,
            look=seen[1] if (seen := found[host.name]) else _unseen(hands, host.name),
            ranked=(),
            strangers=unknown.get(host.name, ()),
        )
        for host in hosts
    ]
    plan = make_plan(
        occasion_of(hands, row, fleet),
        fleet.profile(row.profile),
        candidates,
        (),
        accepted=accepted,
        plan_host=partial(plan_restart, waiting),
    )
    with hands.ledger.writing() as book:
        rollouts.store_plan(book, lease, plan, hands.clock())
    return plan


def plan_restart(
    waiting: dict[str, str], candidate: Candidate, profile: Profile
) -> PlannedHost | ExcludedHost:
    """Return a host with its restart, or why it needs none or may not have one. Pure.

    `waiting`: by host, the boot that was to end when its last change left a restart pending.
    """
    host, seen = candidate.host, candidate.look
    for problem in judge_look(seen, strangers=candidate.strangers).blocking:
        if problem.check not in _NO_MATTER:
            return ExcludedHost(
                name=host.name, outcome=outcome_of(seen), reason=f"preflight: {problem}"
            )
    facts = seen.facts
    asked = facts is not None and bool(facts.reboot_reasons)
    left = facts is not None and waiting.get(host.name) == facts.boot_id
    if facts is None or not (asked or left):
        return ExcludedHost(
            name=host.name, outcome=Outcome.NOTHING_TO_DO, reason="no restart is due"
        )
    by_need = asked and profile.reboot is RebootRule.IF_NEEDED
    return PlannedHost(
        name=host.name,
        address=f"{host.address}:{host.port}",
        critical=host.critical,
        exposed=host.exposed,
        simulated=host.simulated or facts.simulated,
        machine_id=facts.machine_id,
        host_key=seen.peer_key,
        packages=(),
        # One that waits only because its rule says so shows no reason that could go away.
        reboot=RebootRule.IF_NEEDED if by_need else RebootRule.ALWAYS,
    )


def _unseen(hands: Hands, name: str) -> Look:
    return Look(
        host=name, at=hands.clock(), facts=None, reason="unseen", detail="it was never looked at"
    )
