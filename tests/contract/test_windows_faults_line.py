"""Whatever the line to a Windows host does, at any operation, the host is changed once and truly.

The operations are counted on the test peer, not chosen. Where one visit after the other suffers,
each kind of call suffers in one attempt, so far apart that one is got over before the next one.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from tests.contract.windows_world import Cable, Plague, Strike, World, world_of
from tests.contract.winrm_bench import no_thread_left

PATCHED = "patched begun once"
AT_CALLS = ("Command", "Send", "Receive", "Signal", "Delete")
AT_LOGIN = ("Connect", "Authenticate", "Create")
AT_ONCE = 4
"""Attempts at the same time: most of a stall is waiting."""


@cache
def undisturbed(folder: Path) -> Cable:
    """Return what passes over the line in an attempt to which nothing happens."""
    with world_of(folder / "undisturbed") as world:
        assert world.played() == PATCHED
        return world.cable


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Cable:
    return undisturbed(tmp_path_factory.mktemp("line"))


def visits(whole: Cable) -> list[int]:
    """Return the numbers of the visits that came about, from 0: a host that restarts has none."""
    return sorted({visit - 1 for visit, _, operation, _ in whole.seen if operation == "Create"})


def kinds(whole: Cable) -> set[str]:
    """Return every kind of call of an attempt."""
    return {about for _, about, _, _ in whole.seen if about != "connecting"}


def test_an_attempt_does_all_the_operations_that_suffer_here(whole: Cable) -> None:
    assert {operation for _, _, operation, _ in whole.seen} == {*AT_LOGIN, *AT_CALLS}
    assert kinds(whole) == {
        *("facts", "start_job scan", "job_status scan", "start_job install"),
        *("job_status install", "reboot", "boot", "clean_jobs"),
    }


@pytest.mark.parametrize("what", ["drop", "stall"])
def test_a_call_that_breaks_or_stalls_at_any_operation_changes_the_host_once(
    what: str, whole: Cable, tmp_path: Path
) -> None:
    strikes = [
        Strike(operation=operation, what=what, after=after)
        for operation in AT_CALLS
        for after in (False, True)
    ]
    with no_thread_left(), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: plagued(tmp_path / str(one), one, kinds(whole)), strikes))


@pytest.mark.parametrize("what", ["drop", "http_400"])
def test_an_encrypted_connection_that_is_lost_or_of_no_use_any_more_is_replaced(
    what: str, whole: Cable, tmp_path: Path
) -> None:
    def play(operation: str) -> None:
        strike = Strike(operation=operation, what=what)
        plagued(tmp_path / operation, strike, kinds(whole), tls=None, cbt="none")

    with no_thread_left(), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(play, AT_CALLS))


def plagued(folder: Path, strike: Strike, kinds: set[str], **switches: object) -> None:
    """Play one attempt in which each kind of call suffers once."""
    with world_of(folder, **switches) as world:  # type: ignore[arg-type]
        world.plague = Plague(strike, set(kinds))
        assert world.played() == PATCHED, f"{strike}, struck {world.cable.struck}"
        assert len(world.cable.struck) == len(kinds), f"{strike}: not at {world.plague.left}"


def test_a_login_that_breaks_at_every_visit_is_got_over_each_time(
    whole: Cable, tmp_path: Path
) -> None:
    def play(strike: Strike) -> None:
        with world_of(tmp_path / str(strike)) as world:
            world.at_visit = dict.fromkeys(range(99), strike)
            assert world.played() == PATCHED, strike
            assert len(world.cable.struck) >= len(visits(whole)), strike

    strikes = (
        Strike(operation="Authenticate", what="drop"),
        Strike(operation="Authenticate", what="drop", nth=2),
        Strike(operation="Create", what="drop"),
        Strike(operation="Create", what="drop", after=True),
        Strike(operation="Create", what="http_400"),
    )
    with no_thread_left(), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(play, strikes))


@pytest.mark.parametrize("what", ["drop", "stall"])
def test_a_visit_that_does_not_come_about_is_made_again_or_nothing_is_begun(
    what: str, whole: Cable, tmp_path: Path
) -> None:
    def play(number: int) -> str:
        # What breaks later than the connection is got over within the visit: see above.
        operation = "Connect" if what == "drop" else AT_LOGIN[number % 3]
        # A stall lasts for longer than a visit may take to come about.
        with world_of(tmp_path / str(number), stall_seconds=9.0) as world:
            world.at_visit = {number: Strike(operation=operation, what=what)}
            seen = world.played()
            assert len(world.cable.struck) == 1, (number, operation)
            return seen.partition(": ")[0]

    numbers = visits(whole)
    with no_thread_left(), ThreadPoolExecutor(AT_ONCE) as pool:
        seen = dict(zip(numbers, pool.map(play, numbers), strict=True))

    rehearsal = seen.pop(1)
    assert rehearsal == "unreachable never begun"
    assert set(seen.values()) == {PATCHED}, seen
    assert len(seen) >= 12


def test_a_line_that_breaks_again_and_again_changes_the_host_at_most_once(tmp_path: Path) -> None:
    def play(course: tuple[int, int]) -> str:
        every, first = course
        with world_of(tmp_path / f"{first} of {every}") as world:
            breaks(world, first, every)
            return world.played()

    courses = [(every, first) for every in (2, 3, 5) for first in range(every)]
    with no_thread_left(), ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(play, courses))

    ways = (PATCHED, "unreachable ", "not_attempted never begun", "needs_human ")
    assert all(outcome.startswith(ways) for outcome in seen), seen
    assert PATCHED in seen, "none got through: nothing was changed that could be changed twice"


def breaks(world: World, first: int, every: int) -> None:
    """Let visits break off, one of so many, at another operation each time."""
    for number in range(first, 999, every):
        operation = (*AT_LOGIN, *AT_CALLS)[(number // every) % 8]
        world.at_visit[number] = Strike(operation=operation, what="drop", after=number % 2 == 0)
