"""What is planned of one host's pending updates, and why the others stay out. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

from wavemend.hosts import Facts, Host, PendingUpdate
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.planning.bars import HostRules, Key, key_of
from wavemend.planning.rules import (
    NO_PERMITS,
    FirstSeen,
    Permits,
    Seen,
    Version,
    is_security,
    ruling_of,
)
from wavemend.plans import ExcludedHost, LeftOut, PlannedHost, PlannedPackage
from wavemend.policy.profiles import Profile, RebootRule, Updates
from wavemend.policy.resolving import Settings, settings_of_profile
from wavemend.readiness import judge_look, outcome_of
from wavemend.scoring import RankedUpdate
from wavemend.windows.titles import title_of

NO_OTHERS: Mapping[Version, str] = MappingProxyType({})

_Why: TypeAlias = tuple[PackageOutcome, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One host of the selection: what was seen of it, and its pending updates by rank."""

    host: Host
    look: Look
    ranked: tuple[RankedUpdate, ...]
    beside: tuple[RankedUpdate, ...] = ()
    """What else is pending and no part of the plan: policies speak of it when it comes along."""
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


def touched_by(
    candidates: Sequence[Candidate], names: frozenset[str]
) -> tuple[list[Candidate], tuple[ExcludedHost, ...]]:
    """Part the hosts that wait for one of these CVEs or packages from all others.

    The first are returned with those updates; what else is pending on them is no part of such a
    plan, and known only for what policies say of it. The others keep their place in the sums, and
    hold nobody back.
    """
    touched: list[Candidate] = []
    left: list[ExcludedHost] = []
    for each in candidates:
        mine = tuple(ranked for ranked in each.ranked if _is_about(ranked, names))
        if mine:
            rest = tuple(ranked for ranked in each.ranked if not _is_about(ranked, names))
            touched.append(replace(each, ranked=mine, beside=rest))
        else:
            left.append(_untouched(each))
    return touched, tuple(left)


def _is_about(ranked: RankedUpdate, names: frozenset[str]) -> bool:
    return ranked.update.name in names or not names.isdisjoint(ranked.cves)


def _untouched(candidate: Candidate) -> ExcludedHost:
    look, outcome = candidate.look, Outcome.NOTHING_TO_DO
    reason = "nothing that the emergency is about is pending"
    if look.facts is None:
        problem = judge_look(look, strangers=candidate.strangers).blocking[0]
        reason = f"preflight: {problem}; whether it is touched cannot be said"
        outcome = outcome_of(look)
    return ExcludedHost(
        name=candidate.host.name,
        outcome=outcome,
        reason=reason,
        simulated=is_simulated(candidate),
    )


def is_simulated(candidate: Candidate) -> bool:
    """True when the fleet or the host itself says that no machine is behind it."""
    facts = candidate.look.facts
    return candidate.host.simulated or (facts is not None and facts.simulated)


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
    rules = _rules_for(candidate, profile, look.facts, permits, others)
    left_out = _left_out(candidate, rules)
    packages = _packages(candidate.ranked, left_out, rules)
    remaining = tuple(
        _left(ranked.update, *left_out[key_of(ranked)])
        for ranked in candidate.ranked
        if key_of(ranked) not in packages
    )
    if not packages:
        return _nothing(host, remaining)
    planned = without_updates(candidate, look.facts, rules.settings.reboot)
    return replace(planned, packages=tuple(packages.values()), left_out=remaining)


def without_updates(candidate: Candidate, facts: Facts, reboot: RebootRule) -> PlannedHost:
    """Return a host as it was seen, with no package to install."""
    host = candidate.host
    return PlannedHost(
        name=host.name,
        address=f"{host.address}:{host.port}",
        critical=host.critical,
        exposed=host.exposed,
        simulated=is_simulated(candidate),
        machine_id=facts.machine_id,
        host_key=candidate.look.peer_key,
        packages=(),
        reboot=reboot,
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
    facts = candidate.look.facts
    if facts is None:
        return
    rules = _rules_for(candidate, profile, facts, permits, NO_OTHERS)
    left_out = _left_out(candidate, rules)
    packages = _packages(candidate.ranked, left_out, rules)
    for ranked in candidate.ranked:
        ruling = ruling_of(ranked, rules.settings, rules.seen)
        key = key_of(ranked)
        yield Judged(
            update=ranked.update,
            lane=ranked.priority.lane,
            ruled_by=f"{ruling}: {ruling.action}" if ruling else "no rule speaks of it",
            reason="" if key in packages else left_out[key][1],
        )


def _rules_for(
    candidate: Candidate,
    profile: Profile,
    facts: Facts,
    permits: Permits,
    others: Mapping[Version, str],
) -> HostRules:
    host, look = candidate.host, candidate.look
    return HostRules(
        settings=settings_of(candidate, profile),
        seen=Seen(host=host, facts=facts, at=look.at, first_seen=candidate.first_seen),
        permits=permits,
        others=others,
        pending=(*candidate.ranked, *candidate.beside),
    )


def _left_out(candidate: Candidate, rules: HostRules) -> dict[Key, _Why]:
    """Return which updates are left out, and why."""
    left_out: dict[Key, _Why] = {}
    kept_out = rules.kept_out()
    for ranked in candidate.ranked:
        key = key_of(ranked)
        why = _not_possible(ranked.update, candidate.unfit) or _not_wanted(ranked, rules)
        if why:
            left_out[key] = why
        elif refusal := rules.refusal(ranked):
            left_out[key] = PackageOutcome.NOT_ATTEMPTED, refusal.reason
        elif key in kept_out:
            left_out[key] = PackageOutcome.NOT_ATTEMPTED, kept_out[key]
    return left_out


def _not_possible(update: PendingUpdate, unfit: Mapping[Key, str]) -> _Why | None:
    if reason := unfit.get((update.name, update.arch)):
        return PackageOutcome.NOT_OFFERED, reason
    if update.held:
        return PackageOutcome.HELD, "on hold on the host"
    if update.phased:
        return PackageOutcome.PHASED, "the distribution has not released it to this host yet"
    if reason := update.not_taken:
        return PackageOutcome.NOT_OFFERED, reason
    return None


def _not_wanted(ranked: RankedUpdate, rules: HostRules) -> _Why | None:
    settings, facts = rules.settings, rules.seen.facts
    if settings.updates is Updates.SECURITY and not is_security(ranked):
        who = settings.who("updates")
        reason = f"not known to be a security update, and {who} takes only those"
        return PackageOutcome.NOT_ATTEMPTED, reason
    brings = ranked.update.brings
    new = [t.name for t in brings if not facts.version_of(t.name, t.arch)]
    if new and not settings.new_packages:
        who = settings.who("new_packages")
        reason = f"it needs packages new to the host, {', '.join(new)}: {who} takes none"
        return PackageOutcome.NOT_ATTEMPTED, reason
    return None


def _packages(
    ranked_updates: Sequence[RankedUpdate], left_out: Mapping[Key, _Why], rules: HostRules
) -> dict[Key, PlannedPackage]:
    taken = [ranked for ranked in ranked_updates if key_of(ranked) not in left_out]
    packages = {key_of(ranked): _package(ranked, rules) for ranked in taken}
    for ranked in taken:
        for package in _brought(ranked, rules):
            packages.setdefault((package.name, package.arch), package)
    return packages


def _brought(ranked: RankedUpdate, rules: HostRules) -> Iterator[PlannedPackage]:
    """Plan what comes along with an update, with the urgency of that update."""
    for target in ranked.update.brings:
        yield PlannedPackage(
            name=target.name,
            arch=target.arch,
            installed=rules.seen.facts.version_of(target.name, target.arch),
            target=target.version,
            origin=ranked.update.origin,
            lane=ranked.priority.lane,
            due=ranked.priority.due,
            after_pilot=rules.brought_waits(ranked, target),
        )


def _left(update: PendingUpdate, outcome: PackageOutcome, reason: str) -> LeftOut:
    return LeftOut(
        name=update.name,
        arch=update.arch,
        installed=update.installed,
        candidate=update.candidate,
        outcome=outcome,
        reason=reason,
        title=title_of(update.arch, update.origin),
    )


def _package(ranked: RankedUpdate, rules: HostRules) -> PlannedPackage:
    return PlannedPackage(
        name=ranked.update.name,
        arch=ranked.update.arch,
        installed=ranked.update.installed,
        target=ranked.update.candidate,
        origin=ranked.update.origin,
        lane=ranked.priority.lane,
        due=ranked.priority.due,
        cves=ranked.cves,
        after_pilot=rules.waits(ranked),
        builds=ranked.update.builds,
        restart=ranked.update.restart,
    )


def _nothing(host: Host, left_out: Sequence[LeftOut]) -> ExcludedHost:
    if not left_out:
        return ExcludedHost(
            name=host.name, outcome=Outcome.NOTHING_TO_DO, reason="nothing is pending"
        )
    reasons = "; ".join(f"{left.name} {left.outcome}: {left.reason}" for left in left_out)
    return ExcludedHost(name=host.name, outcome=Outcome.SKIPPED, reason=reasons)
