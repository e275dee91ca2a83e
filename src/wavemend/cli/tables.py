"""Tables that stay readable on a terminal of 80 columns.

What is copied or decides (lane, date, CVE, id) is never cut; a long host name folds whole. What is
nice to know has a column of its own only where there is room, or where --wide asks for it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich import box
from rich.console import Console
from rich.table import Table

from wavemend.advisories import Advisory, Vulnerability
from wavemend.cli.shown import add_row, visible
from wavemend.knowledge import Intelligence
from wavemend.observations import FindingLine

WIDE = 120
"""Columns from which everything is shown."""
_LONGEST_NAME = 20
"""Host names up to here are never folded."""


def screen(*, wide: bool = False) -> Console:
    """Return the terminal to print on; --wide makes it as wide as a table needs."""
    console = Console()
    return Console(width=max(console.width, 2 * WIDE)) if wide else console


def is_wide(console: Console) -> bool:
    """Say whether there is room for everything."""
    return console.width >= WIDE


def plain_table(
    title: str, headings: Sequence[str], *, right: Iterable[str] = (), tight: bool = False
) -> Table:
    """Return an empty table without lines between columns: they cost a fifth of 80 columns."""
    table = Table(
        title=visible(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0) if tight else (0, 1, 0, 0),
    )
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table


def keep_whole(table: Table, *headings: str) -> Table:
    """Never cut nor fold these columns."""
    for column in table.columns:
        column.no_wrap = column.no_wrap or column.header in headings
    return table


def without(table: Table, *headings: str) -> Table:
    """Return a table of another module without these columns, for a narrow terminal."""
    table.columns = [column for column in table.columns if column.header not in headings]
    table.box, table.show_edge, table.pad_edge = box.SIMPLE_HEAD, False, False
    return table


def findings_table(
    lines: Sequence[FindingLine], *, wide: bool = True, now: datetime | None = None
) -> Table:
    """Return one row per finding; `now` marks what is overdue."""
    more = ("Installed", "Fixed in", "Marks") if wide else ()
    table = plain_table(
        "Findings", ("Lane", "Due", "Host", "About", "Package", *more, "Id"), tight=not wide
    )
    keep_whole(table, "Lane", "Due", "About", "Id")
    if all(len(line.host) <= _LONGEST_NAME for line in lines):
        keep_whole(table, "Host")
    for line in lines:
        marks = marks_of(line, now)
        narrow = f"{line.package} ({marks})" if marks else line.package
        add_row(
            table,
            line.lane,
            f"{line.due:%Y-%m-%d}" if line.due else "",
            line.host,
            line.cve or line.advisory,
            *((line.package, line.installed, line.fixed or "no fix", marks) if wide else (narrow,)),
            line.finding_id,
        )
    return table


def marks_of(line: FindingLine, now: datetime | None = None) -> str:
    """Return what must be seen of a finding at once, in words."""
    ran_out = now is not None and line.waiver_ran_out(now)
    marks = {
        "OVERDUE": now is not None and line.is_overdue(now),
        "exploited": line.kev,
        "zero-day": line.zero_day,
        "waived": line.waived and not ran_out,
        "waiver ran out": ran_out,
    }
    return ", ".join(mark for mark, is_set in marks.items() if is_set)


def source_table(vulnerability: Vulnerability) -> Table:
    """Return what each kind of feed says, with its day."""
    table = plain_table("What is known", ("Source", "Says"))
    kev, epss, ssvc = vulnerability.kev, vulnerability.epss, vulnerability.ssvc
    if kev is not None:
        ransomware = "; used by ransomware" if kev.ransomware else ""
        due = f", to be fixed by {kev.due_date}" if kev.due_date else ""
        add_row(table, "CISA KEV", f"exploited; listed {kev.date_added}{due}{ransomware}")
    else:
        says = "not listed" if vulnerability.kev_known else "unknown: no catalogue was loaded"
        add_row(table, "CISA KEV", says)
    if epss is not None:
        place = "" if epss.percentile is None else f", percentile {epss.percentile:.2%}"
        says = f"{epss.probability:.5f}{place}; model {epss.model} of {epss.date}"
        add_row(table, "EPSS", says)
    else:
        add_row(table, "EPSS", "no feed in use has a score, which is not a low score")
    if ssvc is not None:
        words = {None: "not answered", True: "yes", False: "no"}
        says = (
            f"exploitation {ssvc.exploitation or 'not answered'}, "
            f"automatable {words[ssvc.automatable]}, total impact {words[ssvc.impact_total]}"
        )
        add_row(table, f"SSVC by {ssvc.source}", says)
    for item in vulnerability.exploits:
        when = f", {item.published}" if item.published else ""
        add_row(table, item.kind, f"{item.reference}{when}")
    return table


def candidate_table(vulnerability: Vulnerability, *, wide: bool = True) -> Table:
    """Return every CVSS assessment that was there to choose from."""
    vector = ("Vector",) if wide else ()
    table = plain_table(
        "CVSS assessments", ("Source", "Version", "Published", "Computed", *vector, "")
    )
    for item in vulnerability.cvss_candidates:
        computed = "unreadable" if item.computed_score is None else f"{item.computed_score:.1f}"
        add_row(
            table,
            item.source,
            item.version,
            f"{item.score:.1f}",
            computed,
            *((item.vector,) if wide else ()),
            "chosen" if item == vulnerability.cvss else "disputed" if item.disputed else "",
        )
    return table


def statement_table(cve: str, known: Intelligence) -> Table:
    """Return what the vendors say about a CVE, per release and package."""
    table = plain_table(
        f"Vendors on {cve}", ("Release", "Package", "State", "Fixed in", "Document")
    )
    keep_whole(table, "Release", "State")
    # One row for all architectures: a person asks whether there is a fix, not for which of five.
    rows = {
        (
            advisory.release,
            advisory.package,
            advisory.status.value,
            _fixed_in(advisory),
            f"{advisory.feed}: {advisory.document}",
        )
        for advisory in known.statements.get(cve, ())
    }
    for row in sorted(rows):
        add_row(table, *row)
    return table


def _fixed_in(advisory: Advisory) -> str:
    """Return the fixed version, and where it counts: elsewhere another one may be the least."""
    where = f" ({advisory.module})" if advisory.module and advisory.fixed_version else ""
    return f"{advisory.fixed_version or ''}{where}"
