"""A statement that failed does not make Prefect's server on SQLite stand still."""

import asyncio
import gc
import sqlite3
import threading
from pathlib import Path

import aiosqlite
import pytest
from aiosqlite.cursor import Cursor

from deployments.prefect_server import close_cursors_that_fail

BUSY_SECONDS = 5
"""How long a statement waits for the database; Prefect's wait 60."""


async def told_to_who_waits(file: Path) -> str:
    """Let a connection wait for another one while its failed statement is let go of."""

    def connection() -> aiosqlite.Connection:
        return aiosqlite.connect(file, isolation_level=None, timeout=BUSY_SECONDS)

    loop = asyncio.get_running_loop()
    begun = threading.Event()
    async with connection() as first, connection() as second:
        for statement in ("PRAGMA journal_mode = WAL", "CREATE TABLE t (x PRIMARY KEY)"):
            await first.execute(statement)
        await first.execute("INSERT INTO t VALUES (1)")
        failed: BaseException | None = None
        try:
            await (await second.cursor()).execute("INSERT INTO t VALUES (1)")
        except sqlite3.IntegrityError as error:
            failed = error

        await second.set_trace_callback(lambda _statement: begun.set())
        await first.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(second.execute("BEGIN IMMEDIATE"))
        await loop.run_in_executor(None, begun.wait, 30)
        await asyncio.sleep(0.2)  # from here on it waits for the first one
        assert failed is not None
        failed = None
        gc.collect()  # the error and what awaited it hold each other
        await first.execute("COMMIT")
        try:
            await waiting
        except sqlite3.OperationalError as error:
            return str(error)
        return "its turn came"


def test_who_waits_for_the_database_gets_it_though_an_earlier_statement_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cursor, "_execute", Cursor._execute)  # put back afterwards
    close_cursors_that_fail()

    assert asyncio.run(told_to_who_waits(tmp_path / "prefect.db")) == "its turn came"
