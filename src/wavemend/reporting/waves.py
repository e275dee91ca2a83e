"""Waves and gates, as the ledger has them."""

from datetime import datetime, timedelta

from sqlmodel import col, select

from wavemend.ledger import approvals
from wavemend.ledger.tables import (
    ApprovalRequestRow,
    GateRow,
    WaveRow,
)
from wavemend.plans import PlannedWave
from wavemend.reporting.source import Source
from wavemend.reports.model import GateReport, GateVerdict, WaveReport
from wavemend.rollout import judge_gate


def wave_report(source: Source, wave: PlannedWave) -> WaveReport:
    """Return when a wave ran and soaked, and what its gate said."""
    begun = source.book.get(WaveRow, (source.row.id, wave.number))
    ends = [
        row.ended_at
        for name in wave.hosts
        if (row := source.attempts.get(name)) and row.ended_at and row.touched
    ]
    complete = all(name in source.attempts for name in wave.hosts)
    ended = max(ends) if ends and complete else None
    asked = wave.kind == "critical"
    return WaveReport(
        number=wave.number,
        name=wave.name,
        kind=wave.kind,
        hosts=wave.hosts,
        started_at=begun.started_at if begun else None,
        ended_at=ended,
        soak_until=ended + timedelta(seconds=wave.soak_seconds) if ended else None,
        approval_asked_at=_asked_at(source) if asked else None,
        approval_decided_at=_decided_at(source) if asked else None,
        gate=_gate(source, wave, begun is not None),
    )


def _gate(source: Source, wave: PlannedWave, begun: bool) -> GateReport | None:
    row = source.book.get(GateRow, (source.row.id, wave.number))
    if row is None and not begun:
        return None
    now = judge_gate(wave, source.view)
    errors, good = (row.errors, row.good) if row else (now.errors, now.good)
    closed = source.closed_reason() if row is None else ""
    verdict, reason = GateVerdict.PENDING, row.reason if row else ""
    if row is not None:
        verdict = GateVerdict.PASSED if row.passed else GateVerdict.FAILED
    elif closed and errors > wave.max_errors:
        verdict, reason = GateVerdict.FAILED, closed
    elif closed:  # good hosts failed no gate: something else ended the rollout
        reason = f"never judged: {closed}"
    observed = good + errors
    return GateReport(
        verdict=verdict,
        ok=good,
        errors=errors,
        max_errors=wave.max_errors,
        success_percent=100 * good / observed if observed else None,
        min_success_percent=float(wave.min_success_percent),
        decided_at=row.at if row else None,
        reason=reason,
    )


def _asked_at(source: Source) -> datetime | None:
    query = select(ApprovalRequestRow.asked_at).where(
        ApprovalRequestRow.rollout_id == source.row.id,
        ApprovalRequestRow.plan_digest == source.row.plan_digest,  # not those over rollbacks
    )
    return source.book.exec(query.order_by(col(ApprovalRequestRow.asking))).first()


def _decided_at(source: Source) -> datetime | None:
    known = [
        row.at
        for row in approvals.decisions(source.book, source.row.id)
        if row.accepted and row.plan_digest == source.row.plan_digest
    ]
    return known[-1] if known else None
