"""Build a rollout's report from the ledger, and from nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from wavemend.errors import LedgerError, WavemendError
from wavemend.fleet import Fleet
from wavemend.ledger import rollouts
from wavemend.ledger.intake import current_fleet, fleet_of
from wavemend.ledger.report_age import last_told
from wavemend.ledger.store import Ledger
from wavemend.reporting.source import Source
from wavemend.reporting.whole import whole_report
from wavemend.reports import ReportPaths, RolloutReport, summary_text, write_report
from wavemend.reports.files import written_as_of

__all__ = [
    "WrittenReport",
    "build_report",
    "fleet_of_night",
    "renew_reports",
    "write_rollout_report",
]


_COARSE = timedelta(seconds=2)
"""The coarsest that file systems keep times; they cut off the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """A report, where it was written, and its few lines for a terminal."""

    paths: ReportPaths
    report: RolloutReport
    summary: str


def write_rollout_report(
    ledger: Ledger,
    fleet: Fleet,
    rollout_id: str,
    folder: Path,
    now: datetime,
    *,
    as_of: datetime | None = None,
) -> WrittenReport:
    """Build and write the report of one rollout; `as_of`: the time of its files, if not now."""
    report = build_report(ledger, fleet, rollout_id, now)
    paths = write_report(report, folder, as_of=as_of)
    return WrittenReport(paths=paths, report=report, summary=summary_text(report, paths))


def fleet_of_night(book: Session, rollout_id: str) -> tuple[Fleet, str]:
    """Return the fleet a rollout was planned for: zone and gap of its night, companies that left.

    Where it cannot be had, a report in the words of today's fleet is better than none; then also
    why.
    """
    plan = rollouts.read_plan(book, rollout_id)
    try:
        return (fleet_of(book, plan.fleet_digest) if plan else current_fleet(book)), ""
    except LedgerError as error:
        return current_fleet(book), error.message


def renew_reports(ledger: Ledger, folder: Path, clock: Callable[[], datetime]) -> Iterator[str]:
    """Write each report of a folder again that is older than what the ledger has of its rollout.

    A process may die between the ledger's last word and the page that shows it. A report that is
    not there was taken away, and is not made anew.
    """
    with ledger.reading() as book:
        told = last_told(book)
    for rollout_id in sorted(told):
        last, now = told[rollout_id], clock()
        written = written_as_of(folder, rollout_id)
        if written is None or _shows(written, last, now):
            continue
        ahead = last + _COARSE if last > now else None  # told by a clock that was wrong
        try:
            with ledger.reading() as book:
                fleet, _ = fleet_of_night(book, rollout_id)
            write_rollout_report(ledger, fleet, rollout_id, folder, now, as_of=ahead)
        except WavemendError as error:  # the others are renewed all the same
            yield f"rollout {rollout_id}: its report is out of date: {error}"
        else:
            yield f"rollout {rollout_id}: its report was out of date, and is written again"


def _shows(written: datetime, told: datetime, now: datetime) -> bool:
    """True when files of this time show what was told then.

    A time to come is of a clock that was ahead, and proves no more than what was told by the same.
    """
    return told <= written and (written <= now or written - told <= _COARSE)


def build_report(ledger: Ledger, fleet: Fleet, rollout_id: str, now: datetime) -> RolloutReport:
    """Return the report of a rollout as the ledger has it at this moment."""
    with ledger.reading() as book:
        return whole_report(Source(book, fleet, rollout_id, now))
