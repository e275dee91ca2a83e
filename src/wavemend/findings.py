"""Compare what a host has with what its distribution says: findings, and what could not be judged.

The distribution decides, on source packages and their versions; version ranges of NVD are not
asked, because distributions backport fixes without raising the version.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wavemend.advisories import Advisory, AdvisoryStatus, Intelligence, cve_order
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.versions import deb_key, without_binary_rebuild

_KERNEL_SOURCE = re.compile(r"linux(-[0-9][0-9.]*)?")
_SIGNED_KERNEL = re.compile(r"linux-signed(-[0-9][0-9.]*)?-[a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """How we know: enough for a person to check it by hand."""

    feed: str
    document: str
    compared: str
    """The compared versions, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """This host lacks this fix."""

    id: str
    """The same in every scan: made from tenant, host, CVE and source package."""
    tenant: str
    host: str
    cve: str
    source_package: str
    binaries: tuple[str, ...]
    """Installed binary packages of that source that are affected, sorted."""
    installed: str
    """Source version of the oldest affected binary."""
    fixed: str | None
    """None: the distribution has no fixed version."""
    fix_pending: bool
    """The host's own repositories offer an update that reaches the fixed version."""
    because: Because
    unimportant: bool = False
    """The distribution says: no security impact in its build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """Something installed that could not be judged: neither affected nor clean."""

    package: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFindings:
    """The result for one host, sorted by CVE and source package."""

    host: str
    findings: tuple[Finding, ...]
    unmatched: tuple[Unmatched, ...]
    packages: int
    """Installed packages looked at; findings and unmatched are about these."""
    intelligence: str
    """Id of the state of the feeds this was compared with."""


@dataclass(frozen=True, slots=True)
class _Built:
    """One installed binary package and the source version to judge it by."""

    binary: str
    source: str
    version: str


def match(host: Host, facts: Facts, intelligence: Intelligence) -> HostFindings:
    """Return each CVE this host lacks the fix for, and each package that could not be judged. Pure.

    A host whose release no advisory speaks of has no findings and one `unmatched` that says so:
    it is unknown, not clean.
    """
    installed = [item for item in facts.installed if is_unpacked(item)]
    unmatched: list[Unmatched] = []
    findings: list[Finding] = []
    if facts.codename not in intelligence.releases:
        reason = (
            f"no advisories of release {facts.codename or 'unknown'!r} are loaded: "
            f"nothing is known of {len(installed)} packages"
        )
        unmatched.append(Unmatched(package="*", version="", reason=reason))
    else:
        builds, unmatched = _builds(installed, facts)
        for source in sorted(builds):
            advisories = intelligence.advisories_for(facts.codename, source)
            if advisories:
                found, strange = _of_source(host, facts, builds[source], advisories)
                findings += found
                unmatched += strange
    return HostFindings(
        host=host.name,
        findings=tuple(
            sorted(findings, key=lambda item: (*cve_order(item.cve), item.source_package))
        ),
        unmatched=tuple(sorted(unmatched, key=lambda item: (item.package, item.version))),
        packages=len(installed),
        intelligence=intelligence.id,
    )


def is_unpacked(package: InstalledPackage) -> bool:
    """Say whether a package's files are on the disk, whole or not; removed ones do not count."""
    return package.status[1:2] not in {"n", "c", ""}


def advisory_source(package: InstalledPackage) -> str:
    """Return the source package advisories speak of. Signed kernels are rebuilt from `linux`."""
    source = package.source or package.name
    signed = _SIGNED_KERNEL.fullmatch(source)
    return f"linux{signed[1] or ''}" if signed else source


def is_kernel_source(source: str) -> bool:
    """Say whether a source package is the Linux kernel."""
    return _KERNEL_SOURCE.fullmatch(source) is not None


def is_kernel_image(name: str) -> bool:
    """Say whether a binary package brings a kernel to boot."""
    return name.startswith("linux-image-")


def _builds(
    installed: Sequence[InstalledPackage], facts: Facts
) -> tuple[dict[str, list[_Built]], list[Unmatched]]:
    builds: dict[str, list[_Built]] = {}
    unmatched: list[Unmatched] = []
    running = {
        f"linux-image-{facts.running_kernel}",
        f"linux-image-{facts.running_kernel}-unsigned",
    }
    for package in sorted(installed, key=lambda item: (item.name, item.arch, item.version)):
        source = advisory_source(package)
        version = without_binary_rebuild(package.source_version or package.version)
        if is_kernel_source(source):
            if package.name not in running:
                continue  # headers and kernels that do not run: no code of theirs is executed
            version = without_binary_rebuild(package.version)
        try:
            deb_key(version)
        except ValueError as error:
            unmatched.append(
                Unmatched(package=package.name, version=package.version, reason=str(error))
            )
            continue
        builds.setdefault(source, []).append(_Built(package.name, source, version))
    kernels = [item for item in installed if is_kernel_image(item.name)]
    if kernels and not any(item.name in running for item in kernels):
        reason = f"the running kernel {facts.running_kernel!r} belongs to no installed package"
        unmatched.append(Unmatched(package="linux-image", version="", reason=reason))
    return builds, unmatched


def _of_source(
    host: Host, facts: Facts, builds: Sequence[_Built], advisories: Iterable[Advisory]
) -> tuple[list[Finding], list[Unmatched]]:
    findings: list[Finding] = []
    unmatched: list[Unmatched] = []
    for cve, advisory in _statements(advisories).items():
        if advisory.status is AdvisoryStatus.NOT_AFFECTED:
            continue
        try:
            affected = [item for item in builds if _is_affected(item.version, advisory)]
        except ValueError as error:
            reason = f"{advisory.document}: {error}"
            unmatched.append(Unmatched(package=advisory.source_package, version="", reason=reason))
            continue
        if affected:
            findings.append(_finding(host, facts, cve, advisory, affected))
    return findings, unmatched


def _statements(advisories: Iterable[Advisory]) -> dict[str, Advisory]:
    """Choose one statement per CVE.

    A CVE's own record knows best; a DSA names CVEs it fixes together, and may name one again for
    a regression. Of two fixed versions of equal standing the higher counts. A fix anywhere beats
    a record that (still) knows of none.
    """
    chosen: dict[str, Advisory] = {}
    for advisory in sorted(advisories, key=lambda item: (item.id, item.document)):
        for cve in advisory.cves:
            known = chosen.get(cve)
            if known is None or _standing(advisory, cve) > _standing(known, cve):
                chosen[cve] = advisory
    return chosen


def _standing(advisory: Advisory, cve: str) -> tuple[int, int, object]:
    own = advisory.id.removeprefix("DEBIAN-") == cve
    if own and advisory.status is AdvisoryStatus.NOT_AFFECTED:
        return 3, 0, ()
    if advisory.fixed_version is not None:
        try:
            return 2, int(own), deb_key(advisory.fixed_version)
        except ValueError:
            return 1, int(own), ()
    return 0, int(own), ()


def _is_affected(version: str, advisory: Advisory) -> bool:
    return advisory.fixed_version is None or deb_key(version) < deb_key(advisory.fixed_version)


def _finding(
    host: Host, facts: Facts, cve: str, advisory: Advisory, affected: Sequence[_Built]
) -> Finding:
    oldest = min(affected, key=lambda item: deb_key(item.version))
    fixed = advisory.fixed_version
    binaries = tuple(sorted({item.binary for item in affected}))
    running = " (running)" if is_kernel_source(oldest.source) else ""
    compared = (
        f"{oldest.source} {oldest.version}{running} < {fixed}"
        if fixed
        else f"{oldest.source} {oldest.version}{running}, no fixed version"
    )
    name = "\0".join((host.tenant, host.name, cve, advisory.source_package))
    return Finding(
        id=hashlib.sha256(name.encode()).hexdigest()[:16],
        tenant=host.tenant,
        host=host.name,
        cve=cve,
        source_package=advisory.source_package,
        binaries=binaries,
        installed=oldest.version,
        fixed=fixed,
        fix_pending=fixed is not None and _is_offered(facts, binaries, fixed, oldest.source),
        because=Because(feed=advisory.feed, document=advisory.document, compared=compared),
        unimportant=advisory.unimportant,
    )


def _is_offered(facts: Facts, binaries: Sequence[str], fixed: str, source: str) -> bool:
    by_name = packages_by_name(facts)
    if is_kernel_source(source):
        offers = [item for item in facts.pending if is_kernel_image(item.name)]
    else:
        wanted = frozenset(binaries)
        offers = [item for item in facts.pending if item.name in wanted]
    return any(reaches(update, fixed, by_name) is True for update in offers)


def packages_by_name(facts: Facts) -> Mapping[tuple[str, str], InstalledPackage]:
    """Return the installed packages by name and architecture."""
    return {(item.name, item.arch): item for item in facts.installed}


def reaches(
    update: PendingUpdate, fixed: str, by_name: Mapping[tuple[str, str], InstalledPackage]
) -> bool | None:
    """Say whether an update brings at least the fixed source version; None: that cannot be said.

    A repository's offer names the binary's version. It stands for the source's only where the
    two agree today; a few sources number their binaries apart.
    """
    package = by_name.get((update.name, update.arch)) or by_name.get((update.name, "all"))
    if package is not None and not is_kernel_image(package.name):
        source = without_binary_rebuild(package.source_version or package.version)
        if without_binary_rebuild(package.version) != source:
            return None
    try:
        return deb_key(without_binary_rebuild(update.candidate)) >= deb_key(fixed)
    except ValueError:
        return None
