"""Windows: statements are about products and their builds; a product is a package of the host.

An update is no package. It raises products to builds, and is known by the number of its KB. All
updates of Windows itself are cumulative: what one closes is told by the build it reaches, never by
chains of what replaces what, which Microsoft leaves empty more often than not.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

from wavemend.advisories import Advisory, any_restart, cve_order
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.knowledge import Intelligence
from wavemend.matching.units import Build, Layout, Offer, withheld
from wavemend.versions import windows_key
from wavemend.windows.products import is_beside

Numbered: TypeAlias = Mapping[str, tuple[Advisory, ...]]
"""What is said of some releases, by the number of the update: `KB5075906`."""
Said: TypeAlias = Callable[[str], tuple[Advisory, ...]]
"""What is said of an update on one host, by its number."""

_NUMBER = re.compile(r"KB[0-9]{6,8}")
_CACHED_RELEASES = 64


class WindowsReader:
    """How Windows' products are compared."""

    def read(self, package: InstalledPackage) -> tuple[Build, ...]:
        """Judge by the build."""
        windows_key(package.version)
        name, arch, module = package.name, package.arch, package.module
        return (Build(name, True, name, package.version, arch, module),)  # noqa: FBT003

    def layout(self, installed: Sequence[InstalledPackage], facts: Facts) -> Layout:
        """The system is one product; installed updates are judged with it, by the build."""
        offers: dict[str, list[Offer]] = {}
        for update in facts.pending:
            for product, build in update.builds or ((update.name, update.candidate),):
                try:
                    windows_key(build)
                except ValueError:
                    continue  # it names a patch, not a build: what it reaches cannot be said
                offer = Offer(product, build, withheld=withheld(update))
                offers.setdefault(product, []).append(offer)
        products = [item for item in installed if not _NUMBER.fullmatch(item.name)]
        return Layout(ordinary=products, offers=offers)


class Numbers:
    """What is said of updates by their numbers, from one state of the feeds.

    Looked over once for each Windows that is met, and once for all products beside it: a fleet
    without Windows pays nothing. Safe to use from several threads.
    """

    def __init__(self, intelligence: Intelligence, releases: Iterable[str]) -> None:
        """Nothing is read yet. `releases`: those whose versions are Windows builds."""
        self._intelligence = intelligence
        self._beside = frozenset(filter(is_beside, releases))
        self._of = lru_cache(_CACHED_RELEASES)(self._read)

    def on(self, facts: Facts) -> Said:
        """Return what says what is known of an update, on a host of this Windows."""
        known = self._of(frozenset({facts.codename})), self._of(self._beside)
        return lambda number: tuple(item for said in known for item in said.get(number, ()))

    def _read(self, releases: frozenset[str]) -> Numbered:
        found: dict[str, list[Advisory]] = {}
        for release, package in self._intelligence.advisories:
            if release in releases:
                for item in self._intelligence.advisories_for(release, package):
                    if _NUMBER.fullmatch(item.id):
                        found.setdefault(item.id, []).append(item)
        return {number: tuple(items) for number, items in found.items()}


def understood(facts: Facts, said: Said) -> Facts:
    """Return a Windows host's facts, its pending updates with what their numbers mean. Pure.

    The build from the update's own title holds before the vendor's; a second time changes nothing.
    """
    products = frozenset(item.name for item in facts.installed)
    pending = tuple(
        _understood(update, statements_on(update, said), products) for update in facts.pending
    )
    return facts if pending == facts.pending else replace(facts, pending=pending)


def statements_on(update: PendingUpdate, said: Said) -> tuple[Advisory, ...]:
    """Return what is said of an update by its number."""
    numbers = sorted({update.name, *update.advisories})
    return tuple(item for number in numbers for item in said(number))


def _understood(
    update: PendingUpdate,
    statements: Sequence[Advisory],
    products: frozenset[str],
) -> PendingUpdate:
    """Fill in what the statements know of an update.

    A component that the host does not list (a .NET Framework) has no build here to compare: that
    the update is offered says that it is lacking, so its CVEs are the update's own.
    """
    if not statements:
        return update
    builds = {item.package: item.fixed_version or "" for item in statements}
    listed = {name: build for name, build in builds.items() if build and name in products}
    cves = {cve for item in statements if item.package not in products for cve in item.cves}
    return replace(
        update,
        builds=tuple(sorted((listed | dict(update.builds)).items())),
        cves=tuple(sorted({*update.cves, *cves}, key=lambda cve: (cve_order(cve), cve))),
        restart=any_restart((update.restart, *(item.restart for item in statements))),
    )
