"""What was seen of a host, and what was found there: values between looking and deciding."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from wavemend.advisories import Vulnerability
from wavemend.documents import sha256, to_document
from wavemend.findings import Finding, Unmatched
from wavemend.hosts import Facts
from wavemend.outcomes import Outcome
from wavemend.scoring import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a host: its facts, or the reason why there are none."""

    host: str
    at: datetime
    facts: Facts | None
    reason: str = ""
    """Stable word of the error tree: off, name, port, key, login, silent, lost, deadline…"""
    detail: str = ""
    peer_key: str = ""

    @property
    def facts_digest(self) -> str:
        """The facts' identity in evidence; empty without facts."""
        return sha256(to_document(self.facts)) if self.facts else ""

    @property
    def unseen_outcome(self) -> Outcome:
        """What a look without facts means: a changed key or refused login needs a person."""
        return Outcome.BLOCKED if self.reason in {"key", "login"} else Outcome.UNREACHABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A finding, what the feeds said of its CVE at that moment, and the priority it was given."""

    finding: Finding
    vulnerability: Vulnerability
    priority: Priority
    basis: str = ""
    """What the operator controls of the due date: profile, exposure, criticality, marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """When a finding was seen first on its host, and the earliest date it was given since."""

    at: datetime
    due: datetime | None = None
    due_reason: str = ""
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedDay:
    """Of which day, and which model, one feed was when a host was assessed."""

    feed: str
    day: date | None
    model: str = ""
    stale: bool = False
    digest: str = ""
    fetched_at: datetime | None = None
    """When this copy came or was confirmed. None: there was none, or version 0.1 wrote it."""
    note: str = ""
    """Why it is stale or missing, in one sentence."""

    @property
    def is_there(self) -> bool:
        """Whether there was a copy at all."""
        return self.fetched_at is not None or self.day is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What one look at a host means by what the feeds said at one moment.

    Two times: what was seen at `scanned_at`, judged by what was known at `assessed_at`. A look is
    assessed again whenever the feeds change, and no earlier assessment is lost.
    """

    host: str
    tenant: str
    scanned_at: datetime
    assessed_at: datetime
    intelligence: str
    """Id of the state of the feeds."""
    fleet: str = ""
    """Digest of the fleet in force: its waivers, profiles and labels were used."""
    feeds: tuple[FeedDay, ...]
    packages: int
    """Installed packages looked at."""
    judged: int
    """Of those, how many could be compared with what the vendor says."""
    ranked: tuple[Ranked, ...]
    """Most urgent first."""
    unmatched: tuple[Unmatched, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingLine:
    """One finding as lists, tables and spreadsheets show it."""

    finding_id: str
    tenant: str
    host: str
    lane: str
    due: datetime | None
    cve: str
    advisory: str
    package: str
    installed: str
    fixed: str
    """Empty: there is no fixed version."""
    update_class: str
    status: str
    cvss: float | None
    epss: float | None
    kev: bool
    zero_day: bool
    waived: bool
    because: str
    feed: str
    order: tuple[float, ...]
    """Sorts ascending, most urgent first."""
    due_rule: str = ""
    """Which rule sets the date, or why there is none."""
    waiver_id: str = ""
    waived_until: datetime | None = None
    first_seen: datetime | None = None
    """When a look found it first; None: version 0.1 wrote the line."""
    judged_at: datetime | None = None
    """When it was judged; earlier than its host's last judgement where it stands as it was."""

    def is_overdue(self, now: datetime) -> bool:
        """Say whether its date has passed."""
        return self.due is not None and self.due < now

    def waiver_ran_out(self, now: datetime) -> bool:
        """Say whether it is still ignored for a waiver that has ended since it was judged."""
        return self.waived_until is not None and self.waived_until <= now


def feeds_after(
    now: tuple[FeedDay, ...], before: tuple[FeedDay, ...]
) -> tuple[tuple[FeedDay, ...], bool]:
    """Return on which feeds the index rests afterwards, and whether this judgement knows less.

    It knows less where a feed is missing that was there, or is an older copy than it was. A feed
    that the operator does not use any more is not missed.
    """
    known = {feed.feed: feed for feed in before if feed.is_there}
    feeds: list[FeedDay] = []
    weaker = False
    for feed in now:
        earlier = known.get(feed.feed)
        if earlier is not None and _is_less(feed, earlier):
            weaker = True
            feeds.append(replace(earlier, stale=True, note=_why_less(feed)))
        else:
            feeds.append(feed)
    return tuple(feeds), weaker


def _is_less(feed: FeedDay, earlier: FeedDay) -> bool:
    if not feed.is_there:
        return True
    if feed.fetched_at is None or earlier.fetched_at is None:
        return False
    return feed.fetched_at < earlier.fetched_at and feed.digest != earlier.digest


def _why_less(feed: FeedDay) -> str:
    if feed.is_there:
        return "judged by an older copy than before; `refresh-feeds` judges anew."
    return feed.note or "missing."


def subject_of(finding: Finding) -> str:
    """Return what a finding is about, in one word: the CVE, or the vendor's statement."""
    return finding.cve or finding.advisory or finding.package


def line_of(
    ranked: Ranked, *, judged_at: datetime | None = None, first_seen: datetime | None = None
) -> FindingLine:
    """Return a ranked finding as one line."""
    finding, known, priority = ranked.finding, ranked.vulnerability, ranked.priority
    because = finding.because
    return FindingLine(
        finding_id=finding.id,
        tenant=finding.tenant,
        host=finding.host,
        lane=str(priority.lane),
        due=priority.due,
        cve=finding.cve,
        advisory=finding.advisory,
        package=finding.package,
        installed=finding.installed,
        fixed=finding.fixed or "",
        update_class=str(finding.update_class),
        status=str(finding.status),
        cvss=known.cvss.score if known.cvss else None,
        epss=known.epss.probability if known.epss else None,
        kev=known.kev is not None,
        zero_day=priority.zero_day,
        waived=priority.waiver is not None,
        because=f"{because.feed} {because.document}: {because.compared}",
        feed=because.feed,
        order=priority.order,
        due_rule=priority.due_reason,
        waiver_id=priority.waiver.id if priority.waiver else "",
        waived_until=priority.waiver.until if priority.waiver else None,
        first_seen=first_seen,
        judged_at=judged_at,
    )
