"""Findings: what was open before, what the rollout closed, and what is left."""

from wavemend.ledger.assessments import assessment_of_scan
from wavemend.ledger.scans import newest_look
from wavemend.observations import Assessment, Ranked, subject_of
from wavemend.outcomes import Outcome
from wavemend.reporting.source import Source
from wavemend.reports.model import LANES, FindingReport, FindingsReport, LaneReport

TOP_FINDINGS = 60
"""Findings listed one by one: what a person reads; the ledger holds all of them."""


def findings_report(source: Source) -> FindingsReport:
    """Count the findings by lane, and list the ones worth reading: the open ones first.

    Those of hosts that the plan had to leave out count too: they are as open as before.
    """
    rows: list[tuple[Ranked, bool]] = []
    for host in source.plan.expected() if source.plan else ():
        # Who is not among them was not seen; an open question names it.
        scan_id, findings = source.judged_before.get(host, (0, 0))
        before = assessment_of_scan(source.book, scan_id) if findings else None
        if before is None:
            continue
        closed = closed_by(before, _verified(source, host))
        rows += [(ranked, ranked.finding.id in closed) for ranked in before.ranked]
    rows.sort(key=lambda item: (_is_done(*item), item[0].priority.order, item[0].finding.host))
    lanes = sorted({str(r.priority.lane) for r, _ in rows}, key=_lane_order)
    return FindingsReport(
        lanes=tuple(_lane(lane, rows) for lane in lanes),
        top=tuple(_finding(ranked, closed) for ranked, closed in rows[:TOP_FINDINGS]),
    )


def _is_done(ranked: Ranked, closed: bool) -> bool:
    """False for what somebody still has to look at: open, and not ignored by a rule."""
    return closed or ranked.priority.lane == "ignored"


def _verified(source: Source, host: str) -> Assessment | None:
    """Return how the last look after everything was judged; None: there was none.

    What was seen before a rollback of the host says nothing of it any more.
    """
    found = newest_look(source.book, host, purpose="verify", rollout_id=source.row.id)
    if found is None:
        return None
    scan_id, look = found
    row = source.attempts.get(host)
    for back in source.rollbacks_of(row.id) if row else ():
        changed = back.outcome != Outcome.BLOCKED
        if changed and (back.ended_at is None or back.ended_at > look.at):
            return None
    return assessment_of_scan(source.book, scan_id)


def closed_by(before: Assessment, after: Assessment | None) -> frozenset[str]:
    """Return the ids of findings that were there before and that the second look has no more.

    The second look is judged whole, running kernel and all: a new version on the disk alone closes
    nothing. Where a feed is missing that spoke before, its silence closes nothing either.
    """
    if after is None:
        return frozenset()
    silent = _speaking(before) - _speaking(after)
    left = {ranked.finding.id for ranked in after.ranked}
    return frozenset(
        ranked.finding.id
        for ranked in before.ranked
        if ranked.finding.id not in left and ranked.finding.because.feed not in silent
    )


def _speaking(assessment: Assessment) -> frozenset[str]:
    """Return the feeds of which a copy was there, of whatever day."""
    return frozenset(feed.feed for feed in assessment.feeds if feed.day is not None)


def _lane(lane: str, rows: list[tuple[Ranked, bool]]) -> LaneReport:
    states = [closed for ranked, closed in rows if ranked.priority.lane == lane]
    return LaneReport(
        lane=lane,
        open_before=len(states),
        closed=sum(states),
        still_open=len(states) - sum(states),
    )


def _finding(ranked: Ranked, closed: bool) -> FindingReport:
    finding, known = ranked.finding, ranked.vulnerability
    because = finding.because
    return FindingReport(
        cve=subject_of(finding),
        host=finding.host,
        package=finding.package,
        lane=ranked.priority.lane,
        closed=closed,
        cvss=known.cvss.score if known.cvss else None,
        cvss_source=f"{known.cvss.source} v{known.cvss.version}" if known.cvss else "",
        epss=known.epss.probability if known.epss else None,
        epss_model=known.epss.model if known.epss else "",
        epss_date=known.epss.date.isoformat() if known.epss else "",
        kev=known.kev is not None,
        due_at=ranked.priority.due,
        because=f"{because.feed} {because.document}: {because.compared}",
    )


def _lane_order(lane: str) -> tuple[int, str]:
    return (LANES.index(lane) if lane in LANES else len(LANES), lane)
