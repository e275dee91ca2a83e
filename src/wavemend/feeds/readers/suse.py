"""SUSE and openSUSE: the archive of CSAF advisories, or the archive of OSV records.

An entry is one component of one product in a CSAF advisory, or one package of one OSV record; an
advisory without any is one entry. The archives hold files with broken names (`SUSE-SU-403
Forbidden-1.json`): the id is the one inside. SUSE builds its packages without epochs.

The archives hold every product SUSE sells; those that are no operating system a host reports are
counted by name and passed over.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from wavemend.advisories import AdvisoryStatus, UpdateClass
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.archives import tar_members
from wavemend.feeds.reading.csaf import CsafAdvisory, CsafRow, read_csaf
from wavemend.feeds.reading.documents import MIB, parse_json, read_bytes, reject, zip_members
from wavemend.feeds.reading.nevra import NO_PACKAGE, Build, Notice, Rows, parse_nevra, severity_word
from wavemend.feeds.reading.osv import JSON, TAR, ZIP, OsvAffected, OsvRecord, read_osv

MOST_ADVISORY_BYTES = 64 * MIB
"""A kernel advisory repeats 250 packages for each of 500 CVEs, three times: 26 MB."""
MOST_TOTAL_BYTES = 65_536 * MIB

_FIXED = frozenset({"recommended", "fixed", "first_fixed"})
"""SUSE writes `recommended`; the other two mean the same for a host."""

_ENTERPRISE = re.compile(
    r"SUSE Linux Enterprise (?P<what>.+?) (?P<major>1[0-9])"
    r"(?:\.(?P<minor>[0-9]+)| SP(?P<pack>[0-9]+))?(?P<line>-[A-Za-z0-9 -]+)?"
)
_HUB = re.compile(r"SUSE Package Hub (?P<major>1[0-9])(?:\.(?P<minor>[0-9]+)| SP(?P<pack>[0-9]+))?")
_PLAIN = (
    (re.compile(r"openSUSE Leap ([0-9]+\.[0-9]+)"), "opensuse-leap-"),
    (re.compile(r"openSUSE Leap Micro ([0-9]+\.[0-9]+)"), "opensuse-leap-micro-"),
    (re.compile(r"openSUSE ([0-9]+\.[0-9]+)"), "opensuse-"),
    (re.compile(r"SUSE Linux Enterprise Micro ([0-9]+\.[0-9]+)"), "sle-micro-"),
    (re.compile(r"SUSE Linux Micro ([0-9]+\.[0-9]+)"), "sl-micro-"),
)
_SYSTEMS = {
    "server": "sles",
    "desktop": "sled",
    "server for sap applications": "sles_sap",
    "high performance computing": "sle_hpc",
    "real time": "sle_rt",
}
"""The id in os-release of what can be installed by itself."""
_ADDED = re.compile(
    r"(module for|high availability|workstation extension|software development kit"
    r"|software bootstrap kit|live patching)\b.*"
)
"""What is added to an installed system: its packages belong to that system's release."""
_PAID = re.compile(r"-(LTSS|ESPOS|LTSS Extended Security)")
_KINDS = {"RU": UpdateClass.BUGFIX, "FU": UpdateClass.ENHANCEMENT, "OU": UpdateClass.ENHANCEMENT}
_ID = re.compile(r"(open)?SUSE-.+")
_KIND = re.compile(r"SUSE-(?:SLE-)?([A-Z]{2})-")
_SOURCE = "distribution:suse"
_NEVER = datetime.min.replace(tzinfo=UTC)

WITHDRAWN = "a withdrawn record"
INDEX = "a table of contents, no advisory"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a product's packages are installed."""

    release: str
    paid: str = ""
    """The subscription its fixes need beyond the usual one."""


def place_of(product: str) -> _Place | None:
    """Return the release whose hosts have a product's packages; None: no host reports it.

    A release without a service pack is `sles-15.0`: hosts of every service pack also answer to
    their major version, `sles-15`, and versions of different service packs do not compare.
    """
    if product == "openSUSE Tumbleweed":
        return _Place("opensuse-tumbleweed")
    for pattern, prefix in _PLAIN:
        if found := pattern.fullmatch(product):
            return _Place(prefix + found[1])
    if hub := _HUB.fullmatch(product):
        return _Place(f"sles-{_version(hub, shared=True)}")
    if enterprise := _ENTERPRISE.fullmatch(product):
        return _enterprise(enterprise)
    return None


def _enterprise(found: re.Match[str]) -> _Place | None:
    what, line = found["what"], found["line"] or ""
    for word in (" LTSS Extended Security", " LTSS", " ESPOS"):
        if what.endswith(word):  # since SP5 of 12 the line stands before the number
            what, line = what.removesuffix(word), f"-{word.strip()}"
    if line and not _PAID.fullmatch(line):
        return None  # made for one customer: -TERADATA, -BCL
    paid = line.removeprefix("-")
    if system := _SYSTEMS.get(what.lower()):
        return _Place(f"{system}-{_version(found, shared=False)}", paid)
    if _ADDED.fullmatch(what.lower()):
        shared = what.lower().startswith("module for")
        return _Place(f"sles-{_version(found, shared=shared)}", paid)
    return None


def _version(found: re.Match[str], *, shared: bool) -> str:
    """Return `15.5`. Modules of 12 without a service pack serve all of them: `12` alone."""
    minor = found["minor"] or found["pack"]
    if minor is None and shared and found["major"] == "12":
        return "12"
    return f"{found['major']}.{minor or 0}"


@dataclass(slots=True)
class _Reading:
    """What is known while the documents are read."""

    sink: Sink
    coverage: Counter[str]
    newest: datetime = _NEVER
    scored: dict[str, datetime] = field(default_factory=dict)
    """When the advisory changed whose score of a CVE is in use: the newest counts."""

    def seen(self, at: datetime) -> None:
        self.newest = max(self.newest, at)


def _class_of(identifier: str) -> UpdateClass:
    kind = _KIND.search(identifier)
    return _KINDS.get(kind[1], UpdateClass.SECURITY) if kind else UpdateClass.SECURITY


def _note(place: _Place) -> str:
    return f"the fix needs a subscription to {place.paid}" if place.paid else ""


def _status(place: _Place) -> AdvisoryStatus:
    return AdvisoryStatus.NEEDS_SUBSCRIPTION if place.paid else AdvisoryStatus.FIXED


def _is_ours(identifier: str, document: str, entries: int, sink: Sink) -> bool:
    """Count an advisory's entries in, and out again where it is another vendor's."""
    sink.entry(entries)
    if _ID.fullmatch(identifier):
        return True
    for _ in range(entries):
        sink.reject(document, f"an id that is none of SUSE: {identifier!r:.60}")
    return False


def _read_csaf(advisory: CsafAdvisory, reading: _Reading) -> None:
    sink = reading.sink
    if not _is_ours(advisory.id, advisory.document, advisory.entries, sink):
        return
    reading.seen(advisory.changed)
    for flaw in advisory.flaws:
        sink.flaw(flaw.where, flaw.reason)
    for score in advisory.scores:
        if advisory.changed >= reading.scored.get(score.cve, _NEVER):
            reading.scored[score.cve] = advisory.changed
            sink.cvss(score.cve, score.candidates)
            reading.coverage["cvss"] += 1
    if not advisory.rows:
        sink.skip(NO_PACKAGE)
    taken: dict[tuple[str, ...], Rows] = {}
    # What everybody gets comes before what needs a subscription: said once, it is said.
    for row, place in sorted(_placed(advisory, sink), key=lambda pair: pair[1].paid != ""):
        try:
            build = parse_nevra(row.component)
        except ValueError as error:
            sink.reject(f"{advisory.document}: {advisory.id}", str(error))
            continue
        rows = taken.get(row.cves)
        if rows is None:
            rows = taken[row.cves] = Rows(_notice(advisory, row.cves), sink, reading.coverage)
        rows.take(build, release=place.release, status=_status(place), note=_note(place))


def _placed(advisory: CsafAdvisory, sink: Sink) -> Iterator[tuple[CsafRow, _Place]]:
    """Yield the rows that say a fix for a release hosts report; count the others out."""
    for row in advisory.rows:
        if row.status not in _FIXED:
            sink.skip(f"product status {row.status:.40}: no fix")
            continue
        if not row.component or not row.product:
            where = f"{advisory.document}: {advisory.id}"
            sink.reject(where, f"no relationship explains product {row.product_id!r:.160}")
            continue
        place = place_of(row.product)
        if place is None:
            sink.skip(f"another product: {row.product:.80}")
            continue
        yield row, place


def _notice(advisory: CsafAdvisory, cves: tuple[str, ...]) -> Notice:
    return Notice(
        feed="suse",
        id=advisory.id,
        document=advisory.document,
        cves=cves,
        update_class=_class_of(advisory.id),
        summary=advisory.title,
        urgency=severity_word(advisory.severity),
        published=advisory.published,
    )


def _read_record(record: OsvRecord, reading: _Reading) -> None:
    sink = reading.sink
    if not _is_ours(record.id, record.document, record.entries, sink):
        return
    reading.seen(record.modified)
    if record.withdrawn:
        sink.skip(WITHDRAWN, record.entries)
        return
    if not record.affected:
        sink.skip(NO_PACKAGE)
    notice = Notice(
        feed="suse",
        id=record.id,
        document=record.document,
        cves=record.cves,
        update_class=_class_of(record.id),
        summary=record.summary,
        published=record.published,
    )
    rows = Rows(notice, sink, reading.coverage)
    for entry in record.affected:
        _take_affected(entry, rows, sink)


def _take_affected(entry: OsvAffected, rows: Rows, sink: Sink) -> None:
    """Take what one source package gave a product: all its binary packages with their versions."""
    where = f"{rows.notice.document}: {entry.package} in {entry.ecosystem}"
    # `SUSE:Linux Enterprise Server 12 SP1`, `openSUSE:Leap 15.5`
    product = entry.ecosystem.replace(":", " ", 1)
    place = place_of(product)
    if place is None and not entry.trouble:
        sink.skip(f"another product: {product:.80}")
        return
    binaries = entry.specific.get("binaries")
    groups = binaries if isinstance(binaries, list) else []
    builds = {
        Build(name=str(name), evr=str(version))
        for group in groups
        for name, version in (group.items() if isinstance(group, dict) else ())
    }
    if place is None or entry.trouble or not builds:
        sink.reject(where, entry.trouble or "names no installed packages")
        return
    for build in sorted(builds, key=lambda build: (build.name, build.evr)):
        try:
            rows.say(build, release=place.release, status=_status(place), note=_note(place))
        except ValueError as error:
            sink.flaw(f"{where}: {build.name}", str(error))
    sink.used()


def _bodies(document: Document) -> Iterator[tuple[str, bytes]]:
    if document.name.endswith(ZIP):
        yield from zip_members(document, most=MOST_ADVISORY_BYTES, most_total=MOST_TOTAL_BYTES)
    elif document.name.endswith(TAR):
        yield from tar_members(document, most=MOST_ADVISORY_BYTES, most_total=MOST_TOTAL_BYTES)
    else:
        yield document.name, read_bytes(document, most=MOST_ADVISORY_BYTES)


def _read_body(body: bytes, where: str, reading: _Reading) -> None:
    """Read one CSAF advisory or OSV record. Raises FeedRejected, nothing counted, for others."""
    root = parse_json(body, where)
    if isinstance(root, list):
        reading.sink.entry()
        reading.sink.skip(INDEX)
    elif isinstance(root, dict) and "document" in root:
        _read_csaf(read_csaf(root, where, source=_SOURCE), reading)
    else:
        _read_record(read_osv(root, where), reading)


@dataclass(frozen=True, slots=True)
class SuseFeed:
    """CSAF with severities, scores and architectures; OSV, with none of them, as the mirror."""

    name: str = "suse"
    sources: tuple[str, ...] = (
        "https://ftp.suse.com/pub/projects/security/csaf.tar.bz2",
        "https://ftp.suse.com/pub/projects/security/osv.tar.bz2",
    )
    quiet: timedelta = timedelta(days=7)
    """Several advisories every working day."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the archive."""
        downloads.get(source, PurePosixPath(urlsplit(source).path).name or "suse.tar.bz2")

    def accepts(self, name: str) -> bool:
        """Say whether a file is an archive, an advisory or a record; OVAL and lists are not."""
        return name.endswith((*ZIP, *TAR, *JSON))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read every advisory and record; a file that is neither is one entry, rejected."""
        reading = _Reading(sink=sink, coverage=Counter())
        for document in sorted(documents, key=lambda item: item.name):
            for where, body in _bodies(document):
                try:
                    _read_body(body, where, reading)
                except FeedRejected as error:
                    sink.entry()
                    sink.reject(where, error.message)
        if reading.newest == _NEVER:
            reject("suse", "holds no advisory with a date.")
        return Heading(data_date=reading.newest, coverage=reading.coverage)


FEED = SuseFeed()
