"""One attempt on a Windows host: rounds, restarts and refusals end in the one honest outcome.

The host is simulated (nothing here ever ran on a real Windows host), reached without a network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contract.attempt_bench import Death, Fate
from tests.contract.windows_bench import LCU, NET, TOOL, WindowsBench, bench_of, quick
from tests.windows_host.state import HostState
from wavemend.execution.attempt import attempt_host
from wavemend.execution.looks import look
from wavemend.hosts import Facts
from wavemend.ledger import attempts, journals
from wavemend.ledger.attempt_steps import steps_of
from wavemend.managers import NextRound
from wavemend.managers.windows_update import WindowsUpdateManager
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import JobEnd, JobScript, Target
from wavemend.policy.profiles import RebootRule
from wavemend.rounds import MAX_ROUNDS, job_of
from wavemend.windows.calling import worker_text
from wavemend.windows.jobs import REGISTERED_WITHIN, start_windows_job


def attempt(bench: WindowsBench) -> Outcome:
    outcome = attempt_host(bench.hands(), bench.order())
    assert bench.row().outcome == outcome
    assert bench.windows.state.strangers == []
    return outcome


class Insatiable(WindowsUpdateManager):
    """A manager that would go on without end."""

    def next_round(
        self, targets: Sequence[Target], *_: object, rounds: int, restarted: bool
    ) -> NextRound:
        """Want everything again, whatever became of it."""
        del restarted
        return NextRound(targets=tuple(targets), reason=f"{rounds} are not enough")


class Choosy(WindowsUpdateManager):
    """A manager that gives one update up after the first round."""

    def next_round(
        self,
        targets: Sequence[Target],
        before: Facts,
        after: Facts,
        end: JobEnd,
        *,
        rounds: int,
        restarted: bool,
    ) -> NextRound:
        """Want what Windows Update would, but for the cumulative one."""
        chosen = [target for target in targets if target.name != LCU]
        return super().next_round(chosen, before, after, end, rounds=rounds, restarted=restarted)


@dataclass(frozen=True)
class Watched(WindowsUpdateManager):
    """The manager, with something that happens when a job's text has been made."""

    then: Callable[[], None] = lambda: None

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job, and let it happen."""
        script = super().apply_script(targets)
        self.then()
        return script


def quick_search() -> HostState:
    """Return a host whose looks are over before a scheduled restart takes it down."""
    state = quick("ok_reboot")
    state.wua.search_seconds = 1
    return state


# --- what is done --------------------------------------------------------------------------------


def test_updates_are_installed_and_the_restart_is_proven(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU, NET, TOOL)

    assert attempt(bench) is Outcome.PATCHED
    assert bench.installs() == {LCU: 1, NET: 1, TOOL: 1}
    assert bench.begins() == [bench.row().id]
    evidence = attempts.evidence_of(bench.row())
    assert evidence is not None
    assert (evidence.boot_id_before, evidence.boot_id_after, evidence.reboots) == ("1", "2", 1)
    assert evidence.kernel_after == evidence.newest_kernel == "10.0.20348.4773"
    assert evidence.job_exit_status == 0


def test_a_restart_that_was_due_before_comes_first_and_the_change_is_begun_again(
    tmp_path: Path,
) -> None:
    bench = bench_of(tmp_path, quick("reboot_first"), LCU, TOOL)

    assert attempt(bench) is Outcome.PATCHED
    assert bench.installs() == {LCU: 1, TOOL: 1}
    row = bench.row()
    assert bench.begins() == [row.id, job_of(row.id, 2)]
    assert row.reboots == 2
    with bench.ledger.reading() as book:
        steps = steps_of(book, row.id)
        facts = look(bench.hands(), bench.host, refresh=False).facts
        assert journals.strangers(book, "win1", facts) == ()  # each round is known by its name
    assert list(steps) == ["round 2"]
    assert "must restart" in steps["round 2"].detail


def test_what_fails_at_every_try_is_tried_once_more_and_no_more(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("fail_and_continue"), LCU, NET, TOOL)

    assert attempt(bench) is Outcome.FAILED
    assert NET in bench.row().reason
    assert bench.installs() == {LCU: 1, NET: 0, TOOL: 1}
    assert bench.packages()[LCU] is PackageOutcome.INSTALLED
    assert len(bench.begins()) == 2


def test_an_update_that_is_undone_at_every_boot_is_no_case_for_another_round(
    tmp_path: Path,
) -> None:
    bench = bench_of(tmp_path, quick("loop_after_reboot"), LCU)

    assert attempt(bench) is Outcome.FAILED
    assert "update loop" in bench.row().reason
    assert bench.installs() == {LCU: 1}
    assert bench.begins() == [bench.row().id]


def test_three_rounds_are_the_most_whatever_the_manager_would_like(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("fail_and_continue"), NET)
    bench.manager = Insatiable()

    assert attempt(bench) is Outcome.FAILED
    row = bench.row()
    assert bench.begins() == [job_of(row.id, number) for number in range(1, MAX_ROUNDS + 1)]
    assert row.reason.endswith("no further round: there were 3 rounds")


def test_a_further_round_takes_only_what_the_manager_names(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("reboot_first"), LCU, TOOL)
    bench.manager = Choosy()

    assert attempt(bench) is Outcome.FAILED
    assert bench.installs() == {LCU: 0, TOOL: 1}
    assert len(bench.begins()) == 2


def test_a_death_while_the_host_counts_down_is_no_reason_to_leave_it_pending(
    tmp_path: Path,
) -> None:
    bench, fate = bench_of(tmp_path, quick_search(), LCU), Fate()
    attempt_host(bench.hands(fate), bench.order())
    told = fate.places.index("after reboot")
    bench = bench_of(tmp_path / "again", quick_search(), LCU)
    with pytest.raises(Death):
        attempt_host(bench.hands(Fate(at=told)), bench.order())
    assert bench.windows.state.shutdown_at is not None

    assert attempt(bench) is Outcome.PATCHED
    assert bench.windows.state.boots == 2


def test_a_host_that_is_only_restarted_has_that_in_its_journal(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("reboot_first"))

    assert attempt(bench) is Outcome.PATCHED
    assert bench.windows.jobs("nothing") == 1
    assert (bench.row().reboots, bench.windows.state.boots) == (1, 2)
    assert set(bench.installs().values()) == {0}


def test_a_round_that_was_not_seen_to_end_is_asked_about_before_anything_else(
    tmp_path: Path,
) -> None:
    bench = bench_of(tmp_path, "reboot_first", LCU)
    bench.profile = replace(bench.profile, host_deadline=timedelta(minutes=5))

    assert attempt(bench) is Outcome.NEEDS_HUMAN
    row = bench.row()
    assert "still running after 5 minutes" in row.reason
    with bench.ledger.reading() as book:
        assert attempts.unseen_ends(book, "win1") == ((job_of(row.id, 2), row.nonce),)


# --- what is not done ----------------------------------------------------------------------------


def test_no_round_is_begun_once_somebody_says_stop(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("reboot_first"), LCU)
    bench.meanwhile = (bench.folder / "stop").touch

    assert attempt(bench) is Outcome.BLOCKED
    assert set(bench.installs().values()) == {0}
    assert bench.begins() == [bench.row().id]
    assert bench.row().reboots == 0
    assert "no further round: not rebooted: stopped:" in bench.row().reason


def test_no_round_is_begun_after_the_windows_last_start(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("download_failure"), LCU)
    bench.meanwhile = lambda: setattr(bench, "shift", timedelta(minutes=65))

    assert attempt(bench) is Outcome.FAILED
    assert bench.begins() == [bench.row().id]
    assert "no further round: window:" in bench.row().reason


def test_a_profile_without_restarts_leaves_what_needs_one_first(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("reboot_first"), LCU, reboot=RebootRule.NEVER)

    assert attempt(bench) is Outcome.BLOCKED
    assert bench.windows.state.boots == 1
    assert "no further round: a restart comes first" in bench.row().reason


def test_nothing_is_started_beside_another_change_of_the_host(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU)
    params = WindowsUpdateManager().apply_script(bench.plan.host("win1").targets()).args[0]

    def other_change() -> None:
        start_windows_job(
            bench.reach(bench.host),
            "a-somebody-elses",
            kind="install",
            worker=worker_text("install"),
            params=params,
            nonce="0" * 32,
            fence=1,
            mutating=True,
            deadline=60,
        )

    bench.manager = Watched(then=other_change)

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason == "another job changes the host already"
    assert bench.begins() == ["a-somebody-elses"]


def test_a_host_that_has_seen_a_newer_controller_refuses_this_one(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU)
    bench.windows.state.fence = 10**9

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert "newer controller" in bench.row().reason
    assert bench.begins() == []


# --- hosts that lie, die or vanish ---------------------------------------------------------------


def lying(name: str = "ok_reboot", **lies: Any) -> Any:
    """Return a played host with these lies."""
    state = quick(name)
    for lie, value in lies.items():
        setattr(state.lies, lie, value)
    return state


def test_a_host_that_services_for_minutes_after_its_restart_is_waited_for(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, lying(servicing_seconds=600), LCU)
    began = bench.windows.clock.work()

    assert attempt(bench) is Outcome.PATCHED
    assert bench.windows.clock.work() - began > 600


def test_a_host_that_services_without_end_is_pending_and_says_why(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, lying(servicing_seconds=1e6), LCU)

    assert attempt(bench) is Outcome.PATCHED_REBOOT_PENDING
    assert "told to reboot, and it answers and is not up for good" in bench.row().reason


def test_a_boot_id_that_does_not_change_proves_no_restart(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, lying(boot_id_stays=True), LCU)

    assert attempt(bench) is Outcome.PATCHED_REBOOT_PENDING
    assert "its boot id has not changed" in bench.row().reason


def test_a_host_that_never_comes_back_is_unreachable(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, lying(never_returns=True), LCU)

    assert attempt(bench) is Outcome.UNREACHABLE
    assert bench.row().reboots == 1


def test_a_worker_that_dies_is_lost_and_the_look_decides(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU)
    bench.meanwhile = bench.kill

    assert attempt(bench) is Outcome.FAILED
    assert bench.installs() == {LCU: 0, NET: 0, TOOL: 0}
    assert bench.begins() == [bench.row().id]
    evidence = attempts.evidence_of(bench.row())
    assert evidence is not None
    assert evidence.job_exit_status is None


def test_a_restart_in_the_middle_of_a_job_is_no_end_and_nothing_is_installed_twice(
    tmp_path: Path,
) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU, TOOL)
    bench.meanwhile = bench.windows.boot

    outcome = attempt(bench)

    assert outcome in {Outcome.FAILED, Outcome.PATCHED}
    assert max(bench.installs().values()) <= 1
    assert bench.row().reboots <= 1


def test_a_start_that_died_before_its_task_was_registered_is_taken_up(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU)
    lies, times = bench.windows.state.lies, iter((1, 0))
    bench.manager = Watched(then=lambda: setattr(lies, "folder_without_task", next(times)))

    assert attempt(bench) is Outcome.PATCHED
    assert bench.windows.clock.work() > REGISTERED_WITHIN
    assert bench.installs()[LCU] == 1
    assert bench.begins() == [bench.row().id]


def test_a_host_that_never_registers_the_task_is_not_attempted(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU)
    lies = bench.windows.state.lies
    bench.manager = Watched(then=lambda: setattr(lies, "folder_without_task", 1))

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert "was never begun: the host did not take the job" in bench.row().reason
    assert set(bench.installs().values()) == {0}
