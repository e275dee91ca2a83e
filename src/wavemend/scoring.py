"""Turn a finding into a lane, a due date and a place in the queue, and say what each rests on.

KEV first, then the band of CISA's BOD 26-04 (exposure and SSVC), then EPSS and CVSS inside the
band. What is not known is decided as its worst case and shown as such: a missing feed, score or
answer never makes anything later or lower than the worst it may hide.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType

from wavemend.advisories import Intelligence, Vulnerability, cve_order
from wavemend.contributions import (
    Contribution,
    cvss_line,
    epss_line,
    exposure_line,
    kev_line,
    ssvc_lines,
    table_line,
)
from wavemend.findings import (
    Finding,
    HostFindings,
    advisory_source,
    is_kernel_image,
    is_kernel_source,
    packages_by_name,
    reaches,
)
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.timelines import Timeline, bod_table, is_listed, timelines


class Lane(StrEnum):
    """How a finding travels; in order of urgency."""

    EMERGENCY = "emergency"
    EXPEDITED = "expedited"
    ROUTINE = "routine"
    MANUAL = "manual"
    """There is no fix to install: mitigate, replace or accept."""
    IGNORED = "ignored"


_LANE_ORDER = {lane: float(place) for place, lane in enumerate(Lane)}
EMERGENCY_DAYS = 3
EXPEDITED_DAYS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """What was decided for one finding on one host."""

    lane: Lane
    due: datetime | None
    """UTC; None: with the next scheduled upgrade, or never (ignored)."""
    due_reason: str
    order: tuple[float, ...]
    """Sorts ascending, most urgent first; equal inputs give equal tuples."""
    contributions: tuple[Contribution, ...]
    forensic: bool = False
    """The directive asks to look at the host before patching: patching destroys evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedUpdate:
    """One pending update of a host, with the priority of the worst CVE it fixes there."""

    update: PendingUpdate
    priority: Priority
    cves: tuple[str, ...]
    security: bool


def prioritise(
    finding: Finding,
    host: Host,
    vulnerability: Vulnerability,
    now: datetime,
    *,
    first_seen: datetime | None = None,
) -> Priority:
    """Decide lane, due date and order of one finding. Pure.

    `first_seen` starts the clock of the days; without it they count from `now`, and a caller that
    keeps findings must pass it, or the due date moves with every scan.
    """
    worst, best = timelines(vulnerability, exposed=host.exposed)
    listed = is_listed(vulnerability)
    lane, why = _lane(finding, listed, worst)
    due, due_reason = _due(vulnerability, worst, min(first_seen or now, now))
    if lane is Lane.IGNORED:
        due, due_reason = None, why
    order = (_LANE_ORDER[lane], *_order(vulnerability, worst))
    contributions = (
        kev_line(vulnerability),
        exposure_line(host),
        *ssvc_lines(vulnerability),
        table_line(worst, best),
        epss_line(vulnerability.epss),
        cvss_line(vulnerability.cvss, len(vulnerability.cvss_candidates)),
        Contribution(name="Lane", value=lane.value, text=why),
    )
    return Priority(
        lane=lane,
        due=due,
        due_reason=due_reason,
        order=order,
        contributions=contributions,
        forensic=worst.forensic and lane is not Lane.IGNORED,
    )


def _lane(finding: Finding, listed: bool | None, worst: Timeline) -> tuple[Lane, str]:
    if finding.unimportant and listed is False:
        return Lane.IGNORED, "The distribution says: no security impact in its build."
    if finding.fixed is None:
        return Lane.MANUAL, "There is no fixed version to install: mitigate, replace or accept."
    if listed is not False:
        known = "Known to be exploited." if listed else "No KEV catalogue: decided as exploited."
        return Lane.EMERGENCY, known
    return _lane_of(worst)


def _lane_of(timeline: Timeline) -> tuple[Lane, str]:
    if timeline.days is not None and timeline.days <= EMERGENCY_DAYS:
        return Lane.EMERGENCY, f"The directive's timeline is {timeline}."
    if timeline.days is not None and timeline.days <= EXPEDITED_DAYS:
        return Lane.EXPEDITED, f"The directive's timeline is {timeline}."
    return Lane.ROUTINE, f"The directive's timeline is {timeline}."


def _due(
    vulnerability: Vulnerability, timeline: Timeline, start: datetime
) -> tuple[datetime | None, str]:
    """Return the earliest of all due dates, and which one that was."""
    dates: list[tuple[datetime, str]] = []
    if timeline.days is not None:
        table = bod_table()
        reason = f"BOD 26-04 {table.version}: {timeline}, counted from {start:%F %H:%MZ}"
        dates.append((start + timedelta(days=timeline.days), reason))
    kev = vulnerability.kev
    if kev is not None and kev.due_date is not None:
        end_of_day = datetime.combine(kev.due_date, time(23, 59, 59), UTC)
        dates.append((end_of_day, f"KEV's own due date, {kev.due_date}"))
    if not dates:
        return None, "BOD 26-04: fix on system upgrade"
    due, reason = min(dates)
    others = [text for at, text in dates if at != due]
    return due, f"{reason} (earlier than {others[0]})" if others else reason


def _order(vulnerability: Vulnerability, worst: Timeline) -> tuple[float, ...]:
    """Everything after the lane: KEV, band, EPSS, CVSS, then the CVE's number.

    Without a score a CVE sorts behind the scored ones of its band; it is not 0, it is unknown.
    """
    kev = vulnerability.kev
    listed = is_listed(vulnerability)
    # Without a catalogue the worst it may hold is assumed: listed, and used by ransomware.
    place = 2.0 if listed is False else 0.0 if kev is None or kev.ransomware else 1.0
    epss, cvss = vulnerability.epss, vulnerability.cvss
    percentile = (epss.percentile or 0.0) if epss else 0.0
    return (
        place,
        worst.strictness,
        0.0 if epss else 1.0,
        -percentile,
        -epss.probability if epss else 0.0,
        0.0 if cvss else 1.0,
        -cvss.score if cvss else 0.0,
        *(float(part) for part in cve_order(vulnerability.cve)),
    )


NEVER_SEEN: Mapping[str, datetime] = MappingProxyType({})


def rank_updates(
    host: Host,
    facts: Facts,
    findings: HostFindings,
    intelligence: Intelligence,
    now: datetime,
    *,
    first_seen: Mapping[str, datetime] = NEVER_SEEN,
) -> tuple[RankedUpdate, ...]:
    """Rank the pending updates of a host, one row each, most urgent first. Pure.

    `first_seen`: by finding id, when an earlier look found it first; its days count from there.

    An update is as urgent as the worst CVE it fixes on this host. Chances are not multiplied: a
    kernel with 700 CVEs would beat a known exploited one by their number alone.
    """
    by_name = packages_by_name(facts)
    of_source: dict[str, list[Finding]] = {}
    for finding in findings.findings:
        of_source.setdefault(finding.source_package, []).append(finding)
    rows = []
    for update in facts.pending:
        fixes = _fixed_by(update, of_source, by_name)
        if fixes:
            decided = [
                (
                    prioritise(
                        finding,
                        host,
                        intelligence.vulnerability(finding.cve),
                        now,
                        first_seen=first_seen.get(finding.id),
                    ),
                    finding.cve,
                )
                for finding in fixes
            ]
            rows.append(_ranked(update, decided))
            continue
        known = facts.codename in intelligence.releases
        priority = _without_cve(update, host, now, release_known=known)
        rows.append(
            RankedUpdate(update=update, priority=priority, cves=(), security=update.security)
        )
    return tuple(
        sorted(rows, key=lambda row: (row.priority.order, row.update.name, row.update.arch))
    )


def _fixed_by(
    update: PendingUpdate,
    of_source: Mapping[str, Sequence[Finding]],
    by_name: Mapping[tuple[str, str], InstalledPackage],
) -> list[Finding]:
    package = by_name.get((update.name, update.arch)) or by_name.get((update.name, "all"))
    source = advisory_source(package) if package else update.name
    if is_kernel_source(source) and not is_kernel_image(update.name):
        return []  # headers and tools: they fix nothing of the running kernel
    # Where it cannot be said whether the update reaches the fix, it is counted as if it did.
    return [
        finding
        for finding in of_source.get(source, ())
        if finding.fixed is not None and reaches(update, finding.fixed, by_name) is not False
    ]


def _ranked(update: PendingUpdate, priorities: Iterable[tuple[Priority, str]]) -> RankedUpdate:
    decided = sorted(priorities, key=lambda pair: pair[0].order)
    first, cve = decided[0]
    dues = [(item.due, item.due_reason) for item, _ in decided if item.due is not None]
    due, reason = min(dues, default=(None, first.due_reason))
    led = Contribution(
        name="Decided by", value=cve, text=f"The worst of {len(decided)} CVEs this update fixes."
    )
    priority = Priority(
        lane=first.lane,
        due=due,
        due_reason=reason,
        order=first.order,
        contributions=(led, *first.contributions),
        forensic=any(item.forensic for item, _ in decided),
    )
    cves = tuple(sorted((cve for _, cve in decided), key=cve_order))
    return RankedUpdate(update=update, priority=priority, cves=cves, security=True)


def _without_cve(
    update: PendingUpdate, host: Host, now: datetime, *, release_known: bool
) -> Priority:
    """Place an update no known CVE speaks for. From a security repository, it is one still."""
    nobody = Vulnerability(cve="")
    if not update.security:
        text = "No CVE known, no security origin."
        if not release_known:
            text = "No advisories of this release are loaded: what this update fixes is unknown."
        line = Contribution(name="CVE", value="none" if release_known else "unknown", text=text)
        order = (_LANE_ORDER[Lane.ROUTINE], *_order(nobody, Timeline(days=None, forensic=False)))
        return Priority(
            lane=Lane.ROUTINE,
            due=None,
            due_reason="A plain update: with the next window",
            order=order,
            contributions=(line,),
        )
    worst, best = timelines(nobody, exposed=host.exposed)
    lane = Lane.EXPEDITED if host.exposed else Lane.ROUTINE
    due, reason = _due(nobody, worst, now)
    line = Contribution(name="CVE", value="unknown", text="No CVE known, security origin.")
    return Priority(
        lane=lane,
        due=due,
        due_reason=f"No CVE known, security origin. {reason}",
        order=(_LANE_ORDER[lane], *_order(nobody, worst)),
        contributions=(line, exposure_line(host), table_line(worst, best)),
    )
