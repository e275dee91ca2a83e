"""Holding a rollout: one owner at a time, proven by a fence, kept alive by a heartbeat."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wavemend.errors import LedgerConflict, LedgerError
from wavemend.execution.hands import Hands
from wavemend.ledger import rollouts
from wavemend.ledger.rollouts import LEASE, Lease

HEARTBEAT_SECONDS = LEASE.total_seconds() / 3
"""Two beats may be lost before the lease is."""


@contextmanager
def hold(hands: Hands, rollout_id: str) -> Iterator[Lease]:
    """Take the rollout's lease, keep it while the block runs, give it back at its end.

    Waits as long as a silent owner keeps it. Raises LedgerConflict when the owner is alive.
    """
    lease = _take(hands, rollout_id, _me())
    stop = threading.Event()
    beat = threading.Thread(
        target=_beat, args=(hands, lease, stop), name=f"lease-{rollout_id}", daemon=True
    )
    beat.start()
    try:
        yield lease
    finally:
        stop.set()
        beat.join()
        with suppress(LedgerError), hands.ledger.writing() as book:
            rollouts.release_lease(book, lease)


def _take(hands: Hands, rollout_id: str, me: str) -> Lease:
    until = hands.monotonic() + 2 * LEASE.total_seconds()
    while True:
        try:
            with hands.ledger.writing() as book:
                owner = rollouts.get_rollout(book, rollout_id).lease_owner
                return rollouts.take_lease(
                    book, rollout_id, me, hands.clock(), owner_is_dead=owner_is_dead(owner)
                )
        except LedgerConflict:
            if hands.monotonic() >= until:
                raise
        hands.sleep(1.0)


def _beat(hands: Hands, lease: Lease, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        try:
            with hands.ledger.writing() as book:
                rollouts.renew_lease(book, lease, hands.clock())
        except LedgerConflict:
            return  # taken over: the next write of this run says so
        except LedgerError:
            continue  # a busy or restarting database; the next beat tries again


_OWNER = re.compile(
    r"(?P<where>[^:]{1,64}:[0-9a-f-]{36}:[0-9]{1,20}):(?P<pid>[0-9]{1,10}):(?P<born>[0-9]{1,20})"
)


def _me() -> str:
    """Return `host:boot id:PID namespace:process id:start time`, each as /proc has it."""
    return f"{_where()}:{os.getpid()}:{_born(os.getpid())}"


def owner_is_dead(owner: str) -> bool:
    """True only with proof: the owner ran where we can see it, and that process is gone.

    Two containers, or a machine and its clone, may share a host name and know nothing of each
    other's processes. Without proof the owner has until its lease expires.
    """
    found = _OWNER.fullmatch(owner)
    if found is None or found["where"] != _where():
        return False
    return _born(int(found["pid"])) != found["born"]


def _where() -> str:
    """Return what two processes share that see each other in /proc; unknown matches no form."""
    name = socket.gethostname().replace(":", "-")[:64]
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = str(Path("/proc/self/ns/pid").readlink()).removeprefix("pid:[").removesuffix("]")
        # A /proc of another namespace numbers processes otherwise than the system calls do.
        ours = str(Path("/proc/self").readlink()) == str(os.getpid())
    except OSError:
        ours, boot, space = False, "", ""
    return f"{name}:{boot}:{space}" if ours else f"{name}:unknown:unknown"


def _born(pid: int) -> str:
    """Return a process's start time, which tells it from a later one with the same number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "gone"
    return text.rpartition(")")[2].split()[19]
