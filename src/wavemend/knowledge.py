"""Everything known at one moment: what the feeds say, put together, and how old each of them is."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from wavemend.advisories import (
    Advisory,
    Cvss,
    Epss,
    Exploit,
    FeedSnapshot,
    KevEntry,
    Lifecycle,
    Ssvc,
    Vulnerability,
    choose_cvss,
    cve_order,
)

SKEW_LIMIT = timedelta(days=7)
"""Feeds further apart than this are said to be: EPSS of last month ranks today's KEV badly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intelligence:
    """Everything known at one moment, from which findings and priorities follow."""

    vulnerabilities: Mapping[str, Vulnerability]
    advisories: Mapping[tuple[str, str], tuple[Advisory, ...]]
    """By release key and package."""
    snapshots: tuple[FeedSnapshot, ...]
    """One per feed of the table, also for the missing ones; sorted by name."""
    kev_known: bool = True
    lifecycles: Mapping[tuple[str, str], tuple[Lifecycle, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """By release key and package; the empty package is the release itself."""
    statements: Mapping[str, tuple[Advisory, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """By CVE: what every vendor says of it, for a person who asks about one CVE."""
    known_releases: frozenset[str] | None = None
    """What `releases` returns, from a store that knows it without a look at every advisory."""

    def vulnerability(self, cve: str) -> Vulnerability:
        """Return what is known about a CVE; for an unknown CVE an unscored value, never nothing."""
        known = self.vulnerabilities.get(cve)
        return known if known is not None else Vulnerability(cve=cve, kev_known=self.kev_known)

    def advisories_for(self, release: str, package: str) -> tuple[Advisory, ...]:
        """Return the advisories of one package in one release."""
        return self.advisories.get((release, package), ())

    def lifecycles_for(self, release: str, package: str = "") -> tuple[Lifecycle, ...]:
        """Return until when a release, or a package in it, gets fixes."""
        return self.lifecycles.get((release, package), ())

    @property
    def releases(self) -> frozenset[str]:
        """Releases any advisory speaks of; a host of another release cannot be called clean."""
        if self.known_releases is not None:
            return self.known_releases
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
    exploits: Mapping[str, tuple[Exploit, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
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
            exploits=self.exploits.get(cve, ()),
            published=self.published.get(cve),
            summary=self.summaries.get(cve, ""),
        )

    @property
    def _parts(self) -> tuple[Mapping[str, object], ...]:
        return (
            self.epss,
            self.kev,
            self.cvss,
            self.ssvc,
            self.exploits,
            self.published,
            self.summaries,
        )

    def __contains__(self, cve: object) -> bool:
        return any(cve in part for part in self._parts)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({cve for part in self._parts for cve in part}, key=cve_order))

    def __len__(self) -> int:
        return sum(1 for _ in self)
