"""What holds for one host, field by field, and who said so.

The order of precedence, farthest to nearest: the default, the profile, then the policies of scope
global, company, custom and host. What a company's entry says of its window is said at scope
company; what a host's own entry says is said at scope host. The nearest one that speaks of a field
decides it, unless a farther one locks the field: then nothing nearer than the lock is heard.

Pure, and prepared once for a fleet: hosts of which the same policies speak share one answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias, TypeVar

from wavemend.fleet import Fleet, Group
from wavemend.hosts import NO_OWN_WORDS, Host, OwnWords
from wavemend.membership import GroupIndex
from wavemend.policy.profiles import Profile, RebootRule, Updates
from wavemend.policy.rules import RuleLayer
from wavemend.policy.settings import FIELDS, Importance, Level, Policy

FieldValue: TypeAlias = Updates | RebootRule | Importance | timedelta | bool | str
T = TypeVar("T")

_PROFILE = "profile "
_RANK = {level: rank for rank, level in enumerate(Level)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One word about one field, and who says it."""

    value: FieldValue
    source: str
    """In words: `policy quiet (company acme)`, `profile debian-server`, `the default`."""
    policy: str = ""
    """Name of the policy; empty: a profile, a company's or a host's own entry, the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The value of one field of one host."""

    field: str
    value: FieldValue
    source: str
    locked_by: str = ""
    """The policy that lets nothing nearer speak; empty: the field is open."""
    overruled: tuple[Voice, ...] = ()
    """Nearer ones that the lock silences."""
    instead_of: tuple[Voice, ...] = ()
    """Farther ones that this value stands before, the nearest of them first."""
    rivals: tuple[Voice, ...] = ()
    """The deciding voice and another of the same level that says something else: a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What planning asks about one host."""

    updates: Updates
    reboot: RebootRule
    new_packages: bool
    importance: Importance = Importance.NORMAL
    defer: timedelta = timedelta(0)
    rules: tuple[RuleLayer, ...] = ()
    """Nearest level first."""
    sources: Mapping[str, str]
    """By field, who said it."""

    def who(self, field: str) -> str:
        """Name who said a field, for a reason; there is only one profile it can be."""
        source = self.sources[field]
        return "the profile" if source.startswith(_PROFILE) else source


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Everything that holds for one host, with its origins."""

    fields: tuple[Decided, ...]
    """In the order of `FIELDS`."""
    rules: tuple[RuleLayer, ...]
    """Nearest level first: the first level with an answer decides."""
    rules_locked_by: str = ""
    silenced: tuple[str, ...] = ()
    """Policies whose rules that lock silences."""

    def decided(self, field: str) -> Decided:
        """Return one field. Raises ValueError for a field no policy knows."""
        return self.fields[FIELDS.index(field)]

    def value(self, field: str, kind: type[T]) -> T:
        """Return a field's value, which is of that kind."""
        value = self.decided(field).value
        if not isinstance(value, kind):
            raise TypeError(f"{field} is {value!r}, not a {kind.__name__}")
        return value

    def settings(self) -> Settings:
        """Return what planning asks."""
        return Settings(
            updates=self.value("updates", Updates),
            reboot=self.value("reboot", RebootRule),
            new_packages=self.value("new_packages", bool),
            importance=self.value("importance", Importance),
            defer=self.value("defer", timedelta),
            rules=self.rules,
            sources={decided.field: decided.source for decided in self.fields},
        )


def resolve(speaking: Sequence[Policy], profile: Profile) -> Resolved:
    """Return what holds where these policies speak, farthest level first, else in file order."""
    locks = {
        name: policy for policy in reversed(speaking) for name in policy.lock
    }  # the farthest one comes last and stays
    with_rules = [policy for policy in speaking if policy.rules]
    lock = locks.get("rules")
    heard = [policy for policy in with_rules if _is_heard(policy, lock)]
    return Resolved(
        fields=tuple(_decide(field, speaking, locks.get(field), profile) for field in FIELDS),
        rules=tuple(_layers(heard)),
        rules_locked_by=source_of(lock) if lock else "",
        silenced=tuple(source_of(policy) for policy in with_rules if not _is_heard(policy, lock)),
    )


def _is_heard(policy: Policy, lock: Policy | None) -> bool:
    return lock is None or _RANK[policy.level] <= _RANK[lock.level]


def _decide(
    field: str, speaking: Sequence[Policy], lock: Policy | None, profile: Profile
) -> Decided:
    said = [policy for policy in speaking if getattr(policy, field) is not None]
    heard = [policy for policy in said if _is_heard(policy, lock)]
    silenced = [policy for policy in said if not _is_heard(policy, lock)]
    ground = _ground(field, profile)
    nearest = [policy for policy in heard if policy.level is heard[-1].level]
    voices = [_voice(field, policy) for policy in nearest]
    first = voices[0] if voices else ground
    farther = [_voice(field, policy) for policy in reversed(heard[: len(heard) - len(nearest)])]
    return Decided(
        field=field,
        value=first.value,
        source=first.source,
        locked_by=source_of(lock) if lock else "",
        overruled=tuple(_voice(field, policy) for policy in silenced),
        instead_of=(*farther, ground) if voices else (),
        rivals=next(((first, other) for other in voices if other.value != first.value), ()),
    )


def _voice(field: str, policy: Policy) -> Voice:
    return Voice(value=getattr(policy, field), source=source_of(policy), policy=policy.name)


def _ground(field: str, profile: Profile) -> Voice:
    """Return what holds where no policy speaks: the profile's word, or the default."""
    match field:
        case "critical":
            return Voice(value=False, source="the default")
        case "defer":
            return Voice(value=timedelta(0), source="the default")
        case "importance":
            return Voice(value=Importance.NORMAL, source="the default")
        case "conffiles" | "services":
            value: FieldValue = getattr(profile.options, field)
        case _:
            value = getattr(profile, field)
    return Voice(value=value, source=f"{_PROFILE}{profile.name}")


def _layers(policies: Sequence[Policy]) -> Iterator[RuleLayer]:
    for level in reversed(Level):
        named = [(source_of(policy), policy.rules) for policy in policies if policy.level is level]
        if named:
            yield RuleLayer(level=level, policies=tuple(named))


def source_of(policy: Policy) -> str:
    """Return who speaks, in words. A policy without a name is an entry's own word."""
    if not policy.name:
        return "its own entry" if policy.level is Level.HOST else f"company {policy.tenant}"
    whose = {
        Level.GLOBAL: "global",
        Level.COMPANY: f"company {policy.tenant}",
        Level.CUSTOM: f"custom group {policy.group}",
        Level.HOST: f"host {policy.host}",
    }[policy.level]
    return f"policy {policy.name} ({whose})"


class Resolver:
    """All policies of a fleet, found by whom they speak of."""

    def __init__(
        self,
        policies: Iterable[Policy],
        groups: Iterable[Group],
        windows_of_companies: Mapping[str, str],
    ) -> None:
        """Prepare for many questions. `windows_of_companies`: what their own entries say."""
        entries = [
            Policy(name="", level=Level.COMPANY, tenant=tenant, window=window)
            for tenant, window in sorted(windows_of_companies.items())
            if window
        ]
        self._policies = tuple(
            sorted((*policies, *entries), key=lambda policy: _RANK[policy.level])
        )
        self._at: dict[tuple[Level, str], list[int]] = {}
        for number, policy in enumerate(self._policies):
            self._at.setdefault((policy.level, _target(policy)), []).append(number)
        wanted = {policy.group for policy in self._policies if policy.level is Level.CUSTOM}
        self._groups = GroupIndex(group for group in groups if group.name in wanted)
        self._known: dict[tuple[str, tuple[int, ...], OwnWords], Resolved] = {}
        self._settings: dict[int, Settings] = {}

    def resolve(
        self,
        name: str,
        tenant: str,
        labels: Mapping[str, str],
        profile: Profile,
        own: OwnWords = NO_OWN_WORDS,
    ) -> Resolved:
        """Return what holds for a host of that name, company, labels and profile. Pure."""
        targets = [
            (Level.GLOBAL, ""),
            (Level.COMPANY, tenant),
            *((Level.CUSTOM, group) for group in self._groups.of(name, tenant, labels)),
            (Level.HOST, name),
        ]
        numbers = sorted(number for target in targets for number in self._at.get(target, ()))
        speaking = tuple(n for n in numbers if self._policies[n].tenant in {"", tenant})
        key = (profile.name, speaking, own)
        if key not in self._known:
            policies = [self._policies[number] for number in speaking]
            if own != NO_OWN_WORDS:
                policies.insert(_first_of_host(policies), _own_policy(name, own))
            self._known[key] = resolve(policies, profile)
        return self._known[key]

    def of(self, host: Host, profile: Profile) -> Resolved:
        """Return what holds for a host of the fleet."""
        return self.resolve(host.name, host.tenant, host.labels, profile, host.own)

    def settings(self, host: Host, profile: Profile) -> Settings:
        """Return what planning asks about a host; equal answers are one object."""
        resolved = self.of(host, profile)
        if id(resolved) not in self._settings:  # `_known` keeps it alive, so the id stays its own
            self._settings[id(resolved)] = resolved.settings()
        return self._settings[id(resolved)]


def resolver_of(fleet: Fleet) -> Resolver:
    """Return the resolver of a loaded fleet."""
    windows = {tenant.name: tenant.window for tenant in fleet.tenants}
    return Resolver(fleet.policies, fleet.groups, windows)


def settings_of_profile(profile: Profile) -> Settings:
    """Return what holds where no policy speaks."""
    return resolve((), profile).settings()


def _target(policy: Policy) -> str:
    match policy.level:
        case Level.GLOBAL:
            return ""
        case Level.COMPANY:
            return policy.tenant
        case Level.CUSTOM:
            return policy.group
        case Level.HOST:
            return policy.host


def _own_policy(name: str, own: OwnWords) -> Policy:
    return Policy(
        name="", level=Level.HOST, host=name, window=own.window or None, critical=own.critical
    )


def _first_of_host(policies: Sequence[Policy]) -> int:
    return sum(policy.level is not Level.HOST for policy in policies)
