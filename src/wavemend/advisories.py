"""What the feeds say: vulnerabilities, the vendors' advisories, and where each word came from.

Values and lookups only. A CVE that no feed scored is *unscored*, never 0; a CVE that no feed knows
is still a value. What each field means is decided by the feeds in `feeds/`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

SKEW_LIMIT = timedelta(days=7)
"""Feeds further apart than this are said to be: EPSS of last month ranks today's KEV badly."""


def cve_order(cve: str) -> tuple[int, int]:
    """Sort CVEs by number, not by text: CVE-2026-99999 comes before CVE-2026-116303."""
    _, _, rest = cve.partition("-")
    year, _, number = rest.partition("-")
    if year.isdecimal() and number.isdecimal():
        return int(year), int(number)
    return 9999, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cvss:
    """One published CVSS assessment, kept whole so that the choice can be questioned."""

    version: str
    """`4.0`, `3.1`, `3.0` or `2.0`. Numbers of different versions are not comparable."""
    vector: str
    score: float
    """0 to 10, as published; the computed one where only a vector was published."""
    computed_score: float | None
    """Base score recomputed from the vector; None where the vector cannot be read."""
    source: str
    """`nvd`, `cna:<who>`, `cisa-adp` or `distribution:<who>`."""

    @property
    def disputed(self) -> bool:
        """True when the published number does not follow from the published vector."""
        return self.computed_score is not None and abs(self.computed_score - self.score) >= 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Epss:
    """Probability of exploitation within 30 days, by FIRST's EPSS SIG."""

    probability: float
    percentile: float | None
    """Share of scored CVEs at or below this one; None in documents older than September 2021."""
    model: str
    """Probabilities of different models are not comparable: v5 moved every threshold overnight."""
    date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class KevEntry:
    """One line of CISA's catalogue of known exploited vulnerabilities."""

    date_added: date
    due_date: date | None
    """A date for US federal agencies with an exposed asset; for us an input, earliest governs."""
    ransomware: bool | None
    """True: used by ransomware. None: not known. The catalogue never says no."""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssvc:
    """CISA's answers to the SSVC questions; None where a question was not answered."""

    exploitation: str
    """`none`, `poc`, `active`, or empty."""
    automatable: bool | None
    impact_total: bool | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """One CVE with everything the feeds said about it."""

    cve: str
    cvss: Cvss | None = None
    """Chosen from `cvss_candidates` by the written order in `choose_cvss`."""
    cvss_candidates: tuple[Cvss, ...] = ()
    epss: Epss | None = None
    kev: KevEntry | None = None
    kev_known: bool = True
    """False: no KEV catalogue was ever loaded, so `kev=None` does not mean "not exploited"."""
    ssvc: Ssvc | None = None
    published: datetime | None = None
    summary: str = ""

    @property
    def unscored(self) -> bool:
        """True when there is neither a CVSS nor an EPSS score: unknown, not harmless."""
        return self.cvss is None and self.epss is None


class AdvisoryStatus(StrEnum):
    """What a distribution says about one source package in one release."""

    FIXED = "fixed"
    """Fixed in `fixed_version`; everything older is affected."""
    UNFIXED = "unfixed"
    """Affected, and no fixed version exists (yet)."""
    NOT_AFFECTED = "not_affected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """A distribution's statement about one source package in one of its releases."""

    id: str
    feed: str
    document: str
    """The document inside the feed, so that a person can read it."""
    release: str
    """The release's codename, e.g. `bookworm`."""
    source_package: str
    fixed_version: str | None
    status: AdvisoryStatus
    cves: tuple[str, ...]
    summary: str = ""
    urgency: str = ""
    """The distribution's own word; it hardly ranks."""
    unimportant: bool = False
    """The distribution says: no security impact in its build. Shown apart, but counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One entry of a feed that could not be used, and why. Counted, never just left out."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSnapshot:
    """One accepted state of one feed. All times are UTC-aware."""

    feed: str
    source: str
    digest: str
    """SHA-256 over the stored documents; empty: nothing of this feed was ever accepted."""
    fetched_at: datetime | None
    """When these documents came, or were last confirmed unchanged."""
    data_date: datetime | None
    """The feed's own date."""
    model: str = ""
    count: int = 0
    coverage: tuple[tuple[str, int], ...] = ()
    """How many entries carry which field: a renamed key shows here before it hides a score."""
    skipped: tuple[tuple[str, int], ...] = ()
    """Entries that are not for us (another ecosystem, withdrawn), by reason."""
    rejects: tuple[Reject, ...] = ()
    stale: bool = False
    note: str = ""
    """Why the snapshot is stale or missing, in one sentence; empty when it is neither."""

    @property
    def missing(self) -> bool:
        """True when there is no accepted copy at all."""
        return not self.digest


def choose_cvss(candidates: tuple[Cvss, ...]) -> Cvss | None:
    """Choose by the written order; never the highest, never the first in a list.

    Tier: versions 4.0 and 3.1, then 3.0, then 2.0. Inside a tier by source: NVD, CNA, CISA-ADP,
    distribution. Inside a source the newer version. NVD often lists two that disagree.
    """
    tiers = {"4.0": 0, "3.1": 0, "3.0": 1, "2.0": 2}
    sources = {"nvd": 0, "cna": 1, "cisa-adp": 2, "distribution": 3}

    def order(candidate: Cvss) -> tuple[int, int, float, str, str]:
        source = sources.get(candidate.source.partition(":")[0], 4)
        tier = tiers.get(candidate.version, 3)
        # Equal in version and rank of source: the source's name decides, so that equal input
        # gives equal output whatever the order in the document.
        newest_first = -float(candidate.version) if candidate.version in tiers else 0.0
        return tier, source, newest_first, candidate.source, candidate.vector

    return min(candidates, key=order, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intelligence:
    """Everything known at one moment, from which findings and priorities follow."""

    vulnerabilities: Mapping[str, Vulnerability]
    advisories: Mapping[tuple[str, str], tuple[Advisory, ...]]
    """By release codename and source package."""
    snapshots: tuple[FeedSnapshot, ...]
    """One per feed of the table, also for the missing ones; sorted by name."""
    kev_known: bool = True

    def vulnerability(self, cve: str) -> Vulnerability:
        """Return what is known about a CVE; for an unknown CVE an unscored value, never nothing."""
        known = self.vulnerabilities.get(cve)
        return known if known is not None else Vulnerability(cve=cve, kev_known=self.kev_known)

    def advisories_for(self, release: str, source_package: str) -> tuple[Advisory, ...]:
        """Return the advisories of one source package in one release."""
        return self.advisories.get((release, source_package), ())

    @property
    def releases(self) -> frozenset[str]:
        """Releases any advisory speaks of; a host of another release cannot be called clean."""
        return frozenset(release for release, _ in self.advisories)

    @property
    def id(self) -> str:
        """One name for the state of all feeds together, for plans and evidence."""
        lines = [f"{snapshot.feed} {snapshot.digest or 'missing'}" for snapshot in self.snapshots]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    @property
    def skew(self) -> timedelta:
        """How far apart the feeds' own dates are."""
        dates = [snapshot.data_date for snapshot in self.snapshots if snapshot.data_date]
        return max(dates) - min(dates) if dates else timedelta()

    @property
    def stale(self) -> bool:
        """True when any feed is stale or missing: then "nothing to do" may not be said."""
        return any(snapshot.stale or snapshot.missing for snapshot in self.snapshots)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return sentences an operator must see beside every decision taken on this state."""
        said = [f"{snapshot.feed}: {snapshot.note}" for snapshot in self.snapshots if snapshot.note]
        if self.skew > SKEW_LIMIT:
            said.append(
                f"The feeds are {self.skew.days} days apart: the scores and the lists are of "
                "different days."
            )
        return tuple(said)


@dataclass(frozen=True, slots=True, eq=False)
class VulnerabilityView(Mapping[str, Vulnerability]):
    """What several feeds say about a CVE, put together when it is asked for.

    EPSS alone scores 360,000 CVEs and a fleet meets a few thousand: building them all costs
    seconds and hundreds of megabytes for nothing.
    """

    epss: Mapping[str, Epss] = field(default_factory=lambda: MappingProxyType({}))
    kev: Mapping[str, KevEntry] = field(default_factory=lambda: MappingProxyType({}))
    cvss: Mapping[str, tuple[Cvss, ...]] = field(default_factory=lambda: MappingProxyType({}))
    ssvc: Mapping[str, Ssvc] = field(default_factory=lambda: MappingProxyType({}))
    published: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    summaries: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    kev_known: bool = True

    def __getitem__(self, cve: str) -> Vulnerability:
        if cve not in self:
            raise KeyError(cve)
        candidates = self.cvss.get(cve, ())
        return Vulnerability(
            cve=cve,
            cvss=choose_cvss(candidates),
            cvss_candidates=candidates,
            epss=self.epss.get(cve),
            kev=self.kev.get(cve),
            kev_known=self.kev_known,
            ssvc=self.ssvc.get(cve),
            published=self.published.get(cve),
            summary=self.summaries.get(cve, ""),
        )

    def __contains__(self, cve: object) -> bool:
        return any(
            cve in part for part in (self.epss, self.kev, self.cvss, self.ssvc, self.summaries)
        )

    def __iter__(self) -> Iterator[str]:
        parts = (self.epss, self.kev, self.cvss, self.ssvc, self.summaries)
        return iter(sorted({cve for part in parts for cve in part}, key=cve_order))

    def __len__(self) -> int:
        return sum(1 for _ in self)
