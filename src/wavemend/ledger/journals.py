"""Hosts remember what was begun on them: what the ledger does not know of is found by that.

A ledger restored from an older copy has forgotten changes. Hosts refuse its fences, which count
the events of the audit chain, until the chain has grown past them; before that can happen, the
journals show it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session, col, select

from wavemend.hosts import BegunAttempt, Facts
from wavemend.ledger import audit
from wavemend.ledger.care_tables import AttemptStepRow, FenceFloorRow, JournalEntryRow, RollbackRow
from wavemend.ledger.tables import AttemptRow
from wavemend.rounds import FURTHER, round_of

MAX_FENCE_STEP = 10_000_000
"""A fence counts events. One that is farther ahead is damage or a lie, and raises no floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """One change in a host's journal that the ledger does not know of."""

    attempt_id: str
    fence: int
    begun_at: datetime | None
    ended_at: datetime | None
    exit_status: int | None


def strangers(session: Session, host: str, facts: Facts | None) -> tuple[str, ...]:
    """Return the attempts of a host's journal, as just looked at, that the ledger does not know."""
    return unknown_ids(session, host, facts.journal if facts else ())


def unknown_ids(session: Session, host: str, begun: Iterable[BegunAttempt]) -> tuple[str, ...]:
    """Return which of these attempts were neither made here nor reconciled, in their order."""
    wanted = tuple(dict.fromkeys(entry.attempt_id for entry in begun))
    if not wanted:
        return ()
    queries = (
        select(AttemptRow.id).where(col(AttemptRow.id).in_(wanted)),
        select(RollbackRow.id).where(col(RollbackRow.id).in_(wanted)),
        select(JournalEntryRow.attempt_id).where(
            JournalEntryRow.host == host, col(JournalEntryRow.attempt_id).in_(wanted)
        ),
    )
    known = {found for query in queries for found in session.exec(query)}
    known |= _rounds_known(session, [entry for entry in wanted if entry not in known])
    return tuple(entry for entry in wanted if entry not in known)


def _rounds_known(session: Session, wanted: Sequence[str]) -> set[str]:
    """Return those of these names that are further rounds of an attempt, written down here."""
    further = {entry: round_of(entry) for entry in wanted}
    return {
        entry
        for entry, (attempt_id, number) in further.items()
        if number in FURTHER
        and session.get(AttemptStepRow, (attempt_id, FURTHER[number])) is not None
    }


def record_strangers(
    session: Session,
    host: str,
    found: Sequence[Stranger],
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> None:
    """Write down what a host was found to have been through: from now on it is known."""
    for stranger in found:
        session.add(
            JournalEntryRow(
                host=host,
                attempt_id=stranger.attempt_id,
                fence=stranger.fence,
                begun_at=stranger.begun_at,
                ended_at=stranger.ended_at,
                exit_status=stranger.exit_status,
                read_at=now,
                note=reason,
            )
        )
    names = [stranger.attempt_id for stranger in found]
    audit.append(session, now, actor, "journal.reconciled", host, attempts=names, reason=reason)


def fence_floor(session: Session) -> int:
    """Return the highest fence that hosts have shown: every new lease goes above it."""
    row = session.get(FenceFloorRow, 1)
    return row.fence if row else 0


def raise_fence_floor(session: Session, fence: int, *, actor: str, now: datetime) -> bool:
    """Let new leases begin above a fence that a host has shown; False: it is not believed."""
    ahead = fence - max(fence_floor(session), audit.head(session).events)
    if ahead > MAX_FENCE_STEP:
        return False
    if ahead > 0:
        session.merge(FenceFloorRow(id=1, fence=fence, at=now))
        audit.append(session, now, actor, "fence.raised", "fleet", fence=fence)
    return True


def next_fence(session: Session) -> int:
    """Return a fence higher than every one that this ledger gave out, over all rollouts.

    The audit chain's length only grows, and a ledger restored from an old backup has a shorter
    one: hosts that have seen more refuse it.
    """
    events = audit.head(session).events
    row = session.get(FenceFloorRow, 1)
    if row is None or row.fence <= events:
        return events + 1
    row.fence += 1
    return row.fence


def moment(seconds: float | None) -> datetime | None:
    """Return a host's Unix seconds as a time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
