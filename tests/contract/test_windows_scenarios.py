"""However a night with Windows Update goes, its outcome is the true one and says what to do.

Each course runs from the fleet file to the report: a real document of Microsoft's, a frozen plan,
WinRM over TLS to the test peer. The host is simulated; none of this ever ran on real Windows.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.windows_scenes import (
    LCU,
    NET,
    NEW,
    OLD,
    TOOL,
    Scene,
    installs,
    quickly,
    scene,
    standing,
)
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.scoring import Lane

INSTALLED, FAILED = PackageOutcome.INSTALLED, PackageOutcome.FAILED
NOT_OFFERED, NOT_ATTEMPTED = PackageOutcome.NOT_OFFERED, PackageOutcome.NOT_ATTEMPTED
NEWER = "KB5999906"
DEFINITIONS, HOTPATCH = "KB2267602", "KB5075942"


# --- what is done --------------------------------------------------------------------------------


def test_updates_go_in_the_host_restarts_and_every_cve_they_close_is_closed(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, "ok_reboot") as made:
        look, judged = made.scan()
        assert look.facts is not None
        assert judged is not None
        exploited = [each for each in judged.ranked if each.priority.lane is Lane.EMERGENCY]
        assert (len(judged.ranked), len(exploited)) == (29, 5)
        (planned,) = made.freeze().hosts
        assert [package.lane for package in planned.packages] == ["emergency", "routine", "routine"]

        assert made.patch() is Outcome.PATCHED

        assert standing(made) == (NEW, 1, 1)
        assert installs(made) == {LCU: 1, NET: 1, TOOL: 1}
        assert set(made.results().values()) == {INSTALLED}
        told, written = made.reported(), made.written()
        assert (told.running_kernel_before, told.running_kernel_after) == (OLD, NEW)
        assert (told.boot_id_before, told.boot_id_after) == ("1", "2")
        assert [len(package.cves) for package in told.packages] == [27, 1, 0]
        lanes = {
            lane.lane: (lane.closed, lane.still_open) for lane in written.report.findings.lanes
        }
        assert lanes == {"emergency": (5, 0), "routine": (24, 0)}
        page = written.paths.html.read_text()
        assert all(words in page for words in (LCU, OLD, NEW, "CVE-2026-21510", "SIMULATED"))
        assert written.summary.startswith("SIMULATED (1 of 1 host) Acme: ")


def test_definitions_alone_are_an_update_without_a_restart_where_the_profile_takes_them(
    tmp_path: Path,
) -> None:
    takes = "update_kinds: [definitions]"
    with scene(tmp_path / "takes", "definition_only", profile=takes) as made:
        (planned,) = made.freeze().hosts
        assert [package.lane for package in planned.packages] == ["expedited"]

        assert made.patch() is Outcome.PATCHED

        assert standing(made) == (NEW, 0, 1)
        assert installs(made) == {DEFINITIONS: 1}
        assert made.windows().state.signature_version == "1.443.1210.0"
        assert made.results() == {DEFINITIONS: INSTALLED}

    with scene(tmp_path / "leaves", "definition_only") as made:
        assert made.freeze().hosts == ()
        assert made.excluded() == (
            Outcome.SKIPPED,
            f"{DEFINITIONS} not_offered: definitions are not among the profile's update_kinds",
        )
        assert standing(made) == (NEW, 0, 0)


def test_a_hotpatched_host_is_safe_at_the_hotpatchs_own_build_without_a_restart(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, "hotpatch_host") as made:
        (planned,) = made.freeze().hosts
        (package,) = planned.packages
        assert package.builds == (("windows-server-2025", "10.0.26100.32313"),)
        assert package.restart is False

        assert made.patch() is Outcome.PATCHED

        assert standing(made) == ("10.0.26100.32313", 0, 1)
        assert made.row().reboots == 0
        lanes = made.written().report.findings.lanes
        assert sum(lane.closed for lane in lanes) == 29  # below the full update's .32370
        assert sum(lane.still_open for lane in lanes) == 0


# --- what fails, and how far it went -------------------------------------------------------------


def test_one_update_that_fails_keeps_no_other_from_going_in(tmp_path: Path) -> None:
    with scene(tmp_path, "fail_and_continue") as made:
        made.freeze()

        assert made.patch() is Outcome.FAILED

        assert standing(made) == (NEW, 1, 2)
        assert installs(made) == {LCU: 1, NET: 0, TOOL: 1}
        assert made.update(NET).tries == 2  # once more after the restart, and no more
        assert made.results() == {LCU: INSTALLED, NET: FAILED, TOOL: INSTALLED}
        assert "0x80070643 ERROR_INSTALL_FAILURE" in made.row().reason
        assert "look at the installer's own log" in made.row().reason
        assert f"win1: failed: {NET}: offered still" in made.written().summary
        still = sum(lane.still_open for lane in made.written().report.findings.lanes)
        assert still == 1


def test_an_update_that_cannot_be_downloaded_restarts_nobody(tmp_path: Path) -> None:
    with scene(tmp_path, "download_failure") as made:
        made.freeze()

        assert made.patch() is Outcome.FAILED

        assert standing(made) == (OLD, 0, 2)
        assert made.update(LCU).tries == 2
        assert made.results() == {LCU: FAILED, TOOL: INSTALLED}
        assert made.detail(LCU).startswith("offered still: its download failed: 0x80246007")
        assert "look at the BITS service" in made.detail(LCU)


def test_a_host_without_room_is_told_so_before_the_night_and_is_not_touched(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, "no_space") as made:
        assert made.freeze().hosts == ()

        outcome, reason = made.excluded()
        assert outcome is Outcome.SKIPPED
        assert reason == "preflight: space: C:\\ is nearly full: 3072 MiB free"
        assert standing(made) == (OLD, 0, 0)
        assert "win1: skipped" in made.written().summary.replace("left out", "skipped")


@pytest.mark.parametrize("begun", [False, True], ids=["before the start", "after the last look"])
def test_room_that_is_gone_since_the_plan_stops_the_change(tmp_path: Path, begun: bool) -> None:
    with scene(tmp_path, "ok_reboot") as made:
        made.freeze()
        if begun:
            made.at_the_start(full(made))
        else:
            full(made)()

        outcome = made.patch()

        assert set(installs(made).values()) == {0}
        assert standing(made)[:2] == (OLD, 0)
        assert outcome is (Outcome.BLOCKED if begun else Outcome.SKIPPED)
        assert ("not enough room" if begun else "C:\\ is nearly full") in made.row().reason


def full(made: Scene) -> Callable[[], None]:
    """Return what fills the system drive."""

    def fill() -> None:
        made.windows().state.free_bytes = 10**9

    return fill


def test_after_the_windows_end_nothing_is_begun_and_nobody_restarts(tmp_path: Path) -> None:
    state = quickly("deadline")
    state.wua.updates[0].install_seconds = 1800
    with scene(tmp_path, state, night="2h") as made:
        made.freeze()
        made.clock.advance(1900)  # what it may take fits before the end; this time it takes longer

        assert made.patch() is Outcome.FAILED

        assert installs(made) == {LCU: 1, NET: 0, TOOL: 0}  # what was in progress came to its end
        assert standing(made) == (OLD, 0, 1)
        assert made.results() == {LCU: INSTALLED, NET: NOT_ATTEMPTED, TOOL: NOT_ATTEMPTED}
        assert made.detail(NET) == "not begun: the time for new installations was over"
        told = made.reported()
        assert (told.running_kernel_after, told.newest_kernel_after) == (OLD, NEW)
        assert "Windows servicing waits for a restart" in told.reboot_reasons


def test_an_update_that_is_undone_at_every_boot_fails_and_is_left_alone_the_third_time(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, "loop_after_reboot") as made:
        for times in (1, 2):
            made.freeze()
            assert made.patch() is Outcome.FAILED
            assert made.row().reason.startswith(f"{LCU}: update loop: ")
            assert "look at CBS.log" in made.row().reason
            assert installs(made) == {LCU: times}
            assert standing(made) == (OLD, times, times)
            made.finish()

        assert made.freeze().hosts == ()

        assert made.excluded()[0] is Outcome.SKIPPED
        assert f"{LCU} not_offered: update loop: installed on" in made.excluded()[1]
        assert standing(made) == (OLD, 2, 2)


# --- what is another thing than it was -----------------------------------------------------------


def test_an_update_that_was_replaced_since_the_plan_is_never_swapped_for_the_newer_one(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, "superseded") as made:
        made.freeze()
        made.windows().supersede(made.update(LCU).update_id)

        outcome = made.patch()

        assert outcome is Outcome.NOT_ATTEMPTED
        assert LCU in made.row().reason
        assert standing(made) == (OLD, 0, 0)
        assert installs(made) == {LCU: 0, NEWER: 0}


def test_one_that_vanishes_under_the_jobs_hands_is_not_offered_and_its_successor_is_named(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, "superseded") as made:
        made.freeze()

        assert made.patch() is Outcome.FAILED

        assert made.results() == {LCU: NOT_OFFERED}
        assert made.row().reason == (
            f"{LCU}: not offered any more: {NEWER} (10.0.20348.4790) is offered instead"
        )
        assert standing(made) == (OLD, 0, 1)
        assert installs(made) == {LCU: 0, NEWER: 0}


def test_a_wsus_that_does_not_answer_keeps_its_hosts_out_of_the_plan(tmp_path: Path) -> None:
    with scene(tmp_path, "wsus_error") as made:
        _, judged = made.scan()
        assert judged is not None
        assert len(judged.ranked) == 27  # what the build lacks is known without any WSUS
        assert made.freeze().hosts == ()

        outcome, reason = made.excluded()
        assert outcome is Outcome.SKIPPED
        assert "repositories: updates cannot be searched for: search: 0x80244022" in reason
        assert "look at the WSUS" in reason
        assert standing(made) == (OLD, 0, 0)


def test_a_wsus_that_falls_silent_after_the_plan_proves_nothing_and_says_so(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, "ok_reboot") as made:
        made.freeze()
        made.windows().state.wua.search_hresult = "0x80244022"

        assert made.patch() is Outcome.SKIPPED

        assert "0x80244022" in made.row().reason
        assert standing(made) == (OLD, 0, 0)


# --- taking it back ------------------------------------------------------------------------------


def test_a_cumulative_update_whose_package_is_permanent_stays_and_the_report_says_why(
    tmp_path: Path,
) -> None:
    state = quickly("ok_reboot")
    for update in state.wua.updates:
        update.permanent = True
    with scene(tmp_path, state) as made:
        made.freeze()
        assert made.patch() is Outcome.PATCHED

        end = made.roll_back()

        assert end.outcome is Outcome.FAILED
        assert f"{LCU}: " in end.detail
        assert "0x800F0825" in end.detail
        assert "permanent" in end.detail
        assert standing(made) == (NEW, 1, 1)
        assert made.windows().jobs("rollback") == 1
        page = made.written().paths.html.read_text()
        assert "0x800F0825" in page
