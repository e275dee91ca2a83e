"""What holds for the ledger on SQLite holds on PostgreSQL too, test by test.

Needs PostgreSQL's server programs (Debian: `apt-get install postgresql`) and psycopg; starts a
private server of its own, without TCP, as an unprivileged user, and removes it at the end.
"""

# The tests come from the SQLite modules by name; only what `ledger` and `chain` are differs here.
# ruff: noqa: F401

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cached_property
from itertools import count
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url
from sqlmodel import SQLModel

from tests.cases.rollouts.build import NOON, START
from tests.cases.rollouts.ledgers import KEY, NIGHT, at_once, frozen
from tests.contract import test_ledger_attempts, test_ledger_audit, test_ledger_rollouts
from wavemend.errors import LedgerError
from wavemend.hosts import Host
from wavemend.ledger import approvals, audit, rollouts
from wavemend.ledger.scans import newest_look, record_look
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.observations import Look

for _module in (test_ledger_attempts, test_ledger_audit, test_ledger_rollouts):
    globals().update({k: v for k, v in vars(_module).items() if k.startswith("test_")})

_NAMES = count(1)


class Server:
    """A PostgreSQL server of our own; its socket lies in its folder, nothing listens on TCP."""

    def __init__(self, folder: Path, programs: Path, user: str) -> None:
        self.folder, self.programs, self.user = folder, programs, user

    def run(self, program: str, *argv: str) -> None:
        command = [str(self.programs / program), *argv]
        if os.getuid() == 0:  # the server refuses to run as root
            group = pwd.getpwnam(self.user).pw_gid
            command = [
                *("setpriv", f"--reuid={self.user}", f"--regid={group}", "--clear-groups", "--"),
                *command,
            ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.folder, timeout=120
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def up(self) -> None:
        data = str(self.folder / "data")
        self.run("initdb", "-D", data, "-U", "wavemend", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        log, data = str(self.folder / "log"), str(self.folder / "data")
        self.run("pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", mode, "stop")

    def url(self, database: str) -> str:
        return f"postgresql://wavemend@/{database}?host={self.folder}"

    def new_database(self, template: str = "template1") -> str:
        name = f"ledger{next(_NAMES)}"
        with Ledger(self.url("postgres"))._engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    @cached_property
    def migrated(self) -> str:
        """The name of a database with all tables, to copy from."""
        url = self.new_database()
        open_ledger(url)
        return str(make_url(url).database)


def _programs() -> Path | None:
    found = [Path(path).resolve().parent for path in [shutil.which("pg_ctl")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in found if (place / "initdb").exists()), None)


def _unprivileged() -> str:
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    return next(
        (name for name in ("postgres", "nobody") if name in {u.pw_name for u in pwd.getpwall()}), ""
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install 'psycopg[binary]'")
    programs, user = _programs(), _unprivileged()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: apt-get install postgresql")
    if not user or (os.getuid() == 0 and shutil.which("setpriv") is None):
        pytest.skip("PostgreSQL refuses to run as root, and no other user can be taken")
    # A short path: the name of a Unix socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="wm-pg-", dir="/tmp"))
    if os.getuid() == 0:
        shutil.chown(folder, user)
    made = Server(folder, programs, user)
    try:
        made.up()
        yield made
        made.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ledger(server: Server) -> Ledger:
    return open_ledger(server.new_database(server.migrated))


@pytest.fixture(scope="module")
def chain(server: Server) -> Ledger:
    return test_ledger_audit.fill(open_ledger(server.new_database()))


# --- what only PostgreSQL can show ----------------------------------------------------------------


def test_migrations_from_nothing_give_exactly_the_models_on_postgresql(ledger: Ledger) -> None:
    with ledger._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_foreign_database_is_refused_on_postgresql(server: Server) -> None:
    url = server.new_database()
    with Ledger(url)._engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE customers (name TEXT)")

    with pytest.raises(LedgerError, match="tables that are not wavemend's"):
        open_ledger(url)


def test_a_migration_that_dies_half_way_leaves_nothing_on_postgresql(server: Server) -> None:
    from sqlalchemy import event, inspect

    url = server.new_database()
    dying = Ledger(url)
    seen = count(1)

    def die(*_: object) -> None:
        if next(seen) == 30:
            raise KeyboardInterrupt

    event.listen(dying._engine, "after_cursor_execute", die)
    with pytest.raises(KeyboardInterrupt):
        dying.migrate()
    assert inspect(Ledger(url)._engine).get_table_names() == []
    open_ledger(url)


def test_a_database_that_does_not_run_is_an_error_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install 'psycopg[binary]'")
    url = f"postgresql://wavemend:tr0ub4dor@/ledger?host={tmp_path}"

    with pytest.raises(LedgerError, match="cannot be used") as caught:
        open_ledger(url)
    assert "tr0ub4dor" not in str(caught.value)


def test_a_server_that_restarts_costs_an_error_at_most_not_the_ledger(server: Server) -> None:
    ledger = open_ledger(server.new_database())
    lease = frozen(ledger)
    server.stop()
    with pytest.raises(LedgerError, match="cannot be used"), ledger.writing() as book:
        rollouts.record_step(book, lease, "prepared", START)
    server.start()

    with ledger.writing() as book:
        rollouts.record_step(book, lease, "prepared", START)
    with ledger.reading() as book:
        assert rollouts.read_view(book, "r-1").steps == {"prepared"}


def test_an_idle_ledger_holds_no_connection(server: Server) -> None:
    url = server.new_database()
    opened = [open_ledger(url) for _ in range(5)]
    for each in opened:
        with each.reading() as book:
            audit.head(book)

    with Ledger(server.url("postgres"))._engine.connect() as connection:
        mine = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (make_url(url).database,)
        ).scalar_one()
    assert mine == 0


def test_bytes_that_postgresql_cannot_hold_are_no_reason_to_lose_a_look(ledger: Ledger) -> None:
    seen = Look(
        host="web1", at=NOON, facts=None, reason="answer", detail="sudo: \x00\x01 \udc80 broken"
    )
    host = Host(name="web1", tenant="acme", address="192.0.2.1")
    with ledger.writing() as book:
        record_look(book, host, seen, purpose="scan")

    with ledger.reading() as book:
        found = newest_look(book, "web1")
    assert found is not None
    assert found[1].detail.startswith("sudo: ")
    assert found[1].detail.endswith(" broken")
