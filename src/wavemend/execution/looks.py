"""Looking at a host: one connection, one round trip, and every failure a value with a reason."""

from wavemend.errors import ConnectionLost, HostSilent, TransportError
from wavemend.execution.hands import Hands
from wavemend.hosts import Host
from wavemend.ledger.rollouts import Lease, check_lease
from wavemend.ledger.scans import record_look
from wavemend.managers import Manager, TakesLonger
from wavemend.observations import Look

LOOK_SECONDS = 120.0
"""Reading facts takes 1 to 3 s; a slow disk and a cold cache may need a minute."""

REFRESH_SECONDS = 420.0
"""With a refreshed package index: bounded by the manager at 5 minutes, then the facts."""

LOCK_SECONDS = 90.0
"""How long somebody else may use the package manager: a timer that renews an index takes seconds,
and they must not decide over a host's night, nor over a whole group's."""

_LOCK_AGAIN_SECONDS = 10.0

_ONCE_MORE = frozenset({ConnectionLost.reason, HostSilent.reason})


def look(hands: Hands, host: Host, *, refresh: bool) -> Look:
    """Read a host's facts over a fresh connection; what goes wrong becomes the reason.

    A look of minutes is not given up for one connection that broke or fell silent.
    """
    seen = _once(hands, host, refresh=refresh)
    if seen.reason in _ONCE_MORE and isinstance(hands.manager(host), TakesLonger):
        return _once(hands, host, refresh=refresh)
    return seen


def _once(hands: Hands, host: Host, *, refresh: bool) -> Look:
    try:
        transport = hands.connect(host)
    except TransportError as error:
        return _failed(hands, host, error)
    try:
        manager = hands.manager(host)
        deadline = seconds_of(manager, REFRESH_SECONDS if refresh else LOOK_SECONDS)
        facts = manager.read_facts(
            host, transport, hands.clock(), refresh=refresh, deadline=deadline
        )
        return Look(host=host.name, at=facts.collected_at, facts=facts, peer_key=transport.peer_key)
    except TransportError as error:
        return _failed(hands, host, error)
    finally:
        transport.close()


def seconds_of(manager: Manager, usual: float) -> float:
    """Return how long a manager may take to say what it sees, or would do."""
    return max(usual, manager.look_seconds) if isinstance(manager, TakesLonger) else usual


def look_and_record(
    hands: Hands,
    host: Host,
    *,
    purpose: str,
    rollout_id: str = "",
    refresh: bool = False,
    lease: Lease | None = None,
) -> tuple[int, Look]:
    """Look and write it down; returns the scan's id and the look.

    `lease`: of whom changes the host. One that was taken over is told so, and writes nothing:
    raises LedgerConflict.
    """
    seen = look(hands, host, refresh=refresh)
    with hands.ledger.writing() as book:
        if lease is not None:
            check_lease(book, lease)
        return record_look(book, host, seen, purpose=purpose, rollout_id=rollout_id), seen


def past_lock(
    hands: Hands, host: Host, seen: Look, *, purpose: str, rollout_id: str = "", refresh: bool
) -> Look:
    """Look again while somebody uses the host's package manager, for a bounded time."""
    until = hands.monotonic() + LOCK_SECONDS
    while (
        seen.facts is not None
        and seen.facts.lock_holder
        and not seen.facts.has_dead_lock
        and hands.monotonic() < until
    ):
        hands.sleep(_LOCK_AGAIN_SECONDS)
        _, seen = look_and_record(
            hands, host, purpose=purpose, rollout_id=rollout_id, refresh=refresh
        )
    return seen


def _failed(hands: Hands, host: Host, error: TransportError) -> Look:
    return Look(
        host=host.name, at=hands.clock(), facts=None, reason=error.reason, detail=str(error)
    )
