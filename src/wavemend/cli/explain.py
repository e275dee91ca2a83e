"""`wavemend explain`: a CVE, a host or a finding, in words and with its sources."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from sqlmodel import Session

from wavemend.advisories import Vulnerability
from wavemend.cli.explain_host import explain_host
from wavemend.cli.feeds import Cache
from wavemend.cli.findings import notes
from wavemend.cli.here import has_ledger, here, ledger_here
from wavemend.cli.listings import Listing, listing_now
from wavemend.cli.moments import (
    Past,
    counted,
    feed_warnings,
    intelligence_of,
    judged_before,
    then_of,
    unanswered,
)
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import (
    candidate_table,
    findings_table,
    is_wide,
    plain_table,
    screen,
    source_table,
    statement_table,
)
from wavemend.errors import FleetError
from wavemend.explaining import (
    Paragraph,
    Standing,
    explain_finding,
    headline,
    whole_sentences,
)
from wavemend.feeds.intelligence import MAX_AGE, load_intelligence
from wavemend.feeds.reading.documents import CVE_ID
from wavemend.feeds.refresh import RefreshConfig, feeds_to_refresh
from wavemend.fleet import Fleet
from wavemend.ledger.assessments import (
    Question,
    assessment_at,
    first_seen,
    host_of_finding,
    judged_hosts,
    open_findings,
    with_finding,
)
from wavemend.ledger.intake import current_fleet
from wavemend.observations import Assessment, line_of
from wavemend.policy.resolving import resolver_of
from wavemend.site import utc_now

_FINDING = re.compile(r"[0-9a-f]{16}")
_SHOWN = 20


def explain(
    subject: Annotated[str, Parameter(help="A CVE, a host's name, or a finding's id.")],
    *,
    as_of: Annotated[str, Parameter(help="For hosts: as they were on this day.")] = "",
    known_at: Annotated[str, Parameter(help="Judged by what was known on this day.")] = "",
    at: Annotated[str, Parameter(help="For hosts: why (not) at this time to come.")] = "",
    cache: Cache = None,
) -> int:
    """Say what it is, why it matters here, how urgent it is, by when, and how that is known.

    Of a host first: may it be changed now, why not, and what would flip that.
    """
    then = then_of(as_of, known_at)
    if CVE_ID.fullmatch(subject.upper()):
        subject = subject.upper()
        if then.is_past:
            raise FleetError(
                "--as-of and --known-at are answered for hosts and findings, not for a CVE",
                hint=f"`wavemend findings --cve {subject} --as-of DAY` lists who had it then",
            )
        return _cve(subject, cache)
    if cache is not None:
        raise FleetError(
            "--cache is for a CVE: hosts and findings are explained from the ledger",
            hint="leave --cache out; WAVEMEND_HOME names another installation",
        )
    with ledger_here().reading() as book:
        past = Past(book, then) if then.is_past else None
        fleet = past.fleet if past is not None else current_fleet(book)
        if any(host.name == subject for host in fleet.hosts):
            known = past.assessment(subject) if past is not None else assessment_at(book, subject)
            said = past.warnings if past is not None else _warnings_now(book, fleet, subject)
            now = past.moment if past is not None else utc_now()
            if past is None:
                explain_host(fleet, subject, at=at)
            return _host(fleet, subject, known, said, now)
        if subject in judged_hosts(book):
            raise FleetError(
                f"{subject} is not in the fleet" + (" of that day" if past is not None else ""),
                hint=f"`wavemend explain {subject} --as-of DAY`, a day on which it was",
            )
        host = host_of_finding(book, subject) if _FINDING.fullmatch(subject) else ""
        if host:
            return _finding(book, fleet, subject, host, past)
    raise FleetError(
        f"{subject!r} is no CVE, no host of the fleet, and no finding that is known",
        hint="`wavemend findings` lists the findings with their ids",
    )


def _warnings_now(book: Session, fleet: Fleet, host: str) -> tuple[str, ...]:
    """Return what must be said of a host's last look and of the feeds its judgement rests on."""
    silent = tuple(filter(None, (unanswered(book, host),)))
    judged = judged_hosts(book).get(host)
    if judged is None:
        return silent
    stand = "finding stands" if judged.kept == 1 else "findings stand"
    kept = (
        f"{judged.kept} more {stand} as an earlier judgement left them: "
        f"`wavemend findings --host {host}` lists them too."
    )
    return (
        *silent,
        *feed_warnings((judged.feeds,)),
        *judged_before((judged,), fleet),
        *((kept,) if judged.kept else ()),
    )


def _finding(book: Session, fleet: Fleet, finding_id: str, host: str, past: Past | None) -> int:
    is_member = any(item.name == host for item in fleet.hosts)
    now = past.moment if past is not None else utc_now()
    if past is not None:
        known = past.assessment(host) if is_member else None
    else:
        known = assessment_at(book, host)
        if not _has(known, finding_id) and open_findings(book, Question(finding_id=finding_id)):
            # It stands as an earlier judgement left it: the newest could not speak of it.
            known = with_finding(book, host, finding_id)
    for ranked in known.ranked if known is not None else ():
        if known is not None and ranked.finding.id == finding_id:
            say(headline(ranked, now))
            standing = _standing(fleet, host) if is_member else None
            say_paragraphs(explain_finding(ranked, known, standing, now))
            _say_after(past.warnings if past is not None else _changed_since(book, fleet, host))
            return 0
    raise _not_there(book, finding_id, host, past)


def _say_after(lines: Sequence[str]) -> None:
    if lines:
        say("")
    for line in lines:
        say(line)


def _changed_since(book: Session, fleet: Fleet, host: str) -> tuple[str, ...]:
    """Say whether the host answered last, and whether it was judged by what is in use now."""
    judged = judged_hosts(book).get(host)
    before = judged_before((judged,), fleet) if judged is not None else ()
    return (*filter(None, (unanswered(book, host),)), *before)


def _standing(fleet: Fleet, name: str) -> Standing:
    host = fleet.host(name)
    if not host.profile:
        return Standing(host=host, profile=None)
    profile = fleet.profile(host.profile)
    settings = resolver_of(fleet).settings(host, profile)
    return Standing(host=host, profile=profile, settings=settings)


def _not_there(book: Session, finding_id: str, host: str, past: Past | None) -> FleetError:
    since = first_seen(book, host)[finding_id].at
    seen = f"it was seen first on {since:%Y-%m-%d %H:%M} UTC"
    if past is not None:
        return FleetError(
            f"{host} does not have the finding {finding_id} at that moment",
            hint=f"{seen}; --as-of DAY explains it as it was",
        )
    last = with_finding(book, host, finding_id)
    day = (last.scanned_at if last is not None else since).date()
    return FleetError(
        f"{host} does not have the finding {finding_id} any more: it is closed, last seen {day}",
        hint=f"{seen}; `wavemend explain {finding_id} --as-of {day} --known-at {day}` explains "
        "it as it was",
    )


def _has(assessed: Assessment | None, finding_id: str) -> bool:
    return assessed is not None and any(
        ranked.finding.id == finding_id for ranked in assessed.ranked
    )


def say_paragraphs(paragraphs: Sequence[Paragraph]) -> None:
    """Print questions and answers, each sentence on a line of its own."""
    for paragraph in paragraphs:
        say(f"\n{paragraph.question}")
        for sentence in paragraph.sentences:
            say(f"  {sentence}")


def _host(
    fleet: Fleet,
    name: str,
    assessed: Assessment | None,
    warnings: Sequence[str],
    now: datetime,
) -> int:
    host = fleet.host(name)
    say(f"{name}, {fleet.tenant(host.tenant).title}: {_marks(fleet, name)}")
    if assessed is None:
        asked = "it never answered" if warnings else "it was never looked at"
        say(f"Nothing is known of it: {asked}, or not before that moment.")
        for warning in warnings:
            say(warning)
        return 0
    lanes = Counter(str(ranked.priority.lane) for ranked in assessed.ranked)
    counts = ", ".join(f"{count} {lane}" for lane, count in sorted(lanes.items())) or "none"
    say(f"Looked at on {assessed.scanned_at:%Y-%m-%d %H:%M} UTC.")
    say(f"Judged on {assessed.assessed_at:%Y-%m-%d %H:%M} UTC.")
    say(f"Findings: {counts}.")
    say(f"Packages: {assessed.packages} installed, {assessed.judged} of them judged.")
    late = sum(line_of(ranked).is_overdue(now) for ranked in assessed.ranked)
    if late:
        say(f"OVERDUE: {counted(late, 'finding')}.")
    console = screen()
    shown = [line_of(ranked) for ranked in assessed.ranked[:_SHOWN]]
    if shown:
        console.print(findings_table(shown, wide=is_wide(console), now=now))
    if len(assessed.ranked) > _SHOWN:
        say(f"and {len(assessed.ranked) - _SHOWN} more: `wavemend findings --host {name}`.")
    _unmatched(assessed)
    for warning in warnings:
        say(warning)
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


def _unmatched(assessed: Assessment) -> None:
    if not assessed.unmatched:
        return
    table = plain_table("Not judged: neither affected nor clean", ("Package", "Version", "Why"))
    for item in assessed.unmatched[:_SHOWN]:
        add_row(table, item.package, item.version, item.reason)
    screen().print(table)
    if len(assessed.unmatched) > _SHOWN:
        say(f"and {len(assessed.unmatched) - _SHOWN} more.")


def _cve(cve: str, cache: Path | None) -> int:
    """Say what every feed knows, what the vendors say, and which hosts of the fleet have it."""
    site = here()
    found: Listing | None = None
    if cache is None and has_ledger():
        with ledger_here().reading() as book:
            fleet = current_fleet(book)
            found = listing_now(book, fleet, Question(cve=cve), utc_now(), limit=_SHOWN)
            known = intelligence_of(book, fleet)
    else:
        place = cache or site.feed_cache
        feeds = feeds_to_refresh(RefreshConfig(), place)
        known = load_intelligence(place, utc_now(), MAX_AGE, feeds=feeds)
    vulnerability = known.vulnerability(cve)
    say(f"{cve}: {whole_sentences(vulnerability.summary) or 'no feed in use describes it.'}")
    console = screen()
    console.print(source_table(vulnerability))
    if vulnerability.cvss_candidates:
        _say_assessments(vulnerability)
    else:
        say("CVSS: no feed in use has a score, which is not a low score.")
    if known.statements.get(cve):
        console.print(statement_table(cve, known))
    else:
        say("No vendor whose feed is in use speaks of it.")
    if found is not None:
        _hosts_with(cve, found)
    judged = found.warnings if found is not None else ()
    for warning in known.warnings:
        # Said already, with the number of hosts that were judged so.
        if not any(said.startswith(warning) for said in judged):
            say(warning)
    return 0


def _say_assessments(vulnerability: Vulnerability) -> None:
    """Print the CVSS assessments; on a narrow terminal their vectors as lines below."""
    console = screen()
    wide = is_wide(console)
    console.print(candidate_table(vulnerability, wide=wide))
    if not wide:
        for item in vulnerability.cvss_candidates:
            say(f"  {item.source} {item.version}: {item.vector}")


def _hosts_with(cve: str, found: Listing) -> None:
    """Say which hosts have it, and of which hosts that cannot be said."""
    lines = list(found.lines)
    if lines:
        console = screen()
        console.print(findings_table(lines, wide=is_wide(console), now=found.now))
        if found.count > len(lines):
            say(f"and {found.count - len(lines)} more: `wavemend findings --cve {cve}`.")
        say(f"`wavemend explain {lines[0].finding_id}` explains the first of them.")
    else:
        say("No host of the fleet is known to lack a fix for it.")
    for line in notes(found, lines):
        say(line)
