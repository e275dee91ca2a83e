"""After an old copy of the ledger was restored: learn from the hosts what was done to them."""

from dataclasses import dataclass
from datetime import datetime

from wavemend.errors import TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JournalEntry, JournalKind, read_journal
from wavemend.hosts import BegunAttempt, Host
from wavemend.ledger.journals import (
    Stranger,
    moment,
    raise_fence_floor,
    record_strangers,
    unknown_ids,
)

READ_SECONDS = 120.0
"""A journal of 40,000 attempts is 4 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What one host's journal told. `trouble`: why it could not be asked; empty when it was."""

    host: str
    begun: int = 0
    learned: tuple[Stranger, ...] = ()
    damaged: int = 0
    """Lines that are not in form: torn by a power cut, or edited."""
    trouble: str = ""


def reconcile_host(hands: Hands, host: Host, *, actor: str, reason: str) -> Reconciled:
    """Read a host's journal and write down what the ledger does not know of it.

    Nothing is changed on the host. From then on its changes are known, and new leases begin above
    the fences it has seen.
    """
    try:
        transport = hands.connect(host)
        try:
            entries = read_journal(transport, deadline=READ_SECONDS)
        finally:
            transport.close()
    except TransportError as error:
        return Reconciled(host=host.name, trouble=f"{error.reason}: {error}")
    begins = [entry for entry in entries if entry.kind is JournalKind.BEGIN]
    fence = max((entry.fence or 0 for entry in begins), default=0)
    now: datetime = hands.clock()
    with hands.ledger.writing() as book:
        unknown = set(unknown_ids(book, host.name, map(_begun, begins)))
        learned = _strangers(entries, unknown)
        if learned:
            record_strangers(book, host.name, learned, actor=actor, reason=reason, now=now)
        believed = raise_fence_floor(book, fence, actor=actor, now=now)
    return Reconciled(
        host=host.name,
        begun=len(begins),
        learned=learned,
        damaged=sum(entry.kind is JournalKind.DAMAGED for entry in entries),
        trouble="" if believed else f"its journal shows the fence {fence}, which is not believed",
    )


def _begun(entry: JournalEntry) -> BegunAttempt:
    return BegunAttempt(
        attempt_id=entry.attempt_id, fence=entry.fence or 0, at=entry.at if entry.at else 0.0
    )


def _strangers(entries: tuple[JournalEntry, ...], unknown: set[str]) -> tuple[Stranger, ...]:
    """Put the begin and the end of each unknown attempt together, in the journal's order."""
    ends = {entry.attempt_id: entry for entry in entries if entry.kind is JournalKind.END}
    found: dict[str, Stranger] = {}
    for entry in entries:
        if entry.kind is not JournalKind.BEGIN or entry.attempt_id not in unknown:
            continue
        end = ends.get(entry.attempt_id)
        found[entry.attempt_id] = Stranger(
            attempt_id=entry.attempt_id,
            fence=entry.fence or 0,
            begun_at=moment(entry.at),
            ended_at=moment(end.at) if end else None,
            exit_status=end.exit_status if end else None,
        )
    return tuple(found.values())
