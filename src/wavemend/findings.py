"""What matching finds on a host, as values: findings, and what could not be judged.

Also how an installed package is named to its vendor, because whoever asks which findings an update
closes must name it the same way. The comparing itself is in `matching/`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from wavemend.advisories import AdvisoryStatus, UpdateClass
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.versions import Scheme, key_of, order_name, without_binary_rebuild

_KERNEL_SOURCE = re.compile(r"linux(-[0-9][0-9.]*)?")

_UBUNTU_KERNEL = re.compile(
    r"linux-(allwinner|aws|azure|bluefield|fips|gcp|gke|gkeop|hwe|ibm|intel|iot|kvm|laptop|"
    r"lowlatency|nvidia|oem|oracle|raspi|raspi2|realtime|riscv|snapdragon|starfive|tegra|xilinx)"
    r"(-[a-z0-9.-]+)?"
)
"""Ubuntu's flavours. A flavour that is not here counts as an ordinary package: its headers then
bring findings too many, never too few."""

_DEBIAN_ARCHES = "amd64|arm64|armhf|i386|loong64|riscv64"
_SIGNED_KERNEL = re.compile(rf"linux-signed(-[a-z0-9.-]+?)??(-({_DEBIAN_ARCHES}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """How we know: enough for a person to check it by hand."""

    feed: str
    document: str
    compared: str
    """The compared versions, in words."""
    document_date: date | None = None
    """The day of the document: of the statement where it has one, else of the feed."""
    order: str = ""
    """Whose order of versions was used: `dpkg`, `rpm`, `Windows builds`; empty: none was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """This host lacks this fix."""

    id: str
    """The same in every scan: made from tenant, host, CVE (else advisory) and package."""
    tenant: str
    host: str
    cve: str
    """Empty where the finding is about no CVE: a bug fix, an end of life."""
    package: str
    """As the vendor names it: the source package (Debian, Ubuntu), else the installed one."""
    binaries: tuple[str, ...]
    """Installed packages that are affected, sorted."""
    installed: str
    """Version of the oldest affected package, as it was compared."""
    fixed: str | None
    """None: the vendor has no fixed version."""
    fix_pending: bool
    """The host's own repositories offer an update that reaches the fixed version."""
    because: Because
    unimportant: bool = False
    """The distribution says: no security impact in its build."""
    advisory: str = ""
    """Id of the vendor's statement, `DSA-5678-1`, `ALSA-2022:4940`; of an end of life too."""
    update_class: UpdateClass = UpdateClass.SECURITY
    status: AdvisoryStatus = AdvisoryStatus.FIXED
    severity: str = ""
    """The vendor's own word."""
    fix_published: datetime | None = None
    """When the vendor published the fix; None: not known, or there is none."""
    ends: date | None = None
    """For an end of life: the last day with fixes."""
    note: str = ""
    withheld: str = ""
    """Why a plain upgrade does not take the offered fix: on hold, phased, or it brings others."""


class NotJudged(StrEnum):
    """Why something installed is neither affected nor clean."""

    RELEASE = "release unknown"
    """No feed speaks of the host's release."""
    VERSION = "version unreadable"
    STATEMENT = "statement unreadable"
    """The vendor's fixed version cannot be compared."""
    STREAM = "module stream unknown"
    """A modular build, and either the host or the vendor does not say of which stream."""
    FOREIGN = "foreign source"
    """Not the distribution's build, so what the distribution fixed says nothing of it."""
    KERNEL = "running kernel unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """Something installed that could not be judged: neither affected nor clean."""

    package: str
    """`*`: all of them."""
    version: str
    reason: str
    kind: NotJudged = NotJudged.VERSION
    packages: int = 1
    """Installed packages this stands for; 0: none that another line does not count already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFindings:
    """The result for one host, sorted by CVE, package and advisory."""

    host: str
    findings: tuple[Finding, ...]
    unmatched: tuple[Unmatched, ...]
    packages: int
    """Installed packages looked at: `judged` and those of `unmatched` together."""
    intelligence: str
    """Id of the state of the feeds this was compared with."""
    judged: int = 0
    """Packages compared with all the vendor says of them, and kernels that do not run."""

    @property
    def by_reason(self) -> Mapping[NotJudged, int]:
        """Installed packages that were not judged, by reason, in the order of the reasons."""
        counts = Counter[NotJudged]()
        for item in self.unmatched:
            counts[item.kind] += item.packages
        return {kind: counts[kind] for kind in NotJudged if kind in counts}

    @property
    def by_class(self) -> Mapping[UpdateClass, int]:
        """Findings by class: bug fixes and ends of life are counted apart from security."""
        counts = Counter(item.update_class for item in self.findings)
        return {kind: counts[kind] for kind in UpdateClass if kind in counts}


def is_unpacked(package: InstalledPackage) -> bool:
    """Say whether a package's files are on the disk, whole or not; removed ones do not count."""
    return package.status[1:2] not in {"n", "c", ""}


def advisory_source(package: InstalledPackage) -> str:
    """Return the source package advisories speak of. Signed kernels are rebuilt from another.

    Debian signs per architecture: `linux-signed-6.1-amd64` is `linux-6.1`. Ubuntu per flavour:
    `linux-signed-aws` is `linux-aws`.
    """
    source = package.source or package.name
    if not source.startswith("linux-signed"):
        return source
    signed = _SIGNED_KERNEL.fullmatch(source)
    return f"linux{signed[1] or ''}" if signed else source


def is_kernel_source(source: str) -> bool:
    """Say whether a source package of Debian or Ubuntu is the Linux kernel."""
    if not source.startswith("linux"):
        return False
    return bool(_KERNEL_SOURCE.fullmatch(source) or _UBUNTU_KERNEL.fullmatch(source))


def is_kernel_image(name: str) -> bool:
    """Say whether a binary package of Debian or Ubuntu brings a kernel to boot."""
    return name.startswith("linux-image-")


def packages_by_name(facts: Facts) -> Mapping[tuple[str, str], InstalledPackage]:
    """Return the installed packages by name and architecture."""
    return {(item.name, item.arch): item for item in facts.installed}


def scheme_of(finding: Finding) -> Scheme:
    """Return by whose order a finding's versions were compared; Debian's where none was."""
    for scheme in Scheme:
        if finding.because.order == order_name(scheme):
            return scheme
    return Scheme.DEB


def reaches(
    update: PendingUpdate, finding: Finding, by_name: Mapping[tuple[str, str], InstalledPackage]
) -> bool | None:
    """Say whether an update brings at least the fixed version; None: that cannot be said.

    A Debian repository's offer names the binary's version. It stands for the source's only where
    the two agree today; a few sources number their binaries apart.
    """
    if finding.fixed is None:
        return None
    scheme, builds = scheme_of(finding), dict(update.builds)
    candidate = builds.get(finding.package, update.candidate)
    if scheme is Scheme.DEB:
        package = by_name.get((update.name, update.arch)) or by_name.get((update.name, "all"))
        if package is not None and not numbered_as_source(package):
            return None
        candidate = without_binary_rebuild(candidate)
    try:
        return key_of(scheme, candidate) >= key_of(scheme, finding.fixed)
    except ValueError:
        return None


def numbered_as_source(package: InstalledPackage) -> bool:
    """Say whether a Debian package's own version stands for its source's."""
    if is_kernel_image(package.name):
        return True  # signed images are numbered as the source they were signed from
    source = package.source_version or package.version
    if package.version == source:
        return True
    return without_binary_rebuild(package.version) == without_binary_rebuild(source)
