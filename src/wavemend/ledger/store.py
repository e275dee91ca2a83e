"""Opening the ledger, and the one way to write to it: short, serialised transactions.

SQLite (WAL, FULL) for one machine, PostgreSQL for several. An acknowledged write survives
`kill -9`. Whoever decides and writes does both in one transaction, so two workers never decide
on the same old state.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine, event, inspect, make_url, text
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, ProgrammingError
from sqlmodel import Session

from wavemend.documents import storable
from wavemend.errors import LedgerError
from wavemend.ledger import migrate
from wavemend.ledger.engine import ledger_engine
from wavemend.ledger.turns import turns_of
from wavemend.ledger.view import guard, restrict

TURN_SECONDS = 120.0
"""How long a thread waits for the others of its process: a hundred of them, on a slow disk."""

_CREATING = Lock()
"""Held until a new file is closed: no other thread's connection is open yet that would suffer."""

_WRITERS_LOCK = 0x77617665
"""Advisory lock that serialises writers on PostgreSQL as BEGIN IMMEDIATE does on SQLite."""


class Ledger:
    """An open ledger. Cheap to make; holds no connection between transactions, unless told to."""

    def __init__(self, url: str, tenant: str = "") -> None:
        self.url = url
        self._engine = ledger_engine(url)
        self._tenant = tenant
        self._turns = turns_of(url)
        self._kept: Engine | None = None
        self._keepers: set[object] = set()
        self._keeping = Lock()

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep connections open between the transactions of the block: work that takes many.

        Not while waiting for hours: who puts a backup in its place expects nobody at the file.
        """
        if self._engine.dialect.name != "sqlite":
            yield
            return
        keeper = object()
        try:
            with self._keeping:
                self._kept = self._kept or ledger_engine(self.url, keep=True)
                self._keepers.add(keeper)
            yield
        finally:
            self._let_go(keeper)

    @contextmanager
    def _in_use(self) -> Iterator[Engine]:
        """Yield the engine for a transaction; one that outlasts the block keeps it to its end.

        Else its connection would come back when nobody is there any more to close it.
        """
        keeper = object()
        try:
            with self._keeping:
                if kept := self._kept:
                    self._keepers.add(keeper)
            yield kept or self._engine
        finally:
            self._let_go(keeper)

    def _let_go(self, keeper: object) -> None:
        """Forget one who keeps connections open, if it came to that; close them after the last."""
        with self._keeping:
            self._keepers.discard(keeper)
            done, self._kept = (None, self._kept) if self._keepers else (self._kept, None)
        if done is not None:
            done.dispose()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield a session in a write transaction of its own; commit at the end, or nothing.

        Raises LedgerError when the database is locked, full, read-only or gone.
        """
        with self._turn(), self._session() as session:
            _lock_writers(session.connection())
            guard(session)
            yield session
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session that sees one consistent state and writes nothing."""
        with self._session() as session:
            if self._engine.dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN")
            else:  # its default shows each statement another state
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            guard(session)
            yield session
            session.expunge_all()  # rows stay readable afterwards; a rollback would empty them
            session.rollback()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let the threads of this process take turns before they contend with other processes."""
        if self._engine.dialect.name != "sqlite":
            yield
            return
        turn = self._turns.take(TURN_SECONDS)
        if turn is None:
            raise LedgerError(
                f"the ledger {_shown(self.url)} is busy: no turn within {TURN_SECONDS:.0f} s",
                hint="look what keeps its disk busy",
            )
        try:
            yield
        finally:
            turn.release()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with (
            _in_our_words(self.url),
            self._in_use() as engine,
            Session(engine, expire_on_commit=False) as session,
        ):
            if self._tenant:
                restrict(session, self._tenant)
            yield session

    def migrate(self) -> None:
        """Bring the tables to this version's form. Raises LedgerError for newer or foreign ones."""
        with _in_our_words(self.url), self._engine.connect() as connection:
            if migrate.is_current(connection):
                return
            connection.rollback()
            # One transaction, and one process at a time: no half-made tables, whoever dies.
            _lock_writers(connection)
            migrate.upgrade(connection, _shown(self.url))

    def check(self) -> None:
        """Refuse a damaged SQLite file at start, before anything rests on it."""
        if self._engine.dialect.name != "sqlite":
            return
        with _in_our_words(self.url), self._engine.connect() as connection:
            answer = connection.exec_driver_sql("PRAGMA quick_check").scalar_one()
        if answer != "ok":
            raise LedgerError(
                f"the ledger {_shown(self.url)} is damaged: {answer}", hint="restore a backup"
            )


def open_ledger(url: str, tenant: str = "") -> Ledger:
    """Open a ledger, create it when it does not exist, and bring its tables up to date.

    `tenant`: only this company's rows and its part of the fleet are seen; empty: everything.
    Raises LedgerError: unknown scheme, foreign or newer tables, a file others may read.
    """
    parsed = make_url(url)
    if parsed.drivername.startswith("sqlite"):
        _guard_file(parsed.database)
    ledger = Ledger(url, tenant)
    ledger.migrate()
    return ledger


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    """Turn a database that is locked, full, damaged or gone into a LedgerError; not our bugs."""
    try:
        yield
    except (IntegrityError, DataError, ProgrammingError):
        raise
    except DatabaseError as error:
        said = str(error.orig).strip()
        raise LedgerError(
            f"the ledger {_shown(url)} cannot be used: {said}", hint=_way_out(said)
        ) from error


def _way_out(said: str) -> str:
    """Return what helps against a database's complaint."""
    if "malformed" in said or "not a database" in said:
        return "it is damaged: restore the last backup (docs/how-to/stop-and-resume.md)"
    return "check that the database runs, has free space and may be written"


def _lock_writers(connection: Connection) -> None:
    """Begin a transaction that no other writer can be in at the same time."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _WRITERS_LOCK})


def _guard_file(name: str | None) -> None:
    """Create the file for its owner alone; refuse one that others may read: it maps every hole.

    A file that is there is not opened: closing it again would take away the locks that this
    process's connections hold on it, and another process would throw their log away.
    """
    if not name:
        raise LedgerError("the ledger needs a file", hint="sqlite:////var/lib/wavemend/ledger.db")
    path = Path(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _CREATING, contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise LedgerError(
            f"the ledger {path} cannot be opened: {error.strerror}",
            hint="give it to the user that runs wavemend, on a file system that may be written",
        ) from error
    if mode & 0o077:
        raise LedgerError(
            f"the ledger {path} may be read by others (mode {mode:04o})", hint=f"chmod 600 {path}"
        )


@event.listens_for(Session, "before_flush")
def _make_storable(session: Session, _context: object, _instances: object) -> None:
    """Hosts and people send any text; PostgreSQL refuses a NUL, every encoder half a surrogate."""
    for row in (*session.new, *session.dirty):
        for name in inspect(row).mapper.columns.keys():  # noqa: SIM118 - no mapping
            value = row.__dict__.get(name)
            if isinstance(value, str) and value != (clean := storable(value)):
                setattr(row, name, clean)


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)
