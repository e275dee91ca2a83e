"""The Debian security tracker's text lists: DSA, DLA and DTSA, and the next point release.

An entry is one line `[suite] - package version`, any line in no known form, and an advisory that
fixes no package (an announcement).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import MappingProxyType

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.feeds import Sink
from wavemend.feeds.reading.deb_releases import DEBIAN_CODENAMES, OTHER_RELEASE, version_trouble
from wavemend.feeds.reading.documents import CVE_ID, CVE_PATTERN

_LIST_NAME = re.compile(r"(.*[-_.])?D(SA|LA|TSA)[-_.]list.*")
_LIST_HEAD = re.compile(r"\[(\d{2} [A-Z][a-z]{2} \d{4})\] ((?:DSA|DLA|DTSA)-\S+)\s*(.*)")
_LIST_CVES = re.compile(r"\s+\{([^}]*)\}\s*")
_LIST_FIX = re.compile(r"\s+\[([a-z]+)\]\s+-\s+(\S+)\s+(\S+)(?:\s+\((.*)\))?\s*")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_STATES: Mapping[str, AdvisoryStatus] = MappingProxyType(
    {
        "<not-affected>": AdvisoryStatus.NOT_AFFECTED,
        "<unfixed>": AdvisoryStatus.UNFIXED,
        "<end-of-life>": AdvisoryStatus.WILL_NOT_FIX,
        "<ignored>": AdvisoryStatus.WILL_NOT_FIX,
        "<no-dsa>": AdvisoryStatus.UNFIXED,
        "<postponed>": AdvisoryStatus.UNFIXED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The first line of an advisory."""

    id: str
    title: str
    at: datetime
    where: str


def is_list(name: str) -> bool:
    """Say whether a document is a list of advisories: `DSA/list`, `DLA-list-2023-04-01.xz`."""
    path = PurePosixPath(name)
    return path.name == "list" or _LIST_NAME.fullmatch(path.name) is not None


def is_point_update(name: str) -> bool:
    """Say whether a document lists what the next point release will bring."""
    return "next-point-update" in PurePosixPath(name).name


def read_list(body: bytes, name: str, sink: Sink) -> tuple[datetime | None, int]:
    """Read a list of DSA or DLA; return its newest date and how many lines name a fix."""
    reader = _ListReader(name=name, sink=sink)
    for number, line in enumerate(body.decode("utf-8", "replace").splitlines(), 1):
        reader.take(line, f"{name}: line {number}")
    reader.finish()
    return reader.newest, reader.fixed


@dataclass(slots=True, kw_only=True)
class _ListReader:
    """Goes through a list line by line."""

    name: str
    sink: Sink
    head: _Head | None = None
    cves: tuple[str, ...] = ()
    spoke: bool = True
    newest: datetime | None = None
    fixed: int = 0

    def take(self, line: str, where: str) -> None:
        if match := _LIST_HEAD.fullmatch(line):
            self._begin(match, where)
        elif match := _LIST_CVES.fullmatch(line):
            self.cves = tuple(dict.fromkeys(re.findall(CVE_PATTERN, match[1])))
        elif match := _LIST_FIX.fullmatch(line):
            self.spoke = True
            self.sink.entry()
            self._fix(match, where)
        elif line.strip() and not line.lstrip().startswith("NOTE:"):
            self.sink.entry()
            self.sink.reject(where, f"not in a known form: {line:.60}")

    def finish(self) -> None:
        """Count the advisory before this place if it fixed nothing."""
        if self.head is not None and not self.spoke:
            self.sink.entry()
            self.sink.skip("advisory that fixes no package")

    def _begin(self, match: re.Match[str], where: str) -> None:
        self.finish()
        self.cves, self.spoke = (), False
        at = _list_day(match[1])
        if at is None:
            self.head = None
            self.sink.entry()
            self.sink.reject(where, f"not a date: {match[1]}")
            return
        self.head = _Head(id=match[2], title=match[3].strip(), at=at, where=where)
        self.newest = at if self.newest is None else max(self.newest, at)

    def _fix(self, match: re.Match[str], where: str) -> None:
        release, package, version, remark = match.groups()
        if release not in DEBIAN_CODENAMES.values():
            self.sink.skip(OTHER_RELEASE)
            return
        if self.head is None:
            self.sink.reject(where, "a fix that belongs to no advisory")
            return
        status = _STATES.get(version, AdvisoryStatus.FIXED)
        trouble = version_trouble(version) if status is AdvisoryStatus.FIXED else ""
        if trouble:
            self.sink.reject(where, trouble)
            return
        self.fixed += status is AdvisoryStatus.FIXED
        self.sink.used()
        self.sink.advisory(
            Advisory(
                id=self.head.id,
                feed="debian",
                document=where,
                release=release,
                package=package,
                fixed_version=version if status is AdvisoryStatus.FIXED else None,
                status=status,
                cves=self.cves,
                summary=self.head.title,
                published=self.head.at,
                note=remark or "",
            )
        )


def _list_day(text: str) -> datetime | None:
    number, month, year = text.split()
    if month not in _MONTHS:
        return None
    try:
        return datetime(int(year), _MONTHS.index(month) + 1, int(number), tzinfo=UTC)
    except ValueError:
        return None


def read_point_update(body: bytes, name: str, sink: Sink) -> None:
    """Read `next-point-update.txt`: fixes that exist, but that no repository offers yet."""
    cve = ""
    for number, line in enumerate(body.decode("utf-8", "replace").splitlines(), 1):
        where = f"{name}: line {number}"
        if CVE_ID.fullmatch(line.strip()):
            cve = line.strip()
        elif match := _LIST_FIX.fullmatch(line):
            sink.entry()
            _proposed(match, cve, where, sink)
        elif line.strip() and not line.lstrip().startswith("NOTE:"):
            sink.entry()
            sink.reject(where, f"not in a known form: {line:.60}")


def _proposed(match: re.Match[str], cve: str, where: str, sink: Sink) -> None:
    release, package, version, _ = match.groups()
    if release not in DEBIAN_CODENAMES.values():
        sink.skip(OTHER_RELEASE)
        return
    trouble = version_trouble(version) if cve else "a fix that belongs to no CVE"
    if trouble:
        sink.reject(where, trouble)
        return
    sink.used()
    sink.advisory(
        Advisory(
            id=cve,
            feed="debian",
            document=where,
            release=release,
            package=package,
            fixed_version=None,
            status=AdvisoryStatus.UNFIXED,
            cves=(cve,),
            note=f"{version} is proposed for the next point release",
        )
    )
