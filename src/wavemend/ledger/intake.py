"""What comes in from outside: applied fleets and accepted feeds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlmodel import Session, col, select

from wavemend.advisories import FeedSnapshot
from wavemend.errors import LedgerConflict, LedgerError
from wavemend.feeds.floors import Floor, Remembered, floor_of
from wavemend.fleet import Fleet, fleet_from_document
from wavemend.ledger import audit
from wavemend.ledger.tables import (
    AuditEventRow,
    FeedSnapshotRow,
    FleetRevision,
)
from wavemend.ledger.view import seen

STATES_COMPARED = 100
"""Events per feed that are read: a month of a feed that changes four times a day."""
_KINDS = ("feed.accepted", "feed.compiled")
_SAID = TypeAdapter(Floor)


def apply_fleet(
    session: Session, fleet: Fleet, *, actor: str, now: datetime, replacing: str | None = None
) -> bool:
    """Make this fleet the one in force. Returns False when it already is.

    `replacing`: digest of the fleet it was compared with, empty for none. Raises LedgerConflict
    when another one is in force by now: what was shown is not what would be done.
    """
    current = _newest(session)
    if replacing is not None and replacing != (current.digest if current else ""):
        raise LedgerConflict(
            "somebody else applied a fleet in the meantime",
            hint="look at the differences again: `wavemend fleet apply FILE --dry-run`",
        )
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
    return seen(session, fleet_from_document(row.document, row.digest, source_path=row.source))


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
    return seen(session, fleet_from_document(row.document, row.digest, source_path=row.source))


def record_snapshots(
    session: Session,
    snapshots: tuple[FeedSnapshot, ...],
    *,
    actor: str,
    now: datetime,
    compared: bool = False,
) -> tuple[str, ...]:
    """Write the feed copies that are new to the ledger; returns their feeds' names.

    `compared`: they come from a refresh that was told `remembered_states` and found that they hold
    (`FeedResult.accepted`). Only such a one says what the next state is compared with, and may say
    that a known state was compiled anew; anywhere else that is a change nobody accounts for, and
    is left to be found (`altered` in `feeds/floors.py`).
    """
    fresh: list[str] = []
    for snapshot in snapshots:
        if snapshot.fetched_at is None or snapshot.missing:
            continue
        is_new = not _is_recorded(session, snapshot)
        if is_new:
            fresh.append(snapshot.feed)
            session.add(_row_of(snapshot, snapshot.fetched_at))
        states = _accepted(session, snapshot.feed)
        last = states[0] if states else None
        # A copy put back by signature is accepted a second time; what a plan still uses is not.
        again = compared and (
            last is None or not last.is_compared or last.digest != snapshot.digest
        )
        known = next((item.compiled for item in states if item.digest == snapshot.digest), "")
        body = _body_of(snapshot, is_compared=compared)
        if is_new or again:
            audit.append(session, now, actor, "feed.accepted", snapshot.feed, **body)
        elif snapshot.compiled != known and (compared or not known):
            audit.append(session, now, actor, "feed.compiled", snapshot.feed, **body)
    return tuple(fresh)


def remembered_states(session: Session, feeds: Iterable[str]) -> dict[str, Remembered]:
    """Return what the ledger knows of these feeds' accepted states, for comparing.

    States recorded by version 0.1 have a digest and nothing else: they are compared with nothing.
    """
    found: dict[str, Remembered] = {}
    for feed in sorted(set(feeds)):
        states = _accepted(session, feed)
        if not states:
            continue
        compiled: dict[str, str] = {}
        for state in states:
            if state.compiled:
                compiled.setdefault(state.digest, state.compiled)
        found[feed] = Remembered(floor=states[0].floor, compiled=compiled)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepted:
    """One event about an accepted state."""

    digest: str
    compiled: str
    is_compared: bool
    """True: by a refresh that compared it. False: by a plan that was frozen with it, or by 0.1."""
    floor: Floor | None


def _accepted(session: Session, feed: str) -> list[_Accepted]:
    """Return the last events about a feed's states, newest first; those of a refresh before.

    A plan may be frozen with a state that a refresh has replaced meanwhile.
    """
    query = select(AuditEventRow.body).where(
        AuditEventRow.subject == feed, col(AuditEventRow.kind).in_(_KINDS)
    )
    bodies = session.exec(query.order_by(col(AuditEventRow.seq).desc()).limit(STATES_COMPARED))
    states = [_accepted_of(json.loads(body)) for body in bodies]
    return sorted(states, key=lambda state: not state.is_compared)


def _accepted_of(body: Mapping[str, Any]) -> _Accepted:
    said = _SAID.validate_python(body["state"]) if "state" in body else None
    return _Accepted(
        digest=body["digest"],
        compiled=body.get("compiled", ""),
        is_compared=body.get("compared", False),
        floor=said,
    )


def _body_of(snapshot: FeedSnapshot, *, is_compared: bool) -> dict[str, object]:
    return {
        "digest": snapshot.digest,
        "compiled": snapshot.compiled,
        "compared": is_compared,
        "state": _SAID.dump_python(floor_of(snapshot), mode="json"),
    }


def _is_recorded(session: Session, snapshot: FeedSnapshot) -> bool:
    query = select(FeedSnapshotRow.id).where(
        FeedSnapshotRow.feed == snapshot.feed, FeedSnapshotRow.digest == snapshot.digest
    )
    return session.exec(query).first() is not None


def _row_of(snapshot: FeedSnapshot, fetched_at: datetime) -> FeedSnapshotRow:
    return FeedSnapshotRow(
        feed=snapshot.feed,
        digest=snapshot.digest,
        source=snapshot.source,
        fetched_at=fetched_at,
        data_date=str(snapshot.data_date or ""),
        model=snapshot.model,
        entries=snapshot.count,
        rejects=snapshot.rejected,
    )


def _newest(session: Session) -> FleetRevision | None:
    query = select(FleetRevision).order_by(col(FleetRevision.revision).desc())
    return session.exec(query).first()
