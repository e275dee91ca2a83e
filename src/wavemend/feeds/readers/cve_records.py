"""CVE records, version 5: what the CNA that assigned a CVE and CISA's Vulnrichment say of it.

Since April 2026 NVD scores few CVEs itself, so these are where most CVSS come from.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from wavemend.advisories import KevEntry
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.cve_archives import ARCHIVES, fetch_archives, json_files
from wavemend.feeds.reading.documents import (
    CVE_ID,
    as_list,
    as_object,
    as_text,
    day,
    first_words,
    moment,
    parse_json,
    reject,
)
from wavemend.feeds.reading.newest import CISA_ADP, CveRecord, Newest
from wavemend.feeds.reading.scores import assessment
from wavemend.feeds.reading.ssvc import SsvcSaid, choose_ssvc, read_ssvc

_CISA_TITLE = "CISA ADP Vulnrichment"
_SCORES = ("cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0")
_FIELDS = ("cvss", "ssvc")
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class _Record(CveRecord):
    """A record of the CVE list; it was changed when it or one of its containers was."""

    updated: datetime | None
    """When the CVE list last changed the record itself."""


def read_record(root: object, where: str) -> _Record:
    """Read one record. Raises FeedRejected for one that cannot be used."""
    record = as_object(root, where)
    if record.get("dataType") != "CVE_RECORD" or as_text(record.get("dataVersion"))[:2] != "5.":
        reject(where, "is not a CVE record of version 5.")
    head = as_object(record.get("cveMetadata"), f"{where}: cveMetadata")
    cve = head.get("cveId")
    if not isinstance(cve, str) or not CVE_ID.fullmatch(cve):
        reject(where, f"{cve!r:.60} is not a CVE.")
    state = head.get("state")
    if state not in {"PUBLISHED", "REJECTED"}:
        reject(where, f"state {state!r:.40} is not known.")
    containers = as_object(record.get("containers"), f"{where}: containers")
    boxes = list(_boxes(containers, head, where))
    updated = moment(head.get("dateUpdated"))
    times = [updated, *(_provided(box) for _, box in boxes)]
    found = _Record(
        cve=cve,
        where=where,
        updated=updated,
        changed=max((at for at in times if at), default=None),
        withdrawn=state == "REJECTED",
    )
    if not found.withdrawn:
        _fill(found, head, boxes)
    return found


def _boxes(
    containers: Mapping[str, Any], head: Mapping[str, Any], where: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the CNA's container and those of others, each with the name of the source."""
    cna = as_object(containers.get("cna"), f"{where}: cna")
    who = as_text(_provider(cna).get("shortName")) or as_text(head.get("assignerShortName"))
    yield f"cna:{who or as_text(head.get('assignerOrgId')) or 'unknown'}", cna
    for item in as_list(containers.get("adp", []), f"{where}: adp"):
        box = as_object(item, f"{where}: adp")
        provider = _provider(box)
        if provider.get("orgId") == CISA_ADP or box.get("title") == _CISA_TITLE:
            yield "cisa-adp", box
        else:
            yield f"adp:{as_text(provider.get('shortName')) or 'unknown'}", box


def _provider(box: Mapping[str, Any]) -> Mapping[str, Any]:
    provider = box.get("providerMetadata")
    return provider if isinstance(provider, dict) else {}


def _provided(box: Mapping[str, Any]) -> datetime | None:
    return moment(_provider(box).get("dateUpdated"))


def _fill(
    found: _Record, head: Mapping[str, Any], boxes: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    if found.updated is None:
        found.flaws.append("does not say when it was last changed")
    found.published = moment(head.get("datePublished"))
    if found.published is None and head.get("datePublished") is not None:
        found.flaws.append(f"datePublished {head['datePublished']!r:.40} is not a time")
    answers: list[SsvcSaid] = []
    for source, box in boxes:
        for item in as_list(box.get("metrics", []), f"{found.where}: {source}: metrics"):
            metric = as_object(item, f"{found.where}: {source}: metrics")
            _scores(found, source, metric)
            _other(found, source, metric, answers)
    found.ssvc, trouble = choose_ssvc(answers)
    found.flaws += trouble
    if found.kev is not None:
        found.kev = _named(found.kev, boxes)
    found.summary = _summary(boxes[0][1])


def _scores(found: _Record, source: str, metric: Mapping[str, Any]) -> None:
    for key in _SCORES:
        if key not in metric:
            continue
        data = as_object(metric[key], f"{found.where}: {key}")
        cvss, trouble = assessment(
            vector=as_text(data.get("vectorString")),
            published=data.get("baseScore", "missing"),
            source=source,
            where=found.where,
        )
        # A CNA may score several scenarios alike; said once is enough.
        if cvss is not None and cvss not in found.cvss:
            found.cvss.append(cvss)
        if trouble is not None:
            found.flaws.append(trouble.reason)


def _other(found: _Record, source: str, metric: Mapping[str, Any], answers: list[SsvcSaid]) -> None:
    """Read SSVC answers and CISA's word that a CVE is in its catalogue; the rest is free text."""
    other = metric.get("other")
    content = other.get("content") if isinstance(other, dict) else None
    if not isinstance(other, dict) or not isinstance(content, dict):
        return
    kind = as_text(other.get("type")).lower()
    if kind.startswith("ssvc"):
        said, trouble = read_ssvc(content, source)
        if trouble:
            found.flaws.append(trouble)
        if said is not None:
            answers.append((said, as_text(content.get("timestamp"))))
    elif kind == "kev" and source == "cisa-adp":
        added = day(content.get("dateAdded"))
        if added is None:
            found.flaws.append(f"kev: dateAdded {content.get('dateAdded')!r:.40} is not a date")
        else:
            found.kev = KevEntry(date_added=added, due_date=None, ransomware=None, name="")


def _named(entry: KevEntry, boxes: Sequence[tuple[str, Mapping[str, Any]]]) -> KevEntry:
    title = first_words(as_text(boxes[0][1].get("title")))
    return KevEntry(date_added=entry.date_added, due_date=None, ransomware=None, name=title)


def _summary(cna: Mapping[str, Any]) -> str:
    if title := as_text(cna.get("title")).strip():
        return first_words(title)
    texts = cna.get("descriptions")
    for text in texts if isinstance(texts, list) else []:
        if isinstance(text, dict) and as_text(text.get("lang")).lower().startswith("en"):
            return first_words(as_text(text.get("value")))
    return ""


@dataclass(frozen=True, slots=True)
class CveFeed:
    """The CVE list, which holds CISA's container too; Vulnrichment's archive can be named."""

    name: str = "cve"
    sources: tuple[str, ...] = ("https://api.github.com/repos/CVEProject/cvelistV5/releases",)
    quiet: timedelta = timedelta(hours=24)
    """The list changes every hour."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the newest whole list and the changes of its day, or the one archive named."""
        fetch_archives(source, downloads)

    def accepts(self, name: str) -> bool:
        """Say whether a file of an air-gapped folder is an archive of records, or a record."""
        file = name.rpartition("/")[2]
        return file.endswith(ARCHIVES) or (
            file.startswith("CVE-") and file.endswith((".json", ".json.gz"))
        )

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read all archives; of two records of a CVE the later changed one counts."""
        newest = Newest(sink, _FIELDS)
        latest = _OLDEST
        for document in sorted(documents, key=lambda item: item.name):
            for where, body in json_files(document):
                sink.entry()
                if not where.rpartition("/")[2].startswith("CVE-"):
                    sink.skip("file that is no CVE record")
                    continue
                updated = _take(body, where, sink, newest)
                latest = max(latest, updated or latest)
        if latest == _OLDEST:
            reject("cve", "there is no record that says when it was changed.")
        return Heading(data_date=latest, coverage=newest.finish())


def _take(body: bytes, where: str, sink: Sink, newest: Newest) -> datetime | None:
    try:
        record = read_record(parse_json(body, where), where)
    except FeedRejected as error:
        sink.reject(where, error.message.removeprefix(f"{where}: "))
        return None
    if newest.take(record.cve, record.changed, carries=record.carries, withdrawn=record.withdrawn):
        record.give(sink)
    return record.updated


FEED = CveFeed()
