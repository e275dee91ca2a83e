"""Installed RPM packages, and those of which a cut transaction left two versions. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import InstalledPackage, is_turned
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of
from wavemend.managers.rpm.kernels import is_kernel
from wavemend.packages import Target
from wavemend.versions import VersionKey, rpm_key

DUPLICATE = "two versions"
"""Status of a package whose old version was never taken away: its transaction was cut."""

CUT = "unfinished transaction"
"""Status of a package of a transaction whose end the manager never wrote down."""

_KEYS = "gpg-pubkey"
"""Not software: the keys that RPM trusts are kept in its database as packages."""

_SOURCE = re.compile(
    r"(?P<name>[^/\s]+)-(?P<version>[^-/\s]+)-(?P<release>[^-/\s]+)\.(?:no)?src\.rpm"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """What RPM's own database says of a host."""

    whole: tuple[InstalledPackage, ...]
    """By name and architecture, the newest version first: that is what an update replaces."""
    duplicates: tuple[InstalledPackage, ...]
    installed_at: Mapping[str, int]
    """By name: the last time a package of that name came in, in seconds since 1970."""
    newest: Mapping[tuple[str, str], str]
    """By name and architecture: the newest whole version."""

    def replaced_by(self, package: Target) -> str:
        """Return the version that a package would take the place of; empty: it would be new."""
        exact = self.newest.get((package.name, package.arch), "")
        turned = (
            version
            for (name, arch), version in self.newest.items()
            if name == package.name and is_turned(arch, package.arch)
        )
        return exact or next(turned, "")

    @property
    def names(self) -> frozenset[str]:
        """Every name of which something is installed."""
        return frozenset(package.name for package in (*self.whole, *self.duplicates))


def read_database(host: str, sections: Mapping[str, Section]) -> Database:
    """Read `rpm -qa`; raises HostAnswerInvalid when the database cannot be read."""
    section = sections["packages"]
    if section.status != 0:
        said = "; ".join(section.errors[-3:])
        raise HostAnswerInvalid(f"{host}: rpm -qa ended with {section.status}: {said}")
    packages: list[InstalledPackage] = []
    installed_at: dict[str, int] = {}
    for line in section.lines:
        fields = line.split("\t")
        if len(fields) != 6 or not re.fullmatch(r"[0-9]{1,15}", fields[4]):
            raise HostAnswerInvalid(f"{host}: rpm -qa printed {line[:200]!r}")
        if fields[0] == _KEYS:
            continue
        packages.append(_package(host, fields))
        installed_at[fields[0]] = max(int(fields[4]), installed_at.get(fields[0], 0))
    if not packages:
        raise HostAnswerInvalid(f"{host}: rpm knows no installed package")
    beside = frozenset(lines_of(sections, "install-only"))
    counts = Counter((p.name, p.arch) for p in packages)
    twice = {key for key, count in counts.items() if count > 1 and not _beside(key[0], beside)}
    whole = _newest_first(p for p in packages if (p.name, p.arch) not in twice)
    return Database(
        whole=whole,
        duplicates=tuple(
            replace(p, status=DUPLICATE)
            for p in _newest_first(p for p in packages if (p.name, p.arch) in twice)
        ),
        installed_at=installed_at,
        newest={(p.name, p.arch): p.version for p in reversed(whole)},
    )


def set_apart(
    database: Database, cut: Iterable[Target]
) -> tuple[tuple[InstalledPackage, ...], tuple[InstalledPackage, ...]]:
    """Return the whole packages and the broken ones: duplicates, and those named in `cut`."""
    named = frozenset(cut)
    whole, marked = [], list(database.duplicates)
    for package in database.whole:
        if Target(name=package.name, arch=package.arch, version=package.version) in named:
            marked.append(replace(package, status=CUT))
        else:
            whole.append(package)
    return tuple(whole), tuple(sorted(marked, key=lambda p: (p.name, p.arch)))


def plain_evr(evr: str) -> str:
    """Return `epoch:version-release` without an epoch of 0, as feeds write it."""
    return evr.removeprefix("0:")


def _package(host: str, fields: Sequence[str]) -> InstalledPackage:
    name, evr, arch, source_rpm, _, label = fields
    version = plain_evr(evr)
    _key(host, name, version)
    source = _SOURCE.fullmatch(source_rpm)
    built = f"{source['version']}-{source['release']}" if source else ""
    # A source has the epoch of its packages; one that counts differently says so by its version.
    own = built == version.rpartition(":")[2]
    module = label.split(":")
    return InstalledPackage(
        name=name,
        version=version,
        arch=arch,
        source=source["name"] if source else name,
        source_version=version if own or not built else built,
        module=":".join(module[:2]) if len(module) >= 2 else "",
    )


def _key(host: str, name: str, version: str) -> VersionKey:
    try:
        return rpm_key(version)
    except ValueError as error:
        raise HostAnswerInvalid(f"{host}: {name}: {error}") from error


def _newest_first(packages: Iterable[InstalledPackage]) -> tuple[InstalledPackage, ...]:
    ordered = sorted(packages, key=lambda p: rpm_key(p.version), reverse=True)
    return tuple(sorted(ordered, key=lambda p: (p.name, p.arch)))


def _beside(name: str, install_only: frozenset[str]) -> bool:
    return name in install_only or is_kernel(name)
