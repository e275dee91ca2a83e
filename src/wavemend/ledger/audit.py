"""The audit chain: every state change, in order, each link hashed over the one before.

An edit, a removal, a swap or a cut inside the chain shows in `verify`; a cut at its end shows
against a head that was noted elsewhere (the report prints it).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from wavemend.documents import canonical, storable
from wavemend.errors import AuditBroken
from wavemend.ledger.tables import (
    AuditEventRow,
)

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of the chain: how many events, and the last one's digest."""

    events: int
    digest: str


def append(
    session: Session, now: datetime, actor: str, kind: str, subject: str, **body: object
) -> None:
    """Add one event, inside the transaction that makes the change it tells of."""
    head = _last(session)
    seq, previous = (head.seq + 1, head.digest) if head else (1, GENESIS)
    row = AuditEventRow(
        seq=seq,
        at=now.isoformat(),
        # Before the digest: what is stored must be what was hashed.
        actor=storable(actor),
        kind=kind,
        subject=storable(subject),
        body=canonical(
            {k: storable(v) if isinstance(v, str) else v for k, v in body.items()}
        ).decode(),
        previous=previous,
        digest="",
    )
    row.digest = _digest(row)
    session.add(row)
    session.flush()


def verify(session: Session) -> ChainHead:
    """Walk the whole chain. Raises AuditBroken naming the first event that does not fit."""
    previous, count = GENESIS, 0
    rows = session.exec(select(AuditEventRow).order_by(col(AuditEventRow.seq)))
    for row in rows.yield_per(500):
        count += 1
        if row.seq != count or row.previous != previous or row.digest != _digest(row):
            raise AuditBroken(
                f"the audit chain breaks at event {count} ({row.kind} {row.subject})",
                hint="the ledger was changed from outside; compare with the last report's head",
            )
        previous = row.digest
    return ChainHead(count, previous)


def head(session: Session) -> ChainHead:
    """Return the end of the chain without walking it."""
    last = _last(session)
    return ChainHead(last.seq, last.digest) if last else ChainHead(0, GENESIS)


def events(session: Session, subject: str) -> tuple[AuditEventRow, ...]:
    """Return the events about one subject (a rollout, a host, the fleet), oldest first."""
    query = select(AuditEventRow).where(AuditEventRow.subject == subject)
    return tuple(session.exec(query.order_by(col(AuditEventRow.seq))))


def _last(session: Session) -> AuditEventRow | None:
    newest = select(func.max(AuditEventRow.seq)).scalar_subquery()
    return session.exec(select(AuditEventRow).where(AuditEventRow.seq == newest)).first()


def _digest(row: AuditEventRow) -> str:
    content = canonical([row.seq, row.at, row.actor, row.kind, row.subject, row.body, row.previous])
    return hashlib.sha256(content).hexdigest()
