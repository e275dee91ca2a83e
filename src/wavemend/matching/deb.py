"""Debian and Ubuntu: statements are about source packages and their versions."""

from collections.abc import Sequence
from functools import lru_cache

from wavemend.findings import (
    NotJudged,
    advisory_source,
    is_kernel_image,
    is_kernel_source,
    numbered_as_source,
)
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.matching.units import Build, Doubt, Layout, Offer, withheld
from wavemend.versions import deb_key, without_binary_rebuild


class DebReader:
    """How dpkg's packages are compared."""

    def read(self, package: InstalledPackage) -> tuple[Build, ...]:
        """Judge by the source's version, without the mark of a rebuild; images by their own."""
        own = without_binary_rebuild(package.version)
        source = own
        if not is_kernel_image(package.name):
            source = without_binary_rebuild(package.source_version or own)
        for version in (own, source):
            deb_key(version)
        name, arch, module = package.name, package.arch, package.module
        return (
            Build(advisory_source(package), False, name, source, arch, module),  # noqa: FBT003
            Build(name, True, name, own, arch, module),  # noqa: FBT003
        )

    def layout(self, installed: Sequence[InstalledPackage], facts: Facts) -> Layout:
        """Only the image `uname -r` names runs; its source is a kernel whatever it is called."""
        release = facts.running_kernel
        names = {
            f"linux-image-{release}",
            f"linux-image-{release}-unsigned",
            f"linux-image-unsigned-{release}",
        }
        running = [item for item in installed if item.name in names]
        sources = {advisory_source(item) for item in running}
        ordinary = [item for item in installed if not _is_kernel(advisory_source(item), sources)]
        doubts = _foreign(installed, facts)
        if not running and any(is_kernel_image(item.name) for item in installed):
            reason = f"the running kernel {release!r} belongs to no installed package"
            doubts.append(Doubt(NotJudged.KERNEL, "linux-image", "", reason, ()))
        offers = _offers(installed, facts.pending)
        return Layout(
            ordinary=ordinary,
            running=running,
            offers=offers,
            # Any image replaces a kernel: its name holds the version.
            kernels=[item for name in offers if is_kernel_image(name) for item in offers[name]],
            doubts=doubts,
        )


def _is_kernel(source: str, running: set[str]) -> bool:
    return source in running or is_kernel_source(source)


def _offers(
    installed: Sequence[InstalledPackage], pending: Sequence[PendingUpdate]
) -> dict[str, list[Offer]]:
    offers: dict[str, list[Offer]] = {}
    by_name = {(item.name, item.arch): item for item in installed} if pending else {}
    for update in sorted(pending, key=lambda item: (item.name, item.arch, item.candidate)):
        package = by_name.get((update.name, update.arch)) or by_name.get((update.name, "all"))
        version = without_binary_rebuild(update.candidate)
        try:
            deb_key(version)
        except ValueError:
            continue  # what it reaches cannot be said, so nothing is claimed
        as_source = package is None or numbered_as_source(package)
        offer = Offer(update.name, version, "", as_source, withheld(update))
        offers.setdefault(update.name, []).append(offer)
    return offers


def _foreign(installed: Sequence[InstalledPackage], facts: Facts) -> list[Doubt]:
    """Name the packages whose every offer comes from elsewhere, as far as that is told.

    An offer's origin is `Label:version/suite, …`; one without a label tells nothing.
    """
    offered: dict[tuple[str, str], set[bool | None]] = {}
    for update in facts.pending:
        told = offered.setdefault((update.name, update.arch), set())
        told.add(_is_distribution(update.origin, facts.os_id))
    doubts = []
    for item in installed if offered else ():
        if offered.get((item.name, item.arch)) == {False}:
            reason = (
                "its updates come from outside the distribution, which says nothing of such "
                "builds: compared, but a clean result proves nothing"
            )
            doubts.append(Doubt(NotJudged.FOREIGN, item.name, item.version, reason, (item,)))
    return doubts


@lru_cache(1024)
def _is_distribution(origin: str, os_id: str) -> bool | None:
    labels = [part.partition(":")[0].strip() for part in origin.split(",") if ":" in part]
    if not os_id or not all(labels) or not labels:
        return None
    return any(label.casefold().startswith(os_id.casefold()) for label in labels)
