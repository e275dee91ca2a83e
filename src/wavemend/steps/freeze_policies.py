"""What policies need to know before a plan is made: settings, ages, pilots, and what is taken."""

from collections.abc import Sequence
from dataclasses import replace

from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKind
from wavemend.ledger import permits
from wavemend.ledger.tables import RolloutRow
from wavemend.planning import Candidate
from wavemend.planning.rules import NO_PERMITS, Permits, ages_needed, versions_of
from wavemend.policy.resolving import Resolver
from wavemend.policy.rules import asks_for
from wavemend.policy.settings import RuleAction


def with_policies(
    hands: Hands, fleet: Fleet, resolver: Resolver, candidate: Candidate
) -> Candidate:
    """Return a candidate with what policies say of its host, and the ages they ask about."""
    host = candidate.host
    settings = resolver.settings(host, fleet.profile(host.profile))
    ages = ages_needed(settings)
    if not ages or not candidate.ranked:
        return replace(candidate, settings=settings)
    with hands.ledger.reading() as book:
        seen = permits.offered_before(book, host.name, ages, candidate.look.at)
    return replace(candidate, settings=settings, first_seen=seen)


def permits_for(hands: Hands, row: RolloutRow, candidates: Sequence[Candidate]) -> Permits:
    """Return what earlier rollouts tried of what these hosts wait for, and what this one takes."""
    distinct = {id(each.settings): each.settings for each in candidates if each.settings}
    asking = [settings for settings in distinct.values() if settings.rules or settings.defer]
    found = NO_PERMITS
    with hands.ledger.reading() as book:
        if row.kind == RolloutKind.EMERGENCY or asking:
            found = replace(found, taken=permits.taken(book, row))
        if any(asks_for(each.rules, RuleAction.AFTER_PILOT) for each in asking):
            wanted = frozenset(
                version
                for each in candidates
                for ranked in each.ranked
                for version in versions_of(ranked.update)
            )
            found = replace(found, tried=permits.tried_versions(book, row.tenant, wanted))
    return found
