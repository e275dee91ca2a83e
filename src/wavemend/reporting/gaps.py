"""The proof of a company's gaps: what lay between its groups in the window of a rollout."""

from datetime import timedelta

from wavemend.ledger.gaps import gaps_seen
from wavemend.reporting.source import Source
from wavemend.reports.model import GapReport


def gap_reports(source: Source, gap: timedelta | None) -> tuple[GapReport, ...]:
    """Return what lay before each group that started in this window, of whichever rollout."""
    if gap is None:
        return ()
    row = source.row
    return tuple(
        GapReport(
            after=seen.after,
            ended_at=seen.ended_at,
            before=seen.before,
            started_at=seen.started_at,
            required_seconds=int(gap.total_seconds()),
            kept=seen.keeps(gap),
        )
        for seen in gaps_seen(source.book, row.tenant, row.window_start, row.window_end)
    )
