"""Judge what was seen of hosts by what the feeds say: for a scan, a plan, and after a refresh."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from wavemend.execution.hands import Hands
from wavemend.findings import Finding, HostFindings
from wavemend.fleet import Fleet
from wavemend.hosts import Facts, Host
from wavemend.knowledge import Intelligence
from wavemend.ledger.assessments import (
    Announcement,
    JudgedHost,
    first_seen,
    judged_hosts,
    pending_announcements,
    record_assessment,
)
from wavemend.ledger.scans import look_of_scan, newest_seen_scans
from wavemend.matching import Matcher
from wavemend.observations import Assessment, FeedDay, Look, Ranked, Sighting
from wavemend.policy.resolving import resolver_of
from wavemend.policy.risk_profiles import risk_profile
from wavemend.scoring import prioritise
from wavemend.scoring.dues import HeldDue


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """One look, judged: for the ledger, and for the ranking of its updates."""

    facts: Facts
    """What was seen, pending updates with what the feeds say of them."""
    matched: HostFindings
    assessment: Assessment
    starts: Mapping[str, datetime]
    """By finding id: from when its days count."""
    held: Mapping[str, HeldDue]
    """By finding id: the earliest date it was given before, where what the operator controls is
    the same still."""


class Assessor:
    """Judges every host of a fleet by one state of the feeds. Threads may share it."""

    def __init__(self, fleet: Fleet, intelligence: Intelligence) -> None:
        self.fleet = fleet
        self.intelligence = intelligence
        self.resolver = resolver_of(fleet)
        self._matcher = Matcher(intelligence)
        self._feeds = tuple(
            FeedDay(
                feed=snapshot.feed,
                day=snapshot.data_date.date() if snapshot.data_date else None,
                model=snapshot.model,
                stale=snapshot.stale or snapshot.missing,
                digest=snapshot.digest,
                fetched_at=None if snapshot.missing else snapshot.fetched_at,
                note=snapshot.note,
            )
            for snapshot in intelligence.snapshots
        )

    def assess(
        self,
        host: Host,
        facts: Facts,
        scanned_at: datetime,
        now: datetime,
        earlier: Mapping[str, Sighting],
    ) -> Assessed:
        """Match and rank one host. Pure.

        `earlier`: by finding id, when it was found first and its earliest date; due dates count
        from there and do not move later by themselves.
        """
        facts = self._matcher.understood(facts)
        matched = self._matcher.match(host, facts, today=now.date())
        profile = risk_profile(self.fleet.tenant(host.tenant).compliance)
        waivers = self.fleet.waivers_of(host.tenant)
        marked = self.marked(host)
        bases = {item.id: self._basis(host, item, marked) for item in matched.findings}
        starts = {item.id: _start(earlier.get(item.id), scanned_at) for item in matched.findings}
        held = _held(bases, earlier)
        ranked = [
            Ranked(
                finding=finding,
                vulnerability=known,
                priority=prioritise(
                    finding,
                    host,
                    known,
                    now,
                    first_seen=starts[finding.id],
                    profile=profile,
                    waivers=waivers,
                    marked=marked,
                    held=held.get(finding.id),
                ),
                basis=bases[finding.id],
            )
            for finding in matched.findings
            for known in (self.intelligence.vulnerability(finding.cve),)
        ]
        ranked.sort(key=lambda item: (item.priority.order, item.finding.id))
        assessment = Assessment(
            host=host.name,
            tenant=host.tenant,
            scanned_at=scanned_at,
            assessed_at=now,
            intelligence=self.intelligence.id,
            fleet=self.fleet.digest,
            feeds=self._feeds,
            packages=matched.packages,
            judged=matched.judged,
            ranked=tuple(ranked),
            unmatched=matched.unmatched,
        )
        return Assessed(
            facts=facts, matched=matched, assessment=assessment, starts=starts, held=held
        )

    def _basis(self, host: Host, finding: Finding, marked: frozenset[str]) -> str:
        """Return what the operator controls of a due date, in words.

        Only a change of these may make a date later. A waiver is none of them: it takes the date
        away while it holds, and the date is there again when it ends.
        """
        words = [self.fleet.tenant(host.tenant).compliance]
        words += ["exposed"] if host.exposed else []
        words += ["critical host"] if host.critical else []
        if finding.package in marked or finding.advisory in marked:
            words.append("critical fix")
        return ", ".join(words)

    def marked(self, host: Host) -> frozenset[str]:
        """Return the packages and advisories whose functional fixes the operator calls critical."""
        if not host.profile:
            return frozenset()
        return frozenset(self.fleet.profile(host.profile).critical_fixes)


def assess_look(hands: Hands, assessor: Assessor, host: Host, scan_id: int, look: Look) -> Assessed:
    """Judge one look and write it down. The look must have seen facts."""
    if look.facts is None:
        raise ValueError(f"{host.name} was not seen, there is nothing to judge")
    with hands.ledger.reading() as book:
        earlier = first_seen(book, host.name)
    assessed = assessor.assess(host, look.facts, look.at, hands.clock(), earlier)
    with hands.ledger.writing() as book:
        record_assessment(book, scan_id, assessed.assessment)
    return assessed


def _start(seen: Sighting | None, scanned_at: datetime) -> datetime:
    """A finding is at least as old as the look that has it."""
    return scanned_at if seen is None else min(seen.at, scanned_at)


def _held(bases: Mapping[str, str], earlier: Mapping[str, Sighting]) -> Mapping[str, HeldDue]:
    """Return the dates that hold, by finding id: those given on the same basis as now."""
    return {
        number: HeldDue(due=seen.due, reason=seen.due_reason)
        for number, basis in bases.items()
        if (seen := earlier.get(number)) is not None
        and seen.due is not None
        and seen.basis == basis
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class NewlyExploited:
    """A CVE that became known to be exploited and that hosts of this fleet lack the fix for."""

    cve: str
    tenant: str
    package: str
    hosts: tuple[str, ...]
    fixed: tuple[str, ...]
    """Fixed versions, sorted: hosts of different releases need different ones. Empty: no fix."""
    notes: tuple[Announcement, ...]
    """What to mark as sent once it was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassessed:
    """What judging a fleet anew came to."""

    hosts: int
    unseen: tuple[str, ...]
    """Hosts that were never seen: nothing is known of them."""
    unchanged: int
    """Hosts that were judged today, by this very state of the feeds and of the fleet."""
    newly_exploited: tuple[NewlyExploited, ...]
    """What is still to be told, whoever judged it first: a scan, a plan, or this."""


def reassess_fleet(hands: Hands, assessor: Assessor) -> Reassessed:
    """Judge every host's last look anew by the feeds as they are now; nobody is contacted.

    A CVE that became exploited overnight must not wait for the next scan to become urgent.
    """
    with hands.ledger.reading() as book:
        newest, judged = newest_seen_scans(book), judged_hosts(book)
    unseen: list[str] = []
    unchanged = 0
    with hands.ledger.kept_open():
        for host in assessor.fleet.hosts:
            scan_id = newest.get(host.name)
            if scan_id is None:
                unseen.append(host.name)
                continue
            before = judged.get(host.name)
            if before is not None and _is_same(before, scan_id, assessor, hands.clock()):
                unchanged += 1
                continue
            with hands.ledger.reading() as book:
                look = look_of_scan(book, scan_id)
            if look is not None:
                assess_look(hands, assessor, host, scan_id, look)
    return Reassessed(
        hosts=len(assessor.fleet.hosts),
        unseen=tuple(unseen),
        unchanged=unchanged,
        newly_exploited=to_tell(hands),
    )


def _is_same(before: JudgedHost, scan_id: int, assessor: Assessor, now: datetime) -> bool:
    """Say whether judging anew would say the same: supports end with a day, waivers at any time.

    A look may be newer than what was judged: that of a rollout that ended before its plan.
    """
    waivers = assessor.fleet.waivers_of(before.tenant)
    if any(before.assessed_at < waiver.until <= now for waiver in waivers):
        return False
    return (
        before.scan_id == scan_id
        and before.intelligence == assessor.intelligence.id
        and before.fleet == assessor.fleet.digest
        and before.assessed_at.date() == now.date()
    )


def to_tell(hands: Hands) -> tuple[NewlyExploited, ...]:
    """Return what is noted as newly exploited and was not told yet, by company, CVE, package."""
    with hands.ledger.reading() as book:
        return grouped(pending_announcements(book))


def grouped(notes: Iterable[Announcement]) -> tuple[NewlyExploited, ...]:
    """Return announcements of one CVE in one package of one company as one. Pure."""
    groups: dict[tuple[str, str, str], list[Announcement]] = {}
    for note in notes:
        groups.setdefault((note.cve, note.tenant, note.package), []).append(note)
    return tuple(
        NewlyExploited(
            cve=key[0],
            tenant=key[1],
            package=key[2],
            hosts=tuple(sorted(note.host for note in group)),
            fixed=tuple(sorted({note.fixed for note in group if note.fixed})),
            notes=tuple(group),
        )
        for key, group in sorted(groups.items())
    )
