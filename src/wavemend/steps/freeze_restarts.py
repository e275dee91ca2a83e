"""Make and freeze the plan of a restart rollout: the hosts that wait for one, and no other."""

from functools import partial

from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKind
from wavemend.ledger import attempts
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.tables import RolloutRow
from wavemend.planning import Candidate
from wavemend.planning.hosts import settings_of, without_updates
from wavemend.plans import ExcludedHost, Plan, PlannedHost
from wavemend.policy.profiles import Profile, RebootRule
from wavemend.steps.freeze_seen import (
    candidates_of,
    freeze_seen,
    nothing_to_do,
    unready,
)


def freeze_restarts(hands: Hands, lease: Lease, row: RolloutRow, fleet: Fleet) -> Plan:
    """Store the plan of a restart rollout; return it."""
    candidates = candidates_of(hands, row, fleet)
    names = [candidate.host.name for candidate in candidates]
    with hands.ledger.reading() as book:
        waiting = {name: attempts.boot_to_end(book, name) for name in names}
    plan_host = partial(plan_restart, waiting)
    return freeze_seen(hands, lease, row, fleet, candidates=candidates, plan_host=plan_host)


def plan_restart(
    waiting: dict[str, str], candidate: Candidate, profile: Profile
) -> PlannedHost | ExcludedHost:
    """Return a host with its restart, or why it needs none or may not have one. Pure.

    `waiting`: by host, the boot that was to end when its last change left a restart pending.
    """
    if left := unready(candidate, RolloutKind.RESTART):
        return left
    rule = settings_of(candidate, profile).reboot
    if rule is RebootRule.NEVER:
        return nothing_to_do(candidate, "a policy says that it is not restarted")
    facts = candidate.look.facts
    asked = facts is not None and bool(facts.reboot_reasons)
    due = facts is not None and waiting.get(candidate.host.name) == facts.boot_id
    if facts is None or not (asked or due):
        return nothing_to_do(candidate, "no restart is due")
    by_need = asked and rule is RebootRule.IF_NEEDED
    # One that waits only because its rule says so shows no reason that could go away.
    return without_updates(candidate, facts, RebootRule.IF_NEEDED if by_need else RebootRule.ALWAYS)
