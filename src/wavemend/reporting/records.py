"""Approvals, feeds, the audit chain, and what the report could not decide."""

from datetime import datetime

from sqlmodel import select

from wavemend.errors import AuditBroken
from wavemend.fleet import RolloutKind
from wavemend.ledger import approvals, audit
from wavemend.ledger.tables import (
    FeedSnapshotRow,
)
from wavemend.plans import FeedUsed
from wavemend.reporting.source import Source
from wavemend.reports.model import ApprovalReport, AuditReport, Decision, FeedReport


def approval_reports(source: Source) -> tuple[ApprovalReport, ...]:
    """Return every decision somebody sent, refused ones too."""
    return tuple(
        ApprovalReport(
            identity=row.identity or "nobody named",
            key_fingerprint=row.fingerprint,
            decision=Decision.REJECT if row.decision == "reject" else Decision.APPROVE,
            reason=row.reason,
            at=row.at,
            accepted=row.accepted,
            refusal=row.refusal,
            plan_digest=row.plan_digest,
        )
        for row in approvals.decisions(source.book, source.row.id)
    )


def feed_report(source: Source, used: FeedUsed) -> FeedReport:
    """Return one feed as the plan saw it."""
    query = select(FeedSnapshotRow).where(
        FeedSnapshotRow.feed == used.feed, FeedSnapshotRow.digest == used.digest
    )
    row = source.book.exec(query).first()
    date = datetime.fromisoformat(used.data_date) if used.data_date else None
    made = source.plan.created_at if source.plan else source.now
    return FeedReport(
        name=used.feed,
        data_date=date,
        model=used.model,
        age_seconds=(made - date).total_seconds() if date else None,
        count=row.entries if row else 0,
        rejects=row.rejects if row else 0,
        stale=used.stale,
    )


def audit_report(source: Source) -> AuditReport:
    """Hash the whole chain again and say whether it holds."""
    try:
        head = audit.verify(source.book)
    except AuditBroken as error:
        broken = audit.head(source.book)
        return AuditReport(
            events=broken.events, head=broken.digest, verified=False, detail=str(error)
        )
    detail = "every event was hashed again, from the first to the head"
    return AuditReport(events=head.events, head=head.digest, verified=True, detail=detail)


def open_questions(source: Source) -> tuple[str, ...]:
    """Return what a person has to judge, as sentences."""
    questions = [
        f"before the gate of {source.plan.wave_of(host).name}: {host}: {seen.unwell}"
        for host, seen in sorted(source.view.attempts.items())
        if seen.unwell and source.plan
    ]
    step = source.step("verified")
    if step and step.detail:
        questions += [f"at the last look: {line}" for line in step.detail.splitlines()]
    expected = source.plan.expected() if source.plan else ()
    unseen = [host for host in expected if host not in source.judged_before]
    # Restarts and repairs ask no feed: there nobody is judged, and no finding is counted.
    if unseen and source.row.kind in {RolloutKind.PATCH, RolloutKind.EMERGENCY}:
        questions.append(
            f"not seen before the rollout, so none of their findings is counted: {_some(unseen)}"
        )
    if source.plan and (stale := [feed.feed for feed in source.plan.feeds if feed.stale]):
        questions.append(
            f"decided on stale or missing feeds: {', '.join(stale)}; "
            "what they do not know is not in this report"
        )
    return tuple(questions)


def _some(names: list[str], limit: int = 10) -> str:
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return f"{', '.join(names[:limit])}{more}"
