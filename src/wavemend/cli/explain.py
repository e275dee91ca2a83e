"""`wavemend explain`: a CVE, a host or a finding, in words and with its sources."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from wavemend.advisories import Vulnerability
from wavemend.cli.feeds import Cache
from wavemend.cli.findings import findings_table
from wavemend.cli.here import here, ledger_here
from wavemend.cli.moments import moment_of
from wavemend.cli.shown import add_row, say, visible
from wavemend.errors import FleetError
from wavemend.explaining import Paragraph, explain_finding, headline
from wavemend.feeds import DEFAULT_FEEDS
from wavemend.feeds.intelligence import MAX_AGE, load_intelligence
from wavemend.feeds.reading.documents import CVE_ID
from wavemend.feeds.refresh import RefreshConfig, feeds_to_refresh
from wavemend.fleet import Fleet
from wavemend.knowledge import Intelligence
from wavemend.ledger.assessments import Question, assessment_at, open_findings
from wavemend.ledger.intake import current_fleet
from wavemend.observations import Assessment, FindingLine, line_of
from wavemend.site import utc_now

_FINDING = re.compile(r"[0-9a-f]{16}")
_SHOWN = 20


def explain(
    subject: Annotated[str, Parameter(help="A CVE, a host's name, or a finding's id.")],
    *,
    as_of: Annotated[str, Parameter(help="For hosts: as they were on this day.")] = "",
    known_at: Annotated[str, Parameter(help="Judged by what was known on this day.")] = "",
    cache: Cache = None,
) -> int:
    """Say what it is, why it matters here, how urgent it is, by when, and how that is known."""
    then = (moment_of(as_of, "--as-of"), moment_of(known_at, "--known-at"))
    if CVE_ID.fullmatch(subject):
        return _cve(subject, cache)
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
        if any(host.name == subject for host in fleet.hosts):
            assessed = assessment_at(book, subject, as_of=then[0], known_at=then[1])
            return _host(fleet, subject, assessed)
        if _FINDING.fullmatch(subject):
            lines = open_findings(book, Question(finding_id=subject))
            names = [line.host for line in lines] or [host.name for host in fleet.hosts]
            for name in names:
                assessed = assessment_at(book, name, as_of=then[0], known_at=then[1])
                if assessed is not None and _finding(subject, assessed):
                    return 0
    raise FleetError(
        f"{subject!r} is no CVE, no host of the fleet, and no finding that is known",
        hint="`wavemend findings` lists the findings with their ids",
    )


def _finding(finding_id: str, assessed: Assessment) -> bool:
    for ranked in assessed.ranked:
        if ranked.finding.id == finding_id:
            say(headline(ranked))
            say_paragraphs(explain_finding(ranked, assessed))
            return True
    return False


def say_paragraphs(paragraphs: Sequence[Paragraph]) -> None:
    """Print questions and answers, each sentence on a line of its own."""
    for paragraph in paragraphs:
        say(f"\n{paragraph.question}")
        for sentence in paragraph.sentences:
            say(f"  {sentence}")


def _host(fleet: Fleet, name: str, assessed: Assessment | None) -> int:
    host = fleet.host(name)
    say(f"{name}, {fleet.tenant(host.tenant).title}: {_marks(fleet, name)}")
    if assessed is None:
        say("Nothing is known of it: it was never looked at, or not before that moment.")
        return 0
    lanes = Counter(str(ranked.priority.lane) for ranked in assessed.ranked)
    counts = ", ".join(f"{count} {lane}" for lane, count in sorted(lanes.items())) or "none"
    say(f"Looked at on {assessed.scanned_at:%Y-%m-%d %H:%M} UTC.")
    say(f"Judged on {assessed.assessed_at:%Y-%m-%d %H:%M} UTC.")
    say(f"Findings: {counts}.")
    say(f"Packages: {assessed.packages} installed, {assessed.judged} of them judged.")
    console = Console()
    shown = [line_of(ranked) for ranked in assessed.ranked[:_SHOWN]]
    if shown:
        console.print(findings_table(shown))
    if len(assessed.ranked) > _SHOWN:
        say(f"and {len(assessed.ranked) - _SHOWN} more: `wavemend findings --host {name}`")
    _unmatched(console, assessed)
    return 0


def _marks(fleet: Fleet, name: str) -> str:
    host = fleet.host(name)
    marks = [
        "critical, so it changes only with a signed approval" if host.critical else "",
        "reachable from the internet" if host.exposed else "not declared as exposed",
        f"profile {host.profile}" if host.profile else "unmanaged: no profile fits",
        "SIMULATED" if host.simulated else "",
    ]
    return "; ".join(mark for mark in marks if mark)


def _unmatched(console: Console, assessed: Assessment) -> None:
    if not assessed.unmatched:
        return
    table = Table(title="Not judged: neither affected nor clean")
    for heading in ("Package", "Version", "Why"):
        table.add_column(heading)
    for item in assessed.unmatched[:_SHOWN]:
        add_row(table, item.package, item.version, item.reason)
    console.print(table)
    if len(assessed.unmatched) > _SHOWN:
        say(f"and {len(assessed.unmatched) - _SHOWN} more")


def _cve(cve: str, cache: Path | None) -> int:
    """Say what every feed knows, what the vendors say, and which hosts of the fleet have it."""
    site = here()
    place, max_age = cache or site.feed_cache, MAX_AGE
    feeds = feeds_to_refresh(RefreshConfig(), place)
    lines: list[FindingLine] = []
    if cache is None and (site.ledger or (site.home / "ledger.db").exists()):
        with ledger_here().reading() as book:
            settings = current_fleet(book).feeds
            lines = list(open_findings(book, Question(cve=cve)))
        feeds = settings.use or DEFAULT_FEEDS
        max_age = timedelta(hours=settings.max_age_hours)
    known = load_intelligence(place, utc_now(), max_age, feeds=feeds)
    vulnerability = known.vulnerability(cve)
    say(f"{cve}: {vulnerability.summary or 'no feed describes it'}")
    console = Console()
    console.print(source_table(vulnerability))
    if vulnerability.cvss_candidates:
        console.print(candidate_table(vulnerability))
    else:
        say("CVSS: nobody assessed it yet, which is not a low score.")
    if known.statements.get(cve):
        console.print(statement_table(cve, known))
    else:
        say("No vendor whose feed is in use speaks of it.")
    if lines:
        console.print(findings_table(lines[:_SHOWN]))
        if len(lines) > _SHOWN:
            say(f"and {len(lines) - _SHOWN} more: `wavemend findings --cve {cve}`")
        say(f"`wavemend explain {lines[0].finding_id}` explains the first of them.")
    elif cache is None:
        say("No host of the fleet is known to lack a fix for it.")
    for warning in known.warnings:
        say(warning)
    return 0


def source_table(vulnerability: Vulnerability) -> Table:
    """Return what each kind of feed says, with its day."""
    table = Table(title="What is known")
    for heading in ("Source", "Says"):
        table.add_column(heading)
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
        add_row(table, "EPSS", "not scored, which is not a low score")
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


def candidate_table(vulnerability: Vulnerability) -> Table:
    """Return every CVSS assessment that was there to choose from."""
    table = Table(title="CVSS assessments")
    for heading in ("Source", "Version", "Published", "Computed", "Vector", ""):
        table.add_column(heading)
    for item in vulnerability.cvss_candidates:
        computed = "unreadable" if item.computed_score is None else f"{item.computed_score:.1f}"
        add_row(
            table,
            item.source,
            item.version,
            f"{item.score:.1f}",
            computed,
            item.vector,
            "chosen" if item == vulnerability.cvss else "disputed" if item.disputed else "",
        )
    return table


def statement_table(cve: str, known: Intelligence) -> Table:
    """Return what the vendors say about a CVE, per release and package."""
    table = Table(title=visible(f"Vendors on {cve}"))
    for heading in ("Release", "Package", "State", "Fixed in", "Document"):
        table.add_column(heading)
    # One row for all architectures: a person asks whether there is a fix, not for which of five.
    rows = {
        (
            advisory.release,
            advisory.package,
            advisory.status.value,
            advisory.fixed_version or "",
            f"{advisory.feed}: {advisory.document}",
        )
        for advisory in known.statements.get(cve, ())
    }
    for row in sorted(rows):
        add_row(table, *row)
    return table
