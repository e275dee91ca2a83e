"""Debian's own statements: OSV records per CVE, and the lists of DSA and DLA.

Debian decides what is affected, never NVD's version ranges: fixes are backported. Statements are
about source packages and their versions.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from wavemend.advisories import Advisory, AdvisoryStatus, Cvss, Reject
from wavemend.feeds import Content, Document, Downloads
from wavemend.feeds.documents import (
    CVE_ID,
    CVE_PATTERN,
    MIB,
    as_list,
    as_object,
    as_text,
    first_words,
    moment,
    parse_json,
    read_bytes,
    reject,
    zip_members,
)
from wavemend.feeds.scores import assessment
from wavemend.versions import deb_key

RELEASES: Mapping[str, str] = MappingProxyType(
    {
        "Debian:10": "buster",
        "Debian:11": "bullseye",
        "Debian:12": "bookworm",
        "Debian:13": "trixie",
        "Debian:14": "forky",
    }
)
"""OSV's ecosystem to the codename that hosts report. Exactly these: a record of another ecosystem,
`Debian` alone or Alpine's, says nothing about these hosts."""

MOST_RECORD_BYTES = 16 * MIB
MOST_TOTAL_BYTES = 8192 * MIB

_LIST_HEAD = re.compile(r"\[(\d{2} [A-Z][a-z]{2} \d{4})\] ((?:DSA|DLA|DTSA)-\S+)\s*(.*)")
_LIST_CVES = re.compile(r"\s+\{([^}]*)\}\s*")
_LIST_FIX = re.compile(r"\s+\[([a-z]+)\]\s+-\s+(\S+)\s+(\S+)(?:\s.*)?")
_NEVER = datetime.min.replace(tzinfo=UTC)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(slots=True)
class _Collected:
    """What the documents said so far."""

    advisories: list[Advisory] = field(default_factory=list)
    cvss: dict[str, tuple[Cvss, ...]] = field(default_factory=dict)
    published: dict[str, datetime] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    newest: datetime = _NEVER


def read_record(body: bytes, name: str, into: _Collected) -> None:
    """Read one OSV record. Raises FeedRejected for what is not one."""
    record = as_object(parse_json(body, name), name)
    identifier = as_text(record.get("id"))
    modified = moment(record.get("modified"))
    if not identifier or modified is None:
        reject(name, "is not an OSV record: it has no id or no time of change.")
    into.newest = max(into.newest, modified)
    if record.get("withdrawn"):
        into.skipped["withdrawn record"] += 1
        return
    cves = _cves(record, identifier)
    summary = first_words(as_text(record.get("summary")) or as_text(record.get("details")))
    spoke = False
    for entry in as_list(record.get("affected", []), f"{name}: affected"):
        affected = as_object(entry, f"{name}: affected")
        package = affected.get("package")
        if not isinstance(package, dict) or not package.get("ecosystem"):
            into.skipped["entry without a package"] += 1
            continue
        release = RELEASES.get(as_text(package.get("ecosystem")))
        if release is None:
            into.skipped["other ecosystem or release"] += 1
            continue
        spoke = True
        head = _Head(identifier, name, release, as_text(package.get("name")), cves, summary)
        _take(affected, head, into)
    if spoke and identifier.removeprefix("DEBIAN-") in cves:
        _describe(record, cves[0], summary, into)


@dataclass(frozen=True, slots=True)
class _Head:
    """What all statements of one record share."""

    id: str
    document: str
    release: str
    package: str
    cves: tuple[str, ...]
    summary: str


def _cves(record: Mapping[str, Any], identifier: str) -> tuple[str, ...]:
    """Return the CVEs a record is about: by its id, by `upstream`, or by `related` for a DSA.

    `related` of a CVE's own record names other vendors' advisories and other CVEs: not read.
    """
    own = identifier.removeprefix("DEBIAN-")
    if CVE_ID.fullmatch(own):
        return (own,)
    named: list[str] = []
    for key in ("upstream", "related", "aliases"):
        values = record.get(key, [])
        named += [item for item in values if isinstance(item, str)] if values else []
    return tuple(dict.fromkeys(item for item in named if CVE_ID.fullmatch(item)))


def _take(affected: Mapping[str, Any], head: _Head, into: _Collected) -> None:
    where = f"{head.document}: {head.package} in {head.release}"
    specific = affected.get("ecosystem_specific")
    urgency = as_text(specific.get("urgency")) if isinstance(specific, dict) else ""
    ranges = [
        item
        for item in as_list(affected.get("ranges", []), where)
        if isinstance(item, dict) and item.get("type") == "ECOSYSTEM"
    ]
    if not head.package or len(ranges) != 1:
        into.rejects.append(Reject(where=where, reason="no name, or not exactly one version range"))
        return
    fixed, trouble = _fixed(as_list(ranges[0].get("events"), where))
    if trouble:
        into.rejects.append(Reject(where=where, reason=trouble))
        return
    status = AdvisoryStatus.FIXED if fixed else AdvisoryStatus.UNFIXED
    if fixed == "0":  # Debian's way to write "never affected"
        status, fixed = AdvisoryStatus.NOT_AFFECTED, None
    into.advisories.append(
        Advisory(
            id=head.id,
            feed="debian",
            document=head.document,
            release=head.release,
            source_package=head.package,
            fixed_version=fixed,
            status=status,
            cves=head.cves,
            summary=head.summary,
            urgency=urgency,
            unimportant=urgency == "unimportant",
        )
    )


def _fixed(events: Sequence[object]) -> tuple[str | None, str]:
    """Return the fixed version, or why the events cannot be read."""
    fixed: str | None = None
    for event in events:
        if not isinstance(event, dict) or len(event) != 1:
            return None, "an event is not in a known form"
        ((kind, version),) = event.items()
        if kind == "introduced" and version == "0":
            continue
        # A later start or a last affected version would need ranges, which Debian does not use.
        if kind != "fixed" or fixed is not None or not isinstance(version, str):
            return None, f"event {kind!r:.30} is not in a known form"
        try:
            deb_key(version)
        except ValueError as error:
            return None, str(error)
        fixed = version
    return fixed, ""


def _describe(record: Mapping[str, Any], cve: str, summary: str, into: _Collected) -> None:
    """Keep the scores and texts of a record that is about one CVE."""
    if summary:
        into.summaries.setdefault(cve, summary)
    published = moment(record.get("published"))
    if published is not None:
        into.published.setdefault(cve, published)
    found: list[Cvss] = []
    for severity in as_list(record.get("severity", []), f"{cve}: severity"):
        vector = as_text(severity.get("score")) if isinstance(severity, dict) else ""
        cvss, trouble = assessment(
            vector=vector, published=None, source="distribution:debian-osv", where=cve
        )
        if cvss is not None:
            found.append(cvss)
        if trouble is not None:
            into.rejects.append(trouble)
    if found:
        into.cvss[cve] = tuple(found)


def read_list(body: bytes, name: str, into: _Collected) -> None:
    """Read a list of DSA or DLA in the security tracker's text form."""
    head: tuple[str, str, datetime] | None = None
    cves: tuple[str, ...] = ()
    for number, line in enumerate(body.decode("utf-8", "replace").splitlines(), 1):
        where = f"{name}: line {number}"
        if match := _LIST_HEAD.fullmatch(line):
            at = _list_day(match[1])
            if at is None:
                into.rejects.append(Reject(where=where, reason=f"not a date: {match[1]}"))
                head = None
                continue
            into.newest = max(into.newest, at)
            head, cves = (match[2], match[3].strip(), at), ()
        elif match := _LIST_CVES.fullmatch(line):
            cves = tuple(dict.fromkeys(re.findall(CVE_PATTERN, match[1])))
        elif match := _LIST_FIX.fullmatch(line):
            _take_line(match, head, cves, where, into)
        elif line.strip() and not line.lstrip().startswith("NOTE:"):
            into.rejects.append(Reject(where=where, reason=f"not in a known form: {line:.60}"))


def _list_day(text: str) -> datetime | None:
    number, month, year = text.split()
    if month not in _MONTHS:
        return None
    try:
        return datetime(int(year), _MONTHS.index(month) + 1, int(number), tzinfo=UTC)
    except ValueError:
        return None


def _take_line(
    match: re.Match[str],
    head: tuple[str, str, datetime] | None,
    cves: tuple[str, ...],
    where: str,
    into: _Collected,
) -> None:
    release, package, version = match.groups()
    if release not in RELEASES.values():
        into.skipped["other ecosystem or release"] += 1
        return
    if head is None:
        into.rejects.append(Reject(where=where, reason="a fix that belongs to no advisory"))
        return
    status, fixed = AdvisoryStatus.FIXED, version
    if version.startswith("<"):  # <not-affected>, <end-of-life>, <unfixed>
        into.skipped[f"state {version}"] += 1
        return
    try:
        deb_key(version)
    except ValueError as error:
        into.rejects.append(Reject(where=where, reason=str(error)))
        return
    into.advisories.append(
        Advisory(
            id=head[0],
            feed="debian",
            document=where,
            release=release,
            source_package=package,
            fixed_version=fixed,
            status=status,
            cves=cves,
            summary=head[1],
        )
    )


@dataclass(frozen=True, slots=True)
class DebianFeed:
    """OSV's dump for Debian; lists of DSA and DLA beside it in a folder are read too."""

    name: str = "debian"
    sources: tuple[str, ...] = (
        "https://osv-vulnerabilities.storage.googleapis.com/Debian/all.zip",
    )
    quiet: timedelta = timedelta(hours=48)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the dump."""
        downloads.get(source, "all.zip")

    def accepts(self, name: str) -> bool:
        """Say whether a file is a dump, a record, or a list of DSA or DLA."""
        return name.endswith((".zip", ".json")) or PurePosixPath(name).name == "list"

    def parse(self, documents: Sequence[Document]) -> Content:
        """Read every record and list."""
        into = _Collected()
        records = 0
        for document in sorted(documents, key=lambda item: item.name):
            if document.name.endswith(".zip"):
                for name, body in zip_members(
                    document, most=MOST_RECORD_BYTES, most_total=MOST_TOTAL_BYTES
                ):
                    read_record(body, name, into)
                    records += 1
            elif document.name.endswith(".json"):
                read_record(read_bytes(document, most=MOST_RECORD_BYTES), document.name, into)
                records += 1
            else:
                read_list(read_bytes(document, most=MOST_TOTAL_BYTES), document.name, into)
        return _content(into)


def _content(into: _Collected) -> Content:
    fixed = sum(item.status is AdvisoryStatus.FIXED for item in into.advisories)
    return Content(
        data_date=into.newest,
        count=len(into.advisories),
        coverage={"fixed_version": fixed, "cvss": len(into.cvss)},
        skipped=into.skipped,
        rejects=tuple(into.rejects),
        cvss=into.cvss,
        published=into.published,
        summaries=into.summaries,
        advisories=tuple(into.advisories),
    )


FEED = DebianFeed()
