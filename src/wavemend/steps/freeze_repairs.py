"""Make and freeze the plan of a repair rollout: the hosts that a transaction left half done.

Nobody can say beforehand what a script that failed once does the second time: each of these hosts
is planned as a critical one, whatever the fleet says, so that none is mended without a signature.
"""

from dataclasses import replace
from functools import partial

from wavemend.errors import PlanError
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKind
from wavemend.hosts import Host
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.tables import RolloutRow
from wavemend.outcomes import Outcome
from wavemend.planning import Candidate
from wavemend.planning.hosts import settings_of, without_updates
from wavemend.plans import ExcludedHost, Plan, PlannedHost
from wavemend.policy.profiles import Profile
from wavemend.steps.freeze_seen import (
    candidates_of,
    freeze_seen,
    nothing_to_do,
    unready,
)


def freeze_repairs(hands: Hands, lease: Lease, row: RolloutRow, fleet: Fleet) -> Plan:
    """Store the plan of a repair rollout; return it."""
    candidates = [
        replace(candidate, host=replace(candidate.host, critical=True))
        for candidate in candidates_of(hands, row, fleet)
    ]
    without = {each.host.name: why for each in candidates if (why := _no_repair(hands, each.host))}
    plan_host = partial(plan_repair, without)
    return freeze_seen(hands, lease, row, fleet, candidates=candidates, plan_host=plan_host)


def _no_repair(hands: Hands, host: Host) -> str:
    """Say why a host's manager cannot repair; empty when it can."""
    try:
        hands.manager(host).repair_script()
    except PlanError as error:
        return str(error)
    return ""


def plan_repair(
    without: dict[str, str], candidate: Candidate, profile: Profile
) -> PlannedHost | ExcludedHost:
    """Return a host with what is to be mended on it, or why that is nothing or cannot be. Pure.

    `without`: by host, why its manager has no repair.
    """
    facts = candidate.look.facts
    if facts is not None and not facts.defects:
        return nothing_to_do(candidate, "nothing of its packages is half done")
    if left := unready(candidate, RolloutKind.REPAIR):
        return left
    name = candidate.host.name
    if facts is None or name in without:
        return ExcludedHost(name=name, outcome=Outcome.BLOCKED, reason=without.get(name, "unseen"))
    return replace(
        without_updates(candidate, facts, settings_of(candidate, profile).reboot),
        critical=True,
        repairs=facts.defects,
    )
