"""`wavemend findings`: what hosts lack, most urgent first, today or as it was known on a day."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from wavemend.advisories import UpdateClass
from wavemend.cli.here import ledger_here
from wavemend.cli.listings import LANES, Listing, Tally, listing_now, listing_then
from wavemend.cli.moments import Past, Then, counted, moment_of, then_of
from wavemend.cli.shown import say, spelled
from wavemend.cli.tables import findings_table, is_wide, screen
from wavemend.errors import FleetError
from wavemend.feeds.reading.documents import CVE_ID
from wavemend.ledger.assessments import Question
from wavemend.ledger.intake import current_fleet
from wavemend.observations import FindingLine
from wavemend.site import utc_now

SHOWN = 50
NAMED = 20
"""Hosts named below a list; the rest is counted."""
CLASSES = tuple(item.value for item in UpdateClass)
SortBy = Literal["urgency", "due", "host", "cve", "package", "cvss", "epss"]
Form = Literal["table", "json", "csv"]
Lanes = Annotated[
    tuple[str, ...], Parameter(help=f"Only this lane ({', '.join(LANES)}).", negative=())
]
Exploited = Annotated[bool, Parameter(help="Only what is known to be exploited.", negative=())]
Overdue = Annotated[bool, Parameter(help="Only what should be fixed already.", negative=())]
Wide = Annotated[bool, Parameter(help="All columns, however narrow the terminal.", negative=())]


def findings(
    *,
    tenant: Annotated[str, Parameter(help="Only this company.")] = "",
    host: Annotated[str, Parameter(help="Only this host.")] = "",
    cve: Annotated[str, Parameter(help="Only this CVE.")] = "",
    package: Annotated[str, Parameter(help="Only this package.")] = "",
    lane: Lanes = (),
    class_: Annotated[
        str, Parameter(name="--class", help="Only security, bugfix, end_of_life and so on.")
    ] = "",
    due_before: Annotated[str, Parameter(help="Only what is due before this day or time.")] = "",
    kev: Exploited = False,
    overdue: Overdue = False,
    waived: Annotated[
        bool | None, Parameter(help="Only what is waived; --no-waived: only what is not.")
    ] = None,
    sort: Annotated[SortBy, Parameter(help="Order of the list.")] = "urgency",
    limit: Annotated[int, Parameter(help="Rows of the table; the rest is counted.")] = SHOWN,
    as_of: Annotated[str, Parameter(help="The hosts as they were on this day.")] = "",
    known_at: Annotated[str, Parameter(help="Judged by what was known on this day.")] = "",
    wide: Wide = False,
    json_: Annotated[
        bool, Parameter(name="--json", help="Everything, as JSON.", negative=())
    ] = False,
    csv_: Annotated[
        bool, Parameter(name="--csv", help="Everything, for a spreadsheet.", negative=())
    ] = False,
) -> int:
    """List what the hosts' last looks found, most urgent first.

    With --as-of, the hosts as they were then, judged now by the feeds as they are; with --known-at
    too, as they were judged by that moment. A day means its end, in UTC.
    """
    cve = cve.upper()
    question = Question(
        tenant=tenant,
        host=host,
        cve=_known(cve, CVE_ID.fullmatch(cve), "CVE", "write it as CVE-2024-6119"),
        package=package,
        lanes=_lanes(lane),
        update_class=_known(class_, class_ in CLASSES, "class", f"known: {', '.join(CLASSES)}"),
        due_before=moment_of(due_before, "--due-before", begins=True),
        kev=kev,
        waived=waived,
    )
    if json_ and csv_:
        raise FleetError("--json and --csv are two forms of one list", hint="give one of them")
    if limit < 1:
        raise FleetError(f"--limit {limit} shows nothing", hint="give a number from 1")
    form: Form = "json" if json_ else "csv" if csv_ else "table"
    looks = _Looks(sort=sort, limit=limit, form=form, wide=wide, overdue=overdue)
    _answer(question, then_of(as_of, known_at), looks)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looks:
    """In which order and form the answer is printed."""

    sort: SortBy
    limit: int
    form: Form
    wide: bool
    overdue: bool


def _answer(question: Question, then: Then, looks: _Looks) -> None:
    """Print while the ledger is open: lines are read as they are printed."""
    with ledger_here().reading() as book:
        past = Past(book, then) if then.is_past else None
        now = past.moment if past else utc_now()
        if looks.overdue:
            before = min(filter(None, (question.due_before, now)))
            question = replace(question, due_before=before)
        if past is not None:
            listing = listing_then(past, question, now, sort=looks.sort)
        else:
            shown = looks.limit if looks.form == "table" else None
            fleet = current_fleet(book)
            listing = listing_now(book, fleet, question, now, sort=looks.sort, limit=shown)
        match looks.form:
            case "json":
                _print_json(listing, then)
            case "csv":
                _print_csv(listing)
            case "table":
                _show(listing, looks.limit, wide=looks.wide)


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


def _show(listing: Listing, limit: int, *, wide: bool) -> None:
    console = screen(wide=wide)
    lines = list(listing.lines)[:limit]
    say(summary(listing))
    if lines:
        console.print(findings_table(lines, wide=is_wide(console), now=listing.now))
    if listing.count > len(lines):
        say(f"and {listing.count - len(lines)} more: --limit shows them.")
    for line in notes(listing, lines):
        say(line)


def summary(listing: Listing) -> str:
    """Return one line: how many, where, how urgent, how late."""
    of_hosts = f"{listing.tally.hosts} of {counted(listing.hosts, 'host')}"
    head = f"{counted(listing.count, 'finding')} on {of_hosts}"
    counts = _counts(listing.tally)
    return f"{head}: {counts}." if counts else f"{head}."


def _counts(tally: Tally) -> str:
    words = [f"{number} {lane}" for lane, number in tally.lanes]
    return ", ".join([*words, f"{tally.overdue} OVERDUE"] if tally.overdue else words)


def notes(listing: Listing, lines: Sequence[FindingLine] = ()) -> Iterator[str]:
    """Yield what must be said below a list: what is not known, stale, simulated or ran out."""
    if listing.unjudged:
        yield (
            f"{counted(listing.unjudged, 'installed package')} could not be judged; "
            "`wavemend explain HOST` says which and why."
        )
    if listing.kept:
        stand = "finding stands" if listing.kept == 1 else "findings stand"
        yield (
            f"{listing.kept} {stand} as an earlier judgement left them: a feed that spoke "
            "of them is missing or older now."
        )
    ran_out = sum(line.waiver_ran_out(listing.now) for line in lines)
    if ran_out:
        yield (
            f"Of {counted(ran_out, 'finding')} above the waiver ran out, not judged again yet: "
            "`wavemend feeds refresh` judges anew."
        )
    simulated = sorted(name for name, host in listing.members.items() if host.simulated)
    if simulated:
        yield f"SIMULATED, not real machines: {_some(simulated)}."
    if listing.stale:
        yield f"STALE: judged by stale or missing feeds: {_some(sorted(listing.stale))}."
    if listing.unseen:
        yield f"Nothing is known of: {_some(listing.unseen)}."
    yield from listing.silent[:NAMED]
    if len(listing.silent) > NAMED:
        yield f"and {len(listing.silent) - NAMED} more hosts that did not answer."
    yield from listing.warnings


def _some(names: Sequence[str]) -> str:
    """Name the first hosts and count the rest."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


_COLUMNS = tuple(item.name for item in fields(FindingLine) if item.name != "order")
_HERE = ("exposed", "critical", "simulated", "stale", "overdue", "waiver_ran_out")
"""What is known of the host, and of the moment, beside the finding."""


def _row(line: FindingLine, listing: Listing) -> dict[str, Any]:
    values = {name: getattr(line, name) for name in _COLUMNS}
    for name, value in values.items():
        if isinstance(value, datetime):
            values[name] = value.isoformat()
    host = listing.members.get(line.host)
    said = (
        host is not None and host.exposed,
        host is not None and host.critical,
        host is not None and host.simulated,
        line.host in listing.stale,
        line.is_overdue(listing.now),
        line.waiver_ran_out(listing.now),
    )
    return {**values, **dict(zip(_HERE, said, strict=True))}


def _print_json(listing: Listing, then: Then) -> None:
    """Print one finding a line, as they come: half a million are not held in memory.

    Only ASCII is printed: what a terminal or an editor would obey, or hide, stays readable.
    """
    head = {
        "schema": "wavemend.findings/1",
        "as_of": then.as_of.isoformat() if then.as_of else None,
        "known_at": then.known_at.isoformat() if then.known_at else None,
        "hosts": listing.hosts,
        "unknown_hosts": list(listing.unseen),
        "unjudged_packages": listing.unjudged,
        "kept_findings": listing.kept,
        "unanswered": list(listing.silent),
        "warnings": list(listing.warnings),
        "count": listing.count,
        "lanes": dict(listing.tally.lanes),
        "overdue": listing.tally.overdue,
    }
    print(json.dumps(head, indent=2).removesuffix("\n}") + ',\n  "findings": [', end="")
    for text in _json_lines(listing):
        print(text, end="")
    print("\n  ]\n}")


def _json_lines(listing: Listing) -> Iterator[str]:
    before = "\n    "
    for line in listing.lines:
        yield before + json.dumps(_row(line, listing), allow_nan=False)
        before = ",\n    "


def _print_csv(listing: Listing) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow((*_COLUMNS, *_HERE))
    for line in listing.lines:
        values = _row(line, listing).values()
        writer.writerow(["" if value is None else _cell(value) for value in values])


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula: host and feed text gets into it.

    What is not plainly visible is spelled out, as in the table.
    """
    text = spelled(str(value))
    is_text = isinstance(value, str)
    return f"'{text}" if is_text and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
