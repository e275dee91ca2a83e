"""A ledger is ours, whole, private and of a known form, or it is not opened."""

import sqlite3
import stat
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event
from sqlalchemy.exc import StatementError
from sqlmodel import SQLModel, select

from tests.cases.rollouts.build import NOON
from tests.cases.rollouts.ledgers import KEY, NIGHT, new_ledger
from wavemend.errors import LedgerError
from wavemend.ledger import migrate, rollouts
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.ledger.tables import (
    RolloutRow,
    SwitchRow,
)


def path_url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path)


def test_migrations_from_nothing_give_exactly_the_models(tmp_path: Path) -> None:
    opened = open_ledger(path_url(tmp_path / "ledger.db"))

    with opened._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
        assert context.get_current_revision() == migrate.NEWEST
        assert migrate.is_current(connection)


def test_opening_again_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.writing() as book:
        rollouts.open_rollout(book, "r-1", KEY, NIGHT, requester="olga", now=NOON)

    with open_ledger(path_url(tmp_path / "ledger.db")).reading() as book:
        assert rollouts.get_rollout(book, "r-1").requester == "olga"


@pytest.mark.parametrize("statement", [1, 5, 20, 40])
def test_a_migration_that_dies_half_way_leaves_nothing_behind(
    tmp_path: Path, statement: int
) -> None:
    path = tmp_path / "ledger.db"
    path.touch(mode=0o600)
    dying = Ledger(path_url(path))
    count = 0

    def die(*_: object) -> None:
        nonlocal count
        count += 1
        if count == statement:
            raise KeyboardInterrupt

    event.listen(dying._engine, "after_cursor_execute", die)
    with pytest.raises(KeyboardInterrupt):
        dying.migrate()

    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == []
    raw.close()
    open_ledger(path_url(path))


def test_a_newer_ledger_is_refused(ledger: Ledger) -> None:
    with ledger._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(LedgerError, match=r"newer wavemend \(revision 9999\)"):
        ledger.migrate()


def test_a_foreign_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.touch(mode=0o600)
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE customers (name TEXT)")
    raw.close()
    before = path.read_bytes()

    with pytest.raises(LedgerError, match="tables that are not wavemend's"):
        open_ledger(path_url(path))
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]
    raw.close()
    assert len(path.read_bytes()) == len(before)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o602, 0o777])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    new_ledger(tmp_path)
    (tmp_path / "ledger.db").chmod(mode)

    with pytest.raises(LedgerError, match=rf"may be read by others \(mode {mode:04o}\).*chmod 600"):
        open_ledger(path_url(tmp_path / "ledger.db"))


def test_a_new_file_and_its_folder_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.db"
    opened = open_ledger(path_url(path))
    with opened.writing() as book:
        rollouts.open_rollout(book, "r-1", KEY, NIGHT, requester="olga", now=NOON)

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite://", "needs a file"),
        ("mysql://db/wavemend", "cannot be kept in mysql"),
        ("sqlite:////proc/nothing/ledger.db", "cannot be opened|cannot be used"),
    ],
)
def test_what_can_hold_no_ledger_is_refused(url: str, words: str) -> None:
    with pytest.raises(LedgerError, match=words):
        open_ledger(url)


def test_a_file_that_is_no_database_is_refused_in_our_own_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch(mode=0o600)
    path.write_bytes(b"not a database at all, but long enough to look at" * 100)

    with pytest.raises(LedgerError, match="cannot be used: file is not a database"):
        open_ledger(path_url(path))


def test_a_damaged_file_is_found(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.writing() as book:
        for number in range(50):
            rollouts.turn_switch(
                book, f"tenant-{number}", engaged=True, actor="a", reason="x" * 500, now=NOON
            )
    ledger.check()
    data = bytearray((tmp_path / "ledger.db").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "ledger.db").write_bytes(data)

    with pytest.raises(LedgerError, match=r"is damaged|cannot be used"):
        ledger.check()


def test_a_time_without_a_zone_is_refused(ledger: Ledger) -> None:
    naive = datetime(2026, 3, 10, 12)  # noqa: DTZ001 - that is the point

    with pytest.raises(StatementError, match="a time without a zone"), ledger.writing() as book:
        rollouts.turn_switch(book, "acme", engaged=True, actor="a", reason="x", now=naive)
    with ledger.reading() as book:
        assert book.exec(select(SwitchRow)).all() == []


def test_an_error_inside_a_transaction_leaves_nothing_of_it(ledger: Ledger) -> None:
    def open_and_fail() -> None:
        with ledger.writing() as book:
            rollouts.open_rollout(book, "r-1", KEY, NIGHT, requester="olga", now=NOON)
            book.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        open_and_fail()

    with ledger.reading() as book:
        assert book.exec(select(RolloutRow)).all() == []


def test_a_database_that_stays_locked_is_an_error_in_our_own_words(tmp_path: Path) -> None:
    new_ledger(tmp_path)
    quick = Ledger(path_url(tmp_path / "ledger.db"))
    event.listen(
        quick._engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=10").close()
    )
    holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerError, match="database is locked"), quick.writing():
        pytest.fail("two writers at once")
    holder.close()
