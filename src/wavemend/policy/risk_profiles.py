"""Risk profiles: which assessment counts, how urgency is weighed, and by when it must be done.

A profile is a data file with a version, a date and a source, so that a new edition of a standard
is a new file and every decision can say by which edition it was taken. Reading refuses a profile
in which something worse would be due later: what is found out never relaxes a deadline (I22).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

from wavemend.advisories import CvssOrder, UpdateClass
from wavemend.errors import FleetError
from wavemend.policy.severities import Clock, Severity, plain_word
from wavemend.policy.timelines import BodTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Sla:
    """One deadline: for updates of a class from a severity on."""

    update_class: UpdateClass
    severity: Severity
    """This one and the worse ones that have no deadline of their own."""
    exposed_days: int
    internal_days: int
    clock: Clock
    rule: str
    """What it follows, in words an auditor knows; says `unverified` where it is."""

    def days(self, *, exposed: bool) -> int:
        """Return the days on a host that the internet reaches, or on one it does not."""
        return self.exposed_days if exposed else self.internal_days


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskProfile:
    """How findings are weighed and by when they are due. Compared by identity: one per file."""

    name: str
    version: str
    date: str
    """Day of this edition, ISO."""
    source: str
    scope: str
    unverified: tuple[str, ...]
    """What was not confirmed in the primary text; printed beside every report under it."""
    digest: str
    """SHA-256 of the file, for evidence."""
    cvss_order: CvssOrder
    table: BodTable
    table_governs: bool
    """True: the table sets a date. False: it only bands the queue and decides lanes."""
    kev_due_governs: bool
    emergency_days: int
    expedited_days: int
    attacked_days: int
    """What is attacked by other evidence than KEV's or the vendor's word is due within these."""
    zero_day_days: int
    critical_weight: float
    exposed_weight: float
    evidence: Mapping[str, float]
    """Least probability by kind of evidence; `other` for kinds without an entry."""
    working_exploits: frozenset[str]
    """Kinds of evidence that make a vulnerability critical for the deadlines."""
    critical_words: Mapping[str, frozenset[str]]
    """Vendors' words that make a functional fix critical, by feed; `default` for the others."""
    slas: Mapping[tuple[UpdateClass, Severity], Sla]

    def sla(self, update_class: UpdateClass, severity: Severity) -> Sla | None:
        """Return the deadline of a class and severity; None: this profile sets none."""
        return self.slas.get((update_class, severity))

    def is_critical_word(self, feed: str, word: str) -> bool:
        """Say whether a vendor's word makes a functional fix critical."""
        words = self.critical_words.get(feed, self.critical_words["default"])
        return plain_word(word) in words

    @property
    def title(self) -> str:
        """Name, version and day in one line."""
        return f"{self.name} {self.version} of {self.date}"


PROFILE_NAMES = ("bod-26-04", "essential-eight", "pci-dss-4.0.1")
"""The profiles that come with wavemend."""

DEFAULT_PROFILE_NAME = "bod-26-04"


@lru_cache(maxsize=len(PROFILE_NAMES))
def risk_profile(name: str) -> RiskProfile:
    """Return one of the profiles that come with wavemend. Raises FleetError for another name."""
    if name not in PROFILE_NAMES:
        raise FleetError(
            f"there is no compliance profile {name!r}", hint=f"known: {', '.join(PROFILE_NAMES)}"
        )
    return read_profile(_shipped(f"{name}.toml"), f"{name}.toml", _shipped)


def read_profile(text: str, name: str, files: Callable[[str], str]) -> RiskProfile:
    """Read a profile. `name` is the file's, for messages; `files` gives the tables it names.

    Raises FleetError naming the file, and the line or the key, for anything that is not understood
    and for rules under which something worse would be due later.
    """
    from wavemend.policy.risk_profile_file import checked_form  # pydantic, only when one is read

    form, table = checked_form(text, name, files)
    return RiskProfile(
        name=form.name,
        version=form.version,
        date=form.date.isoformat(),
        source=form.source,
        scope=form.scope,
        unverified=tuple(form.unverified),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        cvss_order=CvssOrder(
            first=form.cvss.first,
            versions=tuple(tuple(tier) for tier in form.cvss.versions),
            sources=tuple(form.cvss.sources),
        ),
        table=table,
        table_governs=form.timeline.governs,
        kev_due_governs=form.kev.due_governs,
        emergency_days=form.lanes.emergency_days,
        expedited_days=form.lanes.expedited_days,
        attacked_days=form.lanes.attacked_days,
        zero_day_days=form.lanes.zero_day_days,
        critical_weight=form.weights.critical_host,
        exposed_weight=form.weights.exposed_host,
        evidence=MappingProxyType(dict(sorted(form.evidence.items()))),
        working_exploits=frozenset(form.working_exploits.kinds),
        critical_words=MappingProxyType(
            {
                feed: frozenset(plain_word(word) for word in words)
                for feed, words in sorted(form.critical_words.items())
            }
        ),
        slas=_by_severity(
            Sla(
                update_class=item.update_class,
                severity=item.severity,
                exposed_days=item.exposed_days,
                internal_days=item.internal_days,
                clock=item.clock,
                rule=item.rule,
            )
            for item in form.sla
        ),
    )


def _by_severity(slas: Iterable[Sla]) -> Mapping[tuple[UpdateClass, Severity], Sla]:
    """Fill in the severities above each deadline, up to the next one."""
    found: dict[tuple[UpdateClass, Severity], Sla] = {}
    for sla in sorted(slas, key=lambda item: item.severity.rank):
        for severity in Severity:
            if severity.rank >= sla.severity.rank:
                found[sla.update_class, severity] = sla
    return MappingProxyType(found)


def _shipped(name: str) -> str:
    return (resources.files("wavemend") / "data" / name).read_text("utf-8")


DEFAULT_PROFILE = risk_profile(DEFAULT_PROFILE_NAME)
