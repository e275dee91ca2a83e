"""Connections to a SQLite ledger stay open between transactions, and nothing is lost by it."""

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.cases.rollouts.build import NOON
from wavemend.ledger import audit
from wavemend.ledger.store import Ledger, open_ledger

APPEND = """
import sys
from datetime import UTC, datetime
from wavemend.ledger import audit
from wavemend.ledger.store import open_ledger

with open_ledger(sys.argv[1]).writing() as book:
    audit.append(book, datetime.now(UTC), sys.argv[2], "test.event", "fleet")
"""


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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_hundred_transactions_open_the_file_once(url: str) -> None:
    ledger = open_ledger(url)
    ledger.close()
    opened: list[object] = []
    event.listen(ledger._engine, "connect", lambda raw, _: opened.append(raw))

    for number in range(50):
        append(ledger, f"w{number}")
        assert writers(ledger)[-1] == f"w{number}"
    assert len(opened) == 1


def test_what_was_written_survives_a_second_opening_and_the_end_of_another_process(
    url: str,
) -> None:
    """Whoever opens and closes the file by other means drops SQLite's locks of this process.

    The next process to end then takes itself for the last one, and removes the log under ours.
    """
    ledger = open_ledger(url)
    append(ledger, "first")
    open_ledger(url)
    append_elsewhere(url, "second")
    append(ledger, "third")
    append_elsewhere(url, "fourth")

    assert writers(ledger) == ["first", "second", "third", "fourth"]
    assert writers(open_ledger(url)) == ["first", "second", "third", "fourth"]


@pytest.mark.parametrize("closed", [False, True], ids=["kept", "closed"])
def test_a_ledger_put_in_the_place_of_one_that_is_in_use_is_the_one_used_from_then_on(
    path: Path, url: str, closed: bool
) -> None:
    ledger = open_ledger(url)
    append(ledger, "of both")
    with sqlite3.connect(path) as live, sqlite3.connect(path.with_name("copy")) as copy:
        live.backup(copy)
    live.close()
    copy.close()
    append(ledger, "of the lost one")
    if closed:
        ledger.close()
    for name in path.parent.glob("ledger.db*"):
        name.unlink()
    path.with_name("copy").chmod(0o600)
    path.with_name("copy").rename(path)

    assert writers(ledger) == ["of both"]
    append(ledger, "of the new one")
    assert writers(open_ledger(url)) == ["of both", "of the new one"]


def test_a_forked_child_makes_connections_of_its_own_and_leaves_its_parents_alone(
    path: Path, url: str
) -> None:
    ledger = open_ledger(url)
    append(ledger, "parent")
    opened: list[object] = []
    event.listen(ledger._engine, "connect", lambda raw, _: opened.append(raw))
    inherited = open_files(path)

    def in_child() -> None:
        append(ledger, "child")
        gc.collect()
        assert len(opened) == 1
        assert set(open_files(path)) > set(inherited), "SQLite forbids closing them here"
        assert writers(ledger) == ["parent", "child"]

    assert forked(in_child) == 0
    append(ledger, "parent again")
    append_elsewhere(url, "another")

    assert writers(ledger) == ["parent", "child", "parent again", "another"]
    ledger.check()


def forked(work: Callable[[], None]) -> int:
    """Run something in a child of this process; return its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - nothing of the child may reach pytest
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_ledger_that_nobody_has_any_more_leaves_no_file_open_and_no_log(
    path: Path, url: str
) -> None:
    ledger = open_ledger(url)
    append(ledger, "olga")
    assert open_files(path) != []

    del ledger
    assert open_files(path) == []
    assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]


def test_a_backup_as_documented_is_whole_while_the_ledger_is_in_use(path: Path, url: str) -> None:
    ledger = open_ledger(url)
    append(ledger, "olga")
    text = (Path(__file__).parents[2] / "docs/how-to/restore-the-ledger.md").read_text()
    (command,) = [block for block in text.split("```") if "backup(" in block]
    subprocess.run(["sh", "-ec", command.removeprefix("sh")], check=True, cwd=path.parent)

    copy = path.with_name("ledger-monday.db")
    assert writers(open_ledger(f"sqlite:///{copy}")) == ["olga"]


def test_a_copy_of_the_file_alone_is_whole_once_the_ledger_is_closed(path: Path, url: str) -> None:
    ledger = open_ledger(url)
    append(ledger, "olga")
    ledger.close()
    shutil.copy(path, path.with_name("copy.db"))

    assert writers(open_ledger(f"sqlite:///{path.with_name('copy.db')}")) == ["olga"]
    append(ledger, "after closing")
    assert writers(ledger) == ["olga", "after closing"]
