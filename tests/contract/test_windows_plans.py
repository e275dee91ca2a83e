"""Which Windows hosts are fit for a night, in which group they go, and what is planned for them.

Looked at over WinRM, judged by a real document of Microsoft's. The hosts are simulated; none of
this ever ran on real Windows.
"""

from pathlib import Path

from tests.contract.windows_scenes import (
    LCU,
    NET,
    NEW,
    OLD,
    TOOL,
    installs,
    quickly,
    scene,
)
from tests.windows_host.state import HostState
from wavemend.explaining import explain_finding
from wavemend.outcomes import Outcome
from wavemend.readiness import Check

# --- fit for the night? --------------------------------------------------------------------------


def test_what_the_profile_does_not_take_makes_no_host_unready(tmp_path: Path) -> None:
    with scene(tmp_path, "driver_and_preview") as made:
        found = made.readiness()

        assert found.ready, found.blocking
        (planned,) = made.freeze().hosts
        assert [package.name for package in planned.packages] == [LCU]
        assert {each.name: each.reason for each in planned.left_out} == {
            "intel-net-12.19.2.60": "drivers are not among the profile's update_kinds",
            "KB5999864": "previews are not among the profile's update_kinds",
        }


def test_a_host_whose_update_service_is_disabled_is_not_ready(tmp_path: Path) -> None:
    state = quickly("ok_reboot")
    state.wua.service_start = "disabled"
    with scene(tmp_path, state) as made:
        found = made.readiness()

        assert not found.ready
        assert [problem.check for problem in found.blocking] == [Check.REPOSITORIES]
        assert "0x80070422" in found.blocking[0].reason


# --- who goes with whom, and what policies say ---------------------------------------------------


def without_restart(name: str = "ok_reboot") -> HostState:
    """Return a host that is offered only what needs no restart."""
    state = quickly(name)
    state.os.build = NEW
    state.wua.updates = [each for each in state.wua.updates if not each.reboot]
    return state


def test_hosts_that_restart_and_hosts_that_do_not_go_in_groups_of_their_own(
    tmp_path: Path,
) -> None:
    played = (without_restart(), "ok_reboot", without_restart())
    with scene(tmp_path, *played) as made:
        plan = made.freeze()

        groups = [(wave.name, wave.hosts) for wave in plan.waves]
        assert groups == [("pilot", ("win1",)), ("broad", ("win3",)), ("broad-reboot", ("win2",))]
        # A host whose group does not restart is never restarted, whatever it asks for then.
        assert [host.reboot for host in plan.hosts] == ["if_needed", "if_needed", "never"]


def test_rules_of_a_policy_speak_of_kbs_by_name_lane_and_product(tmp_path: Path) -> None:
    rules = """\
policies:
  - name: careful
    scope: global
    rules:
      - {name: no-tools, action: reject, packages: [KB890*]}
      - {name: exploited, action: auto, lanes: [emergency]}
      - {name: by-hand, action: manual, products: [windows]}"""
    with scene(tmp_path, "ok_reboot", more=rules) as made:
        (planned,) = made.freeze().hosts

        assert [package.name for package in planned.packages] == [LCU]
        left = {each.name: each.reason for each in planned.left_out}
        assert set(left) == {NET, TOOL}
        assert "no-tools" in left[TOOL]
        assert "by-hand" in left[NET]
        assert made.patch() is Outcome.PATCHED
        assert installs(made) == {LCU: 1, NET: 0, TOOL: 0}


def test_a_finding_says_which_kb_brings_the_fix_and_an_update_that_is_lacking_is_not_installed(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, "ok_reboot") as made:
        _, judged = made.scan()
        assert judged is not None
        told = {
            (each.finding.cve or each.finding.package): explain_finding(each, judged)
            for each in judged.ranked
        }

        assert "CVE-2026-21510 in windows-server-2022" in told["CVE-2026-21510"][0].sentences[0]
        assert told["CVE-2026-21510"][1].sentences[:2] == (
            f"win1 has windows-server-2022 {OLD} installed (windows-server-2022).",
            f"The vendor fixed it in {NEW}, which {LCU} brings.",
        )
        assert told[TOOL][0].sentences[0] == f"A bug fix: {TOOL}."
        assert told[TOOL][1].sentences == ("win1 lacks the fix and is offered it, as r200.",)
