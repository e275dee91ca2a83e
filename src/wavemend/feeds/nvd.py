"""NVD CVE 2.0: CVSS of all sources, CISA's SSVC answers and descriptions, from the API or files.

This product uses data from the NVD API but is not endorsed or certified by the NVD.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from wavemend.advisories import Cvss, KevEntry, Reject, Ssvc
from wavemend.feeds import Content, Document, Downloads
from wavemend.feeds.documents import (
    CVE_ID,
    MIB,
    as_int,
    as_list,
    as_object,
    as_text,
    day,
    first_words,
    moment,
    parse_json,
    read_bytes,
    reject,
)
from wavemend.feeds.scores import assessment

MOST_BYTES = 1024 * MIB
"""Decompressed, per document: a year of kernel CVEs at 100 kB each is the largest seen."""
PAGE_SIZE = 2_000
MOST_PAGES = 1_000
"""Five times what the whole of NVD needs in 2026: a server that never ends is not NVD."""
PAUSE_SECONDS = 6.0
"""NVD asks for it; five requests in thirty seconds are allowed without a key."""
PAUSE_WITH_KEY_SECONDS = 0.7
FIRST_YEAR = 2002
"""Older CVEs are in the file of 2002."""

_CISA_ADP = "134c704f-9b21-4f2e-91b3-4a467353bcc0"
_METRICS = ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2")


@dataclass(slots=True)
class _Collected:
    """What the documents said so far, and which record of a CVE was the newest."""

    modified: dict[str, str] = field(default_factory=dict)
    cvss: dict[str, tuple[Cvss, ...]] = field(default_factory=dict)
    ssvc: dict[str, Ssvc] = field(default_factory=dict)
    kev: dict[str, KevEntry] = field(default_factory=dict)
    published: dict[str, datetime] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def forget(self, cve: str) -> None:
        """Drop an older record of the CVE: the newer one replaces it whole."""
        for part in (self.cvss, self.ssvc, self.kev, self.published, self.summaries):
            part.pop(cve, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """The head of one page: a file of a year is one page that holds everything."""

    name: str
    start: int
    count: int
    total: int
    at: datetime


def read_page(body: bytes, name: str, into: _Collected) -> _Page:
    """Read one document. Raises FeedRejected when it is not a page of NVD's CVE API 2.0."""
    root = as_object(parse_json(body, name), name)
    if root.get("format") != "NVD_CVE" or root.get("version") != "2.0":
        reject(name, "is not in the form of NVD's CVE API 2.0.")
    at = moment(root.get("timestamp"))
    if at is None:
        reject(name, "does not say when it was written.")
    records = as_list(root.get("vulnerabilities"), f"{name}: vulnerabilities")
    page = _Page(
        name=name,
        start=as_int(root.get("startIndex"), f"{name}: startIndex"),
        count=len(records),
        total=as_int(root.get("totalResults"), f"{name}: totalResults"),
        at=at,
    )
    for number, record in enumerate(records):
        where = f"{name}: entry {number}"
        cve = as_object(as_object(record, where).get("cve"), where)
        identifier = cve.get("id")
        if not isinstance(identifier, str) or not CVE_ID.fullmatch(identifier):
            into.rejects.append(Reject(where=where, reason=f"{identifier!r:.60} is not a CVE"))
            continue
        _take(cve, identifier, f"{name}: {identifier}", into)
    return page


def _take(cve: Mapping[str, Any], identifier: str, where: str, into: _Collected) -> None:
    modified = as_text(cve.get("lastModified"))
    if identifier in into.modified:
        into.skipped["older record of a CVE"] += 1
        if modified <= into.modified[identifier]:
            return
        into.forget(identifier)
    into.modified[identifier] = modified
    if cve.get("vulnStatus") == "Rejected":
        into.skipped["rejected CVE"] += 1
        return
    metrics = as_object(cve.get("metrics", {}), f"{where}: metrics")
    candidates = _candidates(metrics, where, into.rejects)
    if candidates:
        into.cvss[identifier] = candidates
    ssvc = _ssvc(metrics, where)
    if ssvc is not None:
        into.ssvc[identifier] = ssvc
    added = day(cve.get("cisaExploitAdd"))
    if added is not None:
        into.kev[identifier] = KevEntry(
            date_added=added,
            due_date=day(cve.get("cisaActionDue")),
            ransomware=None,
            name=as_text(cve.get("cisaVulnerabilityName")),
        )
    published = moment(cve.get("published"))
    if published is not None:
        into.published[identifier] = published
    into.summaries[identifier] = _description(cve.get("descriptions"))


def _description(texts: object) -> str:
    for text in texts if isinstance(texts, list) else []:
        if isinstance(text, dict) and text.get("lang") == "en":
            return first_words(as_text(text.get("value")))
    return ""


def _candidates(metrics: Mapping[str, Any], where: str, rejects: list[Reject]) -> tuple[Cvss, ...]:
    """Return every assessment, in a fixed order: the list's own order means nothing."""
    found: list[Cvss] = []
    for key in _METRICS:
        for metric in as_list(metrics.get(key, []), f"{where}: {key}"):
            entry = as_object(metric, f"{where}: {key}")
            data = as_object(entry.get("cvssData"), f"{where}: {key}")
            cvss, trouble = assessment(
                vector=as_text(data.get("vectorString")),
                published=data.get("baseScore", "missing"),
                source=_source(as_text(entry.get("source"))),
                where=where,
            )
            if cvss is not None:
                found.append(cvss)
            if trouble is not None:
                rejects.append(trouble)
    return tuple(sorted(found, key=lambda item: (item.source, item.version, item.vector)))


def _source(source: str) -> str:
    if source == "nvd@nist.gov":
        return "nvd"
    return "cisa-adp" if source == _CISA_ADP else f"cna:{source}"


def _ssvc(metrics: Mapping[str, Any], where: str) -> Ssvc | None:
    """Read CISA's answers, whatever the key is called this year (`ssvcV203` since 2026-06)."""
    for key in sorted(metrics):
        if not key.startswith("ssvc"):
            continue
        for metric in as_list(metrics[key], f"{where}: {key}"):
            entry = as_object(metric, f"{where}: {key}")
            data = as_object(entry.get("ssvcData", {}), f"{where}: {key}")
            answers = ssvc_answers(data.get("options"))
            if answers:
                automatable = {"yes": True, "no": False}.get(answers.get("automatable", ""))
                impact = {"total": True, "partial": False}.get(answers.get("technicalimpact", ""))
                return Ssvc(
                    exploitation=answers.get("exploitation", ""),
                    automatable=automatable,
                    impact_total=impact,
                    source=_source(as_text(entry.get("source"))),
                )
    return None


def ssvc_answers(options: object) -> dict[str, str]:
    """Return the answers with one spelling: `Technical Impact: Total`, `technicalImpact: total`."""
    answers: dict[str, str] = {}
    for option in options if isinstance(options, list) else []:
        for key, value in option.items() if isinstance(option, dict) else ():
            if isinstance(value, str):
                answers[key.replace(" ", "").lower()] = value.strip().lower()
    return answers


def _check_complete(pages: Sequence[_Page]) -> None:
    """Refuse a set of pages with a hole in it: half of NVD looks like half the vulnerabilities."""
    parts = sorted(
        (page for page in pages if page.start or page.count < page.total),
        key=lambda page: page.start,
    )
    reached = 0
    for page in parts:
        if page.start != reached:
            reject(page.name, f"begins at entry {page.start}; the pages before end at {reached}.")
        reached += page.count
    # The total may rise while pages are fetched; the last page says what to reach.
    if parts and reached < max(page.total for page in parts):
        reject(parts[-1].name, f"the pages end at entry {reached} of {parts[-1].total}.")


@dataclass(frozen=True, slots=True)
class NvdFeed:
    """All of NVD. An address that ends in `/` is the folder of the files per year, else the API."""

    name: str = "nvd"
    sources: tuple[str, ...] = (
        "https://services.nvd.nist.gov/rest/json/cves/2.0",
        "https://nvd.nist.gov/feeds/json/cve/2.0/",
    )
    quiet: timedelta = timedelta(hours=24)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch all pages or all years; a page that fails fails the whole."""
        if source.endswith("/"):
            for part in (
                *(str(year) for year in range(FIRST_YEAR, downloads.now.year + 1)),
                "modified",
            ):
                downloads.get(f"{source}nvdcve-2.0-{part}.json.gz", f"nvdcve-2.0-{part}.json.gz")
            return
        key = downloads.api_key
        headers = {"apiKey": key} if key else {}
        start, total = 0, 1
        for number in range(MOST_PAGES):
            if start >= total:
                return
            if number:
                downloads.pause(PAUSE_WITH_KEY_SECONDS if key else PAUSE_SECONDS)
            query = urlencode({"startIndex": start, "resultsPerPage": PAGE_SIZE})
            document = downloads.get(
                f"{source}?{query}", f"page-{start:08}.json", headers=headers, fresh=True
            )
            page = read_page(read_bytes(document, most=MOST_BYTES), document.name, _Collected())
            if page.start != start or (not page.count and page.total > start):
                reject(document.name, f"does not begin at entry {start}, or holds nothing.")
            start, total = start + page.count, page.total
        reject(source, f"has more than {MOST_PAGES} pages.")

    def accepts(self, name: str) -> bool:
        """Say whether a file of an air-gapped folder is a page or a year."""
        return name.endswith((".json", ".json.gz")) and not name.endswith("schema.json")

    def parse(self, documents: Sequence[Document]) -> Content:
        """Read pages and years together; of two records of a CVE the later modified counts."""
        into = _Collected()
        pages = [
            read_page(read_bytes(document, most=MOST_BYTES), document.name, into)
            for document in sorted(documents, key=lambda item: item.name)
        ]
        if not pages:
            reject("nvd", "there is no document.")
        _check_complete(pages)
        return Content(
            data_date=max(page.at for page in pages).astimezone(UTC),
            count=len(into.modified),
            coverage={"cvss": len(into.cvss), "ssvc": len(into.ssvc), "kev": len(into.kev)},
            skipped=into.skipped,
            rejects=tuple(into.rejects),
            cvss=into.cvss,
            ssvc=into.ssvc,
            kev=into.kev,
            published=into.published,
            summaries=into.summaries,
        )


FEED = NvdFeed()
