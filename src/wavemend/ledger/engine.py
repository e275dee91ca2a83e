"""Connections to the ledger's database: how they are made, kept, and given up.

A SQLite ledger keeps its connections open between transactions. Opening the file takes longer than
writing a row does, and whoever closes the last connection copies the whole write-ahead log back
into the file: with a connection for each transaction, each of them would do so.
"""

import os
import sqlite3
import weakref
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import NullPool, Pool, QueuePool
from sqlmodel import create_engine

from wavemend.errors import LedgerError

BUSY_SECONDS = 30.0
"""How long a writer waits for another one; transactions take milliseconds."""

_KEPT = 4
"""Connections that stay open in a process. More at once are made when more threads read."""

_MADE: "weakref.WeakSet[Engine]" = weakref.WeakSet()

_INHERITED: list[Pool] = []
"""In a forked child its parent's connections, never used and never closed: SQLite forbids both, for
its locks belong to a process."""


def ledger_engine(url: str) -> Engine:
    """Return the engine of a ledger's URL. Raises LedgerError for a database it cannot be kept in.

    PostgreSQL has no pool here: a server that restarts or fails over leaves no dead connections.
    """
    parsed = make_url(url)
    if parsed.drivername.startswith("postgresql"):
        return create_engine(parsed.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    if not parsed.drivername.startswith("sqlite"):
        raise LedgerError(
            f"a ledger cannot be kept in {parsed.drivername}", hint="use sqlite: or postgresql:"
        )
    engine = create_engine(
        parsed,
        poolclass=QueuePool,
        pool_size=_KEPT,
        max_overflow=-1,
        connect_args={"timeout": BUSY_SECONDS},
    )
    file = Path(parsed.database or "")

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours to say
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        record.info["file"] = _identity(file)

    @event.listens_for(engine, "checkout")
    def _is_still_there(_connection: sqlite3.Connection, record: Any, _proxy: object) -> None:
        if record.info["file"] != _identity(file):
            raise DisconnectionError  # another file is there now: a backup; SQLAlchemy opens it

    _MADE.add(engine)
    return engine


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _leave_to_the_parent() -> None:
    for engine in list(_MADE):
        _INHERITED.append(engine.pool)
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_leave_to_the_parent)
