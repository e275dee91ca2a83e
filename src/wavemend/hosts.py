"""Hosts and what was read from them. Values only: nothing here talks to anybody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wavemend.packages import Target


class Conffiles(StrEnum):
    """What becomes of a configuration file that an administrator edited and an update replaces."""

    KEEP = "keep"
    """The edited file stays; the package's new one is laid beside it and named in the report."""
    REPLACE = "replace"
    """The package's new file comes in; the edited one is laid beside it."""


class Services(StrEnum):
    """What becomes of services that still run replaced files."""

    LIST = "list"
    """They are named, as a reason to reboot; nothing is restarted."""
    RESTART = "restart"
    """They are restarted at the end of the transaction, by the host's own tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerOptions:
    """What a profile says about how its package manager is driven."""

    conffiles: Conffiles = Conffiles.KEEP
    services: Services = Services.LIST
    sources: tuple[str, ...] = ()
    """Managers beside the main one, sorted: `flatpak`, `snap`; `chocolatey` on Windows."""
    update_kinds: tuple[str, ...] = ()
    """Windows only: kinds of updates that are taken besides security, critical and rollups, sorted:
    `definitions`, `drivers`, `feature-updates`, `previews`."""


DEFAULT_OPTIONS = ManagerOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWords:
    """What a host's own entry says of what policies speak of, too: nothing is nearer to it."""

    window: str = ""
    critical: bool | None = None


NO_OWN_WORDS = OwnWords()


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
    """Name of a built-in manager, or of one the fleet declares."""
    options: ManagerOptions = DEFAULT_OPTIONS
    mac: str = ""
    """Where a wake-on-LAN packet goes; empty: this host cannot be woken that way."""
    profile: str = ""
    """Empty: no profile matches, so the host is unmanaged: reported, never patched."""
    window: str = ""
    zone: str = ""
    """IANA zone of the device; its company's where it names none itself."""
    labels: Mapping[str, str] = field(default_factory=dict)
    critical: bool = False
    """Critical hosts change only with a recorded, signed approval of the exact plan."""
    exposed: bool = False
    """Reachable from the internet; decides due dates together with KEV and SSVC."""
    simulated: bool = False
    """Played by wavemend's own simulation; said in every view, log and report."""
    own: OwnWords = NO_OWN_WORDS
    """From where `window` and `critical` come is worked out again with it."""


LOCK_LEFT_BEHIND = "nobody: a killed pacman left its lock, a repair removes it"
"""In place of who holds the package manager's lock, where no process does."""

DEAD_LOCK = "the package manager's lock, which nobody holds"
"""The same among what is half done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPackage:
    """One installed package, as the host's package database names it."""

    name: str
    version: str
    arch: str
    source: str
    source_version: str
    status: str = "ii"
    """dpkg's two letters (wanted, state); `ii` is installed and whole, for every manager."""
    module: str = ""
    """Module stream an RPM was built for, `nodejs:18`; empty for ordinary packages."""


_OF_ANY_MACHINE = frozenset({"all", "any", "noarch"})
"""What dpkg, pacman, RPM and apk call the architecture of a package that has none."""


def is_turned(arch: str, other: str) -> bool:
    """Say whether an update may turn a package of one architecture into one of the other."""
    return arch != other and not _OF_ANY_MACHINE.isdisjoint({arch, other})


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
    withheld: str = ""
    """Why the host's manager would not take it at all, in plain words: a pin, a subscription."""
    brings: tuple[Target, ...] = ()
    """What else this update needs, sorted: new packages, and upgrades that come along with it."""
    removes: tuple[str, ...] = ()
    """Packages that this update would remove, sorted: such an update is never planned."""
    cves: tuple[str, ...] = ()
    """What the repository's own signed metadata says it fixes; empty where it says nothing."""
    advisories: tuple[str, ...] = ()
    """The repository's names of those statements, e.g. `RHSA-2024:1234`."""
    builds: tuple[tuple[str, str], ...] = ()
    """Product and build it is raised to, sorted, where the update is no package with a version of
    its own: `("windows-server-2022", "10.0.20348.4773")` for KB5075906."""
    restart: bool | None = None
    """Whether its host must restart for it; None: nobody says, or `maybe`."""

    @property
    def not_taken(self) -> str:
        """Why no rollout takes this update, holds and phasing apart; empty when one does."""
        if self.withheld:
            return self.withheld
        if self.removes:
            return f"it would remove {', '.join(self.removes)}"
        if self.kept_back and not self.brings:
            return "it would add or remove other packages"
        return ""


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Free room on one mount point."""

    path: str
    free_bytes: int
    free_inodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One package source of a host, as its package manager sees it now."""

    name: str
    reachable: bool
    signed: bool
    """Its metadata or its packages are checked against a key; False: they are taken unsigned."""
    detail: str = ""
    whole: bool = True
    """False: it answered in part, or not at all. What it does not offer may be pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunAttempt:
    """One begin in a host's own journal of what wavemend did to it."""

    attempt_id: str
    fence: int
    at: float
    """Unix seconds, by the host's clock."""


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
    repositories: tuple[Repository, ...] = ()
    """Sorted by name; empty where the manager cannot tell."""
    users: tuple[str, ...] = ()
    """People logged in at the host, sorted; wavemend's own connections are none."""
    inhibitors: tuple[str, ...] = ()
    """What asks the host not to shut down, `<who>: <why>`, sorted."""
    scheduled_shutdown: str = ""
    """A shutdown or reboot that somebody scheduled on the host; empty when none is."""
    boot_faults: tuple[str, ...] = ()
    """Why the newest kernel may not come up: such a host must not be rebooted."""
    journal: tuple[BegunAttempt, ...] = ()
    """The last begins of the host's own journal, oldest first, at most 20."""
    read_only: tuple[str, ...] = ()
    """Mount points that a change of packages writes to and cannot, sorted."""
    simulated: bool = False

    @property
    def system(self) -> str:
        """Id and version of its operating system, `debian 12`.

        Of Windows its product, `windows-server-2022`: its version is a build, and every month
        another one.
        """
        if self.os_id == "windows" and self.codename:
            return self.codename
        return f"{self.os_id} {self.os_version}".strip()

    @property
    def release_keys(self) -> tuple[str, ...]:
        """Names under which feeds speak of this host's release, the most exact first.

        Debian 12: `bookworm`, `debian-12`. AlmaLinux 9.4: `almalinux-9.4`, `almalinux-9`.
        """
        version = self.os_version
        if self.os_id == "windows":  # of its build, the first numbers name no release
            return (self.codename,) if self.codename else ()
        major = version.partition(".")[0]
        if not version:  # a rolling release
            return tuple(name for name in (self.codename, self.os_id) if name)
        names = [self.codename, f"{self.os_id}-{version}", f"{self.os_id}-{major}"]
        if self.os_id in _SUSE_FAMILY:
            # The first release of a SUSE version writes no dot: 15 is 15.0. Its modules are named
            # after the server, whichever flavour the host is.
            exact = version if "." in version else f"{version}.0"
            names[1:] = [f"{self.os_id}-{exact}", f"sles-{exact}", f"{self.os_id}-{major}"]
        elif self.os_id == "alpine":
            # A branch is major.minor; `edge` writes its day behind an underscore.
            branch = "edge" if "_" in version else ".".join(version.split(".")[:2])
            names[1:] = [f"alpine-{branch}"]
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def defects(self) -> tuple[str, ...]:
        """What an earlier transaction left half done, in words: what a repair is for."""
        packages = (
            f"{package.name} {package.version} ({package.status})" for package in self.broken
        )
        return (*packages, *((DEAD_LOCK,) if self.has_dead_lock else ()))

    @property
    def unsearched(self) -> str:
        """Why what is not pending here may be pending all the same; empty when all was asked."""
        if self.index_errors:
            return self.index_errors[0]
        found = [source.detail for source in self.repositories if not source.whole]
        return f"the search was not complete: {found[0] or 'it does not say why'}" if found else ""

    @property
    def has_dead_lock(self) -> bool:
        """True when the package manager's lock is there, and no process holds it."""
        return self.lock_holder == LOCK_LEFT_BEHIND

    def version_of(self, name: str, arch: str = "") -> str:
        """Return the installed, whole version of a package, or an empty string.

        An update may turn a package for one kind of machine into one for any, or back: under both
        architectures it is the same package.
        """
        turned = ""
        for package in self.installed:
            if package.name != name:
                continue
            if arch in {"", package.arch}:
                return package.version
            if not turned and is_turned(arch, package.arch):
                turned = package.version
        return turned
