"""Of several records of one CVE the one that was changed last counts, and each is counted once.

Feeds that come as a whole plus changes say the same CVE again and again. What became of a record
is only known when all are read, so the counting is done at the end.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from wavemend.advisories import Cvss, KevEntry, Ssvc
from wavemend.feeds import Sink
from wavemend.feeds.reading.scores import in_fixed_order

CISA_ADP = "134c704f-9b21-4f2e-91b3-4a467353bcc0"
"""CISA's id where it adds its assessments and SSVC answers to a record."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUPERSEDED = "older record of a CVE"
_WITHDRAWN = "rejected CVE"


@dataclass(slots=True, kw_only=True)
class CveRecord:
    """One record of a CVE, read but not yet given to the sink: a newer one may be known."""

    cve: str
    where: str
    changed: datetime | None
    withdrawn: bool
    cvss: list[Cvss] = field(default_factory=list)
    ssvc: Ssvc | None = None
    kev: KevEntry | None = None
    published: datetime | None = None
    summary: str = ""
    flaws: list[str] = field(default_factory=list)

    @property
    def carries(self) -> frozenset[str]:
        """The parts it has something of, by their names."""
        parts = {"cvss": self.cvss, "ssvc": self.ssvc, "kev": self.kev}
        return frozenset(name for name, part in parts.items() if part)

    def give(self, sink: Sink) -> None:
        """Give the sink what the record says."""
        if self.cvss:
            sink.cvss(self.cve, in_fixed_order(self.cvss))
        if self.ssvc is not None:
            sink.ssvc(self.cve, self.ssvc)
        if self.kev is not None:
            sink.kev(self.cve, self.kev)
        if self.published is not None:
            sink.published(self.cve, self.published)
        if self.summary:
            sink.summary(self.cve, self.summary)
        for reason in self.flaws:
            sink.flaw(self.where, reason)


class Newest:
    """Which record of each CVE counts. 360,000 of them take about 45 MB."""

    def __init__(self, sink: Sink, fields: tuple[str, ...]) -> None:
        """Count for `sink`; `fields` are the parts whose number of carriers is wanted."""
        self._sink = sink
        self._fields = fields
        # Numbers instead of texts and tuples: a third of the memory. The low bits of a value are
        # "withdrawn" and one bit per field, the rest is the time in microseconds.
        self._known: dict[int, int] = {}
        self._width = len(fields) + 1

    def take(
        self, cve: str, changed: datetime | None, *, carries: frozenset[str], withdrawn: bool
    ) -> bool:
        """Say whether this record replaces what is known; an older record is forgotten first.

        `changed` None is older than any time. A withdrawn record holds nothing to be taken.
        """
        _, year, number = cve.split("-", 2)
        key = int(year) * 10**20 + int(number)
        at = max((changed - _EPOCH) // timedelta(microseconds=1), 0) if changed else 0
        before = self._known.get(key)
        if before is not None:
            self._sink.skip(_SUPERSEDED)
            if at <= before >> self._width:
                return False
            self._sink.forget(cve)
        bits = int(withdrawn)
        for place, name in enumerate(self._fields, start=1):
            bits |= (name in carries) << place
        self._known[key] = at << self._width | bits
        return not withdrawn

    def finish(self) -> dict[str, int]:
        """Count out every CVE, and return how many of the used ones carry which field."""
        coverage = dict.fromkeys(self._fields, 0)
        withdrawn = 0
        for value in self._known.values():
            if value & 1:
                withdrawn += 1
                continue
            for place, name in enumerate(self._fields, start=1):
                coverage[name] += value >> place & 1
        self._sink.used(len(self._known) - withdrawn)
        if withdrawn:
            self._sink.skip(_WITHDRAWN, withdrawn)
        return coverage
