"""What a host gets from its profile, its company and the policies that speak of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from wavemend.calendar.windows import HOST_ZONE
from wavemend.fleet import Group, Scope
from wavemend.hosts import (
    DEFAULT_OPTIONS,
    NO_OWN_WORDS,
    Conffiles,
    ManagerOptions,
    OwnWords,
    Services,
)
from wavemend.inventory.fleet_schema import GroupForm, HostForm
from wavemend.inventory.forms import Forms
from wavemend.inventory.policy_values import policy_of
from wavemend.inventory.profile_values import profile_of
from wavemend.policy.profiles import Profile
from wavemend.policy.resolving import Resolved, Resolver


def zoned_window(name: str, zone: str) -> str:
    """Return what a window of zone `host` is called in one zone: `sat-night.europe-berlin`."""
    return f"{name}.{zone.lower().replace('/', '-').replace('+', 'plus')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """The profile and window of one host. `fault`: why it cannot have both."""

    profile: str = ""
    """Empty without a fault: no profile fits, so the host is unmanaged."""
    window: str = ""
    """As declared, also where every zone has its own."""
    window_zone: str = ""
    """The zone of the host, when its window is one of zone `host`."""
    manager: str = ""
    critical: bool = False
    options: ManagerOptions = DEFAULT_OPTIONS
    own: OwnWords = NO_OWN_WORDS
    resolved: Resolved | None = None
    """Every field with who said it; None: no profile, so nothing is asked of policies."""
    fault: str = ""

    @property
    def resolved_window(self) -> str:
        """Name of the window that the host is changed in."""
        return zoned_window(self.window, self.window_zone) if self.window_zone else self.window


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """Everything hosts can get, prepared once for all of them."""

    windows_of_tenants: Mapping[str, str]
    zones_of_tenants: Mapping[str, str]
    host_windows: frozenset[str]
    """Names of the windows of zone `host`."""
    profiles: Mapping[str, Profile]
    resolver: Resolver
    all_read: bool
    """False: a policy could not be read; it may well name what seems to be missing."""
    fitting: Mapping[tuple[str, str], tuple[str, ...]]
    """Sorted names of the profiles for each pair of the labels `os` and `device`."""

    def of(self, host: HostForm) -> Inherited:
        """Return a host's profile (own, or the one its labels fit) and window (nearest wins)."""
        labels = (host.labels.get("os", ""), host.labels.get("device", ""))
        fitting = self.fitting.get(labels, ())
        if not host.profile and len(fitting) > 1:
            names = ", ".join(fitting)
            return Inherited(fault=f"its labels fit the profiles {names}; name one with profile")
        name = host.profile or "".join(fitting)
        found = self._found(host, self.profiles.get(name))
        # A profile or company that cannot be read may well name a window: say nothing then.
        readable = name in self.profiles and host.tenant in self.windows_of_tenants
        fault = ""
        if readable and self.all_read and not found.window:
            fault = "has no window; name one here, in its company or in its profile"
        zone = host.zone or self.zones_of_tenants.get(host.tenant, "")
        in_host_zone = found.window in self.host_windows
        return replace(found, profile=name, window_zone=zone if in_host_zone else "", fault=fault)

    def _found(self, host: HostForm, profile: Profile | None) -> Inherited:
        said_critical = host.critical if "critical" in host.model_fields_set else None
        own = OwnWords(window=host.window, critical=said_critical)
        if profile is None:
            window = host.window or self.windows_of_tenants.get(host.tenant, "")
            return Inherited(window=window, critical=host.critical, own=own)
        resolved = self.resolver.resolve(host.name, host.tenant, host.labels, profile, own)
        return Inherited(
            window=resolved.value("window", str),
            manager=profile.manager,
            critical=resolved.value("critical", bool),
            options=replace(
                profile.options,
                conffiles=Conffiles(resolved.value("conffiles", str)),
                services=Services(resolved.value("services", str)),
            ),
            own=own,
            resolved=resolved,
        )


class _Member(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def tenant(self) -> str: ...


def group_of(form: GroupForm, hosts: Iterable[_Member]) -> Group:
    """Return the group a form declares; `hosts`: all of the fleet."""
    names = form.hosts
    if names is None:
        names = tuple(host.name for host in hosts if form.tenant in {"", host.tenant})
    return Group(
        name=form.name,
        scope=Scope(form.scope),
        tenant=form.tenant,
        hosts=tuple(sorted(set(names))),
        select=form.select,
    )


def inheritance_of(forms: Forms) -> Inheritance:
    """Return what the hosts of these forms can inherit."""
    fitting: dict[tuple[str, str], list[str]] = {}
    for profile in forms.profiles.values():
        fitting.setdefault((profile.os, profile.device), []).append(profile.name)
    windows_of_tenants = {tenant.name: tenant.window for tenant in forms.tenants.values()}
    hosts = tuple(forms.hosts.values())
    return Inheritance(
        windows_of_tenants=windows_of_tenants,
        zones_of_tenants={tenant.name: tenant.zone for tenant in forms.tenants.values()},
        host_windows=frozenset(
            window.name for window in forms.windows.values() if window.zone == HOST_ZONE
        ),
        profiles={form.name: profile_of(form) for form in forms.profiles.values()},
        resolver=Resolver(
            (policy_of(form) for form in forms.policies.values()),
            (group_of(form, hosts) for form in forms.groups.values()),
            windows_of_tenants,
        ),
        all_read=len(forms.policies) == len(forms.source.data.get("policies") or ()),
        fitting={labels: tuple(sorted(names)) for labels, names in fitting.items()},
    )
