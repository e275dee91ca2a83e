"""Restarts of a Windows host that go otherwise than planned: lost, external, or of no use.

The host is simulated (nothing here ever ran on a real Windows host), reached without a network.
"""

from pathlib import Path
from typing import Literal

import pytest

from tests.contract.windows_bench import LCU, TOOL, WindowsBench, bench_of, quick
from tests.windows_host.state import Fault
from wavemend.execution.attempt import attempt_host
from wavemend.outcomes import Outcome


def attempt(bench: WindowsBench) -> Outcome:
    outcome = attempt_host(bench.hands(), bench.order())
    assert bench.row().outcome == outcome
    assert bench.windows.state.strangers == []
    return outcome


def test_a_restart_that_somebody_calls_off_is_told_again(tmp_path: Path) -> None:
    state = quick("ok_reboot")
    state.lies.restarts_called_off = 1
    bench = bench_of(tmp_path, state, LCU)

    assert attempt(bench) is Outcome.PATCHED
    assert bench.windows.state.boots == 2


def test_nothing_is_begun_while_windows_works_on_after_a_restart_of_somebody_else(
    tmp_path: Path,
) -> None:
    state = quick("ok_reboot")
    state.wua.updates[0].install_seconds = 300
    state.lies.servicing_seconds = 600
    bench = bench_of(tmp_path, state, LCU)
    bench.meanwhile = bench.windows.boot

    assert attempt(bench) is Outcome.PATCHED
    assert bench.windows.state.disturbed == []


@pytest.mark.parametrize(
    ("reason", "installs", "boots"), [("cbs_packages_pending", 0, 2), ("domain_join", 1, 2)]
)
def test_what_stays_pending_after_a_restart_costs_one_restart_and_no_more(
    tmp_path: Path, reason: str, installs: int, boots: int
) -> None:
    state = quick("ok_reboot")
    state.hard_reasons = state.lies.lasting_reasons = [reason]
    bench = bench_of(tmp_path, state, LCU)

    outcome = attempt(bench)

    assert (bench.installs()[LCU], bench.windows.state.boots) == (installs, boots)
    assert outcome is (Outcome.PATCHED_REBOOT_PENDING if installs else Outcome.FAILED)
    if not installs:
        assert "what asks for a restart stays after one: packages wait" in bench.row().reason


def test_a_restart_alone_waits_for_the_end_of_the_last_one(tmp_path: Path) -> None:
    state = quick("reboot_first")
    state.servicing_until = 400
    bench = bench_of(tmp_path, state)

    assert attempt(bench) is Outcome.PATCHED
    assert bench.windows.state.boots == 2
    assert bench.windows.clock.work() > 400


# --- the look that decides -----------------------------------------------------------------------


@pytest.mark.parametrize(("failures", "outcome"), [(2, Outcome.PATCHED), (9, Outcome.FAILED)])
def test_a_search_that_fails_after_the_change_is_repeated_before_it_decides(
    tmp_path: Path, failures: int, outcome: Outcome
) -> None:
    state = quick("ok_reboot")
    state.lies.searches_fail_after_change = failures
    bench = bench_of(tmp_path, state, TOOL)

    assert attempt(bench) is outcome
    assert ("cannot be proven" in bench.row().reason) == (outcome is Outcome.FAILED)


def test_one_bad_answer_before_the_restart_does_not_keep_it_from_coming(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU)
    state = bench.windows.state
    bench.meanwhile = lambda: state.faults.append(Fault(script="facts", how="no_result"))

    assert attempt(bench) is Outcome.PATCHED
    assert (state.boots, state.faults[0].times) == (2, 0)


@pytest.mark.parametrize("how", ["no_result", "error", "truncated"])
def test_one_bad_answer_after_the_restart_does_not_make_a_host_unreachable(
    tmp_path: Path, how: Literal["no_result", "error", "truncated"]
) -> None:
    bench = bench_of(tmp_path, quick("ok_reboot"), LCU)
    state = bench.windows.state

    def spoil(_: bool) -> None:
        state.faults.append(Fault(script="facts", how=how))

    bench.windows.on_reboot = spoil

    assert attempt(bench) is Outcome.PATCHED
    assert state.faults[0].times == 0


def test_a_host_on_which_nothing_was_begun_is_blocked_and_not_failed(tmp_path: Path) -> None:
    state = quick("reboot_first")
    state.users = ["CORP\\anna"]
    bench = bench_of(tmp_path, state, LCU)

    assert attempt(bench) is Outcome.BLOCKED
    assert (bench.installs()[LCU], bench.windows.state.boots) == (0, 1)
    assert "not rebooted: logged in: CORP\\anna" in bench.row().reason
