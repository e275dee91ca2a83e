"""Prefect's command, with a server that does not stand still for a minute on SQLite.

`python -m deployments.prefect_server server start` is `prefect server start`. The difference: a
statement that fails (a row that is there already, "database is locked") leaves its cursor open to
whoever lets go of the error, and that is the event loop. To free a cursor takes the mutex of its
connection, and the next statement of that connection holds it for as long as it waits for the
database: 60 s, as Prefect has it. What it waits for is often a transaction whose next step waits
for the event loop. Then nothing moves until the 60 s are over, and all that waited fails. Seen with
Prefect 3.8.8, SQLAlchemy 2.0.58, aiosqlite 0.22.1 and Python 3.11.7, in the C stack of a server
that stood still. Python 3.12 closes such a cursor itself; PostgreSQL has no such mutex.

So a cursor is closed by the thread of its connection, as soon as something went wrong with it.
"""

import sys
from collections.abc import Callable
from typing import Any

from aiosqlite.cursor import Cursor

_run: Callable[..., Any] = Cursor._execute  # noqa: SLF001 - all that a cursor does goes through it


async def _closed_when_it_fails(
    self: Cursor, function: Callable[..., Any], *args: Any, **named: Any
) -> Any:
    try:
        return await _run(self, function, *args, **named)
    except BaseException:
        work = self._conn._tx  # noqa: SLF001 - behind what still runs there
        work.put_nowait((None, self._cursor.close))
        raise


def close_cursors_that_fail() -> None:
    """Make aiosqlite close a cursor whose work failed or was cancelled, on its own thread.

    For the whole process.
    """
    Cursor._execute = _closed_when_it_fails  # type: ignore[assignment, method-assign]  # noqa: SLF001


if __name__ == "__main__":
    from prefect.cli import app

    if "--background" in sys.argv:
        sys.exit("--background starts Prefect's own server, which stands still: leave it out")
    close_cursors_that_fail()
    app()
