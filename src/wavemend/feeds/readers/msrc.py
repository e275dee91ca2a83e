"""MSRC: which update of which Microsoft product closes which CVE, and what is exploited.

An entry is one vulnerability of a document, and each remediation listed under it. Known issues,
release notes and workarounds are skipped by their kind; of vendor fixes those are used that name a
product and the version in which it is fixed, for that is what a host can be compared with. KB
chains are not followed: Windows updates are cumulative, and the build tells.

How a host must report what it has, so that the advisories meet it:

* Windows itself is a package that is called like its release key (`windows-server-2022`,
  `windows-11-24h2`), with the full build as version (`10.0.20348.4773`) and `x64`, `x86` or `arm64`
  as architecture. Server Core is the same release.
* A host that takes hotpatches reports it with module `hotpatch`: build .32313 of a hotpatch is as
  safe as .32370 of the full update, and the two must never be compared with each other.
* A component that is published per Windows release is `microsoft-.net-framework-…`-like: the slug
  of its name, inside the release of the Windows it runs on.
* Any other product has the slug of its name as package and as release key.
* Azure Linux and CBL-Mariner are Linux: `azurelinux-3.0`, source packages, RPM versions.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from wavemend.advisories import (
    Advisory,
    AdvisoryStatus,
    Cvss,
    Exploit,
    UpdateClass,
    any_restart,
    cve_order,
)
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.readers.msrc_json import MONTH, read_archive, read_index, read_json
from wavemend.feeds.readers.msrc_xml import (
    Part,
    Product,
    Record,
    Remedy,
    Sheet,
    product_of,
    read_xml,
)
from wavemend.feeds.reading.archives import open_stream
from wavemend.feeds.reading.documents import (
    CVE_ID,
    MIB,
    reject,
)
from wavemend.feeds.reading.scores import assessment
from wavemend.versions import Scheme

MOST_BYTES = 128 * MIB
"""A month with all its Linux rows has some 25 MB."""
PAUSE_SECONDS = 0.5
INDEX = "updates.json"

_PACKED = r"(?:\.(?:gz|xz|bz2))?"
_DOCUMENT = re.compile(
    rf"{MONTH.pattern}(?:\.(?:xml|json))?{_PACKED}|updates(?:\.json)?{_PACKED}"
    rf"|(?:CVE-[0-9]{{4}}-[0-9]{{4,19}}|ADV[0-9]+)\.json{_PACKED}"
    rf"|.*cvrf.*\.(?:xml|json|tar|tgz){_PACKED}"
)
"""CSAF files are called `msrc_cve-….json`: another format, and the same statements."""

_ARCHIVE = re.compile(rf"\.(?:tar|tgz){_PACKED}$")
_TEMPORAL = frozenset({"E", "RL", "RC"})
_URGENCY = ("Critical", "Important", "Moderate", "Low")
_STATUSES = {"Exploited": "msrc-exploited", "Publicly Disclosed": "msrc-disclosed"}


@dataclass(slots=True)
class _Fix:
    """What one update brings to one product, over all vulnerabilities of a document."""

    cves: set[str] = field(default_factory=set)
    urgencies: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    restarts: set[bool | None] = field(default_factory=set)
    published: datetime | None = None


@dataclass(slots=True)
class _Reading:
    """What the documents said so far, where a later document may add to it."""

    sink: Sink
    dates: list[datetime] = field(default_factory=list)
    cvss: dict[str, tuple[datetime, tuple[Cvss, ...]]] = field(default_factory=dict)
    exploits: dict[str, set[Exploit]] = field(default_factory=dict)
    updates: int = 0


_Key = tuple[str, Product, str, str]
"""KB or CVE, product, fixed version, module."""


@dataclass(slots=True)
class _Month:
    """One document being read."""

    name: str
    sheet: Sheet
    at: datetime
    into: _Reading
    fixes: dict[_Key, _Fix] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """Take one vulnerability with its remediations."""
        sink = self.into.sink
        sink.entry(1 + len(record.remedies))
        if not CVE_ID.fullmatch(record.cve):
            if record.cve.startswith("ADV"):
                sink.skip("advisory without a CVE")
            else:
                sink.reject(f"{self.name}: {record.cve!r:.40}", "is not a CVE")
            if record.remedies:
                sink.skip("remediation of an advisory without a CVE", len(record.remedies))
            return
        sink.used()
        if record.title:
            sink.summary(record.cve, record.title)
        self._score(record)
        self._exploits(record)
        for remedy in record.remedies:
            self._remedy(record, remedy)

    def _score(self, record: Record) -> None:
        found: set[Cvss] = set()
        for vector, score in record.scores:
            base = "/".join(
                part for part in vector.split("/") if part.partition(":")[0] not in _TEMPORAL
            )
            where = f"{self.name}: {record.cve}"
            cvss, trouble = assessment(
                vector=base, published=_number(score), source="distribution:msrc", where=where
            )
            if cvss is not None:
                found.add(cvss)
            if trouble is not None:
                self.into.sink.flaw(trouble.where, trouble.reason)
        if found and self.at >= self.into.cvss.get(record.cve, (self.at,))[0]:
            ordered = sorted(found, key=lambda item: (item.version, item.vector, item.score))
            self.into.cvss[record.cve] = self.at, tuple(ordered)

    def _exploits(self, record: Record) -> None:
        # Microsoft answers for the day on which the fix appeared, not for today.
        at = record.published or self.sheet.initial
        for status in record.statuses:
            for part in status.split(";"):
                question, _, answer = part.partition(":")
                kind = _STATUSES.get(question.strip())
                if kind and answer.strip().lower() == "yes":
                    known = self.into.exploits.setdefault(record.cve, set())
                    known.add(
                        Exploit(
                            kind=kind,
                            reference=self.sheet.title,
                            published=at.date() if at else None,
                        )
                    )

    def _remedy(self, record: Record, remedy: Remedy) -> None:
        sink = self.into.sink
        where = f"{self.name}: {record.cve}"
        reason = _not_for_us(remedy)
        if reason:
            sink.skip(reason)
            return
        named = [product for product in remedy.products if product in self.sheet.products]
        if not named:
            sink.reject(where, "a vendor fix names only products that the document does not list")
            return
        if len(named) < len(remedy.products):
            sink.flaw(where, "a vendor fix names a product that the document does not list")
        used = [product for product in named if self._fix(record, remedy, product)]
        if used:
            sink.used()
        else:
            sink.skip(f"vendor fix without a version of its product{remedy.pointer}")

    def _fix(self, record: Record, remedy: Remedy, number: str) -> bool:
        product = product_of(self.sheet.products[number], remedy.description)
        if not product.can_compare(remedy.build):
            return False
        module = "hotpatch" if remedy.is_hotpatch else ""
        key = remedy.kb or record.cve, product, remedy.build, module
        fix = self.fixes.setdefault(key, _Fix())
        fix.cves.add(record.cve)
        fix.urgencies.add(record.severities.get(number, record.severities.get("", "")))
        fix.words.update(remedy.words)
        fix.restarts.add(remedy.restarts)
        dates = [at for at in (fix.published, record.published or self.sheet.initial) if at]
        fix.published = min(dates, default=None)
        return True

    def give(self) -> None:
        """Hand the document's advisories on, in fixed order."""
        for key in sorted(self.fixes):
            number, product, build, module = key
            fix = self.fixes[key]
            self.into.updates += 1
            self.into.sink.advisory(
                Advisory(
                    id=number,
                    feed="msrc",
                    document=self.name,
                    release=product.release,
                    package=product.package,
                    fixed_version=build,
                    status=AdvisoryStatus.FIXED,
                    cves=tuple(sorted(fix.cves, key=cve_order)),
                    scheme=product.scheme,
                    by_source=product.scheme is Scheme.RPM,
                    arch=product.arch,
                    module=module,
                    update_class=UpdateClass.SECURITY,
                    summary=self.sheet.title,
                    urgency=min(fix.urgencies, key=_rank),
                    published=fix.published,
                    note="; ".join(sorted(fix.words)),
                    restart=any_restart(fix.restarts),
                )
            )


def _not_for_us(remedy: Remedy) -> str:
    """Say why a remediation gives no version to compare with; empty when it may."""
    if remedy.kind != "Vendor Fix":
        return f"remediation: {remedy.kind or 'without a kind'}"
    if not remedy.products:
        return "vendor fix that names no product"
    if not remedy.build:
        return f"vendor fix without a version{remedy.pointer}"
    return ""


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _rank(urgency: str) -> tuple[int, str]:
    worst_first = _URGENCY.index(urgency) if urgency in _URGENCY else len(_URGENCY)
    return worst_first, urgency


def _read_document(name: str, parts: Iterator[Part], into: _Reading) -> None:
    month: _Month | None = None
    for part in parts:
        if isinstance(part, Sheet):
            if part.current is None:
                reject(name, "does not say when it was last changed.")
            into.dates.append(part.current)
            month = _Month(name=name, sheet=part, at=part.current, into=into)
        elif month is not None:
            month.take(part)
    if month is not None:
        month.give()


@dataclass(frozen=True, slots=True)
class MsrcFeed:
    """Microsoft's API: an index of months, and a document per month; no key is needed."""

    name: str = "msrc"
    sources: tuple[str, ...] = ("https://api.msrc.microsoft.com/cvrf/v3.0/updates",)
    quiet: timedelta = timedelta(days=14)
    """Some month is corrected nearly every day."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the index, and each month of which it names another date than at the last time.

        The months' addresses are built from the index's own: a list may not send us elsewhere.
        """
        before: dict[str, datetime] = {}
        stored = {document.name: document for document in downloads.earlier(source)}
        if INDEX in stored:
            before = dict(read_index(stored[INDEX]))
        index = downloads.get(source, INDEX, headers={"Accept": "application/json"})
        base = source.rpartition("/")[0]
        for month, changed in read_index(index):
            name = f"{month}.xml"
            if name in stored and before.get(month) == changed:
                downloads.keep(name)
                continue
            downloads.pause(PAUSE_SECONDS)
            downloads.get(f"{base}/cvrf/{month}", name, headers={"Accept": "application/xml"})

    def accepts(self, name: str) -> bool:
        """Say whether a file of an air-gapped folder is an index, a month or an archive of CVEs."""
        return _DOCUMENT.fullmatch(PurePosixPath(name).name) is not None

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read all months; of two documents that score a CVE the later changed one counts."""
        into = _Reading(sink=sink)
        indexes: list[Document] = []
        for document in sorted(documents, key=lambda item: item.name):
            if PurePosixPath(document.name).name.startswith("updates"):
                indexes.append(document)
            else:
                _read_file(document, into)
        if not into.dates:
            reject(self.name, "there is no document.")
        data_date = _check_index(indexes, documents, sink) or max(into.dates)
        for cve in sorted(into.cvss, key=cve_order):
            sink.cvss(cve, into.cvss[cve][1])
        for cve in sorted(into.exploits, key=cve_order):
            evidence = into.exploits[cve]
            sink.exploits(
                cve, tuple(sorted(evidence, key=lambda item: (item.kind, item.reference)))
            )
        return Heading(
            data_date=data_date,
            coverage={"CVSSScoreSets": len(into.cvss), "FixedBuild": into.updates},
        )


def _read_file(document: Document, into: _Reading) -> None:
    if _ARCHIVE.search(document.name):
        for name, parts in read_archive(document):
            _read_document(name, parts, into)
        return
    with open_stream(document, most=MOST_BYTES) as file:
        is_xml = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    reader = read_xml if is_xml else read_json
    _read_document(document.name, reader(document, most=MOST_BYTES), into)


def _check_index(
    indexes: Sequence[Document], documents: Sequence[Document], sink: Sink
) -> datetime | None:
    """Name each listed month that is not there, and return the newest date of the index."""
    present = {hit[0] for item in documents if (hit := MONTH.match(PurePosixPath(item.name).name))}
    newest: datetime | None = None
    for index in indexes:
        for month, changed in read_index(index):
            newest = changed if newest is None else max(newest, changed)
            if month not in present:
                sink.flaw(f"{index.name}: {month}", "is listed, and its document is not here")
    return newest


FEED = MsrcFeed()
