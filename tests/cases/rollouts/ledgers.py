"""Ledgers for tests: fresh ones, and ones that hold a rollout with a frozen plan."""

import sqlite3
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Barrier
from typing import TypeVar

from sqlalchemy import event
from sqlmodel import Session

from tests.cases.rollouts.build import END, LAST_START, NOON, PLAN, START
from wavemend.calendar.windows import Occurrence
from wavemend.fleet import RolloutKey
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.ledger.tables import (
    DecisionRow,
)
from wavemend.outcomes import Outcome
from wavemend.plans import Plan, PlannedWave
from wavemend.rollout import judge_gate

T = TypeVar("T")

KEY = RolloutKey(tenant="acme", profile="linux", window="night")
NIGHT = Occurrence(window="night", start=START, end=END, last_start=LAST_START)


@cache
def _migrated() -> bytes:
    """Migrating takes 0.2 s; once per process is enough."""
    with tempfile.TemporaryDirectory() as folder:
        open_ledger(f"sqlite:///{folder}/ledger.db")
        return (Path(folder) / "ledger.db").read_bytes()


def new_ledger(folder: Path) -> Ledger:
    """Return an empty, migrated SQLite ledger in a file of its own.

    It does not wait for the disk: what a killed process loses is shown in tests/contract.
    """
    path = folder / "ledger.db"
    path.touch(mode=0o600)
    path.write_bytes(_migrated())
    return quick_ledger(path)


def quick_ledger(path: Path) -> Ledger:
    """Return the ledger in a file, which does not wait for the disk."""
    made = Ledger(f"sqlite:///{path}")
    event.listen(made._engine, "connect", _do_not_wait)
    return made


def _do_not_wait(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF").close()


def take(
    ledger: Ledger,
    rollout: str = "r-1",
    owner: str = "first",
    now: datetime = START,
    *,
    owner_is_dead: bool = False,
) -> Lease:
    """Take the lease of a rollout."""
    with ledger.writing() as book:
        return rollouts.take_lease(book, rollout, owner, now, owner_is_dead=owner_is_dead)


def opened(ledger: Ledger, rollout: str = "r-1", key: RolloutKey = KEY) -> Lease:
    """Open a rollout and take its lease."""
    with ledger.writing() as book:
        rollouts.open_rollout(book, rollout, key, NIGHT, requester="olga", now=NOON)
    return take(ledger, rollout)


def frozen(ledger: Ledger, plan: Plan = PLAN) -> Lease:
    """Open a rollout, freeze this plan in it, and return its lease."""
    lease = opened(ledger, plan.rollout)
    with ledger.writing() as book:
        rollouts.store_plan(book, lease, plan, NOON)
    return lease


def intend(
    ledger: Ledger,
    lease: Lease,
    host: str,
    *,
    plan: Plan = PLAN,
    now: datetime = START,
    local_stop: str = "",
) -> attempts.Answer:
    """Ask for the right to change a host; its attempt is named after it."""
    with ledger.writing() as book:
        return attempts.intend(
            book,
            lease,
            plan,
            host,
            attempt_id=f"a-{host}-{lease.fence}",
            nonce="n" * 32,
            now=now,
            local_stop=local_stop,
        )


def end(
    book: Session,
    lease: Lease,
    host: str,
    outcome: Outcome = Outcome.PATCHED,
    now: datetime = START,
) -> None:
    """Give a host that was begun under this lease its outcome."""
    attempts.end_attempt(
        book,
        lease,
        f"a-{host}-{lease.fence}",
        outcome=outcome,
        reason="",
        packages=(),
        evidence=None,
        now=now,
    )


def run_wave(
    ledger: Ledger, lease: Lease, wave: PlannedWave, outcome: Outcome = Outcome.PATCHED
) -> None:
    """Begin and end each host of a wave, one after the other, and judge its gate."""
    for host in wave.hosts:
        assert isinstance(intend(ledger, lease, host), attempts.Granted)
        with ledger.writing() as book:
            end(book, lease, host, outcome)
    with ledger.writing() as book:
        numbers = judge_gate(wave, rollouts.read_view(book, lease.rollout_id))
        rollouts.record_gate(book, lease, wave, numbers, START)


def decide(ledger: Ledger, decision: str, *, plan: Plan = PLAN, accepted: bool = True) -> None:
    """Write an answer of an approver as the ledger keeps it."""
    with ledger.writing() as book:
        book.add(
            DecisionRow(
                rollout_id=plan.rollout,
                plan_digest=plan.digest,
                request_id="q",
                at=NOON,
                decision=decision,
                identity="alice",
                fingerprint="",
                reason="because",
                statement="",
                signature="",
                accepted=accepted,
                refusal="" if accepted else "refused",
            )
        )


def at_once(count: int, work: Callable[[int], T]) -> list[T | Exception]:
    """Run `work(0)` to `work(count - 1)` in threads that start at the same moment."""
    barrier = Barrier(count)

    def one(number: int) -> T | Exception:
        barrier.wait(10)
        try:
            return work(number)
        except Exception as error:  # noqa: BLE001 - the tests look at what each thread met
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
