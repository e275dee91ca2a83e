"""Build a rollout's report from the ledger, and from nothing else."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wavemend.fleet import Fleet
from wavemend.ledger.store import Ledger
from wavemend.reporting.source import Source
from wavemend.reporting.whole import whole_report
from wavemend.reports import ReportPaths, RolloutReport, summary_text, write_report

__all__ = ["WrittenReport", "build_report", "write_rollout_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """A report, where it was written, and its few lines for a terminal."""

    paths: ReportPaths
    report: RolloutReport
    summary: str


def write_rollout_report(
    ledger: Ledger, fleet: Fleet, rollout_id: str, folder: Path, now: datetime
) -> WrittenReport:
    """Build and write the report of one rollout."""
    report = build_report(ledger, fleet, rollout_id, now)
    paths = write_report(report, folder)
    return WrittenReport(paths=paths, report=report, summary=summary_text(report, paths))


def build_report(ledger: Ledger, fleet: Fleet, rollout_id: str, now: datetime) -> RolloutReport:
    """Return the report of a rollout as the ledger has it at this moment."""
    with ledger.reading() as book:
        return whole_report(Source(book, fleet, rollout_id, now))
