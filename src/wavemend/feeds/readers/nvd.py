"""NVD CVE 2.0: CVSS of all sources, CISA's SSVC answers and descriptions, from the API or files.

This product uses data from the NVD API but is not endorsed or certified by the NVD.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from wavemend.advisories import Cvss, KevEntry, Ssvc
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.readers.nvd_fetch import fetch_api, fetch_years
from wavemend.feeds.readers.nvd_pages import announced_digest, known_until, plain_digest, read_page
from wavemend.feeds.reading.documents import (
    CVE_ID,
    as_list,
    as_object,
    as_text,
    day,
    first_words,
    moment,
    reject,
)
from wavemend.feeds.reading.newest import CISA_ADP, CveRecord, Newest
from wavemend.feeds.reading.scores import assessment
from wavemend.feeds.reading.ssvc import SsvcSaid, choose_ssvc, read_ssvc

_METRICS = ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2")
_FIELDS = ("cvss", "ssvc", "kev")


def read_record(entry: object, where: str) -> CveRecord:
    """Read one element of `vulnerabilities`. Raises FeedRejected for one that cannot be used."""
    cve = as_object(as_object(entry, where).get("cve"), where)
    identifier = cve.get("id")
    if not isinstance(identifier, str) or not CVE_ID.fullmatch(identifier):
        reject(where, f"{identifier!r:.60} is not a CVE")
    where = f"{where.partition(': ')[0]}: {identifier}"
    changed = moment(cve.get("lastModified"))
    # `vulnStatus` is an open set: only this one word means that there is no vulnerability.
    withdrawn = cve.get("vulnStatus") == "Rejected"
    record = CveRecord(cve=identifier, where=where, changed=changed, withdrawn=withdrawn)
    if withdrawn:
        return record
    if changed is None:
        record.flaws.append("does not say when it was last changed")
    metrics = as_object(cve.get("metrics", {}), f"{where}: metrics")
    record.cvss = _candidates(metrics, record)
    record.ssvc = _ssvc(metrics, record)
    record.kev = _kev(cve, record)
    record.published = moment(cve.get("published"))
    if record.published is None:
        record.flaws.append(f"published {cve.get('published')!r:.40} is not a time")
    record.summary = _description(cve.get("descriptions"))
    return record


def _kev(cve: Mapping[str, Any], record: CveRecord) -> KevEntry | None:
    if cve.get("cisaExploitAdd") is None:
        return None
    added, due = day(cve["cisaExploitAdd"]), day(cve.get("cisaActionDue"))
    if added is None:
        record.flaws.append(f"cisaExploitAdd {cve['cisaExploitAdd']!r:.40} is not a date")
        added = record.changed.date() if record.changed else None
    if added is None:
        return None
    name = as_text(cve.get("cisaVulnerabilityName"))
    return KevEntry(date_added=added, due_date=due, ransomware=None, name=name)


def _description(texts: object) -> str:
    for text in texts if isinstance(texts, list) else []:
        if isinstance(text, dict) and text.get("lang") == "en":
            return first_words(as_text(text.get("value")))
    return ""


def _candidates(metrics: Mapping[str, Any], record: CveRecord) -> list[Cvss]:
    """Return every assessment, in a fixed order: the list's own order means nothing."""
    found: list[Cvss] = []
    for key in _METRICS:
        for metric in as_list(metrics.get(key, []), f"{record.where}: {key}"):
            entry = as_object(metric, f"{record.where}: {key}")
            data = as_object(entry.get("cvssData"), f"{record.where}: {key}")
            cvss, trouble = assessment(
                vector=as_text(data.get("vectorString")),
                published=data.get("baseScore", "missing"),
                source=_source(as_text(entry.get("source"))),
                where=record.where,
            )
            if cvss is not None:
                found.append(cvss)
            if trouble is not None:
                record.flaws.append(trouble.reason)
    return found


def _source(source: str) -> str:
    if source == "nvd@nist.gov":
        return "nvd"
    return "cisa-adp" if source == CISA_ADP else f"cna:{source}"


def _ssvc(metrics: Mapping[str, Any], record: CveRecord) -> Ssvc | None:
    """Read CISA's answers, whatever the key is called this year (`ssvcV203` since 2026-06)."""
    said: list[SsvcSaid] = []
    for key in sorted(metrics):
        if not key.startswith("ssvc"):
            continue
        for metric in as_list(metrics[key], f"{record.where}: {key}"):
            entry = as_object(metric, f"{record.where}: {key}")
            data = as_object(entry.get("ssvcData", {}), f"{record.where}: {key}")
            answers, trouble = read_ssvc(data, _source(as_text(entry.get("source"))))
            if trouble:
                record.flaws.append(trouble)
            if answers is not None:
                said.append((answers, as_text(data.get("timestamp"))))
    chosen, troubles = choose_ssvc(said)
    record.flaws += troubles
    return chosen


def _check_digests(documents: Sequence[Document]) -> list[Document]:
    """Return the documents without the `.meta` ones, each of which must fit its file."""
    metas = {
        document.name.removesuffix(".meta"): document
        for document in documents
        if document.name.endswith(".meta")
    }
    rest = [document for document in documents if not document.name.endswith(".meta")]
    for document in rest:
        meta = metas.pop(document.name.removesuffix(".gz").removesuffix(".json"), None)
        if meta is not None and plain_digest(document) != announced_digest(meta):
            reject(document.name, f"is not the file that {meta.name} announces.")
    for stem in sorted(metas):
        reject(metas[stem].name, "is there without the file it is about.")
    return sorted(rest, key=lambda item: item.name)


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
        """Fetch what is new; a page that fails fails the whole."""
        if source.endswith("/"):
            fetch_years(source, downloads)
        else:
            fetch_api(source, downloads)

    def accepts(self, name: str) -> bool:
        """Say whether a file of an air-gapped folder is a page or a year of the CVE API 2.0."""
        file = name.rpartition("/")[2]
        if file.startswith("nvdcve-1.") or file.endswith("schema.json"):
            return False
        return file.endswith((".json", ".json.gz", ".json.xz", ".meta"))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read pages, years and changes; of two records of a CVE the later modified counts."""
        newest = Newest(sink, _FIELDS)
        pages = []
        for document in _check_digests(documents):

            def take(number: int, entry: object, name: str = document.name) -> None:
                _take(entry, f"{name}: entry {number}", sink, newest)

            pages.append(read_page(document, take))
        if not pages:
            reject("nvd", "there is no document.")
        until = known_until(pages)
        return Heading(data_date=until, coverage=newest.finish())


def _take(entry: object, where: str, sink: Sink, newest: Newest) -> None:
    sink.entry()
    try:
        record = read_record(entry, where)
    except FeedRejected as error:
        sink.reject(where, error.message.removeprefix(f"{where}: "))
        return
    if newest.take(record.cve, record.changed, carries=record.carries, withdrawn=record.withdrawn):
        record.give(sink)


FEED = NvdFeed()
