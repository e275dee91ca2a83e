"""Ubuntu's security notices (USN): which update fixed what, and when it was published.

Two forms: the whole database by number, and pages of the web API. A notice speaks of source
packages per release; its binaries say from which pocket they come, so that a fix for subscribers
is told apart. Livepatch notices (LSN) fix a running kernel without a new version: counted, not
read, because versions cannot say who is safe.

An entry is one source package in one release of a notice; a notice without any counts as one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.readers.ubuntu_tracker import PLAIN_POCKETS, PRO_POCKETS, release_key
from wavemend.feeds.reading.deb_releases import OTHER_RELEASE, UBUNTU_CODENAMES, version_trouble
from wavemend.feeds.reading.documents import (
    CVE_ID,
    MIB,
    as_list,
    as_object,
    as_text,
    first_words,
    moment,
    reject,
)
from wavemend.feeds.reading.streams import json_pieces

MOST_BYTES = 2048 * MIB
_CODENAMES = frozenset(UBUNTU_CODENAMES.values())
_LATEST_TIME = 32_503_680_000
"""The year 3000; later times are numbers gone wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fix:
    """One source package in one release of a notice."""

    codename: str
    package: str
    version: str
    pockets: frozenset[str]
    """Where its binaries are found; empty where the notice does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notice:
    """One notice, whichever form it came in."""

    id: str
    document: str
    published: datetime
    title: str
    cves: tuple[str, ...]
    fixes: tuple[_Fix, ...]
    skip: str = ""
    """Why the whole notice is not for us; empty: it is."""


@dataclass(slots=True)
class _Tally:
    """What the heading says in the end."""

    newest: datetime | None = None
    fixed: int = 0
    with_cves: int = 0


def _cves(values: object) -> tuple[str, ...]:
    """Return the CVEs a notice names, each once; it names bugs in the same list."""
    named = values if isinstance(values, list) else []
    texts = (as_text(item.get("id") if isinstance(item, dict) else item) for item in named)
    return tuple(dict.fromkeys(text for text in texts if CVE_ID.fullmatch(text)))


def _from_database(key: str, record: object, name: str) -> _Notice:
    """Read a notice of the database, `"4011-1": {…}`. Raises FeedRejected for what is not one."""
    where = f"{name}: USN-{key}"
    root = as_object(record, where)
    at = root.get("timestamp")
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at < _LATEST_TIME:
        reject(where, f"has no time of publication but {at!r:.40}.")
    fixes = []
    for codename, said in as_object(root.get("releases") or {}, where).items():
        release = as_object(said, f"{where}: {codename}")
        for package, source in as_object(release.get("sources") or {}, where).items():
            fixes.append(
                _Fix(
                    codename=codename,
                    package=package,
                    version=as_text(as_object(source, where).get("version")),
                    pockets=_pockets_of(package, release, where),
                )
            )
    return _Notice(
        id=f"USN-{key}",
        document=where,
        published=datetime.fromtimestamp(at, UTC),
        title=first_words(as_text(root.get("title"))),
        cves=_cves(root.get("cves")),
        fixes=tuple(fixes),
    )


def _pockets_of(package: str, release: Mapping[str, Any], where: str) -> frozenset[str]:
    binaries = as_object(release.get("allbinaries") or release.get("binaries") or {}, where)
    found = set()
    for binary in binaries.values():
        said = as_object(binary, where)
        # Older notices do not name the source: then every binary of the release speaks for it.
        if as_text(said.get("source")) in {"", package}:
            found.add(as_text(said.get("pocket")))
    return frozenset(found - {""})


def _from_page(record: object, number: str | int, name: str) -> _Notice:
    """Read a notice of the web API. Raises FeedRejected for what is not one."""
    root = as_object(record, f"{name}: notice {number}")
    identifier, published = as_text(root.get("id")), moment(root.get("published"))
    where = f"{name}: {identifier or f'notice {number}'}"
    if not identifier or published is None:
        reject(where, "is not a notice: it has no id or no time of publication.")
    fixes: list[_Fix] = []
    for codename, listed in as_object(root.get("release_packages") or {}, where).items():
        rows = [as_object(row, where) for row in as_list(listed, where)]
        fixes += [
            _Fix(
                codename=codename,
                package=as_text(row.get("name")),
                version=as_text(row.get("version")),
                pockets=frozenset(_page_pockets(as_text(row.get("name")), rows)),
            )
            for row in rows
            if row.get("is_source") is True
        ]
    skip = "livepatch notice" if root.get("type") == "LSN" else ""
    return _Notice(
        id=identifier,
        document=where,
        published=published,
        title=first_words(as_text(root.get("title"))),
        cves=_cves(root.get("cves_ids") or root.get("cves")),
        fixes=tuple(fixes),
        skip="hidden notice" if root.get("is_hidden") is True else skip,
    )


def _page_pockets(package: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        link, pocket = as_text(row.get("source_link")), as_text(row.get("pocket"))
        if pocket and (not link or link.rstrip("/").endswith(f"/{package}")):
            yield pocket


def _notices(document: Document, sink: Sink) -> Iterator[_Notice]:
    """Yield the notices of a document; one that cannot be read is an entry, rejected."""
    for part, key, value in json_pieces(document, most=MOST_BYTES, under="notices"):
        if part == "" and not isinstance(value, dict):
            continue  # `limit`, `offset`, `total_results` of a page
        try:
            if part == "notices":
                notice = _from_page(value, key, document.name)
            else:
                notice = _from_database(str(key), value, document.name)
        except FeedRejected as error:
            sink.entry()
            sink.reject(f"{document.name}: {key}", error.message)
            continue
        yield notice


def _take(notice: _Notice, sink: Sink, tally: _Tally) -> None:
    """Put one notice into the sink; each of its entries goes out once."""
    entries = max(len(notice.fixes), 1)
    sink.entry(entries)
    tally.newest = max(tally.newest or notice.published, notice.published)
    tally.with_cves += bool(notice.cves)
    if notice.skip:
        sink.skip(notice.skip, entries)
    elif not notice.fixes:
        sink.skip("notice without source packages")
    else:
        for fix in notice.fixes:
            _take_fix(fix, notice, sink, tally)


def _take_fix(fix: _Fix, notice: _Notice, sink: Sink, tally: _Tally) -> None:
    if fix.codename not in _CODENAMES:
        sink.skip(OTHER_RELEASE)
        return
    trouble = version_trouble(fix.version) if fix.package else "a source package without a name"
    if trouble:
        sink.reject(f"{notice.document}: {fix.package} in {fix.codename}", trouble)
        return
    paid = sorted(fix.pockets - PLAIN_POCKETS)
    # Found in one pocket for everybody, it is a fix for everybody.
    subscribed = bool(paid) and not fix.pockets & PLAIN_POCKETS
    unsaid = not fix.pockets and ("+esm" in fix.version or "~esm" in fix.version)
    variant = next((pocket for pocket in paid if pocket not in PRO_POCKETS), "")
    status = AdvisoryStatus.NEEDS_SUBSCRIPTION if subscribed or unsaid else AdvisoryStatus.FIXED
    tally.fixed += 1
    sink.used()
    sink.advisory(
        Advisory(
            id=notice.id,
            feed="ubuntu-notices",
            document=notice.document,
            release=release_key(fix.codename, variant if subscribed else "", fix.package),
            package=fix.package,
            fixed_version=fix.version,
            status=status,
            cves=notice.cves,
            summary=notice.title,
            published=notice.published,
            note=f"with Ubuntu Pro ({', '.join(paid) or 'esm'})" if subscribed or unsaid else "",
        )
    )


@dataclass(frozen=True, slots=True)
class UbuntuNoticesFeed:
    """The database of notices; pages of the web API from a folder."""

    name: str = "ubuntu-notices"
    sources: tuple[str, ...] = ("https://usn.ubuntu.com/usn-db/database-all.json.bz2",)
    quiet: timedelta = timedelta(days=7)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the database."""
        downloads.get(source, "database-all.json.bz2")

    def accepts(self, name: str) -> bool:
        """Say whether a file is a database or a page."""
        return PurePosixPath(name).name.endswith((".json", ".json.gz", ".json.bz2", ".json.xz"))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read every notice."""
        tally = _Tally()
        for document in sorted(documents, key=lambda item: item.name):
            for notice in _notices(document, sink):
                _take(notice, sink, tally)
        if tally.newest is None:
            reject(self.name, "there is no notice that can be read.")
        return Heading(
            data_date=tally.newest,
            coverage={"fixed_version": tally.fixed, "cves": tally.with_cves},
        )


FEED = UbuntuNoticesFeed()
