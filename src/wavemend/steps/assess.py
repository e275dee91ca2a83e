"""Judge what was seen of hosts by what the feeds say: for a scan, a plan, and after a refresh."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.execution.hands import Hands
from wavemend.findings import HostFindings
from wavemend.fleet import Fleet
from wavemend.hosts import Facts, Host
from wavemend.knowledge import Intelligence
from wavemend.ledger.assessments import assessment_at, first_seen, record_assessment
from wavemend.ledger.scans import newest_seen_look
from wavemend.matching import Matcher
from wavemend.observations import Assessment, FeedDay, Look, Ranked
from wavemend.policy.risk_profiles import risk_profile
from wavemend.scoring import prioritise


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """One look, judged: for the ledger, and for the ranking of its updates."""

    matched: HostFindings
    assessment: Assessment


class Assessor:
    """Judges every host of a fleet by one state of the feeds. Threads may share it."""

    def __init__(self, fleet: Fleet, intelligence: Intelligence) -> None:
        self.fleet = fleet
        self.intelligence = intelligence
        self._matcher = Matcher(intelligence)
        self._feeds = tuple(
            FeedDay(
                feed=snapshot.feed,
                day=snapshot.data_date.date() if snapshot.data_date else None,
                model=snapshot.model,
                stale=snapshot.stale or snapshot.missing,
            )
            for snapshot in intelligence.snapshots
        )

    def assess(
        self,
        host: Host,
        facts: Facts,
        scanned_at: datetime,
        now: datetime,
        earlier: Mapping[str, datetime],
    ) -> Assessed:
        """Match and rank one host. Pure.

        `earlier`: by finding id, when it was found first; due dates count from there.
        """
        matched = self._matcher.match(host, facts, today=now.date())
        profile = risk_profile(self.fleet.tenant(host.tenant).compliance)
        waivers = self.fleet.waivers_of(host.tenant)
        marked = self.marked(host)
        ranked = [
            Ranked(
                finding=finding,
                vulnerability=known,
                priority=prioritise(
                    finding,
                    host,
                    known,
                    now,
                    # A finding is at least as old as the look that has it.
                    first_seen=earlier.get(finding.id, scanned_at),
                    profile=profile,
                    waivers=waivers,
                    marked=marked,
                ),
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
        return Assessed(matched=matched, assessment=assessment)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewlyExploited:
    """A CVE that became known to be exploited and that hosts of this fleet lack the fix for."""

    cve: str
    tenant: str
    package: str
    hosts: tuple[str, ...]
    fixed: str
    """Empty: there is no fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassessed:
    """What judging a fleet anew came to."""

    hosts: int
    unseen: tuple[str, ...]
    """Hosts that were never seen: nothing is known of them."""
    unchanged: int
    """Hosts that were judged today, by this very state of the feeds and of the fleet."""
    newly_exploited: tuple[NewlyExploited, ...]


def reassess_fleet(hands: Hands, assessor: Assessor) -> Reassessed:
    """Judge every host's last look anew by the feeds as they are now; nobody is contacted.

    A CVE that became exploited overnight must not wait for the next scan to become urgent.
    """
    unseen: list[str] = []
    unchanged = 0
    exploited: dict[tuple[str, str, str], tuple[list[str], str]] = {}
    for host in assessor.fleet.hosts:
        with hands.ledger.reading() as book:
            found = newest_seen_look(book, host.name)
            before = assessment_at(book, host.name)
        if found is None:
            unseen.append(host.name)
            continue
        if before is not None and _is_same(before, found[1], assessor, hands.clock()):
            unchanged += 1
            continue
        after = assess_look(hands, assessor, host, *found).assessment
        for ranked in _newly_exploited(before, after):
            key = (ranked.finding.cve, host.tenant, ranked.finding.package)
            hosts, _ = exploited.setdefault(key, ([], ranked.finding.fixed or ""))
            hosts.append(host.name)
    return Reassessed(
        hosts=len(assessor.fleet.hosts),
        unseen=tuple(unseen),
        unchanged=unchanged,
        newly_exploited=tuple(
            NewlyExploited(cve=key[0], tenant=key[1], package=key[2], hosts=tuple(names), fixed=fix)
            for key, (names, fix) in sorted(exploited.items())
        ),
    )


def _is_same(before: Assessment, look: Look, assessor: Assessor, now: datetime) -> bool:
    """Say whether judging anew would say the same: waivers and supports end with a day.

    A look may be newer than what was judged: that of a rollout that ended before its plan.
    """
    return (
        before.scanned_at == look.at
        and before.intelligence == assessor.intelligence.id
        and before.fleet == assessor.fleet.digest
        and before.assessed_at.date() == now.date()
    )


def _newly_exploited(before: Assessment | None, after: Assessment) -> Sequence[Ranked]:
    """Return the findings that are exploited now and were not when the host was judged before."""
    if before is None:
        return ()
    known = {item.finding.id for item in before.ranked if item.vulnerability.kev is not None}
    return [
        item
        for item in after.ranked
        if item.vulnerability.kev is not None and item.finding.id not in known
    ]
