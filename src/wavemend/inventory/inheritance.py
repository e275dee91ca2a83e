"""What a host gets from its profile and its company."""

from collections.abc import Mapping
from dataclasses import dataclass

from wavemend.inventory.fleet_schema import HostForm
from wavemend.inventory.forms import Forms


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """The profile and window of one host. `fault`: why it cannot have both."""

    profile: str = ""
    """Empty without a fault: no profile fits, so the host is unmanaged."""
    window: str = ""
    manager: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """Everything hosts can get, prepared once for all of them."""

    windows_of_tenants: Mapping[str, str]
    windows_of_profiles: Mapping[str, str]
    managers: Mapping[str, str]
    fitting: Mapping[tuple[str, str], tuple[str, ...]]
    """Sorted names of the profiles for each pair of the labels `os` and `device`."""

    def of(self, host: HostForm) -> Inherited:
        """Return a host's profile (own, or the one its labels fit) and window (nearest wins)."""
        labels = (host.labels.get("os", ""), host.labels.get("device", ""))
        fitting = self.fitting.get(labels, ())
        if not host.profile and len(fitting) > 1:
            names = ", ".join(fitting)
            return Inherited(fault=f"its labels fit the profiles {names}; name one with profile")
        profile = host.profile or "".join(fitting)
        window = (
            host.window
            or self.windows_of_tenants.get(host.tenant, "")
            or self.windows_of_profiles.get(profile, "")
        )
        fault = ""
        # A profile or company that cannot be read may well name a window: say nothing then.
        readable = profile in self.windows_of_profiles and host.tenant in self.windows_of_tenants
        if readable and not window:
            fault = "has no window; name one here, in its company or in its profile"
        manager = self.managers.get(profile, "")
        return Inherited(profile=profile, window=window, manager=manager, fault=fault)


def inheritance_of(forms: Forms) -> Inheritance:
    """Return what the hosts of these forms can inherit."""
    profiles = forms.profiles.values()
    fitting: dict[tuple[str, str], list[str]] = {}
    for profile in profiles:
        fitting.setdefault((profile.os, profile.device), []).append(profile.name)
    return Inheritance(
        windows_of_tenants={tenant.name: tenant.window for tenant in forms.tenants.values()},
        windows_of_profiles={profile.name: profile.window for profile in profiles},
        managers={profile.name: profile.manager for profile in profiles},
        fitting={labels: tuple(sorted(names)) for labels, names in fitting.items()},
    )
