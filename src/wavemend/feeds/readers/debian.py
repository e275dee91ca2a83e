"""Debian's own statements: OSV records per CVE, and the security tracker's lists of DSA and DLA.

Debian decides what is affected, never NVD's version ranges: fixes are backported. Statements are
about source packages and their versions.

An entry is one package in one ecosystem inside an OSV record (a record without any counts as one),
and in a list one line that says something of a package (`debian_lists.py`). Not read, and so not
accepted from a folder: OVAL, which repeats the tracker; `dsa-needed.txt` and `dla-needed.txt`, the
teams' to-do lists without versions; the archive's own `Release`, `Sources` and `Packages`, which
each host's apt reads and verifies itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from types import MappingProxyType

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.readers.debian_lists import (
    is_list,
    is_point_update,
    read_list,
    read_point_update,
)
from wavemend.feeds.reading.deb_releases import DEBIAN_CODENAMES, OTHER_RELEASE, version_trouble
from wavemend.feeds.reading.documents import MIB, as_text, read_bytes, reject
from wavemend.feeds.reading.osv import (
    JSON,
    TAR,
    ZIP,
    OsvAffected,
    OsvRecord,
    fixed_in,
    osv_records,
    scores_of,
)

RELEASES: Mapping[str, str] = MappingProxyType(
    {f"Debian:{number}": codename for number, codename in DEBIAN_CODENAMES.items()}
)
"""OSV's ecosystem to the codename that hosts report. Exactly these: a record of another ecosystem,
`Debian` alone or Alpine's, says nothing about these hosts."""

MOST_LIST_BYTES = 64 * MIB
"""The DSA list of 2023 has 700 kB."""
_CONFIG = re.compile(r"(.*[-_.])?config\.json.*")


@dataclass(slots=True)
class _Tally:
    """What the heading says in the end."""

    newest: datetime | None = None
    fixed: int = 0
    scored: int = 0

    def saw(self, at: datetime) -> None:
        self.newest = at if self.newest is None else max(self.newest, at)


def _take_record(record: OsvRecord, sink: Sink, tally: _Tally) -> None:
    """Put one record into the sink; each of its entries goes out once."""
    tally.saw(record.modified)
    if record.withdrawn:
        sink.skip("withdrawn record", record.entries)
        return
    if not record.affected:
        sink.skip("record without affected packages")
        return
    spoke = [_take_entry(entry, record, sink, tally) for entry in record.affected]
    if any(spoke) and record.own_cve:
        _describe(record, sink, tally)


def _take_entry(entry: OsvAffected, record: OsvRecord, sink: Sink, tally: _Tally) -> bool:
    """Take one entry; say whether it is about a release of ours."""
    if not entry.ecosystem and not entry.trouble:
        sink.skip("entry without a package")
        return False
    release = RELEASES.get(entry.ecosystem, "")
    if not release and not entry.trouble:
        sink.skip(OTHER_RELEASE)
        return False
    fixed, trouble = fixed_in(entry)
    if fixed is not None:
        trouble = version_trouble(fixed)
    if trouble:
        sink.reject(f"{record.document}: {entry.package} in {release or 'no release'}", trouble)
        return False
    urgency = as_text(entry.specific.get("urgency"))
    status = _status(fixed, urgency)
    tally.fixed += status is AdvisoryStatus.FIXED
    sink.used()
    sink.advisory(
        Advisory(
            id=record.id,
            feed="debian",
            document=record.document,
            release=release,
            package=entry.package,
            fixed_version=fixed if status is AdvisoryStatus.FIXED else None,
            status=status,
            cves=record.cves,
            summary=record.summary,
            urgency=urgency,
            # A CVE's record is dated by the CVE, not by Debian's statement or fix.
            published=None if record.own_cve else record.published,
            unimportant=urgency == "unimportant",
        )
    )
    return True


def _status(fixed: str | None, urgency: str) -> AdvisoryStatus:
    if fixed == "0":  # Debian's way to write "never affected"
        return AdvisoryStatus.NOT_AFFECTED
    if fixed is not None:
        return AdvisoryStatus.FIXED
    return AdvisoryStatus.WILL_NOT_FIX if urgency == "end-of-life" else AdvisoryStatus.UNFIXED


def _describe(record: OsvRecord, sink: Sink, tally: _Tally) -> None:
    """Keep the scores and texts of a record that is about one CVE."""
    if record.summary:
        sink.summary(record.own_cve, record.summary)
    if record.published is not None:
        sink.published(record.own_cve, record.published)
    scores = scores_of(record, "distribution:debian-osv", sink)
    if scores:
        tally.scored += 1
        sink.cvss(record.own_cve, scores)


@dataclass(frozen=True, slots=True)
class DebianFeed:
    """OSV's dump for Debian; the tracker's lists beside it in a folder are read too."""

    name: str = "debian"
    sources: tuple[str, ...] = (
        "https://osv-vulnerabilities.storage.googleapis.com/Debian/all.zip",
    )
    quiet: timedelta = timedelta(hours=48)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the dump."""
        downloads.get(source, "all.zip")

    def accepts(self, name: str) -> bool:
        """Say whether a file is a dump, a record, or one of the tracker's lists."""
        base = PurePosixPath(name).name
        if is_list(name) or is_point_update(name):
            return True
        return base.endswith((*ZIP, *TAR, *JSON)) and not _CONFIG.fullmatch(base)

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read every record and list."""
        tally = _Tally()
        lists = [item for item in documents if is_list(item.name)]
        points = [item for item in documents if is_point_update(item.name)]
        records = [item for item in documents if item not in lists and item not in points]
        for record in osv_records(records, sink):
            _take_record(record, sink, tally)
        for document in sorted(lists, key=lambda item: item.name):
            body = read_bytes(document, most=MOST_LIST_BYTES)
            newest, fixed = read_list(body, document.name, sink)
            tally.fixed += fixed
            if newest is not None:
                tally.saw(newest)
        for document in sorted(points, key=lambda item: item.name):
            read_point_update(read_bytes(document, most=MOST_LIST_BYTES), document.name, sink)
        if tally.newest is None:
            reject("debian", "there is no record and no list that can be read.")
        return Heading(
            data_date=tally.newest,
            coverage={"fixed_version": tally.fixed, "cvss": tally.scored},
        )


FEED = DebianFeed()
