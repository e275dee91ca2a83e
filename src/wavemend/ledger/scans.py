"""Looks at hosts: what was seen of them, or why nothing was."""

import zlib
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, bindparam
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, func, select

from wavemend.documents import from_document, sha256, to_document
from wavemend.fleet import Fleet, fleet_from_document
from wavemend.hosts import Facts, Host
from wavemend.ledger.judgement_tables import AssessmentRow
from wavemend.ledger.machines import note_machine
from wavemend.ledger.rows import insert_row
from wavemend.ledger.tables import (
    FleetRevision,
    HostScan,
)
from wavemend.ledger.view import seen
from wavemend.observations import Look


def record_look(
    session: Session, host: Host, look: Look, *, purpose: str, rollout_id: str = ""
) -> int:
    """Write one look; returns its id."""
    document = to_document(look.facts) if look.facts else b""
    values = {
        "host": host.name,
        "tenant": host.tenant,
        "rollout_id": rollout_id,
        "purpose": purpose,
        "at": look.at,
        "reason": look.reason,
        "detail": look.detail[:2000],
        "peer_key": look.peer_key,
        "facts_digest": sha256(document) if document else "",  # as `Look.facts_digest`
        "facts": zlib.compress(document, zlib.Z_BEST_SPEED) if document else b"",
    }
    if look.facts:
        note_machine(session, host.name, look.facts)
    return insert_row(session, HostScan, values)


def newest_look(
    session: Session, host: str, *, purpose: str = "", rollout_id: str = ""
) -> tuple[int, Look] | None:
    """Return the last look at a host, of one purpose or rollout if named, with its id."""
    wanted = {"purpose": purpose, "rollout_id": rollout_id}
    named = {name: value for name, value in wanted.items() if value}
    query = _newest_of(tuple(named))
    row = session.execute(query, {"host": host, **named}).first()
    return (row.id, _look(row)) if row is not None else None


@cache
def _newest_of(named: tuple[str, ...]) -> Select[Any]:
    """Made once for each question: making it takes longer than the database does."""
    names = ("id", "host", "at", "reason", "detail", "peer_key", "facts")
    query = select_columns(*(getattr(HostScan, name) for name in names))
    for name in ("host", *named):
        query = query.where(getattr(HostScan, name) == bindparam(name))
    return query.order_by(col(HostScan.id).desc()).limit(1)


def _look(row: HostScan | Row[Any]) -> Look:
    facts = from_document(Facts, zlib.decompress(row.facts)) if row.facts else None
    return Look(
        host=row.host,
        at=row.at,
        facts=facts,
        reason=row.reason,
        detail=row.detail,
        peer_key=row.peer_key,
    )


def hosts_looked_at(session: Session, rollout_id: str) -> frozenset[str]:
    """Return the hosts that the preflight of a rollout has seen already."""
    query = select(HostScan.host).where(
        HostScan.rollout_id == rollout_id,
        HostScan.purpose == "preflight",
        HostScan.facts_digest != "",
    )
    return frozenset(session.exec(query))


def played_hosts(session: Session, rollout_id: str) -> frozenset[str]:
    """Return the hosts that the preflight of a rollout found to be simulated."""
    query = (
        select(HostScan.host, HostScan.facts)
        .where(HostScan.rollout_id == rollout_id, HostScan.purpose == "preflight")
        .execution_options(yield_per=100)
    )
    # In the document's text first: reading a rollout's facts whole takes longer than the rest of
    # its report. No text of a host can look so, its quotes are escaped.
    return frozenset(
        host
        for host, facts in session.exec(query)
        if facts and b'"simulated":true' in zlib.decompress(facts)
    )


def judged_looks(session: Session, rollout_id: str, *, purpose: str) -> dict[str, tuple[int, int]]:
    """Return by host the id of its newest look of that purpose, and how many findings it gave.

    As it was judged first; hosts whose newest look was not judged are not among them. Nothing of a
    look or a judgement is read, so it costs the same for one host and for ten thousand.
    """
    newest = (
        select(func.max(HostScan.id))
        .where(HostScan.rollout_id == rollout_id, HostScan.purpose == purpose)
        .group_by(HostScan.host)
    )
    query = (
        select(HostScan.host, AssessmentRow.scan_id, AssessmentRow.findings)
        .join(AssessmentRow, col(AssessmentRow.scan_id) == col(HostScan.id))
        .where(col(HostScan.id).in_(newest))
        .order_by(col(AssessmentRow.id).desc())
    )
    return {host: (scan_id, findings) for host, scan_id, findings in session.exec(query)}


def newest_seen_look(
    session: Session, host: str, *, as_of: datetime | None = None
) -> tuple[int, Look] | None:
    """Return the last look at a host that saw its facts, not later than `as_of`, with its id."""
    query = select(HostScan).where(HostScan.host == host, HostScan.facts_digest != "")
    if as_of is not None:
        query = query.where(HostScan.at <= as_of)
    row = session.exec(query.order_by(col(HostScan.id).desc()).limit(1)).first()
    return (row.id, _look(row)) if row is not None and row.id is not None else None


def newest_seen_scans(session: Session) -> dict[str, int]:
    """Return by host the id of its last look that saw facts; none: it never answered."""
    query = select(HostScan.host, func.max(HostScan.id)).where(HostScan.facts_digest != "")
    return {host: number for host, number in session.exec(query.group_by(HostScan.host)) if number}


def look_of_scan(session: Session, scan_id: int) -> Look | None:
    """Return one look by its id; None: there is none of that id."""
    row = session.get(HostScan, scan_id)
    return _look(row) if row is not None else None


def fleet_at(session: Session, moment: datetime | None) -> Fleet | None:
    """Return the fleet that was in force at a moment; None: none was ever applied.

    Of the time before the first one, the first: what was looked at then is known by it.
    """
    numbers = select(FleetRevision.revision)
    newest = numbers.order_by(col(FleetRevision.revision).desc())
    if moment is not None:
        newest = newest.where(FleetRevision.applied_at <= moment)
    number = session.exec(newest.limit(1)).first()
    if number is None:
        number = session.exec(numbers.order_by(col(FleetRevision.revision)).limit(1)).first()
    row = session.get(FleetRevision, number) if number is not None else None
    if row is None:
        return None
    return seen(session, fleet_from_document(row.document, row.digest, source_path=row.source))
