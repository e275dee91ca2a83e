"""`wavemend findings`: what is known of a CVE, and why it gets the priority it gets."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from wavemend.advisories import Intelligence, Vulnerability
from wavemend.cli.feeds import Cache
from wavemend.cli.here import here, ledger_here
from wavemend.cli.shown import add_row, visible
from wavemend.errors import FeedError
from wavemend.feeds.documents import CVE_ID
from wavemend.feeds.intelligence import load_intelligence
from wavemend.findings import Because, Finding
from wavemend.hosts import Host
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.scans import findings_of, last_ranked_look
from wavemend.observations import Ranked
from wavemend.scoring import Priority, prioritise

app = cyclopts.App(name="findings", help="What hosts lack, and why it matters.")


@app.command(name="list")
def list_(
    *,
    host: Annotated[str, Parameter(help="Only this host.")] = "",
    tenant: Annotated[str, Parameter(help="Only this company.")] = "",
    limit: Annotated[int, Parameter(help="Rows shown; the rest is counted.")] = 50,
) -> int:
    """List what the hosts' last looks found, most urgent first, with why it is known."""
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
        names = [h.name for h in fleet.hosts if host in {"", h.name} and tenant in {"", h.tenant}]
        looks = {name: last_ranked_look(book, name) for name in names}
        found = [item for look in looks.values() if look for item in findings_of(book, look[0])]
    found.sort(key=lambda item: (item.priority.order, item.finding.host))
    console = Console()
    console.print(findings_table(found[:limit]))
    if len(found) > limit:
        console.print(f"and {len(found) - limit} more; --limit shows them")
    unseen = [name for name, look in looks.items() if look is None or look[1].facts is None]
    if unseen:
        console.print(visible(f"never seen, so nothing is known of: {', '.join(unseen)}"))
    return 0


def findings_table(found: Sequence[Ranked]) -> Table:
    """Return one row per finding."""
    table = Table(title="Findings")
    for heading in ("Lane", "Due", "Host", "CVE", "Package", "Installed", "Fixed in", "Because"):
        table.add_column(heading)
    for item in found:
        finding, due = item.finding, item.priority.due
        add_row(
            table,
            item.priority.lane,
            f"{due:%Y-%m-%d}" if due else "",
            finding.host,
            finding.cve,
            finding.source_package,
            finding.installed,
            finding.fixed or "no fix yet",
            finding.because.document,
        )
    return table


@app.command
def explain(
    cve: str,
    *,
    cache: Cache = None,
    exposed: Annotated[
        bool, Parameter(help="Explain for a host that the internet reaches.")
    ] = False,
    max_age_hours: Annotated[
        float, Parameter(help="Age beyond which decisions are marked stale.")
    ] = 48.0,
) -> int:
    """Print every input of a CVE's priority: its value, its source, and what it did."""
    if not CVE_ID.fullmatch(cve):
        raise FeedError(f"{cve!r} is not a CVE.", hint="write it as CVE-2024-6119")
    now = datetime.now(UTC)
    known = load_intelligence(cache or here().feed_cache, now, timedelta(hours=max_age_hours))
    vulnerability = known.vulnerability(cve)
    priority = prioritise(_sample_finding(cve), _sample_host(exposed), vulnerability, now)
    console = Console()
    if vulnerability.summary:
        console.print(visible(vulnerability.summary))
    console.print(contribution_table(cve, priority))
    console.print(candidate_table(vulnerability))
    console.print(statement_table(cve, known))
    for warning in known.warnings:
        console.print(visible(warning))
    return 0


def contribution_table(cve: str, priority: Priority) -> Table:
    """Return the contributions of a priority, and what they add up to."""
    due = f"{priority.due:%Y-%m-%d %H:%MZ}" if priority.due else "no date"
    title = visible(f"{cve}: {priority.lane}, due {due}")
    table = Table(title=title, caption=visible(priority.due_reason))
    for heading in ("Input", "Value", "What it did"):
        table.add_column(heading)
    for line in priority.contributions:
        add_row(table, line.name, line.value, line.text)
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
    """Return what the distributions say about a CVE, per release and source package."""
    table = Table(title="Distributions")
    for heading in ("Release", "Source package", "State", "Fixed in", "Document"):
        table.add_column(heading)
    for (release, source), advisories in known.advisories.items():
        for advisory in advisories:
            if cve in advisory.cves:
                add_row(
                    table,
                    release,
                    source,
                    advisory.status.value,
                    advisory.fixed_version or "",
                    advisory.document,
                )
    return table


def _sample_host(exposed: bool) -> Host:
    return Host(name="any host", tenant="", address="", exposed=exposed)


def _sample_finding(cve: str) -> Finding:
    """Return a finding with a fix, so that the lane shows the urgency and not its absence."""
    return Finding(
        id="",
        tenant="",
        host="any host",
        cve=cve,
        source_package="",
        binaries=(),
        installed="",
        fixed="any",
        fix_pending=False,
        because=Because(feed="", document="", compared=""),
    )
