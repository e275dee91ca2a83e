"""KEV: CISA's catalogue of known exploited vulnerabilities. Always taken whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wavemend.advisories import KevEntry, Reject
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.documents import (
    CVE_PATTERN,
    MIB,
    as_list,
    as_object,
    moment,
    parse_json,
    read_bytes,
    reject,
)

MOST_BYTES = 8 * MIB
"""The catalogue of 2026 has 1.5 MB."""
FIRST_DAY = date(2021, 11, 3)
"""The catalogue's first. Stands for a day that cannot be read: the strictest there can be."""
FLAW_LIMIT = 0.02
"""More entries with a missing or unreadable field, and it is the format that changed."""


class _Entry(BaseModel):
    """One line of the catalogue, by CISA's schema. Fields we do not use are not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cve: Annotated[str, Field(alias="cveID", pattern=f"^{CVE_PATTERN}$")]
    date_added: Annotated[date | None, Field(alias="dateAdded", ge=FIRST_DAY)] = None
    due_date: Annotated[date | None, Field(alias="dueDate")] = None
    """Fifteen are older than the catalogue: they come from emergency directives before it."""
    name: Annotated[str, Field(alias="vulnerabilityName")] = ""
    ransomware: Annotated[str, Field(alias="knownRansomwareCampaignUse")] = ""

    def to_core(self) -> KevEntry:
        """Return the plain value. "Unknown" is not "no": the catalogue never says no."""
        used = True if self.ransomware.strip().lower() == "known" else None
        return KevEntry(
            date_added=self.date_added or FIRST_DAY,
            due_date=self.due_date,
            ransomware=used,
            name=self.name,
        )


_REQUIRED = ("dateAdded", "dueDate", "vulnerabilityName")


@dataclass(slots=True)
class _Catalogue:
    """One catalogue, read."""

    name: str
    released: datetime
    version: str
    entries: dict[str, KevEntry]
    rejects: list[Reject]
    flaws: list[Reject]
    says_ransomware: int = 0

    @property
    def count(self) -> int:
        return len(self.entries) + len(self.rejects)

    def take(self, number: int, line: object) -> None:
        """Take one line. A CVE that is listed is exploited, whatever else cannot be read of it."""
        where = f"{self.name}: entry {number}"
        pairs = dict(line) if isinstance(line, dict) else {}
        troubles = {key: "is missing" for key in _REQUIRED if pairs.get(key) is None}
        try:
            entry = _Entry.model_validate(pairs)
        except ValidationError as error:
            for item in error.errors():
                key = str(item["loc"][0])
                troubles[key] = item["msg"]
                pairs.pop(key, None)
            if "cveID" in troubles:
                reason = f"cveID {str(_cve(line))!r:.60}: {troubles['cveID']}"
                self.rejects.append(Reject(where=where, reason=reason))
                return
            entry = _Entry.model_validate(pairs)
        if entry.cve in self.entries:
            reject(self.name, f"{entry.cve} occurs twice.")
        self.entries[entry.cve] = entry.to_core()
        self.says_ransomware += bool(entry.ransomware)
        if troubles:
            said = "; ".join(f"{key}: {troubles[key]}" for key in sorted(troubles))
            self.flaws.append(Reject(where=f"{self.name}: {entry.cve}", reason=said))


def _cve(line: object) -> object:
    return line.get("cveID") if isinstance(line, dict) else line


def read_catalogue(document: Document) -> _Catalogue:
    """Read a catalogue. Raises FeedRejected when it is not one, or not whole."""
    name = document.name
    root = as_object(parse_json(read_bytes(document, most=MOST_BYTES), name), name)
    lines: list[Any] = as_list(root.get("vulnerabilities"), f"{name}: vulnerabilities")
    if root.get("count") != len(lines):
        reject(name, f"says it has {root.get('count')!r} entries and has {len(lines)}.")
    released = moment(root.get("dateReleased")) or _version_date(root.get("catalogVersion"))
    if released is None:
        reject(name, "does not say when it was released.")
    version = str(root.get("catalogVersion", ""))
    found = _Catalogue(name, released, version, {}, [], [])
    for number, line in enumerate(lines):
        found.take(number, line)
    if len(found.flaws) > FLAW_LIMIT * len(lines):
        first = found.flaws[0]
        reject(
            name,
            f"{len(found.flaws)} of its {len(lines)} entries cannot be read whole, the first: "
            f"{first.where}: {first.reason}.",
        )
    return found


def _version_date(version: object) -> datetime | None:
    """`2026.08.07` names a day; an entry of a second release on a day adds nothing to it."""
    if not isinstance(version, str):
        return None
    try:
        found = date.fromisoformat("-".join(version.split(".")[:3]))
    except ValueError:
        return None
    return datetime.combine(found, time(), UTC)


@dataclass(frozen=True, slots=True)
class KevFeed:
    """The catalogue, from CISA or from CISA's own copy on GitHub, which may lag."""

    name: str = "kev"
    sources: tuple[str, ...] = (
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        "https://raw.githubusercontent.com/cisagov/kev-data/develop/known_exploited_vulnerabilities.json",
    )
    quiet: timedelta = timedelta(days=12)
    """Several releases a week, fewer around the holidays."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the one file."""
        downloads.get(source, "known_exploited_vulnerabilities.json")

    def accepts(self, name: str) -> bool:
        """Say whether a file of an air-gapped folder is a catalogue; its schema is not."""
        plain = name.removesuffix(".gz").removesuffix(".xz")
        return plain.endswith(".json") and not plain.endswith("schema.json")

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read the newest catalogue; entries of others, which a folder may hold, are counted."""
        found = [read_catalogue(document) for document in documents]
        if not found:
            reject("kev", "there is no catalogue.")
        newest = max(found, key=lambda item: item.released)
        for catalogue in found:
            sink.entry(catalogue.count)
            if catalogue is not newest:
                sink.skip("entry of an older catalogue", catalogue.count)
        for trouble in newest.rejects:
            sink.reject(trouble.where, trouble.reason)
        for trouble in newest.flaws:
            sink.flaw(trouble.where, trouble.reason)
        for cve, entry in newest.entries.items():
            sink.kev(cve, entry)
        sink.used(len(newest.entries))
        return Heading(
            data_date=newest.released,
            model=newest.version,
            coverage={
                "dueDate": sum(item.due_date is not None for item in newest.entries.values()),
                "knownRansomwareCampaignUse": newest.says_ransomware,
            },
            kev_complete=True,
        )


FEED = KevFeed()
