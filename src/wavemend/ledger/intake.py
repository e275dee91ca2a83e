"""What comes in from outside: applied fleets and accepted feeds."""

from datetime import datetime

from sqlmodel import Session, col, select

from wavemend.advisories import FeedSnapshot
from wavemend.errors import LedgerError
from wavemend.fleet import Fleet, fleet_from_document
from wavemend.ledger import audit
from wavemend.ledger.tables import FeedSnapshotRow, FleetRevision


def apply_fleet(session: Session, fleet: Fleet, *, actor: str, now: datetime) -> bool:
    """Make this fleet the one in force. Returns False when it already is."""
    current = _newest(session)
    if current is not None and current.digest == fleet.digest:
        return False
    session.add(
        FleetRevision(
            digest=fleet.digest,
            applied_at=now,
            source=str(fleet.source_path),
            document=fleet.document(),
        )
    )
    audit.append(
        session, now, actor, "fleet.applied", "fleet", digest=fleet.digest, hosts=len(fleet.hosts)
    )
    return True


def current_fleet(session: Session) -> Fleet:
    """Return the fleet in force. Raises LedgerError when none was ever applied."""
    row = _newest(session)
    if row is None:
        raise LedgerError("no fleet was applied yet", hint="`wavemend fleet apply fleet.yaml`")
    return fleet_from_document(row.document, row.digest, source_path=row.source)


def digest_in_force(session: Session) -> str:
    """Return the digest of the fleet in force; empty when none was ever applied."""
    query = select(FleetRevision.digest).order_by(col(FleetRevision.revision).desc())
    return session.exec(query).first() or ""


def fleet_of(session: Session, digest: str) -> Fleet:
    """Return an applied fleet by its digest. Raises LedgerError when there never was one."""
    query = select(FleetRevision).where(FleetRevision.digest == digest)
    row = session.exec(query.order_by(col(FleetRevision.revision).desc())).first()
    if row is None:
        raise LedgerError(f"no fleet {digest} was ever applied here")
    return fleet_from_document(row.document, row.digest, source_path=row.source)


def record_snapshots(
    session: Session, snapshots: tuple[FeedSnapshot, ...], *, actor: str, now: datetime
) -> tuple[str, ...]:
    """Write the feed copies that are new to the ledger; returns their feeds' names."""
    fresh: list[str] = []
    for snapshot in snapshots:
        query = select(FeedSnapshotRow.id).where(
            FeedSnapshotRow.feed == snapshot.feed, FeedSnapshotRow.digest == snapshot.digest
        )
        if snapshot.fetched_at is None or session.exec(query).first() is not None:
            continue
        fresh.append(snapshot.feed)
        session.add(
            FeedSnapshotRow(
                feed=snapshot.feed,
                digest=snapshot.digest,
                source=snapshot.source,
                fetched_at=snapshot.fetched_at,
                data_date=str(snapshot.data_date or ""),
                model=snapshot.model,
                entries=snapshot.count,
                rejects=snapshot.rejected,
            )
        )
        audit.append(session, now, actor, "feed.accepted", snapshot.feed, digest=snapshot.digest)
    return tuple(fresh)


def _newest(session: Session) -> FleetRevision | None:
    query = select(FleetRevision).order_by(col(FleetRevision.revision).desc())
    return session.exec(query).first()
