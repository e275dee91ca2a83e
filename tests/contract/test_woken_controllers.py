"""A controller that was stopped for a while and goes on does nothing that another one has done.

A suspended machine, a stalled disk, a database that did not answer: its lease is gone meanwhile,
and what it was about to do is done, or nobody's to do any more.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session

from tests.cases.rollouts.ledgers import KEY
from tests.contract import windows_bench
from tests.contract.attempt_bench import HOUR, Bench, Fate
from tests.contract.point_bench import Points
from tests.contract.test_attempt_deaths import bench_of, installs
from tests.contract.test_attempt_reboots import Once, Site, site_of
from tests.contract.windows_bench import WindowsBench
from wavemend.calendar.windows import Occurrence
from wavemend.errors import LedgerConflict
from wavemend.execution.attempt import attempt_host
from wavemend.execution.order import Order
from wavemend.execution.rollback import roll_back_host
from wavemend.ledger import attempts, rollbacks, rollouts
from wavemend.outcomes import Outcome
from wavemend.policy.care import HostHook, Place, When
from wavemend.rollbacks import RollbackRequest
from wavemend.steps.prepare import prepare_host
from wavemend.steps.roll_back import case_of

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

RESTART = "before /bin/sh -c R="
"""How the command that tells a host to restart is named among a fate's places."""


def test_a_word_to_restart_that_was_stalled_restarts_no_host_that_has_restarted_since(
    tmp_path: Path,
) -> None:
    site = site_of(tmp_path / "lab")

    def taken_over() -> None:
        assert site.attempt() is Outcome.PATCHED
        assert site.told == 1

    fate = Once(RESTART, taken_over)
    with pytest.raises(LedgerConflict):
        attempt_host(site.hands(fate), site.bench.order())

    assert fate.struck
    assert site.told == 1, "the host was restarted again by the one that was taken for dead"


def hours_pass(site: Site) -> None:
    site.bench.shift = 12 * HOUR
    clock = site.bench.folder / "bin" / "date"
    late = '[ "$*" != +%s ] || exec /bin/date -d "+12 hours" +%s'
    clock.write_text(f'#!/bin/sh\n{late}\nexec /bin/date "$@"\n')
    clock.chmod(0o755)


def another_change_begins(site: Site) -> None:
    site.machine.put("/var/lib/wavemend/fence", "999999\n")


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (hours_pass, "the word came too late by its own clock"),
        (another_change_begins, "it has seen a newer controller"),
    ],
)
def test_a_word_to_restart_that_comes_too_late_restarts_nobody(
    tmp_path: Path, meanwhile: Callable[[Site], None], words: str
) -> None:
    site = site_of(tmp_path / "lab")
    fate = Once(RESTART, lambda: meanwhile(site))

    assert attempt_host(site.hands(fate), site.bench.order()) is Outcome.PATCHED_REBOOT_PENDING
    assert fate.struck
    assert site.told == 0, "the host was restarted after its window, or under another change"
    assert site.bench.row().reason.startswith("not rebooted: the command ended with ")
    assert words in site.bench.row().reason


def test_an_order_of_another_rollout_in_between_keeps_no_host_from_its_change(
    tmp_path: Path,
) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    first = bench.order()
    second = urgent(bench, first, "zip")

    assert attempt_host(bench.hands(), second) is Outcome.PATCHED
    outcome = attempt_host(bench.hands(), first)

    assert (outcome, bench.row().reason) == (Outcome.PATCHED, "")
    assert installs(machine) == {"wm-slow:all 2.0": 1, "zip:amd64 3.0-13+deb12u1": 1}


def urgent(bench: Bench, first: Order, package: str) -> Order:
    """Return the order of a second rollout, opened later, that is about one package."""
    (planned,) = bench.plan.hosts
    packages = tuple(each for each in planned.packages if each.name == package)
    plan = replace(bench.plan, rollout="r-2", hosts=(replace(planned, packages=packages),))
    night = Occurrence(
        window="night", start=plan.window_start, end=plan.window_end, last_start=plan.last_start
    )
    with bench.ledger.writing() as book:
        key = replace(KEY, profile="other")
        rollouts.open_rollout(book, "r-2", key, night, requester="olga", now=bench.now())
        lease = rollouts.take_lease(book, "r-2", "urgent", bench.now(), owner_is_dead=False)
        rollouts.store_plan(book, lease, plan, bench.now())
    return replace(first, lease=lease, plan=plan)


class AtWrite(Fate):
    """Does something before, or after, the first write at which the ledger says that it is time."""

    def __init__(
        self,
        bench: Bench,
        due: Callable[[Session], bool],
        action: Callable[[], object],
        place: str = "before a write",
    ) -> None:
        super().__init__()
        self.bench, self.due, self.action, self.place = bench, due, action, place

    def pass_by(self, place: str, *, on_host: bool) -> None:  # noqa: ARG002 - one kind
        """Act at the first write when it is time."""
        if self.struck or place != self.place:
            return
        with self.bench.ledger.reading() as book:
            if not self.due(book):
                return
        self.struck = place
        self.action()


def is_running(book: Session) -> bool:
    return any(row.state == "running" for row in attempts.of_rollout(book, "r-1"))


def is_to_restart(book: Session) -> bool:
    return any(row.reboots for row in attempts.of_rollout(book, "r-1"))


STALLS = pytest.mark.parametrize(
    ("place", "due"),
    [("before a write", is_running), ("after a write", is_to_restart)],
    ids=["before its intent is written", "after its intent is written"],
)
"""Where a controller stalls that has decided to restart a host and has not told it yet."""


def stall(bench: Bench, place: str, due: Callable[[Session], bool]) -> AtWrite:
    """Return a fate that costs the controller half an hour; the host's clock knows nothing of it.

    The window is still open then: only that the word is old keeps it from being sent.
    """

    def half_an_hour_passes() -> None:
        bench.shift = HOUR / 2

    return AtWrite(bench, due, half_an_hour_passes, place)


@STALLS
def test_a_word_to_restart_that_is_old_before_it_is_sent_stays_unsent(
    tmp_path: Path, place: str, due: Callable[[Session], bool]
) -> None:
    site = site_of(tmp_path / "lab")
    fate = stall(site.bench, place, due)

    assert attempt_host(site.hands(fate), site.bench.order()) is Outcome.PATCHED_REBOOT_PENDING
    assert fate.struck
    assert (site.told, site.bench.row().reboots) == (0, 1)
    assert site.bench.row().reason.startswith("not rebooted: the word took too long to the host")


@STALLS
def test_nor_is_it_sent_to_a_windows_host(
    tmp_path: Path, place: str, due: Callable[[Session], bool]
) -> None:
    bench = windows_bench.bench_of(tmp_path, windows_bench.quick("ok_reboot"), windows_bench.LCU)
    fate = stall(bench, place, due)

    assert attempt_host(bench.hands(fate), bench.order()) is Outcome.PATCHED_REBOOT_PENDING
    assert fate.struck
    assert (bench.windows.state.boots, bench.row().reboots) == (1, 1)
    assert bench.row().reason.startswith("not rebooted: the word took too long to the host")


def twelve_hours_pass(bench: WindowsBench) -> None:
    bench.windows.advance(HOUR.total_seconds() * 12)


def a_newer_change_begins(bench: WindowsBench) -> None:
    bench.windows.state.fence = 999999


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (twelve_hours_pass, "the word came too late by its own clock"),
        (a_newer_change_begins, "it has seen a newer controller"),
    ],
)
def test_a_word_to_restart_that_comes_too_late_restarts_no_windows_host(
    tmp_path: Path, meanwhile: Callable[[WindowsBench], None], words: str
) -> None:
    """Its controller looked at the clock, and stalled before the word was on its way."""
    bench = windows_bench.bench_of(tmp_path, windows_bench.quick("ok_reboot"), windows_bench.LCU)
    fate = Once("before reboot", lambda: meanwhile(bench))

    assert attempt_host(bench.hands(fate), bench.order()) is Outcome.PATCHED_REBOOT_PENDING
    assert fate.struck
    assert bench.windows.state.boots == 1, "it was restarted after its window, or under a change"
    assert bench.row().reason.startswith(f"not rebooted: the host refused: {words}")


def test_nor_is_a_windows_host_restarted_twice(tmp_path: Path) -> None:
    bench = windows_bench.bench_of(tmp_path, windows_bench.quick("ok_reboot"), windows_bench.LCU)

    def taken_over() -> None:
        assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
        assert bench.windows.state.boots == 2

    fate = AtWrite(bench, is_to_restart, taken_over, "after a write")
    with pytest.raises(LedgerConflict):
        attempt_host(bench.hands(fate), bench.order())

    assert fate.struck
    assert bench.windows.state.boots == 2, "it was restarted again by one that was taken for dead"


def test_a_command_that_puts_a_machine_back_is_not_run_again_by_one_that_was_taken_for_dead(
    tmp_path: Path,
) -> None:
    bench, _ = bench_of(tmp_path / "lab")
    points = Points(bench.folder / "points")
    bench.profile = replace(bench.profile, restore_point=points.rule())
    points._script("restore", 'echo once >>"$1/../restored"')
    prepare_host(bench.hands(), bench.take_lease(), bench.plan, bench.host, bench.profile)
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED

    def taken_over() -> None:
        roll_back_host(bench.hands(), bench.order(), asked(bench))

    fate = AtWrite(bench, lambda book: bool(rollbacks.of_rollout(book, "r-1")), taken_over)
    with pytest.raises(LedgerConflict):
        roll_back_host(bench.hands(fate), bench.order(), asked(bench))

    assert fate.struck
    assert (bench.folder / "restored").read_text() == "once\n", "it was put back twice"


def test_a_hook_is_not_run_by_one_whose_rollout_another_one_goes_on_with(tmp_path: Path) -> None:
    bench, _ = bench_of(tmp_path / "lab")
    filled = bench.folder / "filled"
    hook = HostHook(name="fill", when=When.AFTER, on=Place.WORKER, argv=("touch", str(filled)))
    bench.profile = replace(bench.profile, hooks=(hook,))

    fate = AtWrite(bench, is_running, bench.take_lease)
    with pytest.raises(LedgerConflict):
        attempt_host(bench.hands(fate), bench.order())

    assert fate.struck
    assert not filled.exists(), "the host was put back into service under another one's hands"
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert filled.exists()


def asked(bench: Bench) -> RollbackRequest:
    """Return what an operator asks for."""
    with bench.ledger.reading() as book:
        case = case_of(
            book,
            bench.plan,
            (bench.host.name,),
            requested_by="olga",
            reason="slow",
            outside_window=True,
        )
    return RollbackRequest(requested_by="olga", reason="slow", case=case, outside_window=True)


@pytest.mark.parametrize(("step", "least"), [(HOUR, 1800), (timedelta(0), 1800), (-HOUR, 5400)])
def test_a_clock_that_is_put_forward_cuts_no_soak_short(
    tmp_path: Path, step: timedelta, least: float
) -> None:
    """Hosts are watched for that long, whatever somebody does to the time of day meanwhile."""
    bench, _ = bench_of(tmp_path / "lab")
    passed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    def clock() -> datetime:
        return bench.opened_at + timedelta(seconds=passed) + (step if passed > 60 else timedelta(0))

    hands = replace(bench.hands(), clock=clock, monotonic=lambda: passed, sleep=sleep)
    hands.wait_until(bench.opened_at + timedelta(minutes=30))

    assert passed == pytest.approx(least, abs=2)
