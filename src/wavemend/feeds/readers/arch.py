"""Arch Linux's security tracker: vulnerability groups (AVG) of packages, by their own names.

The document carries no date, so its own time is the feed's. What is older than the fixed version
counts as affected: `affected` is only the version that was current when the group was made.

An entry is one package of one group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.deb_releases import document_time
from wavemend.feeds.reading.documents import CVE_ID, MIB, as_text, reject
from wavemend.feeds.reading.streams import json_pieces
from wavemend.versions import Scheme, pacman_key

RELEASE = "arch"
MOST_BYTES = 64 * MIB
"""2 MB in 2026."""

_STATUSES: Mapping[str, tuple[AdvisoryStatus, str]] = MappingProxyType(
    {
        "Fixed": (AdvisoryStatus.FIXED, ""),
        "Testing": (AdvisoryStatus.FIXED, "the fix is in Arch's testing repositories only"),
        "Vulnerable": (AdvisoryStatus.UNFIXED, ""),
        "Unknown": (AdvisoryStatus.UNFIXED, "Arch has not determined whether it is affected"),
        "Not affected": (AdvisoryStatus.NOT_AFFECTED, ""),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """What one group says of each of its packages."""

    name: str
    where: str
    status: AdvisoryStatus
    fixed: str | None
    note: str
    cves: tuple[str, ...]
    advisory: str
    severity: str
    kind: str


def _words(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _read(group: Mapping[str, Any], where: str) -> _Group | str:
    """Return a group, or why it cannot be used."""
    name, status = as_text(group.get("name")), as_text(group.get("status"))
    if not name:
        return "has no name"
    known = _STATUSES.get(status)
    if known is None:
        return f"status {status!r:.30} is not known"
    kind, note = known
    fixed = as_text(group.get("fixed"))
    if fixed and kind is AdvisoryStatus.UNFIXED:
        kind = AdvisoryStatus.FIXED  # what it is called in the end does not matter any more
    if kind is AdvisoryStatus.FIXED:
        try:
            pacman_key(fixed)
        except ValueError as error:
            return str(error)
    advisories = _words(group.get("advisories"))
    return _Group(
        name=name,
        where=where,
        status=kind,
        fixed=fixed if kind is AdvisoryStatus.FIXED else None,
        note=note,
        cves=tuple(
            sorted({item for item in _words(group.get("issues")) if CVE_ID.fullmatch(item)})
        ),
        advisory=min(advisories, default=name),
        severity=as_text(group.get("severity")).casefold(),
        kind=as_text(group.get("type")),
    )


def _take(item: object, where: str, sink: Sink) -> int:
    """Take one group; return how many of its packages name a fixed version."""
    packages = item.get("packages") if isinstance(item, dict) else None
    names = packages if isinstance(packages, list) and packages else [None]
    sink.entry(len(names))
    group = _read(item, where) if isinstance(item, dict) else "is not a group"
    for name in names:
        if isinstance(group, str):
            sink.reject(where, group)
        elif not isinstance(name, str) or not name:
            sink.reject(where, "names no package")
        else:
            sink.used()
            sink.advisory(_advisory(group, name))
    if isinstance(group, str):
        return 0
    if not group.cves:
        sink.flaw(where, "names no CVE")
    return len(names) if group.fixed else 0


def _advisory(group: _Group, package: str) -> Advisory:
    return Advisory(
        id=group.advisory,
        feed="arch",
        document=group.where,
        release=RELEASE,
        package=package,
        fixed_version=group.fixed,
        status=group.status,
        cves=group.cves,
        scheme=Scheme.PACMAN,
        by_source=False,
        summary=group.kind,
        urgency=group.severity,
        note=group.note,
    )


@dataclass(frozen=True, slots=True)
class ArchFeed:
    """The tracker's whole state as one JSON document."""

    name: str = "arch"
    sources: tuple[str, ...] = (
        "https://security.archlinux.org/issues/all.json",
        "https://security.archlinux.org/all.json",
    )
    quiet: timedelta = timedelta(days=30)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the one document."""
        downloads.get(source, "all.json")

    def accepts(self, name: str) -> bool:
        """Say whether a file is the tracker's state."""
        base = PurePosixPath(name).name
        return base == "json" or base.endswith((".json", ".json.gz", ".json.xz", ".json.bz2"))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read the newest document; a folder may hold several days of them."""
        if not documents:
            reject(self.name, "there is no document.")
        newest = max(documents, key=lambda item: (document_time(item), item.name))
        groups = fixed = 0
        for kind, key, item in json_pieces(newest, most=MOST_BYTES):
            if kind or not isinstance(key, int):
                reject(newest.name, "is not a list of groups: it is not the tracker's.")
            name = as_text(item.get("name")) if isinstance(item, dict) else ""
            fixed += _take(item, f"{newest.name}: {name or key}", sink)
            groups += bool(name.startswith("AVG-"))
        if not groups:
            reject(newest.name, "holds no vulnerability group: it is not the tracker's.")
        return Heading(data_date=document_time(newest), coverage={"fixed": fixed})


FEED = ArchFeed()
