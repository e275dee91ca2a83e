"""Connections to the ledger's database: one for each transaction, or kept open for a while.

Opening a SQLite file takes longer than writing a row does, and whoever closes the last connection
copies the whole write-ahead log back into it: with a connection for each transaction, each of them
does so. Work of many transactions keeps its connections, and gives them up when it ends.
"""

import os
import sqlite3
import weakref
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import NullPool, Pool, QueuePool
from sqlmodel import create_engine

from wavemend.errors import LedgerError

BUSY_SECONDS = 30.0
"""How long a writer waits for another one; transactions take milliseconds."""

_KEPT = 4
"""Connections that stay open at once. More are made while more threads are in transactions."""

_KEEPING: "weakref.WeakSet[Engine]" = weakref.WeakSet()

_INHERITED: list[Pool] = []
"""What a forked child has of its parent's connections: never used, and never closed there."""


def ledger_engine(url: str, *, keep: bool = False) -> Engine:
    """Return an engine for a ledger's URL. Raises LedgerError for a database it cannot be kept in.

    `keep`: connections stay open until the engine is disposed of. Never for PostgreSQL: a server
    that restarts or fails over would leave dead ones.
    """
    parsed = make_url(url)
    if parsed.drivername.startswith("postgresql"):
        return create_engine(parsed.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    if not parsed.drivername.startswith("sqlite"):
        raise LedgerError(
            f"a ledger cannot be kept in {parsed.drivername}", hint="use sqlite: or postgresql:"
        )
    pool: dict[str, Any] = {"poolclass": NullPool}
    if keep:
        pool = {"poolclass": QueuePool, "pool_size": _KEPT, "max_overflow": -1}
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS}, **pool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours to say
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    if keep:
        _watch_over(engine, Path(parsed.database or "").absolute())
    return engine


def _watch_over(engine: Engine, file: Path) -> None:
    """Let a connection that is used again be as good as a new one."""

    @event.listens_for(engine, "do_connect")
    def _open(_dialect: Dialect, record: Any, args: Any, options: Any) -> sqlite3.Connection:
        # Named before it is opened: what takes its place meanwhile is then another one.
        its, _ = _identity(file)
        if its == _GONE:
            raise sqlite3.OperationalError("its file is gone")  # SQLite would make an empty one
        opened: sqlite3.Connection = sqlite3.connect(*args, **options)
        record.info.update(file=its, cursors=weakref.WeakSet())
        return opened

    @event.listens_for(engine, "connect")
    def _name_its_log(_connection: sqlite3.Connection, record: Any) -> None:
        record.info["log"] = _identity(file)[1]  # there since its journal mode was asked for

    @event.listens_for(engine, "checkout")
    def _is_still_there(_connection: sqlite3.Connection, record: Any, _proxy: object) -> None:
        if (record.info["file"], record.info["log"]) != _identity(file):
            raise DisconnectionError  # a backup is in its place: SQLAlchemy opens that one

    @event.listens_for(engine, "before_cursor_execute")
    def _note(connection: Any, cursor: sqlite3.Cursor, *_others: Any) -> None:
        connection.connection.info["cursors"].add(cursor)

    @event.listens_for(engine, "checkin")
    def _end(connection: sqlite3.Connection | None, record: Any) -> None:
        if connection is None:
            return  # given up already: an interrupt came in the middle of a statement
        # Somebody may hold an unfinished result, in an exception's frames perhaps. Its statement
        # would outlive the ROLLBACK, and the next transaction would see what was true then.
        for cursor in list(record.info.get("cursors", ())):
            cursor.close()

    _KEEPING.add(engine)


_GONE = (0, 0)


def _identity(file: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return what tells a ledger's file and its log's index from others in their places."""
    return _inode(file), _inode(Path(f"{file}-shm"))


def _inode(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return _GONE
    return status.st_dev, status.st_ino


def _close_idle() -> None:
    """Before a fork: SQLite's locks belong to a process, and its tables would say they are held."""
    for engine in list(_KEEPING):
        engine.pool.dispose()  # this pool, which those in use now come back to, stays the engine's


def _leave_to_the_parent() -> None:
    for engine in list(_KEEPING):
        _INHERITED.append(engine.pool)
        engine.dispose(close=False)


os.register_at_fork(before=_close_idle, after_in_child=_leave_to_the_parent)
