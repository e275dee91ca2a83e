"""Findings: what was open before, what the rollout closed, and what is left."""

from wavemend.ledger.assessments import assessment_of_scan
from wavemend.ledger.scans import newest_look
from wavemend.observations import Ranked
from wavemend.reporting.source import Source
from wavemend.reports.model import LANES, FindingReport, FindingsReport, LaneReport
from wavemend.versions import Scheme, key_of, order_name

_SCHEMES = {order_name(scheme): scheme for scheme in Scheme}

TOP_FINDINGS = 60
"""Findings listed one by one: what a person reads; the ledger holds all of them."""


def findings_report(source: Source) -> FindingsReport:
    """Count the findings by lane, and list the ones worth reading: the open ones first."""
    rows: list[tuple[Ranked, bool]] = []
    for host in source.plan.hosts if source.plan else ():
        found = newest_look(source.book, host.name, purpose="preflight", rollout_id=source.row.id)
        if found is None:
            continue
        fixed_now = _source_versions(source, host.name)
        assessed = assessment_of_scan(source.book, found[0])
        found_there = assessed.ranked if assessed else ()
        rows += [(ranked, _closed(ranked, fixed_now)) for ranked in found_there]
    rows.sort(key=lambda item: (_is_done(*item), item[0].priority.order, item[0].finding.host))
    lanes = sorted({str(r.priority.lane) for r, _ in rows}, key=_lane_order)
    return FindingsReport(
        lanes=tuple(_lane(lane, rows) for lane in lanes),
        top=tuple(_finding(ranked, closed) for ranked, closed in rows[:TOP_FINDINGS]),
    )


def _is_done(ranked: Ranked, closed: bool) -> bool:
    """False for what somebody still has to look at: open, and not ignored by a rule."""
    return closed or ranked.priority.lane == "ignored"


def _source_versions(source: Source, host: str) -> dict[str, str]:
    """Return source package to version as the last look after the change saw them."""
    for purpose in ("verify", "after"):
        found = newest_look(source.book, host, purpose=purpose, rollout_id=source.row.id)
        if found is not None and found[1].facts is not None:
            installed = found[1].facts.installed
            by_name = {package.name: package.version for package in installed}
            # A vendor that speaks of source packages means the source's version.
            return {**by_name, **{p.source: p.source_version for p in installed if p.source}}
    return {}


def _closed(ranked: Ranked, fixed_now: dict[str, str]) -> bool:
    """True only when a look after the change saw a version that has the fix."""
    finding = ranked.finding
    now = fixed_now.get(finding.package)
    if now is None or finding.fixed is None:
        return False
    scheme = _SCHEMES.get(finding.because.order, Scheme.DEB)
    try:
        return key_of(scheme, now) >= key_of(scheme, finding.fixed)
    except ValueError:
        return False


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
        cve=finding.cve,
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
