"""One frozen set of updates for all hosts of a rollout: what the pilots try is what others get.

Hosts look at their repositories one after the other, through mirrors that lag: one may be offered
1.2 where another is offered 1.1. Then the rollout installs one of the two, the one that its first
wave gets, and the hosts that are offered the other leave that package out until the next rollout.
Without that, a version that no pilot has seen would reach every other host in the same night.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from wavemend.planning.hosts import Candidate, plan_updates
from wavemend.planning.rules import NO_PERMITS, Permits, Version
from wavemend.plans import ExcludedHost, PlannedHost
from wavemend.policy.profiles import Placement, Profile, WaveKind, place
from wavemend.policy.resolving import settings_of_profile
from wavemend.policy.rules import asks_for
from wavemend.policy.settings import RuleAction

Planned: TypeAlias = PlannedHost | ExcludedHost
_Source: TypeAlias = tuple[str, str, str, str]
"""System and its release, repository, and a package's name and architecture: where a version is
comparable. Two releases under one profile rightly have two versions of one package."""


def plan_all(
    profile: Profile, candidates: Sequence[Candidate], permits: Permits = NO_PERMITS
) -> list[Planned]:
    """Return what is planned for each candidate, in their order, with one version of each package.

    `permits`: what earlier rollouts tried and what this one was told to take.
    """
    plain = settings_of_profile(profile)
    candidates = [each if each.settings else replace(each, settings=plain) for each in candidates]
    placements = place(profile, tuple(candidate.host for candidate in candidates))
    permits = _with_pilots(profile, candidates, placements, permits)
    return _of_one_set(profile, candidates, placements, permits)


def _of_one_set(
    profile: Profile,
    candidates: Sequence[Candidate],
    placements: Sequence[Placement],
    permits: Permits,
) -> list[Planned]:
    made = [plan_updates(candidate, profile, permits) for candidate in candidates]
    chosen = _chosen(candidates, made, placements)
    if not chosen:
        return made
    others = [dict(_others(*pair, chosen)) for pair in zip(candidates, made, strict=True)]
    return [
        plan_updates(candidate, profile, permits, reasons) if reasons else host
        for candidate, host, reasons in zip(candidates, made, others, strict=True)
    ]


def _with_pilots(
    profile: Profile,
    candidates: Sequence[Candidate],
    placements: Sequence[Placement],
    permits: Permits,
) -> Permits:
    """Add this rollout's own pilots, and what is planned for them: their gate comes before others.

    That a pilot really ended well with a version is asked again when another host begins. Asked
    for only where a policy waits for pilots.
    """
    waiting = {id(settings): settings for each in candidates if (settings := each.settings)}
    if not any(asks_for(each.rules, RuleAction.AFTER_PILOT) for each in waiting.values()):
        return permits
    pilots = frozenset(
        host.name
        for placement in placements
        if placement.wave.kind is WaveKind.PILOT
        for host in placement.hosts
    )
    permits = replace(permits, pilots=pilots)
    first = [each for each in candidates if each.host.name in pilots]
    planned = _of_one_set(profile, first, placements, permits)
    return replace(
        permits, planned=frozenset(version for host in planned for version in _versions(host))
    )


def _versions(host: Planned) -> Iterator[Version]:
    if isinstance(host, PlannedHost):
        for package in host.packages:
            yield package.name, package.arch, package.target


def _chosen(
    candidates: Sequence[Candidate], made: Sequence[Planned], placements: Sequence[Placement]
) -> Mapping[_Source, tuple[str, str]]:
    """Return, where hosts differ, the one version by source, and a host that gets it.

    The first wave with the package decides; inside it the version of most hosts, then that of the
    first one by name.
    """
    versions: dict[_Source, set[str]] = {}
    for pair in zip(candidates, made, strict=True):
        for source, version in _sourced(*pair):
            versions.setdefault(source, set()).add(version)
    split = {source for source, found in versions.items() if len(found) > 1}
    if not split:
        return {}
    offered: dict[_Source, list[tuple[int, str, str]]] = {}
    hosts = zip(candidates, made, strict=True)
    sourced = {candidate.host.name: tuple(_sourced(candidate, host)) for candidate, host in hosts}
    for number, placement in enumerate(placements):
        for host in placement.hosts:
            for source, version in sourced.get(host.name, ()):
                if source in split:
                    offered.setdefault(source, []).append((number, host.name, version))
    return {source: _of_first_wave(found) for source, found in offered.items()}


def _of_first_wave(found: Sequence[tuple[int, str, str]]) -> tuple[str, str]:
    first = [(version, name) for number, name, version in found if number == found[0][0]]
    # Of equal counts, the one met first.
    version = Counter(version for version, _ in first).most_common(1)[0][0]
    return version, next(name for known, name in first if known == version)


def _others(
    candidate: Candidate, host: Planned, chosen: Mapping[_Source, tuple[str, str]]
) -> Iterator[tuple[Version, str]]:
    """Yield a host's planned versions that differ from the rollout's, with the reason."""
    for source, version in _sourced(candidate, host) if chosen else ():
        if source in chosen and chosen[source][0] != version:
            one, name = chosen[source]
            *_, package, arch = source
            reason = (
                f"all hosts of a rollout get one version: {package} {one}, which {name} is "
                f"offered; {version} comes with the next rollout"
            )
            yield (package, arch, version), reason


def _sourced(candidate: Candidate, host: Planned) -> Iterator[tuple[_Source, str]]:
    facts = candidate.look.facts
    if isinstance(host, PlannedHost) and facts is not None:
        for package in host.packages:
            where = (facts.system, package.origin, package.name, package.arch)
            yield where, package.target
