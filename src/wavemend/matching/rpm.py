"""The RPM family: statements are about installed packages, by name and architecture.

Kernels are install-only: several versions lie side by side, and only the running one counts.
"""

import re
from collections.abc import Iterable, Sequence

from wavemend.findings import NotJudged
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.matching.units import Build, Doubt, Layout, Offer, withheld
from wavemend.versions import rpm_key

_KERNEL = re.compile(
    r"kernel(-(?:64k|azure|debug|default|default-base|longterm|lpae|preempt|rt|rt-64k|uek|vanilla"
    r"|zfcpdump))*"
    r"(?P<part>-(?:core|modules(?:-core|-extra|-internal|-partner)?|devel|devel-matched|headers"
    r"|doc|kvm))?"
)
"""Packages of a kernel's own build. `kernel-tools`, `perf` and `kernel-firmware` are ordinary ones:
they are installed once, and run or not whatever kernel does."""

_NEVER_RUN = frozenset({"-devel", "-devel-matched", "-headers", "-doc"})
_PLACES = ("-core", None)
"""Which package of a running kernel speaks for it: the one with the kernel in it."""


class RpmReader:
    """How RPM's packages are compared."""

    def read(self, package: InstalledPackage) -> tuple[Build, ...]:
        """Judge by the package's own version; by its source's where a vendor speaks of sources."""
        name, arch, module = package.name, package.arch, package.module
        rpm_key(package.version)
        own = Build(name, True, name, package.version, arch, module)  # noqa: FBT003
        version = package.source_version or package.version
        rpm_key(version)
        source = package.source or name
        return (Build(source, False, name, version, arch, module), own)  # noqa: FBT003

    def layout(self, installed: Sequence[InstalledPackage], facts: Facts) -> Layout:
        """Find the build `uname -r` names; of its packages one speaks for all of them.

        Nothing in the facts tells whose build an RPM is: updateinfo is of its own repository.
        """
        family = [
            (item, found["part"])
            for item in installed
            if item.name.startswith("kernel") and (found := _KERNEL.fullmatch(item.name))
        ]
        running = [
            (item, part)
            for item, part in family
            if part not in _NEVER_RUN and _runs(item, facts.running_kernel)
        ]
        speaker = _speaker(running)
        members = {id(item) for item, _ in family}
        doubts = []
        if not speaker and any(part in _PLACES for _, part in family):
            reason = f"the running kernel {facts.running_kernel!r} belongs to no installed package"
            doubts.append(Doubt(NotJudged.KERNEL, "kernel", "", reason, ()))
        return Layout(
            ordinary=[item for item in installed if id(item) not in members],
            running=speaker,
            offers=_offers(facts.pending),
            doubts=doubts,
        )


def _offers(pending: Sequence[PendingUpdate]) -> dict[str, list[Offer]]:
    """An update replaces the package of its name and architecture."""
    offers: dict[str, list[Offer]] = {}
    for update in sorted(pending, key=lambda item: (item.name, item.arch, item.candidate)):
        try:
            rpm_key(update.candidate)
        except ValueError:
            continue  # what it reaches cannot be said, so nothing is claimed
        offer = Offer(update.name, update.candidate, update.arch, withheld=withheld(update))
        offers.setdefault(update.name, []).append(offer)
    return offers


def _speaker(
    running: Iterable[tuple[InstalledPackage, str | None]],
) -> list[InstalledPackage]:
    """Choose the package with the kernel in it, or without one whatever runs of it."""
    places: dict[str | None, list[InstalledPackage]] = {}
    for item, part in running:
        places.setdefault(part, []).append(item)
    for part in _PLACES:
        if found := places.get(part):
            return found
    return min(places.values(), key=lambda found: found[0].name, default=[])


def _runs(package: InstalledPackage, release: str) -> bool:
    """Compare `5.14.0-503.el9.x86_64`, SUSE's `5.14.21-150500.55.44-default`, with a build.

    Flavours follow a `+` (`…x86_64+rt`) or a dash; SUSE's packages number rebuilds behind what
    the kernel says of itself.
    """
    build = package.version.rpartition(":")[2]
    own = _flavour(package.name)
    plain, _, flavour = release.partition("+")
    if plain == f"{build}.{package.arch}":
        # Older real-time and UEK kernels say their flavour in the version only.
        return own == flavour or (not flavour and own in build)
    base, _, flavour = release.rpartition("-")
    same = build == base or build.startswith(f"{base}.")
    return bool(base and own) and same and own == flavour


def _flavour(name: str) -> str:
    """Return `rt` of `kernel-rt-core`, `default` of `kernel-default`, nothing of `kernel-core`."""
    found = _KERNEL.fullmatch(name)
    part = (found["part"] if found else None) or ""
    return name.removesuffix(part).removeprefix("kernel").removeprefix("-")
