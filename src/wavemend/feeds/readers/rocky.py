"""Rocky Linux: its errata, from the project's own API or file by file, and its OSV records.

An entry is one package row of an erratum or one package of an OSV record; an advisory without any
is one entry. Errata name architectures and, on the API's pages, modules; files and OSV records
name neither, so that a modular build is said of the streams its advisory's title names.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from wavemend.advisories import Cvss, UpdateClass
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.documents import (
    CVE_ID,
    MIB,
    as_int,
    as_list,
    as_object,
    as_text,
    first_words,
    moment,
    parse_json,
    read_bytes,
    reject,
)
from wavemend.feeds.reading.nevra import (
    DEBUG_ROW,
    NO_PACKAGE,
    Build,
    Notice,
    Rows,
    class_of,
    parse_nevra,
    severity_word,
    streams_named,
)
from wavemend.feeds.reading.osv import (
    JSON,
    TAR,
    ZIP,
    OsvRecord,
    bodies,
    fixed_in,
    read_osv,
    scores_of,
)
from wavemend.feeds.reading.scores import assessment

MOST_PAGE_BYTES = 256 * MIB
"""A hundred advisories; the largest single one has 2 MB."""
PAGE_SIZE = 100
MOST_PAGES = 1_000
"""8,019 advisories in November 2025 are 81 pages."""

_ID = re.compile(r"R[LX][SBE]A-[0-9]{4}:[0-9]+")
"""`RX…` are the special interest groups' own."""
_PRODUCT = re.compile(r"Rocky Linux ([0-9]+)(\.[0-9]+)?( [a-z0-9_]+)?( \(Legacy\))?")
"""`Rocky Linux 8`, and per architecture and old minor release `Rocky Linux 8.4 x86_64 (Legacy)`."""
_ECOSYSTEM = re.compile(r"Rocky Linux:([0-9]+)")
_DISTRO = re.compile(r"[?&]distro=(rocky-linux-[0-9.]+-sig-[a-z0-9-]+)")
_PAGE = re.compile(r"(.*/)?page[0-9-]+\.json(\.(gz|xz|bz2))?")
_SOURCE = "distribution:rocky"
_NEVER = datetime.min.replace(tzinfo=UTC)

OTHER_ECOSYSTEM = "another ecosystem or release"
WITHDRAWN = "a withdrawn record"
NO_ID = "an id that is none of Rocky Linux"


@dataclass(slots=True)
class _Reading:
    """What is known while the documents are read."""

    sink: Sink
    coverage: Counter[str]
    newest: datetime = _NEVER
    scored: dict[str, datetime] = field(default_factory=dict)
    """When the score in use of a CVE was published: the newest advisory's counts."""

    def seen(self, at: datetime | None) -> None:
        self.newest = max(self.newest, at or _NEVER)

    def score(self, cve: str, found: tuple[Cvss, ...], at: datetime | None) -> None:
        if found and (at or _NEVER) >= self.scored.get(cve, _NEVER):
            self.scored[cve] = at or _NEVER
            self.sink.cvss(cve, found)
            self.coverage["cvss"] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One package row of an erratum, of either form."""

    nevra: str
    product: str
    module: str


def _file_rows(root: Mapping[str, Any]) -> Iterator[_Row]:
    """Yield the rows of `rpms.<product>.nvras`."""
    products = root.get("rpms")
    for product, part in sorted(products.items()) if isinstance(products, dict) else ():
        nevras = part.get("nvras") if isinstance(part, dict) else None
        for nevra in nevras if isinstance(nevras, list) else ():
            yield _Row(nevra=as_text(nevra), product=product, module="")


def _page_rows(root: Mapping[str, Any]) -> Iterator[_Row]:
    """Yield the rows of `packages[]`."""
    packages = root.get("packages")
    for item in packages if isinstance(packages, list) else ():
        row: Mapping[str, Any] = item if isinstance(item, dict) else {}
        name, stream = as_text(row.get("module_name")), as_text(row.get("module_stream"))
        yield _Row(
            nevra=as_text(row.get("nevra")),
            product=as_text(row.get("product_name")),
            module=f"{name}:{stream}" if name and stream else "",
        )


def _read_erratum(root: Mapping[str, Any], where: str, reading: _Reading) -> None:
    """Read one erratum of either form: the keys differ in spelling, not in meaning."""
    sink = reading.sink
    rows = [*_file_rows(root), *_page_rows(root)]
    entries = max(len(rows), 1)
    sink.entry(entries)
    identifier = as_text(root.get("name"))
    published = moment(root.get("publishedAt") or root.get("published_at"))
    if not _ID.fullmatch(identifier) or published is None:
        why = "no day of publication" if published is None else NO_ID
        for _ in range(entries):
            sink.reject(where, f"{why}: {identifier!r:.60}")
        return
    reading.seen(published)
    title = as_text(root.get("synopsis"))
    cves = _read_cves(root.get("cves"), f"{where}: {identifier}", published, reading)
    notice = Notice(
        feed="rocky",
        id=identifier,
        document=where,
        cves=cves,
        update_class=_class(root, cves, f"{where}: {identifier}", sink),
        summary=first_words(title),
        urgency=severity_word(as_text(root.get("severity"))),
        published=published,
    )
    if not rows:
        sink.skip(NO_PACKAGE)
    taken = Rows(notice, sink, reading.coverage)
    for row in rows:
        _take_row(row, taken, title, sink)


def _take_row(row: _Row, taken: Rows, title: str, sink: Sink) -> None:
    product = _PRODUCT.fullmatch(row.product)
    if product is None:
        sink.skip(f"another product: {row.product:.80}")
        return
    try:
        build = parse_nevra(row.nevra)
    except ValueError as error:
        sink.reject(f"{taken.notice.document}: {taken.notice.id}", str(error))
        return
    if build.debug and build.arch not in {"src", "nosrc"}:
        sink.skip(DEBUG_ROW)
        return
    modules = (row.module,) if row.module else streams_named(title) if build.modular else ()
    taken.take(build, release=f"rocky-{product[1]}", modules=modules)


def _class(root: Mapping[str, Any], cves: tuple[str, ...], where: str, sink: Sink) -> UpdateClass:
    word = as_text(root.get("type") or root.get("kind")).removeprefix("TYPE_").replace("_", "")
    found = class_of(word)
    if found is not None:
        return found
    # Fail closed: what names CVEs is a security fix whatever else it is called.
    sink.flaw(where, f"an unknown type of erratum: {word!r:.40}")
    return UpdateClass.SECURITY if cves else UpdateClass.BUGFIX


def _read_cves(
    value: object, where: str, published: datetime, reading: _Reading
) -> tuple[str, ...]:
    """Return the CVEs of an erratum; their scores go to the sink. `UNKNOWN` is no score."""
    found: dict[str, None] = {}
    for item in value if isinstance(value, list) else ():
        row: Mapping[str, Any] = item if isinstance(item, dict) else {}
        cve = as_text(row.get("name") or row.get("cve"))
        if not CVE_ID.fullmatch(cve):
            reading.sink.flaw(where, f"not the name of a CVE: {cve!r:.40}")
            continue
        found[cve] = None
        vector = as_text(row.get("cvss3ScoringVector") or row.get("cvss3_scoring_vector"))
        if vector in {"", "UNKNOWN"}:
            continue
        number = as_text(row.get("cvss3BaseScore") or row.get("cvss3_base_score"))
        cvss, trouble = assessment(
            vector=vector, published=_number(number), source=_SOURCE, where=f"{where}: {cve}"
        )
        reading.score(cve, (cvss,) if cvss is not None else (), published)
        if trouble is not None:
            reading.sink.flaw(trouble.where, trouble.reason)
    return tuple(found)


def _number(text: str) -> float | None:
    """Return a score; None where there is no number, so that the vector's own counts."""
    try:
        return float(text)
    except ValueError:
        return None


def _read_record(record: OsvRecord, reading: _Reading) -> None:
    sink = reading.sink
    reading.seen(record.modified)
    if not _ID.fullmatch(record.id):
        for _ in range(record.entries):
            sink.reject(record.document, f"{NO_ID}: {record.id!r:.60}")
        return
    if record.withdrawn:
        sink.skip(WITHDRAWN, record.entries)
        return
    # A record's score is its advisory's as a whole: with several CVEs it is nobody's own.
    if len(record.cves) == 1:
        found = scores_of(record, _SOURCE, sink)
        reading.score(record.cves[0], found, record.published or record.modified)
    word, colon, _ = record.summary.partition(": ")
    notice = Notice(
        feed="rocky",
        id=record.id,
        document=record.document,
        cves=record.cves,
        update_class=_CLASSES.get(record.id[:4], UpdateClass.SECURITY),
        summary=record.summary,
        urgency=severity_word(word if colon else ""),
        published=record.published,
    )
    if not record.affected:
        sink.skip(NO_PACKAGE)
    rows = Rows(notice, sink, reading.coverage)
    streams = streams_named(record.summary)
    for entry in record.affected:
        where = f"{record.document}: {entry.package}"
        ecosystem = _ECOSYSTEM.fullmatch(entry.ecosystem)
        # The builds of a special interest group replace the distribution's; others do not get them.
        other = _DISTRO.search(entry.purl)
        if not entry.trouble and (ecosystem is None or other is not None):
            sink.skip(f"another product: {other[1]}" if other else OTHER_ECOSYSTEM)
            continue
        fixed, trouble = fixed_in(entry)
        if ecosystem is None or fixed is None:
            sink.reject(where, trouble or "names no fixed version")
            continue
        build = Build(name=entry.package, evr=fixed.removeprefix("0:"))
        modules = streams if build.modular else ()
        rows.take(build, release=f"rocky-{ecosystem[1]}", modules=modules)


_CLASSES = {"RLBA": UpdateClass.BUGFIX, "RLEA": UpdateClass.ENHANCEMENT}


def _read_body(body: bytes, where: str, reading: _Reading) -> None:
    """Read a page of errata, one erratum, or an OSV record. Raises FeedRejected for others."""
    root = as_object(parse_json(body, where), where)
    if "advisories" in root:
        for number, item in enumerate(as_list(root["advisories"], f"{where}: advisories")):
            erratum = item if isinstance(item, dict) else {}
            _read_erratum(erratum, f"{where}: {number}", reading)
        reading.seen(moment(root.get("last_updated_at")))
    elif "rpms" in root:
        _read_erratum(root, where, reading)
    else:
        record = read_osv(root, where)
        reading.sink.entry(record.entries)
        _read_record(record, reading)


@dataclass(frozen=True, slots=True)
class RockyFeed:
    """The errata of the project's API, page by page; OSV's dump, security only, as the mirror."""

    name: str = "rocky"
    sources: tuple[str, ...] = (
        "https://apollo.build.resf.org/api/v3/advisories/",
        "https://osv-vulnerabilities.storage.googleapis.com/Rocky%20Linux/all.zip",
    )
    quiet: timedelta = timedelta(days=14)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the dump, or every page: fewer advisories than announced refuse the copy."""
        if source.endswith(ZIP):
            downloads.get(source, "all.zip")
            return
        received = 0
        for number in range(1, MOST_PAGES + 1):
            url = f"{source}?size={PAGE_SIZE}&page={number}"
            # Nothing marks a page as unchanged but its bytes: validators would be per page.
            document = downloads.get(url, f"page-{number:04}.json")
            where = document.name
            page = as_object(parse_json(read_bytes(document, most=MOST_PAGE_BYTES), where), where)
            held = len(as_list(page.get("advisories"), f"{where}: advisories"))
            received += held
            total = as_int(page.get("total"), f"{where}: total")
            if received >= total:
                return
            if held == 0:
                reject(source, f"sent {received} of the {total} advisories it announces.")
        reject(source, f"has more than {MOST_PAGES} pages.")

    def accepts(self, name: str) -> bool:
        """Say whether a file is a dump, a page, an erratum or a record; lists of files are not."""
        return name.endswith((*ZIP, *TAR, *JSON))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read every page, erratum and record."""
        reading = _Reading(sink=sink, coverage=Counter())
        for document in sorted(documents, key=lambda item: item.name):
            if document.name.endswith((*ZIP, *TAR)):
                pieces = bodies(document)
            else:
                pieces = iter([(document.name, read_bytes(document, most=MOST_PAGE_BYTES))])
            for where, body in pieces:
                try:
                    _read_body(body, where, reading)
                except FeedRejected as error:
                    if _PAGE.fullmatch(where):
                        raise  # a hundred advisories at once are not one entry that is lost
                    sink.entry()
                    sink.reject(where, error.message)
        if reading.newest == _NEVER:
            reject("rocky", "holds no advisory with a date.")
        return Heading(data_date=reading.newest, coverage=reading.coverage)


FEED = RockyFeed()
