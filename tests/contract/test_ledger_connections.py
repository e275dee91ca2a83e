"""Work of many transactions keeps its connections to a SQLite ledger, and nothing is lost by it."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlmodel import col, select

from tests.cases.rollouts.build import NOON
from wavemend.errors import LedgerError
from wavemend.ledger import audit, store, turns
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.ledger.tables import AuditEventRow

APPEND = """
import sys
from datetime import UTC, datetime
from wavemend.ledger import audit, store, turns
from wavemend.ledger.store import open_ledger

with open_ledger(sys.argv[1]).writing() as book:
    audit.append(book, datetime.now(UTC), sys.argv[2], "test.event", "fleet")
"""


LONG = """
WITH RECURSIVE c AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM c LIMIT 3000000)
SELECT count(*) FROM c
"""
"""Half a second of one statement."""


def append(ledger: Ledger, who: str) -> None:
    with ledger.writing() as book:
        audit.append(book, NOON, who, "test.event", "fleet")


def append_elsewhere(url: str, who: str) -> None:
    """Write in a process of its own, which ends afterwards."""
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", APPEND, url, who], check=True, env=environment)


def writers(ledger: Ledger) -> list[str]:
    with ledger.reading() as book:
        audit.verify(book)
        return [event.actor for event in audit.events(book, "fleet")]


def open_files(path: Path) -> list[tuple[str, str]]:
    """Return the number and name of what this process has open of a ledger."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    found = [(link.name, str(link.readlink())) for link in links]
    return [(number, name) for number, name in found if name.startswith(str(path))]


def locks() -> int:
    """Return how many locks this process has on files."""
    lines = Path("/proc/locks").read_text().splitlines()
    return sum(f" {os.getpid()} " in line for line in lines)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_work_of_many_transactions_opens_the_file_once_and_leaves_nothing_open(
    path: Path, url: str
) -> None:
    ledger = open_ledger(url)
    append(ledger, "before")
    assert open_files(path) == []

    with ledger.kept_open():
        append(ledger, "first")
        opened = open_files(path)
        for number in range(20):
            append(ledger, f"w{number}")
            assert writers(ledger)[-1] == f"w{number}"
        assert open_files(path) == opened != []
        with ledger.kept_open():
            append(ledger, "inner")
        assert open_files(path) == opened

    assert open_files(path) == []
    assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]
    assert writers(ledger)[-1] == "inner"


def test_many_threads_at_once_each_get_a_connection(path: Path, url: str) -> None:
    ledger = open_ledger(url)

    with ledger.kept_open(), ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda number: append(ledger, f"w{number}"), range(80)))
        list(pool.map(lambda _: writers(ledger), range(40)))
    assert len(writers(ledger)) == 80
    assert open_files(path) == []


def test_what_was_written_survives_a_second_opening_and_the_end_of_another_process(
    url: str,
) -> None:
    """Whoever opens and closes the file by other means drops SQLite's locks of this process.

    The next process to end then takes itself for the last one, and removes the log under ours.
    """
    ledger = open_ledger(url)
    with ledger.kept_open():
        append(ledger, "first")
        held = locks()
        open_ledger(url)
        assert locks() == held > 0
        append_elsewhere(url, "second")
        append(ledger, "third")
        append_elsewhere(url, "fourth")

        assert writers(ledger) == ["first", "second", "third", "fourth"]
    assert writers(open_ledger(url)) == ["first", "second", "third", "fourth"]


def test_nobody_opens_a_new_file_before_the_thread_that_made_it_has_closed_it(
    path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_closing, may_close, close = Event(), Event(), os.close

    def slowly(handle: int) -> None:
        is_closing.set()
        assert may_close.wait(30)
        close(handle)

    monkeypatch.setattr("wavemend.ledger.store.os.close", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(open_ledger, url)
        assert is_closing.wait(30)
        second = pool.submit(open_ledger, url)
        assert wait([second], timeout=0.5).done == set()
        may_close.set()
        append(first.result(), "olga")
        assert writers(second.result()) == ["olga"]


def exchange(path: Path, url: str) -> None:
    """Put a copy of the ledger with a line of its own in the place of the one in use."""
    with sqlite3.connect(path) as live, sqlite3.connect(path.with_name("copy")) as copy:
        live.backup(copy)
    live.close()
    copy.close()
    for name in path.parent.glob("ledger.db*"):
        name.unlink()
    path.with_name("copy").chmod(0o600)
    path.with_name("copy").rename(path)
    append_elsewhere(url, "of the copy")


def test_a_ledger_put_in_the_place_of_one_in_use_is_the_one_used_from_then_on(
    path: Path, url: str
) -> None:
    ledger = open_ledger(url)
    with ledger.kept_open():
        append(ledger, "of both")
        exchange(path, url)

        assert writers(ledger) == ["of both", "of the copy"]
        append(ledger, "afterwards")
    assert writers(open_ledger(url)) == ["of both", "of the copy", "afterwards"]


def test_nobody_goes_on_in_a_log_that_somebody_removed(path: Path, url: str) -> None:
    ledger = open_ledger(url)
    with ledger.kept_open():
        append(ledger, "before")
        for name in ("ledger.db-wal", "ledger.db-shm"):
            path.with_name(name).unlink()
        append(ledger, "here")
        append_elsewhere(url, "there")

        assert writers(ledger)[-2:] == writers(open_ledger(url))[-2:] == ["here", "there"]


def test_a_ledger_exchanged_while_it_is_being_opened_is_noticed(
    path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(url)
    append(ledger, "of both")
    connect, moments = sqlite3.connect, iter([True])

    def and_exchange(*args: Any, **options: Any) -> sqlite3.Connection:
        opened: sqlite3.Connection = connect(*args, **options)
        opened.execute("SELECT count(*) FROM sqlite_master").fetchall()
        if next(moments, False):
            monkeypatch.setattr("wavemend.ledger.engine.sqlite3.connect", connect)
            exchange(path, url)
        return opened

    with ledger.kept_open():
        monkeypatch.setattr("wavemend.ledger.engine.sqlite3.connect", and_exchange)
        assert writers(ledger) == ["of both", "of the copy"]
        append(ledger, "afterwards")
    assert writers(open_ledger(url)) == ["of both", "of the copy", "afterwards"]


def test_a_result_that_somebody_still_holds_does_not_keep_the_next_transaction_in_the_past(
    url: str,
) -> None:
    ledger = open_ledger(url)
    with ledger.writing() as book:
        for number in range(1200):
            audit.append(book, NOON, f"w{number}", "test.event", "fleet")

    with ledger.kept_open():
        with ledger.reading() as book:
            held = iter(book.connection().execute(select(col(AuditEventRow.actor))))
            next(held)
        append_elsewhere(url, "newer")

        with ledger.reading() as book:
            newest = select(AuditEventRow.actor).order_by(col(AuditEventRow.seq).desc())
            assert book.exec(newest.limit(1)).one() == "newer"
        append(ledger, "newest")
        assert held is not None


def test_a_transaction_that_outlasts_the_block_leaves_nothing_open_either(
    path: Path, url: str
) -> None:
    ledger = open_ledger(url)
    append(ledger, "olga")
    is_reading, may_end = Event(), Event()

    def read() -> int:
        with ledger.reading() as book:
            is_reading.set()
            assert may_end.wait(30)
            return audit.head(book).events

    with ThreadPoolExecutor(1) as pool:
        with ledger.kept_open():
            reading = pool.submit(read)
            assert is_reading.wait(30)
        may_end.set()
        assert reading.result() == 1
        assert open_files(path) == []


def test_an_engine_that_cannot_be_made_is_kept_open_for_nobody(
    path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(url)

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(store, "ledger_engine", fail)
        with pytest.raises(MemoryError), ledger.kept_open():
            append(ledger, "nobody")
    with ledger.kept_open():
        append(ledger, "olga")

    assert open_files(path) == []
    assert writers(ledger) == ["olga"]


class LostOnce:
    """A lock whose first owner is interrupted at the moment at which it has it."""

    def __init__(self, lost: list[threading.Lock]) -> None:
        self._lock, self._lost = threading.Lock(), lost

    def acquire(self, timeout: float) -> bool:
        taken = self._lock.acquire(timeout=timeout)
        if taken and not self._lost:
            self._lost.append(self._lock)
            raise KeyboardInterrupt
        return taken

    def release(self) -> None:
        self._lock.release()


def test_an_interrupt_at_the_moment_of_taking_ones_turn_keeps_nobody_from_writing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[threading.Lock] = []
    monkeypatch.setattr(turns, "Lock", partial(LostOnce, lost))
    monkeypatch.setattr(turns, "HELD_SECONDS", 0.2)
    monkeypatch.setattr(store, "TURN_SECONDS", 5.0)
    ledger = open_ledger(url)
    with pytest.raises(KeyboardInterrupt):
        append(ledger, "interrupted")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(append, ledger), [f"w{number}" for number in range(8)]))

    assert lost[0].locked()
    assert sorted(writers(ledger)) == [f"w{number}" for number in range(8)]


def test_a_turn_that_is_only_waited_for_long_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "HELD_SECONDS", 0.2)
    at_it, most = 0, 0
    ours = turns.Turns()

    def work(_: int) -> None:
        nonlocal at_it, most
        turn = ours.take(30)
        assert turn is not None
        at_it += 1
        most = max(most, at_it)
        time.sleep(0.05)
        at_it -= 1
        turn.release()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))

    assert most == 1


def test_an_interrupt_in_a_statement_stays_an_interrupt(url: str) -> None:
    ledger = open_ledger(url)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def read_long() -> None:
        with ledger.reading() as book:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            book.connection().exec_driver_sql(LONG).fetchall()

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ledger.kept_open():
            with pytest.raises(KeyboardInterrupt):
                read_long()
            append(ledger, "afterwards")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert writers(ledger) == ["afterwards"]


def test_a_file_that_is_gone_is_an_error_in_our_own_words_and_none_is_made(
    path: Path, url: str
) -> None:
    ledger = open_ledger(url)
    with ledger.kept_open():
        append(ledger, "olga")
        for file in path.parent.glob("ledger.db*"):
            file.unlink()
        with pytest.raises(LedgerError, match="cannot be used: its file is gone"):
            append(ledger, "nobody")
        assert not path.exists()


def test_a_relative_path_means_the_same_file_wherever_the_process_goes(
    path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ledger(url)
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ledger.db").touch()
    monkeypatch.chdir(path.parent)
    ledger = Ledger("sqlite:///ledger.db")
    with ledger.kept_open():
        monkeypatch.chdir(elsewhere)
        append(ledger, "of both")
        exchange(path, url)
        assert writers(ledger) == ["of both", "of the copy"]


def test_a_forked_child_loses_nothing_when_its_parent_is_gone(url: str) -> None:
    """SQLite's locks belong to a process; its tables, inherited, would say the child has them."""
    ledger = open_ledger(url)
    to_child, from_child = os.pipe(), os.pipe()

    def in_child() -> None:
        append(ledger, "child")
        assert locks() > 0
        os.write(from_child[1], b"x")
        os.read(to_child[0], 1)
        append(ledger, "child again")

    with ledger.kept_open():
        append(ledger, "parent")
        pid = forked(in_child)
        os.close(from_child[1])
        assert os.read(from_child[0], 1) == b"x", "the child has written, with locks of its own"
        append(ledger, "parent again")
    append_elsewhere(url, "another")
    os.write(to_child[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    expected = ["parent", "child", "parent again", "another", "child again"]
    assert writers(open_ledger(url)) == expected
    ledger.check()


def forked(work: Callable[[], None]) -> int:
    """Begin something in a child of this process; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - nothing of the child may reach pytest
            os._exit(1)
        os._exit(0)
    return pid


def test_a_backup_as_documented_is_whole_while_the_ledger_is_in_use(path: Path, url: str) -> None:
    ledger = open_ledger(url)
    text = (Path(__file__).parents[2] / "docs/how-to/restore-the-ledger.md").read_text()
    (command,) = [block for block in text.split("```") if "backup(" in block]
    with ledger.kept_open():
        append(ledger, "olga")
        subprocess.run(["sh", "-ec", command.removeprefix("sh")], check=True, cwd=path.parent)

    copy = path.with_name("ledger-monday.db")
    assert writers(open_ledger(f"sqlite:///{copy}")) == ["olga"]
