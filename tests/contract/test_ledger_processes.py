"""Processes that share a ledger lose nothing that was acknowledged, however they die."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cases.rollouts.build import NOON
from wavemend.ledger import audit
from wavemend.ledger.store import open_ledger

WRITER = """
import sys
from datetime import UTC, datetime
from wavemend.ledger import audit
from wavemend.ledger.store import open_ledger

ledger = open_ledger(sys.argv[1])
while True:
    with ledger.writing() as book:
        audit.append(book, datetime.now(UTC), sys.argv[2], "test.event", "fleet", text="x" * 300)
        number = audit.head(book).events
    print(number, flush=True)
"""


def writer(url: str, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
    )


@pytest.mark.parametrize("rows", [1, 20, 83])
def test_a_writer_that_is_killed_loses_no_acknowledged_row(tmp_path: Path, rows: int) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    with writer(url, "one") as process:
        assert process.stdout is not None
        last = [int(process.stdout.readline()) for _ in range(rows)][-1]
        process.kill()
        last = max([last, *(int(line) for line in process.stdout.read().splitlines())])

    ledger = open_ledger(url)
    ledger.check()
    with ledger.reading() as book:
        assert audit.verify(book).events in {last, last + 1}


def test_workers_that_open_a_new_ledger_at_once_make_it_once_and_share_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    workers = [writer(url, f"w{number}") for number in range(4)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline().strip().isdigit(), worker.communicate()[1]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()

    with open_ledger(url).reading() as book:
        audit.verify(book)
        assert {event.actor for event in audit.events(book, "fleet")} == {"w0", "w1", "w2", "w3"}


def test_every_one_of_many_threads_gets_its_turn_to_write(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")

    def write(number: int) -> None:
        for turn in range(3):
            with ledger.writing() as book:
                audit.append(book, NOON, "olga", "turn", f"{number}.{turn}")
                time.sleep(0.002)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(write, range(64)))

    with ledger.reading() as book:
        audit.verify(book)
        assert audit.head(book).events == 64 * 3
