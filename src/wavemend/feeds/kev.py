"""KEV: CISA's catalogue of known exploited vulnerabilities. Always taken whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wavemend.advisories import KevEntry, Reject
from wavemend.feeds import Content, Document, Downloads
from wavemend.feeds.documents import (
    CVE_PATTERN,
    MIB,
    as_list,
    as_object,
    moment,
    parse_json,
    read_bytes,
    reject,
)

MOST_BYTES = 64 * MIB
"""The catalogue of 2026 has 1.5 MB."""


class _Entry(BaseModel):
    """One line of the catalogue, by CISA's schema. Fields we do not use are not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cve: Annotated[str, Field(alias="cveID", pattern=f"^{CVE_PATTERN}$")]
    date_added: Annotated[date, Field(alias="dateAdded")]
    due_date: Annotated[date | None, Field(alias="dueDate")]
    name: Annotated[str, Field(alias="vulnerabilityName")]
    ransomware: Annotated[str, Field(alias="knownRansomwareCampaignUse")] = "Unknown"

    def to_core(self) -> KevEntry:
        """Return the plain value. "Unknown" is not "no": the catalogue never says no."""
        used = True if self.ransomware.strip().lower() == "known" else None
        return KevEntry(
            date_added=self.date_added, due_date=self.due_date, ransomware=used, name=self.name
        )


def parse_catalogue(body: bytes, name: str) -> Content:
    """Read a catalogue. Raises FeedRejected when it is not one, or not whole."""
    root = as_object(parse_json(body, name), name)
    lines = as_list(root.get("vulnerabilities"), f"{name}: vulnerabilities")
    if root.get("count") != len(lines):
        reject(name, f"says it has {root.get('count')!r} entries and has {len(lines)}.")
    released = moment(root.get("dateReleased")) or _version_date(root.get("catalogVersion"))
    if released is None:
        reject(name, "does not say when it was released.")
    entries: dict[str, KevEntry] = {}
    says_ransomware = 0
    rejects: list[Reject] = []
    for number, line in enumerate(lines):
        try:
            entry = _Entry.model_validate(line)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            rejects.append(
                Reject(where=f"{name}: entry {number}", reason=f"{place}: {first['msg']}")
            )
            continue
        if entry.cve in entries:
            reject(name, f"{entry.cve} occurs twice.")
        entries[entry.cve] = entry.to_core()
        says_ransomware += "ransomware" in entry.model_fields_set
    return Content(
        data_date=released,
        count=len(entries),
        model=str(root.get("catalogVersion", "")),
        coverage={
            "dueDate": sum(entry.due_date is not None for entry in entries.values()),
            "knownRansomwareCampaignUse": says_ransomware,
        },
        rejects=tuple(rejects),
        kev=entries,
        kev_complete=True,
    )


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
        return name.endswith((".json", ".json.gz")) and not name.endswith("schema.json")

    def parse(self, documents: Sequence[Document]) -> Content:
        """Read the newest catalogue; a folder may hold several."""
        found = [
            parse_catalogue(read_bytes(document, most=MOST_BYTES), document.name)
            for document in documents
        ]
        if not found:
            reject("kev", "there is no catalogue.")
        return max(found, key=lambda content: content.data_date)


FEED = KevFeed()
