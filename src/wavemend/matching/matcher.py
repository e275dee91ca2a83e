"""Match hosts with the feeds: many hosts against one state, each repeated thing compared once."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import TypeAlias

from wavemend.advisories import Advisory
from wavemend.findings import Finding, HostFindings, is_unpacked
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.knowledge import Intelligence
from wavemend.matching.deb import DebReader
from wavemend.matching.doubts import (
    beside_doubts,
    lifecycle_doubt,
    release_doubt,
    source_beside,
    unit_doubts,
    unmatched_lines,
    version_doubt,
)
from wavemend.matching.drafts import draft_of, filled, named
from wavemend.matching.lifecycles import Ends
from wavemend.matching.plain import apk_reader, pacman_reader
from wavemend.matching.rpm import RpmReader
from wavemend.matching.statements import (
    Chosen,
    Context,
    Judgement,
    Lack,
    Subject,
    choose,
    judge,
    speaks,
    subject_of,
)
from wavemend.matching.told import told_lacks, unique
from wavemend.matching.units import Build, Doubt, Layout, Reader, Unit
from wavemend.matching.windows import (
    Numbers,
    WindowsReader,
    statements_on,
    understood,
)
from wavemend.versions import Scheme, order_name
from wavemend.windows.products import is_windows

READERS: Mapping[Scheme, Callable[[], Reader]] = MappingProxyType(
    {
        Scheme.DEB: DebReader,
        Scheme.RPM: RpmReader,
        Scheme.PACMAN: pacman_reader,
        Scheme.APK: apk_reader,
        Scheme.WINDOWS: WindowsReader,
    }
)

_CACHED_PACKAGES = 131_072
_CACHED_UNITS = 32_768
"""A fleet of some releases has a few thousand packages, each in a few versions. A kernel's entry
lists a thousand CVEs, most others less than ten."""
_CACHED_NAMES = 65_536


def match(host: Host, facts: Facts, intelligence: Intelligence, *, today: date) -> HostFindings:
    """Return each fix this host lacks, and each package that could not be judged. Pure.

    For many hosts keep one `Matcher`. `today` (UTC) decides which ends of life have come.
    """
    return Matcher(intelligence).match(host, facts, today=today)


_Described: TypeAlias = tuple[str, str, str, str, str, str]
"""Name, version, architecture, source, its version, module: all that naming a package depends on.
Looked up for every package of every host, and a tuple of texts is found faster than the package."""


def _described(package: InstalledPackage) -> _Described:
    return (
        package.name,
        package.version,
        package.arch,
        package.source,
        package.source_version,
        package.module,
    )


class Matcher:
    """Compares hosts with one state of the feeds. Safe to use from several threads.

    What is remembered is bounded and belongs to no host: the answer for a host is the same
    whichever hosts came before it.
    """

    def __init__(self, intelligence: Intelligence) -> None:
        """Look over the state once; nothing is compared yet."""
        self._intelligence = intelligence
        self._id = intelligence.id
        self._schemes = _schemes(intelligence)
        self._dates = {
            item.feed: item.data_date.date() for item in intelligence.snapshots if item.data_date
        }
        self._ends = Ends(intelligence)
        self._readers = {scheme: make() for scheme, make in READERS.items()}
        self._placed = lru_cache(_CACHED_PACKAGES)(self._place)
        self._said = lru_cache(_CACHED_NAMES)(self._statements)
        self._chosen = lru_cache(_CACHED_NAMES)(self._choose)
        self._judged = lru_cache(_CACHED_UNITS)(self._judge)
        windows = {name for name, scheme in self._schemes.items() if scheme is Scheme.WINDOWS}
        self._numbers = Numbers(intelligence, windows)

    def match(self, host: Host, facts: Facts, *, today: date) -> HostFindings:
        """Return each fix a host lacks, and each package that could not be judged.

        A host whose release no advisory speaks of has one `unmatched` that says so: it is unknown,
        not clean.
        """
        with _uncollected():
            return self._match(host, self.understood(facts), today)

    def understood(self, facts: Facts) -> Facts:
        """Return the facts, pending updates that are no packages with what feeds say of them.

        Only Windows has such: all other facts come back as they are.
        """
        if not facts.pending or self._schemes.get(facts.codename) is not Scheme.WINDOWS:
            return facts
        return understood(facts, self._numbers.on(facts))

    def _match(self, host: Host, facts: Facts, today: date) -> HostFindings:
        every = _unpacked(facts)
        installed = [item for item in every if not source_beside(item)]
        releases = tuple(key for key in facts.release_keys if key in self._schemes)
        if releases:
            lacks, doubts = self._compare(facts, installed, releases)
        else:
            lacks, doubts = [], [release_doubt(facts, installed)]
        doubts += beside_doubts(every)
        scheme = self._schemes[releases[0]] if releases else None
        lacks += self._told(facts, installed, releases, scheme)
        ends = self._ends.of(facts, installed, scheme, today)
        doubts += [lifecycle_doubt(name) for name in self._ends.unread(facts)]
        unmatched = unmatched_lines(doubts)
        return HostFindings(
            host=host.name,
            findings=tuple(_findings(host, lacks, ends)),
            unmatched=unmatched,
            packages=len(every),
            intelligence=self._id,
            judged=len(every) - sum(item.packages for item in unmatched),
        )

    def _told(
        self,
        facts: Facts,
        installed: Sequence[InstalledPackage],
        releases: tuple[str, ...],
        scheme: Scheme | None,
    ) -> list[Lack]:
        """Return what the host's own repositories name and no feed speaks of."""
        if not any(item.cves or item.advisories for item in facts.pending):
            return []
        by_name = {(item.name, item.arch): item for item in installed}

        def is_spoken_of(update: PendingUpdate, about: str) -> bool:
            if scheme is None:
                return False
            context = Context(releases, scheme, self._dates)
            for package in _raised(update, by_name):
                builds = self._placed(releases, _described(package))
                for build in () if isinstance(builds, str) else builds:
                    unit = Unit(build.known_as, build.by_name, (build,), ())
                    said = self._said(releases, build.known_as, build.by_name)
                    if speaks(subject_of(unit, build), said, context, about):
                        return True
            return False

        def sources(update: PendingUpdate) -> tuple[Advisory, ...]:
            if scheme is not Scheme.WINDOWS:
                return ()
            return statements_on(update, self._numbers.on(facts))

        order = order_name(scheme) if scheme is not None else ""
        return unique(told_lacks(facts, is_spoken_of, order, sources))

    def _compare(
        self, facts: Facts, installed: Sequence[InstalledPackage], releases: tuple[str, ...]
    ) -> tuple[list[Lack], list[Doubt]]:
        scheme = self._schemes[releases[0]]
        units, doubts = self._sort(facts, installed, releases, scheme)
        lacks: list[Lack] = []
        for unit in units:
            judgement = self._judged(releases, scheme, unit)
            lacks += judgement.lacks
            if judgement.troubles:
                doubts += unit_doubts(unit, judgement, installed)
        return lacks, doubts

    def _sort(
        self,
        facts: Facts,
        installed: Sequence[InstalledPackage],
        releases: tuple[str, ...],
        scheme: Scheme,
    ) -> tuple[list[Unit], list[Doubt]]:
        """Put the builds together that one vendor's name means, where anything is said of it."""
        layout = self._readers[scheme].layout(installed, facts)
        doubts = list(layout.doubts)
        groups: dict[tuple[str, bool, bool], list[Build]] = {}
        for packages, running in ((layout.ordinary, False), (layout.running, True)):
            for package in packages:
                placed = self._placed(releases, _described(package))
                if isinstance(placed, str):
                    doubts.append(version_doubt(package, placed))
                    continue
                for build in placed:
                    key = (build.known_as, build.by_name, running)
                    groups.setdefault(key, []).append(build)
        return [_unit(layout, key, groups[key]) for key in sorted(groups)], doubts

    def _place(self, releases: tuple[str, ...], described: _Described) -> tuple[Build, ...] | str:
        """Return a package's builds of which anything is said; or why it cannot be compared."""
        name, version, arch, source, source_version, module = described
        package = InstalledPackage(
            name=name,
            version=version,
            arch=arch,
            source=source,
            source_version=source_version,
            module=module,
        )
        try:
            builds = self._readers[self._schemes[releases[0]]].read(package)
        except ValueError as error:
            return str(error)
        return tuple(item for item in builds if self._said(releases, item.known_as, item.by_name))

    def _statements(
        self, releases: tuple[str, ...], name: str, by_name: bool
    ) -> tuple[Advisory, ...]:
        places = releases
        if self._schemes[releases[0]] is Scheme.WINDOWS and not is_windows(name):
            places = (*releases, name)  # what is no part of a Windows is a release of its own
        return tuple(
            advisory
            for release in places
            for advisory in self._intelligence.advisories_for(release, name)
            if advisory.by_source is not by_name
        )

    def _choose(self, releases: tuple[str, ...], scheme: Scheme, subject: Subject) -> Chosen:
        said = self._said(releases, subject.name, subject.by_name)
        return choose(subject, said, Context(releases, scheme, self._dates))

    def _judge(self, releases: tuple[str, ...], scheme: Scheme, unit: Unit) -> Judgement:
        subjects = [subject_of(unit, build) for build in unit.builds]
        chosen = [self._chosen(releases, scheme, subject) for subject in subjects]
        return judge(unit, chosen, Context(releases, scheme, self._dates))


def _schemes(intelligence: Intelligence) -> dict[str, Scheme]:
    """Return by whose order each release's versions compare: of one release all do alike."""
    schemes: dict[str, Scheme] = {}
    for release, package in intelligence.advisories:
        if release not in schemes:
            said = intelligence.advisories_for(release, package)
            if said:
                schemes[release] = said[0].scheme
    return schemes


def _unpacked(facts: Facts) -> list[InstalledPackage]:
    """Return what lies on the disk, whole or not, each once, sorted."""
    every = [item for item in facts.installed if is_unpacked(item)]
    if facts.broken:
        whole = set(every)
        every += [item for item in facts.broken if is_unpacked(item) and item not in whole]
    return sorted(every, key=lambda item: (item.name, item.arch, item.version))


def _raised(
    update: PendingUpdate, by_name: Mapping[tuple[str, str], InstalledPackage]
) -> list[InstalledPackage]:
    """Return the installed packages that an update replaces, or raises to another build."""
    package = by_name.get((update.name, update.arch))
    products = {product for product, _ in update.builds}
    raised = [item for item in by_name.values() if item.name in products] if products else []
    return raised if package is None else [package, *raised]


def _unit(layout: Layout, key: tuple[str, bool, bool], builds: Sequence[Build]) -> Unit:
    name, by_name, running = key
    if not layout.offers:
        return Unit(name, by_name, tuple(builds), (), running)
    offers = {
        offer: None
        for build in builds
        for offer in layout.offers.get(build.binary, ())
        if offer.arch in {"", build.arch} and (by_name or offer.as_source)
    }
    if running:
        offers |= dict.fromkeys(layout.kernels)
    return Unit(name, by_name, tuple(builds), tuple(offers), running)


def _findings(host: Host, lacks: Sequence[Lack], ends: Sequence[Finding]) -> Iterable[Finding]:
    """Name the host in what it lacks. A package two feeds call by the same name counts once."""
    prefix = named(host)
    last = b""
    for lack in sorted(lacks, key=attrgetter("order")):
        if lack.subject != last:
            last = lack.subject
            yield filled(lack.draft, host, prefix + last)
    for end in ends:
        yield filled(draft_of(end), host, prefix + f"{end.advisory}\0{end.package}".encode())


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the cyclic collector from running meanwhile.

    Matching makes no cycles, but a thousand objects a host: every few hosts the collector would
    walk through all that is remembered, which took 40 % of the time. Several threads may do this:
    the first to end turns it on again, early for the others and harmlessly.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
