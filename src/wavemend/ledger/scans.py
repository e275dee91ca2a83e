"""Looks at hosts, and what was found in them."""

import zlib
from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, func, select

from wavemend.documents import from_document, to_document
from wavemend.hosts import Facts, Host
from wavemend.ledger.tables import FindingRow, HostScan
from wavemend.observations import Look, Ranked


def record_look(
    session: Session, host: Host, look: Look, *, purpose: str, rollout_id: str = ""
) -> int:
    """Write one look; returns its id."""
    document = to_document(look.facts) if look.facts else b""
    row = HostScan(
        host=host.name,
        tenant=host.tenant,
        rollout_id=rollout_id,
        purpose=purpose,
        at=look.at,
        reason=look.reason,
        detail=look.detail[:2000],
        peer_key=look.peer_key,
        facts_digest=look.facts_digest,
        facts=zlib.compress(document) if document else b"",
    )
    session.add(row)
    session.flush()
    if row.id is None:
        raise AssertionError("the database gave the scan no id")
    return row.id


def record_findings(session: Session, scan_id: int, ranked: Iterable[Ranked]) -> None:
    """Write the findings of one look."""
    for item in ranked:
        session.add(
            FindingRow(
                scan_id=scan_id,
                tenant=item.finding.tenant,
                host=item.finding.host,
                finding_id=item.finding.id,
                cve=item.finding.cve,
                source_package=item.finding.source_package,
                lane=item.priority.lane,
                due=item.priority.due,
                document=to_document(item),
            )
        )


def newest_look(
    session: Session, host: str, *, purpose: str = "", rollout_id: str = ""
) -> tuple[int, Look] | None:
    """Return the last look at a host, of one purpose or rollout if named, with its id."""
    query = select(HostScan).where(HostScan.host == host)
    if purpose:
        query = query.where(HostScan.purpose == purpose)
    if rollout_id:
        query = query.where(HostScan.rollout_id == rollout_id)
    row = session.exec(query.order_by(col(HostScan.id).desc())).first()
    if row is None or row.id is None:
        return None
    return row.id, _look(row)


def findings_of(session: Session, scan_id: int) -> tuple[Ranked, ...]:
    """Return the findings of one look, most urgent first."""
    rows = session.exec(
        select(FindingRow).where(FindingRow.scan_id == scan_id).order_by(col(FindingRow.id))
    )
    return tuple(from_document(Ranked, row.document) for row in rows)


def _look(row: HostScan) -> Look:
    facts = from_document(Facts, zlib.decompress(row.facts)) if row.facts else None
    return Look(
        host=row.host,
        at=row.at,
        facts=facts,
        reason=row.reason,
        detail=row.detail,
        peer_key=row.peer_key,
    )


def first_seen(session: Session, host: str) -> dict[str, datetime]:
    """Return by finding id when a look at this host found it first."""
    query = (
        select(FindingRow.finding_id, func.min(HostScan.at))
        .join(HostScan, col(HostScan.id) == col(FindingRow.scan_id))
        .where(FindingRow.host == host)
        .group_by(FindingRow.finding_id)
    )
    return dict(session.exec(query).all())


def last_ranked_look(session: Session, host: str) -> tuple[int, Look] | None:
    """Return the last look whose findings were written: by a scan, before or after a rollout."""
    query = select(HostScan).where(
        HostScan.host == host, col(HostScan.purpose).in_(["scan", "preflight", "verify"])
    )
    row = session.exec(query.order_by(col(HostScan.id).desc())).first()
    return (row.id, _look(row)) if row is not None and row.id is not None else None
