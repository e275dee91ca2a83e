"""Ubuntu's own statements: its OSV records, and its CVE tracker in any of three forms.

Ubuntu decides what is affected, on source packages; a fix that only Ubuntu Pro brings is told
apart from one for everybody. From the network come the OSV records; a folder may hold those, or
files of the tracker's repository, or its parsed or web API form.

An entry is one package in one ecosystem of an OSV record, one line (package, release, pocket) of
the tracker; a record without any counts as one. Not read, and not accepted from a folder: OVAL and
VEX, which repeat the tracker, and the tracker's templates.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.readers.ubuntu_forms import read_api, read_parsed, read_text
from wavemend.feeds.readers.ubuntu_tracker import Tally, release_key, take_issue
from wavemend.feeds.reading.archives import tar_members
from wavemend.feeds.reading.deb_releases import OTHER_RELEASE, UBUNTU_CODENAMES, version_trouble
from wavemend.feeds.reading.documents import (
    CVE_ID,
    as_list,
    as_text,
    parse_json,
    read_bytes,
    reject,
)
from wavemend.feeds.reading.osv import (
    JSON,
    MOST_RECORD_BYTES,
    MOST_TOTAL_BYTES,
    TAR,
    ZIP,
    OsvAffected,
    OsvRecord,
    bodies,
    fixed_in,
    read_osv,
    scores_of,
)

_ECOSYSTEM = re.compile(
    r"Ubuntu:(?P<pro>Pro:)?(?:(?P<variant>[A-Za-z][A-Za-z-]*):)?(?P<number>[0-9]+\.[0-9]+)"
    r"(?::LTS)?(?P<board>:for:NVIDIA:BlueField)?"
)
"""`Ubuntu:22.04:LTS`, `Ubuntu:Pro:FIPS-updates:20.04:LTS`; a board's builds name it at the end."""
_FOR_EVERYBODY = "No subscription required"
_BEST = (
    AdvisoryStatus.FIXED,
    AdvisoryStatus.NEEDS_SUBSCRIPTION,
    AdvisoryStatus.UNFIXED,
)


def _take_record(record: OsvRecord, sink: Sink, tally: Tally) -> None:
    """Put one OSV record into the sink; each of its entries goes out once."""
    tally.saw(record.modified)
    sink.entry(record.entries)
    if record.withdrawn:
        sink.skip("withdrawn record", record.entries)
        return
    if record.id.startswith("LSN-"):
        # The kernel's version stays what it was, so versions cannot say who is safe.
        sink.skip("livepatch notice", record.entries)
        return
    if not record.affected:
        sink.skip("record without affected packages")
        return
    said: dict[tuple[str, str], list[Advisory]] = {}
    for entry in record.affected:
        advisory = _statement(entry, record, sink)
        if advisory is not None:
            said.setdefault((advisory.release, advisory.package), []).append(advisory)
    for advisories in said.values():
        # Plain and Pro speak of the same package on the same host: the better fix is the answer.
        best = min(advisories, key=lambda item: _BEST.index(item.status))
        tally.advisory(best)
        sink.advisory(best)
    if said and record.own_cve:
        _describe(record, sink, tally)


def _statement(entry: OsvAffected, record: OsvRecord, sink: Sink) -> Advisory | None:
    """Return what one entry says, counted as used; None: counted as something else."""
    match = _ECOSYSTEM.fullmatch(entry.ecosystem)
    codename = UBUNTU_CODENAMES.get(match["number"], "") if match else ""
    if not entry.trouble and (match is None or not codename):
        sink.skip(OTHER_RELEASE if entry.ecosystem else "entry without a package")
        return None
    fixed, trouble = fixed_in(entry)
    if fixed is not None:
        trouble = version_trouble(fixed)
    if trouble or match is None:
        sink.reject(f"{record.document}: {entry.package} in {codename or 'no release'}", trouble)
        return None
    sink.used()
    availability = as_text(entry.specific.get("availability"))
    paid = bool(match["pro"]) or availability not in {"", _FOR_EVERYBODY}
    status = AdvisoryStatus.NEEDS_SUBSCRIPTION if paid else AdvisoryStatus.FIXED
    return Advisory(
        id=record.id,
        feed="ubuntu",
        document=record.document,
        release=release_key(codename, _variant(match), entry.package),
        package=entry.package,
        fixed_version=fixed,
        status=AdvisoryStatus.UNFIXED if fixed is None else status,
        cves=record.cves,
        summary=record.summary,
        urgency=as_text(entry.specific.get("ubuntu_priority")) or _priority(record),
        # A CVE's record is dated by the CVE, not by Ubuntu's statement or fix.
        published=None if record.own_cve else record.published,
        note=availability if paid else "",
    )


def _variant(match: re.Match[str]) -> str:
    """Return whose builds an ecosystem is about, as the tracker names them; empty: everybody's."""
    return "bluefield" if match["board"] else (match["variant"] or "").lower()


def _priority(record: OsvRecord) -> str:
    """Newer records write Ubuntu's priority among the severities."""
    return next((word for kind, word in record.severities if kind == "Ubuntu"), "")


def _describe(record: OsvRecord, sink: Sink, tally: Tally) -> None:
    if record.summary:
        sink.summary(record.own_cve, record.summary)
    if record.published is not None:
        sink.published(record.own_cve, record.published)
    scores = scores_of(record, "distribution:ubuntu", sink)
    if scores:
        tally.coverage["cvss"] += 1
        sink.cvss(record.own_cve, scores)


def _bodies(document: Document) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a document; of an archive, records and files of the tracker."""
    if document.name.endswith(TAR):
        for name, body in tar_members(
            document, most=MOST_RECORD_BYTES, most_total=MOST_TOTAL_BYTES, endings=("",)
        ):
            if _is_tracker_file(name) or name.endswith(".json"):
                yield name, body
    elif _is_tracker_file(document.name):
        yield document.name, read_bytes(document, most=MOST_RECORD_BYTES)
    else:
        yield from bodies(document)


def _is_tracker_file(name: str) -> bool:
    """Files of the tracker's repository are named as the CVE, without an ending."""
    return CVE_ID.fullmatch(PurePosixPath(name).name) is not None


def _take(name: str, body: bytes, sink: Sink, tally: Tally) -> None:
    """Read one file in whichever form it is; one that is in none is an entry, rejected."""
    try:
        if _is_tracker_file(name):
            take_issue(read_text(body, name), sink, tally)
            return
        root = parse_json(body, name)
        if isinstance(root, dict) and "cves" in root:
            _take_page(as_list(root["cves"], name), name, sink, tally)
        elif isinstance(root, dict) and "candidate" in root:
            take_issue(read_parsed(root, name), sink, tally)
        else:
            _take_record(read_osv(root, name), sink, tally)
    except FeedRejected as error:
        sink.entry()
        sink.reject(name, error.message)


def _take_page(cves: Sequence[object], name: str, sink: Sink, tally: Tally) -> None:
    for number, record in enumerate(cves):
        try:
            issue = read_api(record, name)
        except FeedRejected as error:
            sink.entry()
            sink.reject(f"{name}: CVE {number}", error.message)
            continue
        take_issue(issue, sink, tally)


@dataclass(frozen=True, slots=True)
class UbuntuFeed:
    """Canonical's OSV records; the tracker's other forms from a folder."""

    name: str = "ubuntu"
    sources: tuple[str, ...] = (
        "https://security-metadata.canonical.com/osv/osv-all.tar.xz",
        "https://osv-vulnerabilities.storage.googleapis.com/Ubuntu/all.zip",
    )
    """The second is OSV's own dump of the same records, and far larger."""
    quiet: timedelta = timedelta(hours=48)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the archive; it keeps the ending of its address, which says how it is packed."""
        ending = next((item for item in (*TAR, *ZIP) if source.endswith(item)), ".tar.xz")
        downloads.get(source, f"osv-all{ending}")

    def accepts(self, name: str) -> bool:
        """Say whether a file is an archive, a record, or a file of the tracker."""
        path = PurePosixPath(name)
        foreign = {"vex", "oval", "commits"} & set(re.split(r"[^a-z]+", name.lower()))
        return not foreign and (_is_tracker_file(name) or path.name.endswith((*ZIP, *TAR, *JSON)))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read every record and file."""
        tally = Tally()
        for document in sorted(documents, key=lambda item: item.name):
            for name, body in _bodies(document):
                _take(name, body, sink, tally)
        if tally.newest is None:
            reject(self.name, "there is no record and no file of the tracker that can be read.")
        return Heading(data_date=tally.newest, coverage=dict(tally.coverage))


FEED = UbuntuFeed()
