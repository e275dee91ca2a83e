"""What policies say about one pending update of one host, as a reason to leave it out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from wavemend.calendar.durations import format_duration
from wavemend.hosts import Facts, Host, PendingUpdate
from wavemend.policy.resolving import Settings
from wavemend.policy.rules import URGENT, Ruling, Traits, ages_asked, rule
from wavemend.policy.settings import RuleAction, UpdateClass
from wavemend.scoring import RankedUpdate

Version: TypeAlias = tuple[str, str, str]
"""Name, architecture and exact version of a package."""
FirstSeen: TypeAlias = Mapping[Version, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """What there is of that which `after_pilot` and `manual` updates wait for."""

    pilots: frozenset[str] = frozenset()
    """Hosts of the pilot waves."""
    tried: frozenset[Version] = frozenset()
    """On a pilot of the company in an earlier rollout, with a good end."""
    planned: frozenset[Version] = frozenset()
    """For a pilot of this rollout: planned for others, but not begun before one ended well."""
    taken: frozenset[str] = frozenset()
    """Rules and packages that this rollout was told to take."""


NO_PERMITS = Permits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of a host when its updates are judged."""

    host: Host
    facts: Facts
    at: datetime
    """When it was looked at."""
    first_seen: FirstSeen = field(default_factory=dict)
    """Earlier looks at this host that were offered the same version already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a policy leaves an update out."""

    reason: str
    holds_others: bool
    """True: nor may it come along with an update that needs it."""


def version_of(update: PendingUpdate) -> Version:
    """Return what an update installs."""
    return update.name, update.arch, update.candidate


def versions_of(update: PendingUpdate) -> tuple[Version, ...]:
    """Return what an update installs, itself first and then what it brings along."""
    brought = ((target.name, target.arch, target.version) for target in update.brings)
    return version_of(update), *brought


def is_security(ranked: RankedUpdate) -> bool:
    """Say whether an update is known to fix a vulnerability, by its source or by a statement."""
    return ranked.update.security or ranked.security or bool(ranked.cves)


def ages_needed(settings: Settings) -> frozenset[timedelta]:
    """Return the ages about which a host's policies ask: how far back looks must be asked."""
    return ages_asked(settings.rules) | ({settings.defer} - {timedelta(0)})


def traits_of(ranked: RankedUpdate, seen: Seen) -> Traits:
    """Return what rules can ask about an update."""
    return Traits(
        package=ranked.update.name,
        update_class=UpdateClass.SECURITY if is_security(ranked) else UpdateClass.FUNCTIONAL,
        lane=ranked.priority.lane,
        cvss=ranked.cvss,
        epss=ranked.epss,
        kev=ranked.kev,
        severities=ranked.severities,
        products=(ranked.update.origin, seen.facts.os_id),
        age=_age(ranked, seen),
        labels=seen.host.labels,
    )


def _age(ranked: RankedUpdate, seen: Seen) -> timedelta:
    known = (ranked.published, seen.first_seen.get(version_of(ranked.update)))
    earliest = min((moment for moment in known if moment is not None), default=seen.at)
    return max(timedelta(0), seen.at - earliest)


def refused_by_policy(
    ranked: RankedUpdate, settings: Settings, seen: Seen, permits: Permits
) -> Refusal | None:
    """Return why a host's policies leave an update out, with the way out; None: they do not."""
    if not settings.rules and not settings.defer:
        return None
    traits, ruling = traits_of(ranked, seen), ruling_of(ranked, settings, seen)
    if ruling is not None and (reason := _ruled_out(ruling, ranked, seen.host, permits)):
        return Refusal(reason=reason, holds_others=True)
    # Whoever writes `auto`, or names it, means now: else nothing could be taken before its time.
    asked = ruling is not None and ruling.action is not RuleAction.AFTER_PILOT
    if asked or ranked.update.name in permits.taken or traits.lane in URGENT:
        return None
    if traits.age < settings.defer:
        return Refusal(reason=_too_young(traits, settings, seen), holds_others=False)
    return None


def ruling_of(ranked: RankedUpdate, settings: Settings, seen: Seen) -> Ruling | None:
    """Return the answer of a host's rules about an update; None: none speaks of it."""
    return rule(settings.rules, traits_of(ranked, seen)) if settings.rules else None


def waits_for_pilot(ranked: RankedUpdate, settings: Settings, seen: Seen, permits: Permits) -> bool:
    """Say whether an update may begin only once a pilot of the same plan ended well with it."""
    version = version_of(ranked.update)
    if version not in permits.planned or version in permits.tried:
        return False
    ruling = ruling_of(ranked, settings, seen)
    after_pilot = ruling is not None and ruling.action is RuleAction.AFTER_PILOT
    return after_pilot and seen.host.name not in permits.pilots


def _ruled_out(ruling: Ruling, ranked: RankedUpdate, host: Host, permits: Permits) -> str:
    update, cves = ranked.update, ranked.cves
    match ruling.action:
        case RuleAction.REJECT:
            return f"{ruling} rejects it: change the rule to have it installed"
        case RuleAction.MANUAL if permits.taken.isdisjoint({ruling.rule, update.name, *cves}):
            take = f"`wavemend rollout start {host.tenant} --take {ruling.rule}`"
            return f"{ruling} leaves it to a person: {take} takes it"
        case RuleAction.AFTER_PILOT if not _is_tried(update, host, permits):
            return (
                f"{ruling} takes it after a pilot, and no pilot of {host.tenant} has had "
                f"{update.candidate}: it follows once one ended well with it"
            )
    return ""


def _is_tried(update: PendingUpdate, host: Host, permits: Permits) -> bool:
    version = version_of(update)
    known = version in permits.tried or version in permits.planned
    return known or host.name in permits.pilots


def _too_young(traits: Traits, settings: Settings, seen: Seen) -> str:
    due = seen.at - traits.age + settings.defer
    return (
        f"{settings.sources['defer']} waits {format_duration(settings.defer)} with an update that "
        f"is not urgent: it is due from {due:%Y-%m-%d %H:%M} UTC on; a rule with action auto takes "
        "it before"
    )
