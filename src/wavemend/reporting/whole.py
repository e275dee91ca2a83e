"""Put the parts of a report together."""

from datetime import datetime

from wavemend.ledger import approvals
from wavemend.reporting.findings import findings_report
from wavemend.reporting.gaps import gap_reports
from wavemend.reporting.hosts import host_reports
from wavemend.reporting.nights import night_reports, override_reports
from wavemend.reporting.records import approval_reports, audit_report, feed_report, open_questions
from wavemend.reporting.source import Source
from wavemend.reporting.waves import wave_report
from wavemend.reports.model import RolloutReport, RolloutState, TenantReport, WindowReport
from wavemend.rollout import Standing


def whole_report(source: Source) -> RolloutReport:
    """Return the report of one rollout."""
    tenant = source.fleet.tenant(source.row.tenant)
    hosts = host_reports(source)
    return RolloutReport(
        rollout_id=source.row.id,
        tenant=TenantReport(name=tenant.name, title=tenant.title),
        profile=source.row.profile,
        window=WindowReport(
            name=source.row.window,
            zone=tenant.zone,
            start=source.row.window_start,
            end=source.row.window_end,
        ),
        state=_state(source),
        halted_reason=source.closed_reason(),
        started_at=source.row.created_at,
        ended_at=source.row.ended_at or _last_end(source),
        generated_at=source.now,
        plan_digest=source.row.plan_digest,
        requester=source.row.requester,
        simulated=any(host.simulated for host in hosts),
        expected=len(source.plan.expected()) if source.plan else 0,
        waves=tuple(wave_report(source, wave) for wave in source.plan.waves) if source.plan else (),
        hosts=hosts,
        unmanaged=tuple(h.name for h in source.fleet.hosts_of(tenant.name) if not h.profile),
        findings=findings_report(source),
        approvals=approval_reports(source),
        overrides=override_reports(source),
        nights=night_reports(source),
        gaps=gap_reports(source, tenant.gap),
        feeds=tuple(feed_report(source, feed) for feed in source.plan.feeds) if source.plan else (),
        audit=audit_report(source),
        open_questions=open_questions(source),
    )


def _state(source: Source) -> RolloutState:
    steps = source.view.steps
    if "closed" in steps:
        reason = source.closed_reason()
        if source.view.standing is Standing.REJECTED:
            return RolloutState.REJECTED
        return RolloutState.EXPIRED if reason.startswith("window") else RolloutState.HALTED
    if "verified" in steps:
        return RolloutState.DONE
    waiting = approvals.newest(source.book, source.row.id)
    if waiting is not None and not approvals.answered(source.book, waiting.request.id):
        return RolloutState.WAITING_APPROVAL
    return RolloutState.RUNNING


def _last_end(source: Source) -> datetime | None:
    if "verified" not in source.view.steps:
        return None
    step = source.step("verified")
    return step.at if step else None
