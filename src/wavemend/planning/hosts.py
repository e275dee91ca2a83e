"""What is planned of one host's pending updates, and why the others stay out. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

from wavemend.hosts import Facts, Host, PendingUpdate
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.planning.rules import (
    NO_PERMITS,
    FirstSeen,
    Permits,
    Refusal,
    Seen,
    Version,
    is_security,
    refused_by_policy,
    traits_of,
    version_of,
    versions_of,
)
from wavemend.plans import ExcludedHost, LeftOut, PlannedHost, PlannedPackage
from wavemend.policy.profiles import Profile, Updates
from wavemend.policy.resolving import Settings, settings_of_profile
from wavemend.policy.rules import rule
from wavemend.readiness import judge_look, outcome_of
from wavemend.scoring import RankedUpdate

NO_OTHERS: Mapping[Version, str] = MappingProxyType({})

_Key: TypeAlias = tuple[str, str]
"""Name and architecture of a package."""
_Why: TypeAlias = tuple[PackageOutcome, str]


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
    settings: Settings | None = None
    """What policies say of this host; None: none was asked, the profile decides alone."""
    first_seen: FirstSeen = field(default_factory=dict)
    """When an earlier look at this host was offered the same version, where a policy asks."""


def settings_of(candidate: Candidate, profile: Profile) -> Settings:
    """Return what holds for a candidate."""
    return candidate.settings or settings_of_profile(profile)


def only_about(candidate: Candidate, names: frozenset[str]) -> Candidate:
    """Return a candidate with the updates that fix one of these CVEs, or are one of these packages.

    What else is pending on the host is no part of such a plan, and waits for the next window.
    """
    ranked = tuple(
        each
        for each in candidate.ranked
        if each.update.name in names or not names.isdisjoint(each.cves)
    )
    return replace(candidate, ranked=ranked)


def plan_updates(
    candidate: Candidate,
    profile: Profile,
    permits: Permits = NO_PERMITS,
    others: Mapping[Version, str] = NO_OTHERS,
) -> PlannedHost | ExcludedHost:
    """Return what is planned of a host's pending updates, or why it takes no part.

    `others`: versions that this rollout does not install, as its hosts get another one, and why.
    """
    host, look = candidate.host, candidate.look
    readiness = judge_look(look, strangers=candidate.strangers)
    if look.facts is None or not readiness.ready:
        reason = f"preflight: {readiness.blocking[0]}"
        return ExcludedHost(name=host.name, outcome=outcome_of(look), reason=reason)
    settings = settings_of(candidate, profile)
    seen = Seen(host=host, facts=look.facts, at=look.at, first_seen=candidate.first_seen)
    left_out = _left_out(candidate, settings, seen, permits, others)
    packages = _packages(candidate.ranked, left_out, look.facts)
    remaining = tuple(
        _left(ranked.update, *left_out[_key(ranked.update)])
        for ranked in candidate.ranked
        if _key(ranked.update) not in packages
    )
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
        reboot=settings.reboot,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One pending update of a host, and what becomes of it in the next plan."""

    update: PendingUpdate
    lane: str
    ruled_by: str
    """The rule that decides, in words."""
    reason: str
    """Why it is left out; empty: it is planned."""


def judge_each(
    candidate: Candidate, profile: Profile, permits: Permits = NO_PERMITS
) -> Iterator[Judged]:
    """Yield every pending update of a host that was seen, most urgent first."""
    host, look = candidate.host, candidate.look
    if look.facts is None:
        return
    settings = settings_of(candidate, profile)
    seen = Seen(host=host, facts=look.facts, at=look.at, first_seen=candidate.first_seen)
    left_out = _left_out(candidate, settings, seen, permits, NO_OTHERS)
    packages = _packages(candidate.ranked, left_out, look.facts)
    for ranked in candidate.ranked:
        ruling = rule(settings.rules, traits_of(ranked, seen))
        key = _key(ranked.update)
        yield Judged(
            update=ranked.update,
            lane=ranked.priority.lane,
            ruled_by=f"{ruling}: {ruling.action}" if ruling else "no rule speaks of it",
            reason="" if key in packages else left_out[key][1],
        )


def _key(update: PendingUpdate) -> _Key:
    return update.name, update.arch


def _left_out(
    candidate: Candidate,
    settings: Settings,
    seen: Seen,
    permits: Permits,
    others: Mapping[Version, str],
) -> dict[_Key, _Why]:
    """Return which updates are left out, and why."""
    left_out: dict[_Key, _Why] = {}
    barred: dict[Version, str] = dict(others)
    for ranked in candidate.ranked:
        update, key = ranked.update, _key(ranked.update)
        if why := _not_possible(update, candidate.unfit) or _not_wanted(ranked, settings, seen):
            left_out[key] = why
        elif refusal := _refused(ranked, settings, seen, permits, others):
            left_out[key] = PackageOutcome.NOT_ATTEMPTED, refusal.reason
            if refusal.holds_others:
                barred[version_of(update)] = refusal.reason
    for ranked in candidate.ranked if barred else ():
        # What policy keeps out must not come in beside something that needs it.
        needs = [version for version in versions_of(ranked.update)[1:] if version in barred]
        if needs and _key(ranked.update) not in left_out:
            reason = f"it needs {needs[0][0]}, which stays out: {barred[needs[0]]}"
            left_out[_key(ranked.update)] = PackageOutcome.NOT_ATTEMPTED, reason
    return left_out


def _not_possible(update: PendingUpdate, unfit: Mapping[_Key, str]) -> _Why | None:
    if reason := unfit.get(_key(update)):
        return PackageOutcome.NOT_OFFERED, reason
    if update.held:
        return PackageOutcome.HELD, "on hold on the host"
    if update.phased:
        return PackageOutcome.PHASED, "the distribution has not released it to this host yet"
    if reason := update.not_taken:
        return PackageOutcome.NOT_OFFERED, reason
    return None


def _not_wanted(ranked: RankedUpdate, settings: Settings, seen: Seen) -> _Why | None:
    if settings.updates is Updates.SECURITY and not is_security(ranked):
        who = settings.who("updates")
        reason = f"not known to be a security update, and {who} takes only those"
        return PackageOutcome.NOT_ATTEMPTED, reason
    brings = ranked.update.brings
    new = [t.name for t in brings if not seen.facts.version_of(t.name, t.arch)]
    if new and not settings.new_packages:
        who = settings.who("new_packages")
        reason = f"it needs packages new to the host, {', '.join(new)}: {who} takes none"
        return PackageOutcome.NOT_ATTEMPTED, reason
    return None


def _refused(
    ranked: RankedUpdate,
    settings: Settings,
    seen: Seen,
    permits: Permits,
    others: Mapping[Version, str],
) -> Refusal | None:
    if refusal := refused_by_policy(ranked, settings, seen, permits):
        return refusal
    if reason := others.get(version_of(ranked.update)):
        return Refusal(reason=reason, holds_others=True)
    return None


def _packages(
    ranked_updates: Sequence[RankedUpdate], left_out: Mapping[_Key, _Why], facts: Facts
) -> dict[_Key, PlannedPackage]:
    taken = [ranked for ranked in ranked_updates if _key(ranked.update) not in left_out]
    packages = {_key(ranked.update): _package(ranked) for ranked in taken}
    for ranked in taken:
        for package in _brought(ranked, facts):
            packages.setdefault((package.name, package.arch), package)
    return packages


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
