"""AlmaLinux: its advisories as OSV records, or its own `errata.full.json`.

An entry is one package of one OSV record, or one package row of an erratum; an advisory without
any is one entry. Records name no architecture and no module: a modular build is said of the
streams its advisory's title names. The errata name both; where both lie in a folder, both are read.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from wavemend.advisories import UpdateClass
from wavemend.errors import FeedError
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.documents import CVE_ID, MIB, as_text, first_words, reject
from wavemend.feeds.reading.nevra import (
    NO_PACKAGE,
    Build,
    Notice,
    Rows,
    class_of,
    evr_of,
    severity_word,
    stamp,
    streams_named,
)
from wavemend.feeds.reading.osv import JSON, TAR, ZIP, OsvRecord, fixed_in, osv_records
from wavemend.feeds.reading.streams import json_pieces

MOST_ERRATA_BYTES = 1024 * MIB
"""The errata of AlmaLinux 8 of 2025 have 150 MB."""

_CLASSES = {
    "ALSA": UpdateClass.SECURITY,
    "ALBA": UpdateClass.BUGFIX,
    "ALEA": UpdateClass.ENHANCEMENT,
}
_ID = re.compile(r"(AL[SBE]A)-[0-9]{4}:A?[0-9]+")
"""`ALSA-2026:A002` are AlmaLinux's own, before or besides Red Hat's."""
_ECOSYSTEM = re.compile(r"AlmaLinux:([0-9]+)")
_SEVERITY = re.compile(r"(Critical|Important|Moderate|Low): ")
_DIST_TAG = re.compile(r"\.(?:module_)?el([0-9]+)")
_ERRATA_PAGE = re.compile(r"https://errata\.almalinux\.org/([0-9]+)/")
_ERRATA = re.compile(r"errata(\.full)?[^/]*\.json(\.(gz|xz|bz2))?")
_NEVER = datetime.min.replace(tzinfo=UTC)

OTHER_ECOSYSTEM = "another ecosystem or release"
WITHDRAWN = "a withdrawn record"


@dataclass(slots=True)
class _Reading:
    """What is known while the documents are read."""

    sink: Sink
    coverage: Counter[str]
    newest: datetime = _NEVER

    def seen(self, at: datetime | None) -> None:
        self.newest = max(self.newest, at or _NEVER)


def _read_record(record: OsvRecord, reading: _Reading) -> None:
    sink = reading.sink
    reading.seen(record.modified)
    found = _ID.fullmatch(record.id)
    if found is None:
        for _ in range(record.entries):
            sink.reject(record.document, f"an id that is none of AlmaLinux: {record.id!r:.60}")
        return
    if record.withdrawn:
        sink.skip(WITHDRAWN, record.entries)
        return
    severity = _SEVERITY.match(record.summary)
    notice = Notice(
        feed="almalinux",
        id=record.id,
        document=record.document,
        cves=record.cves,
        update_class=_CLASSES[found[1]],
        summary=record.summary,
        urgency=severity_word(severity[1] if severity else ""),
        published=record.published,
    )
    _take_affected(record, Rows(notice, sink, reading.coverage), sink)


def _take_affected(record: OsvRecord, rows: Rows, sink: Sink) -> None:
    if not record.affected:
        sink.skip(NO_PACKAGE)
    streams = streams_named(record.summary)
    for entry in record.affected:
        where = f"{record.document}: {entry.package}"
        ecosystem = _ECOSYSTEM.fullmatch(entry.ecosystem)
        if ecosystem is None and not entry.trouble:
            sink.skip(OTHER_ECOSYSTEM)
            continue
        fixed, trouble = fixed_in(entry)
        if ecosystem is None or fixed is None:
            sink.reject(where, trouble or "names no fixed version")
            continue
        build = Build(name=entry.package, evr=fixed)
        rows.take(
            build,
            release=f"almalinux-{ecosystem[1]}",
            modules=streams if build.modular else (),
        )


def _read_errata(document: Document, reading: _Reading) -> None:
    """Read a file of errata. Raises FeedRejected when it is none."""
    read = False
    for under, index, value in json_pieces(document, most=MOST_ERRATA_BYTES, under="data"):
        if under == "data":
            read = True
            _read_erratum(value, f"{document.name}: {index}", document.name, reading)
        elif index == "data":
            reject(document.name, "holds something else than a list of errata under `data`.")
    if not read:
        reject(document.name, "holds no errata.")


def _read_erratum(value: object, where: str, document: str, reading: _Reading) -> None:
    sink = reading.sink
    root: Mapping[str, Any] = value if isinstance(value, dict) else {}
    packages = root.get("packages")
    rows = packages if isinstance(packages, list) else []
    entries = max(len(rows), 1)
    sink.entry(entries)
    identifier, release = as_text(root.get("id")), _release_of(root)
    found = _ID.fullmatch(identifier)
    if found is None:
        for _ in range(entries):
            sink.reject(where, f"an id that is none of AlmaLinux: {identifier!r:.60}")
        return
    issued = stamp(root.get("issued_date"))
    reading.seen(stamp(root.get("updated_date")) or issued)
    if not rows:
        sink.skip(NO_PACKAGE)
    title = as_text(root.get("title"))
    notice = Notice(
        feed="almalinux",
        id=identifier,
        document=document,
        cves=_cves(root.get("references")),
        update_class=class_of(as_text(root.get("type"))) or _CLASSES[found[1]],
        summary=first_words(title),
        urgency=severity_word(as_text(root.get("severity"))),
        published=issued,
    )
    taken = Rows(notice, sink, reading.coverage)
    for row in rows:
        _take_row(row, taken, release, title, sink)


def _take_row(row: object, taken: Rows, release: str, title: str, sink: Sink) -> None:
    fields: Mapping[str, Any] = row if isinstance(row, dict) else {}
    texts = [as_text(fields.get(key)) for key in ("name", "epoch", "version", "release", "arch")]
    name, epoch, version, built, arch = texts
    if not name:
        sink.reject(f"{taken.notice.document}: {taken.notice.id}", "a package row without a name")
        return
    dist = _DIST_TAG.search(built)
    if not release and dist is None:
        where = f"{taken.notice.document}: {taken.notice.id}: {name}"
        sink.reject(where, "neither the erratum's address nor the build says for which release")
        return
    build = Build(name=name, evr=evr_of(epoch, version, built), arch=arch)
    # `mariadb-devel:10.3:8060020220503130727:9edba152:ppc64le`
    module = ":".join(as_text(fields.get("module")).split(":")[:2])
    modules = (module,) if module else streams_named(title) if build.modular else ()
    said = release or (f"almalinux-{dist[1]}" if dist else "")
    taken.take(build, release=said, modules=modules)


def _release_of(root: Mapping[str, Any]) -> str:
    """Return the release an erratum's own address names; empty: the builds' dist tags decide."""
    references = root.get("references")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and reference.get("type") == "self":
            page = _ERRATA_PAGE.match(as_text(reference.get("href")))
            if page is not None:
                return f"almalinux-{page[1]}"
    return ""


def _cves(references: object) -> tuple[str, ...]:
    named = (
        as_text(item.get("id"))
        for item in (references if isinstance(references, list) else ())
        if isinstance(item, dict) and item.get("type") == "cve"
    )
    return tuple(dict.fromkeys(cve for cve in named if CVE_ID.fullmatch(cve)))


@dataclass(frozen=True, slots=True)
class AlmaLinuxFeed:
    """OSV's dump for AlmaLinux; a source may name errata files instead, spaces between."""

    name: str = "almalinux"
    sources: tuple[str, ...] = (
        "https://osv-vulnerabilities.storage.googleapis.com/AlmaLinux/all.zip",
    )
    quiet: timedelta = timedelta(days=14)
    """Several advisories a week; none for a week happened at the turn of the year."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the dump, or each errata file. Raises FeedError where two would be one document."""
        names: set[str] = set()
        for url in source.split():
            path = PurePosixPath(urlsplit(url).path)
            name = path.name if path.suffix == ".zip" else "/".join(path.parts[-2:]).lstrip("/")
            if not name or name in names or not self.accepts(name):
                raise FeedError(
                    f"feed almalinux: {url!r:.160} is no document of its own.",
                    hint="name OSV's all.zip, or https://…/<major>/errata.full.json, each once",
                )
            names.add(name)
            downloads.get(url, name)

    def accepts(self, name: str) -> bool:
        """Say whether a file is an OSV dump, one record, or a file of errata; OVAL is neither."""
        return name.endswith((*ZIP, *TAR, *JSON))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read every record and erratum."""
        reading = _Reading(sink=sink, coverage=Counter())
        records: list[Document] = []
        for document in sorted(documents, key=lambda item: item.name):
            if _ERRATA.fullmatch(PurePosixPath(document.name).name):
                _read_errata(document, reading)
            else:
                records.append(document)
        for record in osv_records(records, sink):
            _read_record(record, reading)
        if reading.newest == _NEVER:
            reject("almalinux", "holds no advisory with a date.")
        return Heading(data_date=reading.newest, coverage=reading.coverage)


FEED = AlmaLinuxFeed()
