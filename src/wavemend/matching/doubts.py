"""Why something installed could not be judged, in words, and counted once. Pure."""

from collections.abc import Iterable, Sequence

from wavemend.findings import NotJudged, Unmatched
from wavemend.hosts import Facts, InstalledPackage
from wavemend.matching.statements import Judgement
from wavemend.matching.units import Doubt, Unit

_WHOLE_ARCHES = frozenset({"chocolatey"})
"""Sources that know no architectures."""


def source_beside(package: InstalledPackage) -> str:
    """Return the source beside the package manager that a package is from: `flatpak`, `snap`.

    Their architectures begin with it. No distribution speaks of them, whatever they are called.
    """
    source, slash, _ = package.arch.partition("/")
    return source if slash or source in _WHOLE_ARCHES else ""


def beside_doubts(installed: Iterable[InstalledPackage]) -> list[Doubt]:
    """Return one doubt for each source beside the package manager."""
    sources: dict[str, list[InstalledPackage]] = {}
    for item in installed:
        if source := source_beside(item):
            sources.setdefault(source, []).append(item)
    return [
        Doubt(
            NotJudged.FOREIGN,
            f"{source}:*",
            "",
            f"no feed speaks of what {source} installs: updates are seen, their CVEs are not",
            tuple(items),
        )
        for source, items in sorted(sources.items())
    ]


def release_doubt(facts: Facts, installed: Sequence[InstalledPackage]) -> Doubt:
    """Return the doubt about a release no feed speaks of."""
    release = facts.codename or " ".join((facts.os_id, facts.os_version)).strip() or "unknown"
    reason = (
        f"no advisories of release {release!r} are loaded: "
        f"nothing is known of {len(installed)} packages"
    )
    return Doubt(NotJudged.RELEASE, "*", "", reason, tuple(installed))


def version_doubt(package: InstalledPackage, trouble: str) -> Doubt:
    """Return the doubt about a package whose version cannot be compared."""
    return Doubt(NotJudged.VERSION, package.name, package.version, trouble, (package,))


def lifecycle_doubt(name: str) -> Doubt:
    """Return the doubt about a listed name that is not understood."""
    reason = (
        "its end of life is listed under this name, which is neither a package nor a pattern that "
        "is understood: whether it means an installed package cannot be said"
    )
    return Doubt(NotJudged.STATEMENT, name, "", reason, ())


def unit_doubts(
    unit: Unit, judgement: Judgement, installed: Iterable[InstalledPackage]
) -> Iterable[Doubt]:
    """Yield what a vendor's statements leave open about one unit."""
    wanted = {(build.binary, build.arch) for build in unit.builds}
    covers = tuple(item for item in installed if (item.name, item.arch) in wanted)
    version = unit.builds[0].version
    for kind, reason in judgement.troubles:
        yield Doubt(kind, unit.name, version, reason, covers)


def unmatched_lines(doubts: Iterable[Doubt]) -> tuple[Unmatched, ...]:
    """Turn doubts into lines, so that each package that was not judged is counted once."""
    counted: set[InstalledPackage] = set()
    lines: list[Unmatched] = []
    for doubt in sorted(doubts, key=lambda item: (item.package, item.version, item.reason)):
        new = set(doubt.covers) - counted
        counted |= new
        lines.append(
            Unmatched(
                package=doubt.package,
                version=doubt.version,
                reason=doubt.reason,
                kind=doubt.kind,
                packages=len(new),
            )
        )
    return tuple(lines)
