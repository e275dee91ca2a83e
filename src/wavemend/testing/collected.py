"""A sink that keeps everything in memory, for tests of feeds on small documents."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from wavemend.advisories import Advisory, Cvss, Exploit, KevEntry, Lifecycle, Reject, Ssvc


@dataclass(slots=True)
class Collected:
    """What a feed gave, by kind; implements `wavemend.feeds.Sink`."""

    entries: int = 0
    taken: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    flaws: list[Reject] = field(default_factory=list)
    scores: dict[str, tuple[float, float | None, date]] = field(default_factory=dict)
    listed: dict[str, KevEntry] = field(default_factory=dict)
    candidates: dict[str, tuple[Cvss, ...]] = field(default_factory=dict)
    answers: dict[str, Ssvc] = field(default_factory=dict)
    evidence: dict[str, tuple[Exploit, ...]] = field(default_factory=dict)
    dates: dict[str, datetime] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    advisories: list[Advisory] = field(default_factory=list)
    lifecycles: list[Lifecycle] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """True when every entry that came in went out once."""
        return self.entries == self.taken + self.skipped.total() + len(self.rejects)

    def entry(self, count: int = 1) -> None:
        """Count entries read."""
        self.entries += count

    def used(self, count: int = 1) -> None:
        """Count entries taken."""
        self.taken += count

    def skip(self, reason: str, count: int = 1) -> None:
        """Count entries that are not for us."""
        self.skipped[reason] += count

    def reject(self, where: str, reason: str) -> None:
        """Keep one entry's rejection."""
        self.rejects.append(Reject(where=where, reason=reason))

    def flaw(self, where: str, reason: str) -> None:
        """Keep one flaw of a used entry."""
        self.flaws.append(Reject(where=where, reason=reason))

    def epss(self, rows: Iterable[tuple[str, float, float | None]], *, day: date) -> None:
        """Keep EPSS rows."""
        self.scores.update({cve: (score, place, day) for cve, score, place in rows})

    def kev(self, cve: str, entry: KevEntry) -> None:
        """Keep a line of the catalogue."""
        self.listed[cve] = entry

    def cvss(self, cve: str, candidates: tuple[Cvss, ...]) -> None:
        """Keep the assessments of a CVE."""
        self.candidates[cve] = candidates

    def ssvc(self, cve: str, answers: Ssvc) -> None:
        """Keep the answers for a CVE."""
        self.answers[cve] = answers

    def exploits(self, cve: str, evidence: tuple[Exploit, ...]) -> None:
        """Keep the evidence for a CVE."""
        self.evidence[cve] = evidence

    def published(self, cve: str, at: datetime) -> None:
        """Keep when a CVE was published."""
        self.dates[cve] = at

    def summary(self, cve: str, text: str) -> None:
        """Keep a CVE's text."""
        self.summaries[cve] = text

    def advisory(self, advisory: Advisory) -> None:
        """Keep an advisory."""
        self.advisories.append(advisory)

    def lifecycle(self, lifecycle: Lifecycle) -> None:
        """Keep a life cycle."""
        self.lifecycles.append(lifecycle)

    def forget(self, cve: str) -> None:
        """Drop what was said of a CVE."""
        for part in (self.listed, self.candidates, self.answers, self.evidence, self.dates):
            part.pop(cve, None)
        self.summaries.pop(cve, None)
