"""`wavemend findings`: what hosts lack, most urgent first, today or as it was known on a day."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from sqlmodel import Session

from wavemend.advisories import UpdateClass
from wavemend.cli.here import ledger_here
from wavemend.cli.moments import moment_of
from wavemend.cli.shown import add_row, visible
from wavemend.errors import FleetError
from wavemend.feeds.reading.documents import CVE_ID
from wavemend.fleet import Fleet
from wavemend.ledger.assessments import Question, assessment_at, open_findings, unjudged
from wavemend.ledger.intake import current_fleet
from wavemend.observations import FindingLine, line_of

SHOWN = 50
LANES = ("emergency", "expedited", "routine", "manual", "ignored")
CLASSES = tuple(item.value for item in UpdateClass)
SortBy = Literal["urgency", "due", "host", "cve", "package", "cvss", "epss"]
_NEVER = datetime.max.replace(tzinfo=UTC)

_SORTS: Mapping[str, Callable[[FindingLine], Any]] = {
    "urgency": lambda line: (line.order, line.host),
    "due": lambda line: (line.due or _NEVER, line.order, line.host),
    "host": lambda line: (line.host, line.order),
    "cve": lambda line: (line.cve or line.advisory, line.host, line.package),
    "package": lambda line: (line.package, line.order, line.host),
    # Without a score is not the lowest score: such lines come last, and are there.
    "cvss": lambda line: (line.cvss is None, -(line.cvss or 0.0), line.order, line.host),
    "epss": lambda line: (line.epss is None, -(line.epss or 0.0), line.order, line.host),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found, and what could not be said."""

    lines: tuple[FindingLine, ...]
    hosts: int
    unseen: tuple[str, ...]
    """Hosts of which nothing was known at that moment."""
    unjudged: int
    """Installed packages that could not be compared with what the vendor says."""


def findings(
    *,
    tenant: Annotated[str, Parameter(help="Only this company.")] = "",
    host: Annotated[str, Parameter(help="Only this host.")] = "",
    cve: Annotated[str, Parameter(help="Only this CVE.")] = "",
    package: Annotated[str, Parameter(help="Only this package.")] = "",
    lane: Annotated[
        tuple[str, ...], Parameter(help=f"Only this lane ({', '.join(LANES)}).", negative=())
    ] = (),
    class_: Annotated[
        str, Parameter(name="--class", help="Only security, bugfix, end_of_life and so on.")
    ] = "",
    due_before: Annotated[str, Parameter(help="Only what is due before this day or time.")] = "",
    kev: Annotated[
        bool, Parameter(help="Only what is known to be exploited.", negative=())
    ] = False,
    waived: Annotated[
        bool | None, Parameter(help="Only what is waived; --no-waived: only what is not.")
    ] = None,
    sort: Annotated[SortBy, Parameter(help="Order of the list.")] = "urgency",
    limit: Annotated[int, Parameter(help="Rows of the table; the rest is counted.")] = SHOWN,
    as_of: Annotated[str, Parameter(help="The hosts as they were on this day.")] = "",
    known_at: Annotated[str, Parameter(help="Judged by what was known on this day.")] = "",
    json_: Annotated[
        bool, Parameter(name="--json", help="Everything, as JSON.", negative=())
    ] = False,
    csv_: Annotated[
        bool, Parameter(name="--csv", help="Everything, for a spreadsheet.", negative=())
    ] = False,
) -> int:
    """List what the hosts' last looks found, most urgent first.

    With --as-of, the hosts as they were then, judged by what is known today; with --known-at too,
    judged by what was known at that moment. A day means its end, in UTC.
    """
    question = Question(
        tenant=tenant,
        host=host,
        cve=_known(cve, CVE_ID.fullmatch(cve), "CVE", "write it as CVE-2024-6119"),
        package=package,
        lanes=_lanes(lane),
        update_class=_known(class_, class_ in CLASSES, "class", f"known: {', '.join(CLASSES)}"),
        due_before=moment_of(due_before, "--due-before"),
        kev=kev,
        waived=waived,
    )
    then = (moment_of(as_of, "--as-of"), moment_of(known_at, "--known-at"))
    with ledger_here().reading() as book:
        listing = listing_of(book, current_fleet(book), question, *then)
    lines = sorted(listing.lines, key=_SORTS[sort])
    if json_:
        print(_as_json(lines, listing, then))
    elif csv_:
        print(_as_csv(lines), end="")
    else:
        _show(lines, listing, limit)
    return 0


def listing_of(
    book: Session,
    fleet: Fleet,
    question: Question,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Listing:
    """Answer a question from the ledger. Raises FleetError for a host or company unknown."""
    if question.host:
        fleet.host(question.host)
    if question.tenant:
        fleet.tenant(question.tenant)
    names = [
        host.name
        for host in fleet.hosts
        if question.host in {"", host.name} and question.tenant in {"", host.tenant}
    ]
    if as_of is None and known_at is None:
        counts = unjudged(book)
        managed = frozenset(names)
        return Listing(
            lines=tuple(line for line in open_findings(book, question) if line.host in managed),
            hosts=len(names),
            unseen=tuple(name for name in names if name not in counts),
            unjudged=sum(counts.get(name, 0) for name in names),
        )
    lines: list[FindingLine] = []
    unseen: list[str] = []
    missed = 0
    for name in names:
        assessed = assessment_at(book, name, as_of=as_of, known_at=known_at)
        if assessed is None:
            unseen.append(name)
            continue
        missed += assessed.packages - assessed.judged
        lines += [line for line in map(line_of, assessed.ranked) if question.matches(line)]
    return Listing(lines=tuple(lines), hosts=len(names), unseen=tuple(unseen), unjudged=missed)


def _known(asked: str, good: object, what: str, hint: str) -> str:
    """A word that means nothing must not answer "none were found"."""
    if asked and not good:
        raise FleetError(f"there is no {what} {asked}", hint=hint)
    return asked


def _lanes(asked: Sequence[str]) -> tuple[str, ...]:
    unknown = sorted(set(asked) - set(LANES))
    if unknown:
        raise FleetError(
            f"there is no lane {', '.join(unknown)}", hint=f"known: {', '.join(LANES)}"
        )
    return tuple(asked)


def _show(lines: Sequence[FindingLine], listing: Listing, limit: int) -> None:
    console = Console()
    console.print(findings_table(lines[:limit]))
    if len(lines) > limit:
        console.print(f"and {len(lines) - limit} more; --limit shows them")
    if listing.unjudged:
        console.print(
            f"{listing.unjudged} installed packages could not be judged; "
            "`wavemend explain HOST` says which and why"
        )
    if listing.unseen:
        console.print(visible(f"nothing is known of: {', '.join(listing.unseen)}"))


def findings_table(lines: Sequence[FindingLine]) -> Table:
    """Return one row per finding."""
    table = Table(title="Findings")
    for heading in ("Lane", "Due", "Host", "About", "Package", "Installed", "Fixed in", "Marks"):
        table.add_column(heading)
    table.add_column("Id", no_wrap=True)
    for line in lines:
        add_row(
            table,
            line.lane,
            f"{line.due:%Y-%m-%d}" if line.due else "",
            line.host,
            line.cve or line.advisory,
            line.package,
            line.installed,
            line.fixed or "no fix",
            _marks(line),
            line.finding_id,
        )
    return table


def _marks(line: FindingLine) -> str:
    marks = {"exploited": line.kev, "zero-day": line.zero_day, "waived": line.waived}
    return ", ".join(mark for mark, is_set in marks.items() if is_set)


_COLUMNS = tuple(field.name for field in fields(FindingLine) if field.name != "order")


def _row(line: FindingLine) -> dict[str, Any]:
    values = {name: getattr(line, name) for name in _COLUMNS}
    values["due"] = line.due.isoformat() if line.due else None
    return values


def _as_json(
    lines: Sequence[FindingLine],
    listing: Listing,
    then: tuple[datetime | None, datetime | None],
) -> str:
    body = {
        "schema": "wavemend.findings/1",
        "as_of": then[0].isoformat() if then[0] else None,
        "known_at": then[1].isoformat() if then[1] else None,
        "hosts": listing.hosts,
        "unknown_hosts": list(listing.unseen),
        "unjudged_packages": listing.unjudged,
        "findings": [_row(line) for line in lines],
    }
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False)


def _as_csv(lines: Sequence[FindingLine]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for line in lines:
        writer.writerow(["" if value is None else _cell(value) for value in _row(line).values()])
    return out.getvalue()


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula: host and feed text gets into it."""
    text = str(value)
    is_text = isinstance(value, str)
    return f"'{text}" if is_text and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
