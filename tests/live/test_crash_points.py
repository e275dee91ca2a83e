"""A controller killed before and after every write and every remote effect harms no host.

A rollout of six hosts, and one that closes at its first gate. Each controller dies by SIGKILL at
the first place, site and side, at which none has died yet; the next one goes on, and dies a little
later: so every death but the first meets what earlier ones left. The hosts' own journals and
package logs say what was done.
"""

import contextlib
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.crash_places import (
    AFTER,
    BEFORE,
    ELSEWHERE,
    SELDOM,
    Fate,
    read_log,
    sites,
)
from tests.contract.crash_world import EXPECTED, HOSTS, CrashWorld
from tests.world.fleet import WorldHost
from wavemend.ledger import rollouts

pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

AT_LEAST = 60
"""Deaths; there are about 70 places as this is written."""


CLOSING = (WorldHost("fail1", "acme", packages=("wm-fails",)), HOSTS[-1])
CLOSED = {"fail1": "failed", "sign1": "not_attempted"}


def test_dying_once_before_and_once_after_every_effect_changes_every_host_once(
    tmp_path: Path,
) -> None:
    log, deaths = tmp_path / "places.log", 0
    for name, hosts, expected in (("whole", HOSTS, EXPECTED), ("closing", CLOSING, CLOSED)):
        home = tmp_path / name
        home.mkdir()
        world = CrashWorld(home, hosts, log=log)
        try:
            while world.run(Fate(log, steered=True)) == -signal.SIGKILL:
                deaths += 1
            world.judge(expected)
        finally:
            world.close()

    passed = {place.site for place in read_log(log)}
    died = {(place.site, place.side) for place in read_log(log) if place.died}
    counted = {str(site) for site in sites()} - set(ELSEWHERE) - SELDOM
    assert passed.isdisjoint(ELSEWHERE), "it is passed by now: take it off the list of those not"
    assert {(site, side) for site in counted for side in (BEFORE, AFTER)} <= died
    assert deaths == len(died) >= AT_LEAST


def test_a_controller_that_was_stopped_and_wakes_after_a_newer_one_does_nothing(
    tmp_path: Path,
) -> None:
    world = CrashWorld(tmp_path)
    try:
        old = world.controller()
        wait_until(lambda: world.begun("slow1") != [], "the pilot's begin")
        assert old.pid is not None
        stop_between_writes(world, old.pid)
        expire_lease(world)
        assert world.run() == 0
        places = len(read_log(world.log))
        os.kill(old.pid, signal.SIGCONT)
        old.join(60)

        world.judge()
        # It finds the newer owner at its first write, which commits nothing, and ends.
        assert old.exitcode == 1
        assert "was taken over by" in (tmp_path / "controllers.log").read_text()
        woken = [place for place in read_log(world.log)[places:] if place.pid == old.pid]
        changes = {"execution/jobs.py start_job run", "execution/reboot.py _tell run"}
        assert not [place for place in woken if place.side == BEFORE and place.site in changes]
        written = {place.site for place in woken if place.side == AFTER and "writing" in place.site}
        assert written <= {"steps/lease.py hold writing"}, (
            "giving back what is not its own: nothing"
        )
    finally:
        world.close()


def stop_between_writes(world: CrashWorld, pid: int) -> None:
    """Stop a controller that is in no write: what it then writes, it writes when it is awake again.

    Stopped with SQLite's lock it would keep it, and the newer one could only say so.
    """
    for _ in range(100):
        os.kill(pid, signal.SIGSTOP)
        if may_write(world.home / "ledger.db") and not open_writes(world.log, pid):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)
    pytest.fail("the controller is writing whenever it is stopped")


def open_writes(log: Path, pid: int) -> Counter[str]:
    """Return the writes of a controller that were begun and not ended."""
    begun = Counter[str]()
    for place in read_log(log):
        if place.pid == pid and "writing" in place.site:
            begun[place.site] += 1 if place.side == BEFORE else -1
    return +begun


def may_write(ledger: Path) -> bool:
    with contextlib.closing(sqlite3.connect(ledger, timeout=0.5, isolation_level=None)) as book:
        try:
            book.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        book.execute("ROLLBACK")
        return True


def expire_lease(world: CrashWorld) -> None:
    """Let the stopped owner's lease be over now; a living one keeps it for 45 s."""
    with world.ledger.writing() as book:
        (row,) = rollouts.list_rollouts(book)
        assert row.lease_until is not None
        row.lease_until = row.created_at


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    """Wait for something on the hosts or in the ledger."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.1)
