"""What the lists of findings hold: the findings asked for, counted, and what could not be said."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlmodel import Session

from wavemend.cli.moments import Past, feed_warnings, judged_before, unanswered
from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger.assessments import (
    JudgedHost,
    Question,
    count_open,
    each_open_finding,
    judged_hosts,
    open_findings,
)
from wavemend.observations import FeedDay, FindingLine, line_of

LANES = ("emergency", "expedited", "routine", "manual", "ignored")
_NEVER = datetime.max.replace(tzinfo=UTC)

_SORTS: Mapping[str, Callable[[FindingLine], tuple[Any, ...]]] = {
    "urgency": lambda line: (line.order, line.host),
    "due": lambda line: (line.due or _NEVER, line.order, line.host),
    "host": lambda line: (line.host, line.order),
    "cve": lambda line: (line.cve or line.advisory, line.host, line.package),
    "package": lambda line: (line.package, line.order, line.host),
    # Without a score is not the lowest score: such lines come last, and are there.
    "cvss": lambda line: (line.cvss is None, -(line.cvss or 0.0), line.order, line.host),
    "epss": lambda line: (line.epss is None, -(line.epss or 0.0), line.order, line.host),
}
"""For the past, as `ledger.sorting` orders the present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many findings there are, of which lanes, and how many are late."""

    lanes: tuple[tuple[str, int], ...] = ()
    """Most urgent lane first; only lanes that hold something."""
    overdue: int = 0
    hosts: int = 0
    """Hosts that have at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What was found, and what could not be said."""

    lines: Iterable[FindingLine]
    """In order. Read one by one while the ledger is open."""
    count: int
    hosts: int
    unseen: tuple[str, ...]
    """Hosts of which nothing was known at that moment."""
    unjudged: int
    """Installed packages that could not be compared with what the vendor says."""
    kept: int = 0
    """Findings that stand as an earlier judgement left them."""
    warnings: tuple[str, ...] = ()
    """What must be said of the feeds it rests on."""
    silent: tuple[str, ...] = ()
    """Of hosts of which nothing is known: when they did not answer, and why."""
    tally: Tally = Tally()
    now: datetime
    """The moment it is of: dates before it have passed."""
    members: Mapping[str, Host] = field(default_factory=lambda: MappingProxyType({}))
    """The fleet's hosts asked for, by name."""
    stale: frozenset[str] = frozenset()
    """Hosts that were judged by stale or missing feeds."""


def listing_now(
    book: Session,
    fleet: Fleet,
    question: Question,
    now: datetime,
    *,
    sort: str = "urgency",
    limit: int | None = None,
) -> Listing:
    """Answer from the newest judgements. Raises FleetError for a host or company unknown."""
    names = _names(fleet, question)
    judged = judged_hosts(book)
    question = of_fleet(question, fleet, judged)
    found = [judged[name] for name in names if name in judged]
    if limit is None:
        lines: Iterable[FindingLine] = each_open_finding(book, question, sort=sort)
    else:
        lines = open_findings(book, question, sort=sort, limit=limit)
    return Listing(
        lines=lines,
        count=count_open(book, question),
        hosts=len(names),
        unseen=tuple(name for name in names if name not in judged),
        unjudged=sum(host.packages - host.judged for host in found),
        kept=sum(host.kept for host in found),
        warnings=(
            *feed_warnings(host.feeds for host in found),
            *judged_before(found, fleet),
        ),
        silent=_silent(book, (name for name in names if name not in judged)),
        tally=_tally_now(book, question, names, now),
        now=now,
        members=_members(fleet, names),
        stale=frozenset(host.host for host in found if _is_stale(host.feeds)),
    )


def _silent(book: Session, names: Iterable[str]) -> tuple[str, ...]:
    """Only for hosts of which nothing is known: reading every host's last look takes long."""
    return tuple(filter(None, (unanswered(book, name) for name in names)))


def _tally_now(book: Session, question: Question, names: Iterable[str], now: datetime) -> Tally:
    lanes = ((lane, _count(book, question, lane)) for lane in LANES)
    before = min(filter(None, (now, question.due_before)))
    return Tally(
        lanes=tuple((lane, number) for lane, number in lanes if number),
        overdue=count_open(book, replace(question, due_before=before)),
        hosts=sum(count_open(book, replace(question, host=name)) > 0 for name in names),
    )


def _count(book: Session, question: Question, lane: str) -> int:
    if question.lanes and lane not in question.lanes:
        return 0
    return count_open(book, replace(question, lanes=(lane,)))


def tally_of(lines: Iterable[FindingLine], now: datetime) -> Tally:
    """Count lines that are all here. Pure."""
    found = tuple(lines)
    lanes = Counter(line.lane for line in found)
    return Tally(
        lanes=tuple((lane, lanes[lane]) for lane in LANES if lanes[lane]),
        overdue=sum(line.is_overdue(now) for line in found),
        hosts=len({line.host for line in found}),
    )


def _members(fleet: Fleet, names: Iterable[str]) -> Mapping[str, Host]:
    return {name: fleet.host(name) for name in names}


def _is_stale(feeds: Iterable[FeedDay]) -> bool:
    return any(feed.stale for feed in feeds)


def of_fleet(question: Question, fleet: Fleet, judged: Mapping[str, JudgedHost]) -> Question:
    """Return the same question of this fleet's hosts only, each of the company it is in now."""
    now = {host.name: host.tenant for host in fleet.hosts}
    return replace(
        question,
        not_on=tuple(name for name in judged if name not in now),
        moved={
            name: now[name]
            for name, host in judged.items()
            if name in now and host.tenant != now[name]
        },
    )


def listing_then(
    past: Past, question: Question, now: datetime, *, sort: str = "urgency"
) -> Listing:
    """Answer of the past; `now` is the moment it is of.

    Raises FleetError for a host or company the fleet had not then.
    """
    names = _names(past.fleet, question)
    # The host and its company are chosen by the fleet of that day, not by who judged it then.
    question = replace(question, tenant="", host="")
    lines: list[FindingLine] = []
    unseen: list[str] = []
    stale: set[str] = set()
    missed = 0
    for name in names:
        assessed = past.assessment(name)
        if assessed is None:
            unseen.append(name)
            continue
        missed += assessed.packages - assessed.judged
        tenant = past.fleet.host(name).tenant
        seen = past.first_seen(name)
        found = (
            replace(
                line_of(
                    ranked,
                    judged_at=assessed.assessed_at,
                    first_seen=seen[ranked.finding.id].at if ranked.finding.id in seen else None,
                ),
                tenant=tenant,
            )
            for ranked in assessed.ranked
        )
        stale |= {name} if _is_stale(assessed.feeds) else set()
        lines += [line for line in found if question.matches(line)]
    lines.sort(key=lambda line: (*_SORTS[sort](line), line.finding_id))
    return Listing(
        lines=lines,
        count=len(lines),
        hosts=len(names),
        unseen=tuple(unseen),
        unjudged=missed,
        warnings=past.warnings,
        tally=tally_of(lines, now),
        now=now,
        members=_members(past.fleet, names),
        stale=frozenset(stale),
    )


def _names(fleet: Fleet, question: Question) -> list[str]:
    if question.host:
        fleet.host(question.host)
    if question.tenant:
        fleet.tenant(question.tenant)
    return [
        host.name
        for host in fleet.hosts
        if question.host in {"", host.name} and question.tenant in {"", host.tenant}
    ]
