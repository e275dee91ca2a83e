"""Reports: a Protocol, the table of forms, and how they are written to disk.

A report reads one frozen value, `RolloutReport`, which the caller builds from the ledger; no form
asks anybody for anything. To add one: write `reports/<name>.py` with a
`render(report) -> bytes` that gives equal bytes for equal reports, add a line to `REPORTS`, and
give it a golden file in `tests/cases/reports/`.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from wavemend.reports.files import ReportPaths
from wavemend.reports.model import RolloutReport
from wavemend.reports.summary import summary_text
from wavemend.reports.verdict import (
    Answer,
    Balance,
    NextStep,
    Verdict,
    balance_of,
    is_alarm,
    verdict_of,
)

__all__ = [
    "REPORTS",
    "Answer",
    "Balance",
    "NextStep",
    "Render",
    "ReportPaths",
    "RolloutReport",
    "Verdict",
    "balance_of",
    "is_alarm",
    "render_html",
    "render_json",
    "summary_text",
    "verdict_of",
    "write_report",
]


class Render(Protocol):
    """Turn a report into the bytes of one file: equal reports give equal bytes."""

    def __call__(self, report: RolloutReport) -> bytes: ...


def render_html(report: RolloutReport) -> bytes:
    """Return the report as one self-contained HTML page. Raises LedgerError for unfit values."""
    from wavemend.reports import rollout_html

    return rollout_html.render_html(report)


def render_json(report: RolloutReport) -> bytes:
    """Return the report as canonical JSON. Raises LedgerError for unfit values."""
    from wavemend.reports import rollout_json

    return rollout_json.render_json(report)


REPORTS: Mapping[str, Render] = {"html": render_html, "json": render_json}
"""By file ending. Imported when first used: most commands write no report."""


def write_report(
    report: RolloutReport, folder: Path, *, as_of: datetime | None = None
) -> ReportPaths:
    """Write the page and the JSON into `folder` and return where they are.

    Both are rendered and written to disk before either gets its name, so a reader never sees half
    a report. Raises LedgerError when the report cannot be rendered, EnvironmentUnfit when it
    cannot be written; the message says which file, and what is there now.
    """
    from wavemend.reports.files import write_both

    return write_both(
        folder,
        report.rollout_id,
        html=render_html(report),
        json=render_json(report),
        as_of=as_of or report.generated_at,
    )
