"""Arch and Alpine: one version of each package, and kernels that replace each other in place."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wavemend.findings import NotJudged
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.matching.units import Build, Doubt, Layout, Offer, withheld
from wavemend.versions import VersionKey, apk_key, pacman_key


@dataclass(frozen=True, slots=True)
class Kernel:
    """What `uname -r` says in the words of packages."""

    package: str
    version: str


_ARCH = re.compile(
    r"(?P<pkgver>[0-9][\w.]*(?:-[a-z]+[0-9]+)?)-(?P<pkgrel>[0-9]+)(?:-(?P<flavour>[a-z]+))?",
    re.ASCII,
)
_ALPINE = re.compile(r"(?P<version>[0-9][\w.]*)-(?P<revision>[0-9]+)-(?P<flavour>[a-z]+)", re.ASCII)
_ARCH_KERNEL = re.compile(r"linux(-(lts|zen|hardened|rt|rt-lts))?")
_ALPINE_KERNEL = re.compile(r"linux-(lts|virt|edge|stable|asahi|rpi[0-9]*)")


def arch_kernel(release: str) -> Kernel | None:
    """Read `6.6.8-arch1-1` as linux 6.6.8.arch1-1, `6.6.8-1-lts` as linux-lts 6.6.8-1."""
    found = _ARCH.fullmatch(release)
    if found is None:
        return None
    flavour = found["flavour"]
    version = f"{found['pkgver'].replace('-', '.')}-{found['pkgrel']}"
    return Kernel(f"linux-{flavour}" if flavour else "linux", version)


def alpine_kernel(release: str) -> Kernel | None:
    """Read `6.6.8-0-lts` as linux-lts 6.6.8-r0."""
    found = _ALPINE.fullmatch(release)
    if found is None:
        return None
    return Kernel(f"linux-{found['flavour']}", f"{found['version']}-r{found['revision']}")


@dataclass(frozen=True, slots=True)
class PlainReader:
    """How packages of such a distribution are compared."""

    key: Callable[[str], VersionKey]
    kernel: Callable[[str], Kernel | None]
    kernels: re.Pattern[str]
    """Names of the packages with a kernel in them."""

    def read(self, package: InstalledPackage) -> tuple[Build, ...]:
        """Judge by the package's own version; by its source's where a vendor speaks of sources."""
        name, arch = package.name, package.arch
        source, version = package.source or name, package.source_version or package.version
        for text in (package.version, version):
            self.key(text)
        return (
            Build(source, False, name, version, arch, ""),  # noqa: FBT003
            Build(name, True, name, package.version, arch, ""),  # noqa: FBT003
        )

    def layout(self, installed: Sequence[InstalledPackage], facts: Facts) -> Layout:
        """Judge the kernel that runs, which an update has replaced on the disk already.

        The other kernels of a host are not executed.
        """
        kernels = [item for item in installed if self.kernels.fullmatch(item.name)]
        found = self.kernel(facts.running_kernel)
        running = [
            replace(item, version=found.version, source_version=found.version)
            for item in kernels
            if found is not None and item.name == found.package
        ]
        doubts = []
        if kernels and not running:
            reason = f"the running kernel {facts.running_kernel!r} belongs to no installed package"
            doubts.append(Doubt(NotJudged.KERNEL, "linux", "", reason, tuple(kernels)))
        members = {id(item) for item in kernels}
        return Layout(
            ordinary=[item for item in installed if id(item) not in members],
            running=running,
            offers=self._offers(facts.pending),
            doubts=doubts,
        )

    def _offers(self, pending: Sequence[PendingUpdate]) -> dict[str, list[Offer]]:
        offers: dict[str, list[Offer]] = {}
        for update in sorted(pending, key=lambda item: (item.name, item.arch, item.candidate)):
            try:
                self.key(update.candidate)
            except ValueError:
                continue  # what it reaches cannot be said, so nothing is claimed
            offer = Offer(update.name, update.candidate, withheld=withheld(update))
            offers.setdefault(update.name, []).append(offer)
        return offers


def pacman_reader() -> PlainReader:
    """Return how pacman's packages are compared."""
    return PlainReader(pacman_key, arch_kernel, _ARCH_KERNEL)


def apk_reader() -> PlainReader:
    """Return how apk's packages are compared."""
    return PlainReader(apk_key, alpine_kernel, _ALPINE_KERNEL)
