"""The fleet as declared and resolved: companies, hosts, groups, profiles, windows, logins.

A `Fleet` is whole or does not exist: every reference points somewhere and every inherited value
is filled in. Lists are sorted by name, so that equal files give equal digests.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, TypeVar

from wavemend.calendar.declared import CalendarSource, DutyRule, Freeze, Roster, TenantCalendar
from wavemend.calendar.windows import Window
from wavemend.declarations import Declaration
from wavemend.documents import canonical, from_document, sha256, to_document
from wavemend.errors import FleetError
from wavemend.hosts import Host
from wavemend.logins import LoginSpec
from wavemend.policy.limits import NO_EMERGENCY_RULE, Budget, Dependency, EmergencyRule
from wavemend.policy.profiles import Profile, RebootRule
from wavemend.policy.settings import Policy
from wavemend.policy.waivers import Waiver
from wavemend.selectors import Selector

SCHEMA = "wavemend.fleet/1"


class Scope(StrEnum):
    """How far a group reaches."""

    GLOBAL = "global"
    COMPANY = "company"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """A person who may approve plans. The public key is in the signers file, not here.

    Whoever edits the fleet must not be able to add a key of their own.
    """

    name: str
    """The identity in the signers file, e.g. `alice@acme.example`."""
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One company."""

    name: str
    title: str
    zone: str
    """IANA zone in which this company reads its reports."""
    window: str = ""
    approvers: tuple[str, ...] = ()
    """Identities that may approve plans with this company's critical hosts."""
    four_eyes: bool = False
    """Whoever asked for the plan cannot approve it."""
    compliance: str = "bod-26-04"
    """Name of the compliance profile that sets its due dates."""
    gap: timedelta | None = None
    """Least time between the verified end of one group and the start of the next, over all its
    rollouts: then one group at a time. None: each rollout keeps its own gaps and no others."""
    duty: DutyRule | None = None
    emergency: EmergencyRule = NO_EMERGENCY_RULE


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named set of hosts, by names or by selector, never both and never empty."""

    name: str
    scope: Scope
    tenant: str = ""
    """Whose hosts it is limited to; empty: all companies'."""
    hosts: tuple[str, ...] = ()
    select: Selector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """Where vulnerability feeds come from and when they are stale."""

    source: str = "online"
    """`online`, or `directory:PATH`, relative to the fleet file."""
    max_age_hours: int = 48
    use: tuple[str, ...] = ()
    """Feeds this fleet needs; empty: the default ones."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Address by feed, where it is not the feed's own."""


EMERGENCY_WINDOW = "emergency"
"""Stands where a window's name does: an emergency rollout makes its own opening."""


class RolloutKind(StrEnum):
    """What a rollout does to its hosts."""

    PATCH = "patch"
    RESTART = "restart"
    """Only restarts those that wait for it, where restarts have a window of their own."""
    EMERGENCY = "emergency"
    """Patches what exploited vulnerabilities touch, in an opening of its own that starts now."""
    REPAIR = "repair"
    """Only mends what an earlier transaction left half done; each host needs a signature."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class RolloutKey:
    """Hosts of one company under one profile in one window are changed in one rollout."""

    tenant: str
    profile: str
    window: str
    kind: str = RolloutKind.PATCH

    def __str__(self) -> str:
        place = f"{self.tenant}/{self.profile}/{self.window}"
        return place if self.kind == RolloutKind.PATCH else f"{self.kind}:{place}"


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything that was declared, sorted by name."""

    schema: str
    tenants: tuple[Tenant, ...]
    approvers: tuple[Approver, ...]
    profiles: tuple[Profile, ...]
    windows: tuple[Window, ...]
    groups: tuple[Group, ...]
    logins: tuple[LoginSpec, ...]
    hosts: tuple[Host, ...]
    feeds: FeedSettings
    waivers: tuple[Waiver, ...] = ()
    """Accepted risks, sorted by id, the ones that ran out too: they are part of the history."""
    managers: tuple[Declaration, ...] = ()
    """Declared managers, sorted by name, with everything their files say."""
    policies: tuple[Policy, ...] = ()
    """In the order of the file; two of one level say nothing different of one host."""
    budgets: tuple[Budget, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    calendars: tuple[CalendarSource, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    rosters: tuple[Roster, ...] = ()
    source_path: str = ""
    """The file it was read from; relative references start in its folder. Not in the digest."""
    digest: str = ""
    """`sha256:<hex>` of `document()`: the same for the same meaning, wherever the file lies."""

    def document(self) -> bytes:
        """Return the canonical bytes that are hashed and stored."""
        return to_document(replace(self, source_path="", digest=""))

    def sealed(self) -> "Fleet":
        """Return this fleet with its digest filled in."""
        return replace(self, digest=sha256(self.document()))

    def tenant(self, name: str) -> Tenant:
        """Return one company. Raises FleetError when there is none of that name."""
        return _find("company", self.tenants, name)

    def profile(self, name: str) -> Profile:
        """Return one profile. Raises FleetError when there is none of that name."""
        return _find("profile", self.profiles, name)

    def window(self, name: str) -> Window:
        """Return one window. Raises FleetError when there is none of that name."""
        return _find("window", self.windows, name)

    def group(self, name: str) -> Group:
        """Return one group. Raises FleetError when there is none of that name."""
        return _find("group", self.groups, name)

    def login(self, name: str) -> LoginSpec:
        """Return one login. Raises FleetError when there is none of that name."""
        return _find("login", self.logins, name)

    def host(self, name: str) -> Host:
        """Return one host. Raises FleetError when there is none of that name."""
        return _find("host", self.hosts, name)

    def calendar_of(self, tenant: str) -> TenantCalendar:
        """Return what closes an open window for a company. Raises FleetError for an unknown one."""
        found = self.tenant(tenant)
        return TenantCalendar(
            tenant=found.name,
            zone=found.zone,
            freezes=tuple(item for item in self.freezes if item.tenant in {"", tenant}),
            duty=found.duty,
            approvers=found.approvers,
        )

    def dependencies_of(self, tenant: str) -> tuple[Dependency, ...]:
        """Return the orders that hold for a company's hosts, those of all companies too."""
        return tuple(item for item in self.dependencies if item.tenant in {"", tenant})

    def waivers_of(self, tenant: str) -> tuple[Waiver, ...]:
        """Return the waivers that speak of a company's hosts, the global ones too."""
        return tuple(waiver for waiver in self.waivers if waiver.tenant in {"", tenant})

    def hosts_of(self, tenant: str) -> tuple[Host, ...]:
        """Return one company's hosts, unmanaged ones too, sorted by name."""
        return tuple(host for host in self.hosts if host.tenant == tenant)

    def hosts_in(self, group: str) -> tuple[Host, ...]:
        """Return a group's hosts, sorted by name. Raises FleetError for an unknown group."""
        return group_members(self.group(group), self.hosts)

    def unmanaged(self) -> tuple[Host, ...]:
        """Return the hosts that no profile covers: reported, never patched."""
        return tuple(host for host in self.hosts if not host.profile)

    def rollouts(self) -> tuple[RolloutKey, ...]:
        """Return each distinct company, profile and window that has hosts, sorted."""
        return tuple(sorted({_key_of(host) for host in self.hosts if host.profile}))

    def restarts(self) -> tuple[RolloutKey, ...]:
        """Return each company and profile whose restarts have a window of their own, sorted."""
        asked = any(policy.reboot not in {None, RebootRule.NEVER} for policy in self.policies)
        windows = {
            profile.name: profile.reboots.window
            for profile in self.profiles
            if profile.reboots.window and (asked or profile.reboot is not RebootRule.NEVER)
        }
        keys = {
            RolloutKey(
                tenant=host.tenant,
                profile=host.profile,
                window=windows[host.profile],
                kind=RolloutKind.RESTART,
            )
            for host in self.hosts
            if host.profile in windows
        }
        return tuple(sorted(keys))

    def repairs(self) -> tuple[RolloutKey, ...]:
        """Return a repair for each rollout of updates, in the same window, sorted."""
        return tuple(replace(key, kind=RolloutKind.REPAIR) for key in self.rollouts())

    def emergencies(self) -> tuple[RolloutKey, ...]:
        """Return one emergency rollout for each company and profile that have hosts, sorted."""
        pairs = sorted({(key.tenant, key.profile) for key in self.rollouts()})
        return tuple(
            RolloutKey(
                tenant=tenant,
                profile=profile,
                window=EMERGENCY_WINDOW,
                kind=RolloutKind.EMERGENCY,
            )
            for tenant, profile in pairs
        )

    def members(self, key: RolloutKey) -> tuple[Host, ...]:
        """Return the hosts of one rollout, sorted by name.

        Of a restart or an emergency: the company's hosts of that profile, in whichever window they
        are patched.
        Of a repair: those that are patched in the same window.
        """
        if key.kind in {RolloutKind.RESTART, RolloutKind.EMERGENCY}:
            mine = (key.tenant, key.profile)
            return tuple(host for host in self.hosts if (host.tenant, host.profile) == mine)
        patches = replace(key, kind=RolloutKind.PATCH)
        return tuple(host for host in self.hosts if host.profile and _key_of(host) == patches)


def fleet_from_document(document: bytes, digest: str, *, source_path: str = "") -> Fleet:
    """Return a stored fleet. Raises FleetError when the document is not the one of that digest."""
    if sha256(document) != digest:
        raise FleetError(
            f"the stored fleet is not the one called {digest}",
            hint="the ledger was changed from outside; apply the fleet file again",
        )
    fleet = from_document(Fleet, _of_today(document))
    return replace(fleet, source_path=source_path, digest=digest)


def _of_today(document: bytes) -> bytes:
    """Return a stored fleet in today's form: what an older one demanded is demanded still.

    Until 0.2 a profile said `require_restore_point`, today `restore_point.required`.
    """
    if b'"require_restore_point":true' not in document:
        return document
    data = json.loads(document)
    for profile in data["profiles"]:
        if profile.pop("require_restore_point", False):
            profile.setdefault("restore_point", {})["required"] = True
    return canonical(data)


def group_members(group: Group, hosts: Sequence[Host]) -> tuple[Host, ...]:
    """Return the hosts a group holds, in the order given."""
    listed = set(group.hosts)
    return tuple(
        host
        for host in hosts
        if group.tenant in {"", host.tenant}
        and (host.name in listed or (group.select and group.select.matches(host.labels)))
    )


def _key_of(host: Host) -> RolloutKey:
    return RolloutKey(tenant=host.tenant, profile=host.profile, window=host.window)


def _find(what: str, things: Sequence[_N], name: str) -> _N:
    """Look a name up in a list sorted by name, in logarithmic time."""
    at = bisect_left(things, name, key=lambda thing: thing.name)
    if at < len(things) and things[at].name == name:
        return things[at]
    known = ", ".join(thing.name for thing in things[:10]) or "none"
    raise FleetError(f'the fleet has no {what} "{name}"', hint=f"known: {known}")
