"""Hosts and what was read from them. Values only: nothing here talks to anybody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One managed machine, as declared in the fleet, with everything inherited filled in."""

    name: str
    tenant: str
    address: str
    port: int = 22
    transport: str = "ssh"
    login: str = "default"
    """Name of the login to use; the secret behind it is resolved where the work is done."""
    host_keys: tuple[str, ...] = ()
    """Pinned keys, `<type> <base64>`. Empty: the login's known_hosts must hold the key."""
    manager: str = "apt"
    profile: str = ""
    """Empty: no profile matches, so the host is unmanaged: reported, never patched."""
    window: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    critical: bool = False
    """Critical hosts change only with a recorded, signed approval of the exact plan."""
    exposed: bool = False
    """Reachable from the internet; decides due dates together with KEV and SSVC."""
    simulated: bool = False
    """Played by wavemend's own simulation; said in every view, log and report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPackage:
    """One installed package, as the host's package database names it."""

    name: str
    version: str
    arch: str
    source: str
    source_version: str
    status: str = "ii"
    """dpkg's two letters (wanted, state); `ii` is installed and whole."""
    module: str = ""
    """Module stream an RPM was built for, `nodejs:18`; empty for ordinary packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingUpdate:
    """One update the host's own package manager offers."""

    name: str
    arch: str
    installed: str
    candidate: str
    origin: str
    """The repository's own words, e.g. `Debian-Security:12/oldstable-security`."""
    security: bool = False
    """From a repository whose label or suite says security."""
    held: bool = False
    phased: bool = False
    kept_back: bool = False
    """Offered, but a plain upgrade would add or remove other packages."""


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Free room on one mount point."""

    path: str
    free_bytes: int
    free_inodes: int


_SUSE_FAMILY = frozenset({"sles", "sled", "sles_sap", "sle_hpc", "sle_rt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one look at a host saw, in one round trip. Times are UTC-aware."""

    host: str
    collected_at: datetime
    os_id: str
    os_version: str
    codename: str
    arch: str
    hostname: str
    machine_id: str
    boot_id: str
    uptime_seconds: float
    clock_skew_seconds: float
    running_kernel: str
    newest_kernel: str
    """Newest installed kernel of the running flavour; empty where none is installed."""
    installed: tuple[InstalledPackage, ...]
    pending: tuple[PendingUpdate, ...]
    held: tuple[str, ...]
    broken: tuple[InstalledPackage, ...]
    """Packages that are neither whole nor removed: an earlier transaction was cut or failed."""
    reboot_reasons: tuple[str, ...]
    lock_holder: str
    """Who holds the package manager's lock, e.g. `apt-get (1234)`; empty when free."""
    free_space: tuple[FreeSpace, ...]
    index_errors: tuple[str, ...] = ()
    """Why refreshing the package index failed; empty when it worked."""
    rivals: tuple[str, ...] = ()
    """Other updaters active on the host, e.g. `unattended-upgrades`."""
    simulated: bool = False

    @property
    def release_keys(self) -> tuple[str, ...]:
        """Names under which feeds speak of this host's release, the most exact first.

        Debian 12: `bookworm`, `debian-12`. AlmaLinux 9.4: `almalinux-9.4`, `almalinux-9`.
        """
        version = self.os_version
        major = version.partition(".")[0]
        names = [self.codename, f"{self.os_id}-{version}", f"{self.os_id}-{major}"]
        if self.os_id in _SUSE_FAMILY:
            # The first release of a SUSE version writes no dot: 15 is 15.0. Its modules are named
            # after the server, whichever flavour the host is.
            exact = version if "." in version else f"{version}.0"
            names[1:] = [f"{self.os_id}-{exact}", f"sles-{exact}", f"{self.os_id}-{major}"]
        return tuple(dict.fromkeys(name for name in names if name.strip("-")))

    def version_of(self, name: str, arch: str = "") -> str:
        """Return the installed, whole version of a package, or an empty string."""
        for package in self.installed:
            if package.name == name and arch in {"", package.arch, "all"}:
                return package.version
        return ""
