"""Records in OSV's form, as several distributions publish them: read strictly, once, for all.

Only reading: which ecosystem is which release, and what a version means, is each feed's business.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from wavemend.advisories import Cvss
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Sink
from wavemend.feeds.reading.archives import tar_members
from wavemend.feeds.reading.documents import (
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
from wavemend.feeds.reading.scores import assessment

MOST_RECORD_BYTES = 16 * MIB
MOST_TOTAL_BYTES = 8192 * MIB

ZIP = (".zip",)
TAR = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
JSON = (".json", ".json.gz", ".json.xz", ".json.bz2")

ARCHIVE_RANGES = "ECOSYSTEM"
"""The kind of range whose versions are the package manager's; GIT ranges hold commits."""

Event: TypeAlias = tuple[str, str]
"""`introduced`, `fixed`, `last_affected` or `limit`, and a version; `introduced` `0` is "ever"."""

_OWN_CVE = re.compile(rf"(?:[A-Za-z]+-)?({CVE_PATTERN})")


@dataclass(frozen=True, slots=True, kw_only=True)
class OsvRange:
    """One range of versions."""

    kind: str
    events: tuple[Event, ...]
    """Empty for GIT: commits by the hundred that no host reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OsvAffected:
    """What a record says of one package in one ecosystem."""

    ecosystem: str
    """`Debian:12`, `AlmaLinux:9`; empty where the entry names no package, only commits."""
    package: str
    ranges: tuple[OsvRange, ...] = ()
    versions: tuple[str, ...] = ()
    """Affected versions one by one, where the database lists them."""
    purl: str = ""
    specific: Mapping[str, Any] = field(default_factory=dict)
    """`ecosystem_specific` as it is: every database has its own keys in it."""
    trouble: str = ""
    """Why this entry cannot be used; empty: it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OsvRecord:
    """One record. Times are UTC-aware."""

    id: str
    document: str
    modified: datetime
    published: datetime | None
    withdrawn: bool
    own_cve: str
    """The CVE whose own record this is (`CVE-…`, `DEBIAN-CVE-…`); empty for an advisory."""
    cves: tuple[str, ...]
    """The CVEs it is about: its own, or those an advisory names; each once, in its order."""
    summary: str
    """One line; raw feed text."""
    severities: tuple[tuple[str, str], ...]
    """Kind and vector or word, as published: `CVSS_V3`, `CVSS:3.1/…`."""
    affected: tuple[OsvAffected, ...]
    specific: Mapping[str, Any] = field(default_factory=dict)
    """`database_specific` as it is."""

    @property
    def entries(self) -> int:
        """How many entries the record counts for: one per package and ecosystem, at least one."""
        return max(len(self.affected), 1)


def read_osv(record: object, name: str) -> OsvRecord:
    """Read one parsed record. Raises FeedRejected for what is not one.

    An entry of `affected` that is not in a known form does not spoil the others: it comes back
    with its `trouble`.
    """
    root = as_object(record, name)
    identifier, modified = as_text(root.get("id")), moment(root.get("modified"))
    if not identifier or modified is None:
        reject(name, "is not an OSV record: it has no id or no time of change.")
    own = _OWN_CVE.fullmatch(identifier)
    affected = as_list(root.get("affected") or [], f"{name}: affected")
    return OsvRecord(
        id=identifier,
        document=name,
        modified=modified,
        published=moment(root.get("published")),
        withdrawn=bool(root.get("withdrawn")),
        own_cve=own[1] if own else "",
        cves=(own[1],) if own else _named_cves(root),
        summary=first_words(as_text(root.get("summary")) or as_text(root.get("details"))),
        severities=tuple(_severities(root.get("severity"))),
        affected=tuple(_affected(entry) for entry in affected),
        specific=_mapping(root.get("database_specific")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _named_cves(root: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the CVEs an advisory names, each once.

    Debian and Red Hat's kin write them in `related`, newer dumps in `upstream`; Ubuntu names each
    one twice, as `CVE-…` and `UBUNTU-CVE-…`. A CVE's own record is never asked: its `related`
    are other vendors' advisories and other CVEs.
    """
    named: dict[str, None] = {}
    for key in ("upstream", "related", "aliases"):
        values = root.get(key)
        for value in values if isinstance(values, list) else ():
            if isinstance(value, str) and CVE_ID.fullmatch(value):
                named[value] = None
    return tuple(named)


def _severities(value: object) -> Iterator[tuple[str, str]]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield as_text(item.get("type")), as_text(item.get("score"))


def _affected(entry: object) -> OsvAffected:
    if not isinstance(entry, dict):
        return OsvAffected(ecosystem="", package="", trouble="an entry that is not an object")
    package = _mapping(entry.get("package"))
    ecosystem, name = as_text(package.get("ecosystem")), as_text(package.get("name"))
    trouble = "" if name or not ecosystem else "an ecosystem without a package's name"
    try:
        ranges = tuple(_range(item) for item in _listed(entry.get("ranges"), "ranges"))
    except ValueError as error:
        ranges, trouble = (), str(error)
    versions = entry.get("versions")
    return OsvAffected(
        ecosystem=ecosystem,
        package=name,
        ranges=ranges,
        versions=tuple(filter(_is_text, versions)) if isinstance(versions, list) else (),
        purl=as_text(package.get("purl")),
        specific=_mapping(entry.get("ecosystem_specific")),
        trouble=trouble,
    )


def _listed(value: object, name: str) -> list[Any]:
    """Return a list, or an empty one for nothing; ValueError for anything else."""
    if value is not None and not isinstance(value, list):
        raise ValueError(f"{name} that are not a list")
    return value or []


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _range(item: object) -> OsvRange:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        raise ValueError("a version range that is not in a known form")  # noqa: TRY004
    if item["type"] == "GIT":
        return OsvRange(kind="GIT", events=())
    events: list[Event] = []
    for event in _listed(item.get("events"), "events"):
        if not isinstance(event, dict) or len(event) != 1:
            raise ValueError("an event that is not in a known form")
        ((kind, version),) = event.items()
        if not isinstance(version, str):
            raise ValueError(f"event {kind!r:.30} without a version")  # noqa: TRY004
        events.append((kind, version))
    return OsvRange(kind=item["type"], events=tuple(events))


def fixed_in(entry: OsvAffected) -> tuple[str | None, str]:
    """Return the one version that fixes an entry, and why there is no such answer.

    ("2.36-9", ""): fixed there, everything older is affected. (None, ""): all are affected.
    (None, "why"): a form distributions do not use, so that no half-understood range decides.
    """
    if entry.trouble:
        return None, entry.trouble
    ranges = [item for item in entry.ranges if item.kind == ARCHIVE_RANGES]
    if len(ranges) != 1:
        return None, f"{len(ranges)} version ranges where one must be"
    fixed: str | None = None
    for kind, version in ranges[0].events:
        if kind == "introduced" and version == "0":
            continue
        if kind != "fixed" or fixed is not None:
            return None, f"event {kind!r:.30} is not in a known form"
        fixed = version
    return fixed, ""


def scores_of(record: OsvRecord, source: str, sink: Sink) -> tuple[Cvss, ...]:
    """Return the CVSS assessments of a record; vectors that mean nothing are flaws.

    Words instead of vectors (Ubuntu writes its priority so) are no assessment.
    """
    found: list[Cvss] = []
    for kind, vector in record.severities:
        if not kind.startswith("CVSS"):
            continue
        cvss, trouble = assessment(
            vector=vector, published=None, source=source, where=record.document
        )
        if cvss is not None:
            found.append(cvss)
        if trouble is not None:
            sink.flaw(trouble.where, trouble.reason)
    return tuple(found)


def bodies(document: Document) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON files of a document: of a zip, of a tar archive, or the file itself."""
    if document.name.endswith(ZIP):
        yield from zip_members(document, most=MOST_RECORD_BYTES, most_total=MOST_TOTAL_BYTES)
    elif document.name.endswith(TAR):
        yield from tar_members(document, most=MOST_RECORD_BYTES, most_total=MOST_TOTAL_BYTES)
    else:
        yield document.name, read_bytes(document, most=MOST_RECORD_BYTES)


def osv_records(documents: Sequence[Document], sink: Sink) -> Iterator[OsvRecord]:
    """Yield the records of all documents and count their entries in.

    A file that is not a record is one entry, rejected; the others are still read. The caller
    counts each record's `entries` out.
    """
    for document in sorted(documents, key=lambda item: item.name):
        for name, body in bodies(document):
            try:
                record = read_osv(parse_json(body, name), name)
            except FeedRejected as error:
                sink.entry()
                sink.reject(name, error.message)
                continue
            sink.entry(record.entries)
            yield record
