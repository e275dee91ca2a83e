"""The simulated Windows host plays the contracts, keeps time by itself, and lies on demand.

It is what stands for Windows in all other tests: nothing here was run on a real one.
"""

import hashlib
import json
from pathlib import Path

import pytest

from tests.windows_host.driving import (
    DOTNET,
    LCU,
    MSRT,
    NONCE,
    SCAN,
    ask,
    done,
    install,
    played,
    reboot,
    rows,
    scanned,
    start,
    tell_restart,
)
from tests.windows_host.host import WindowsHost
from tests.windows_host.machine import Clock
from tests.windows_host.state import SCENARIOS, HostState, load, save, scenario
from tests.windows_host.wire import Wire
from wavemend.windows import calling
from wavemend.windows.jobs import (
    Standing,
    StartAnswer,
    forbid_windows_job,
    prune_windows_jobs,
    start_windows_job,
    wait_for,
    windows_job,
    windows_journal,
)


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.json")))
def test_every_scenario_answers_every_look_within_the_contracts(name: str) -> None:
    windows, wire = played(name)
    facts = ask(wire, "facts")
    assert facts["os"]["simulated"] is True
    assert facts["os"]["caption"].endswith(" (simulated)")
    assert any("RollupFix" in package["name"] for package in facts["packages"])
    done(wire, "scan-0001", "scan", SCAN)
    nothing: list[object] = []
    checks = {"services": ["W32Time", "nosuch"], "tcp_ports": [5986], "http": nothing}
    health = ask(wire, "health", **checks, processes=[], min_free_mb=2048, events_since_utc="")
    assert health["failed"] == ["service nosuch"]
    assert ask(wire, "list_points")["points"] == []
    assert not windows.state.strangers


def test_an_update_is_installed_in_its_time_and_counts_after_the_restart() -> None:
    windows, wire = played("ok_reboot")
    assert scanned(wire) == ("KB5075906", "KB5077863", "KB890830")
    began = windows.clock.now()
    job, status = done(wire, "install-0001", "install", install(LCU, DOTNET, MSRT))
    assert job.exit_status == 0
    assert status["reboot_required"]
    assert 1400 < windows.clock.now() - began < 2000
    assert scanned(wire, "scan-0002") == ()
    facts = ask(wire, "facts")
    assert facts["os"]["build"] == "10.0.20348.4171"
    assert facts["reboot"]["reasons"] == ["cbs_reboot_pending", "wu_reboot_required"]
    assert {"name": "Microsoft.NETCore.App", "version": "8.0.24"} in facts["products"]
    reboot(wire)
    facts = ask(wire, "facts")
    assert facts["os"]["build"] == "10.0.20348.4773"
    assert not facts["reboot"]["hard"]
    assert facts["uptime_seconds"] < 60
    assert windows.installs(LCU) == 1
    journal = windows_journal(wire, size=10_000, deadline=30).decode().splitlines()
    assert [line.split(" ")[:2] for line in journal] == [
        ["begin", "install-0001"],
        ["end", "install-0001"],
    ]


def test_a_second_start_of_the_same_job_finds_the_first() -> None:
    windows, wire = played("ok_reboot")
    assert start(wire, "install-0001", "install", install(LCU)).answer is StartAnswer.STARTED
    again = start(wire, "install-0001", "install", install(LCU))
    assert again.answer is StartAnswer.ALREADY_RUNNING
    assert start(wire, "install-0002", "install", install(MSRT)).answer is StartAnswer.BUSY
    assert start(wire, "scan-0001", "scan", SCAN).answer is StartAnswer.STARTED
    wait_for(wire, "install-0001", nonce=NONCE, deadline=20_000)
    assert start(wire, "install-0001", "install", install(LCU)).answer is StartAnswer.EXISTS
    prune_windows_jobs(wire, keep=1, journal_lines=100, job_id="install-0001", deadline=30)
    gone = start(wire, "install-0001", "install", install(LCU))
    assert (gone.answer, gone.job.found) == (StartAnswer.EXISTS, False)
    assert gone.job.begun_at is not None
    assert (windows.jobs("install"), windows.installs(LCU)) == (1, 1)


def test_an_older_controller_a_late_start_and_a_forbidden_job_start_nothing() -> None:
    windows, wire = played("ok_reboot")
    done(wire, "install-0001", "install", install(MSRT))
    older = start(wire, "install-0002", "install", install(LCU), fence=0)
    assert (older.answer, older.fence_seen) == (StartAnswer.REFUSED_FENCE, 1)
    late = start_windows_job(
        wire,
        "install-0003",
        kind="install",
        worker=calling.worker_text("install"),
        params=json.dumps(install(LCU)),
        nonce=NONCE,
        fence=1,
        not_after=int(windows.clock.now()) - 1,
        mutating=True,
        deadline=30,
    )
    assert late.answer is StartAnswer.REFUSED_LATE
    forbidden = forbid_windows_job(wire, "install-0004", deadline=30)
    assert forbidden.standing(NONCE) is Standing.ABSENT
    never = start(wire, "install-0004", "install", install(LCU))
    assert never.answer is StartAnswer.FORBIDDEN
    assert windows.installs(LCU) == 0


def test_a_restart_in_mid_job_leaves_a_folder_and_no_end() -> None:
    windows, wire = played("ok_reboot")
    start(wire, "install-0001", "install", install(LCU))
    windows.advance(100)
    windows.boot()
    windows.advance(10_000)
    job = windows_job(wire, "install-0001", deadline=30)
    assert (job.found, job.task_state) == (True, "ready")
    assert job.standing(NONCE) is Standing.LOST
    assert job.boot_id != job.boot_id_at_begin
    assert windows.installs(LCU) == 0


@pytest.mark.parametrize(
    ("name", "wanted", "status"),
    [
        ("fail_and_continue", {LCU: "succeeded", DOTNET: "failed", MSRT: "succeeded"}, 2),
        ("download_failure", {LCU: "failed", MSRT: "succeeded"}, 2),
        ("no_space", {LCU: "skipped"}, 6),
        ("reboot_first", {LCU: "skipped", MSRT: "skipped"}, 4),
        ("superseded", {LCU: "skipped"}, 3),
    ],
)
def test_a_scenario_ends_as_its_name_says(name: str, wanted: dict[str, str], status: int) -> None:
    _, wire = played(name)
    job, said = done(wire, "install-0001", "install", install(*wanted))
    assert job.exit_status == status
    states = {update_id: state for update_id, (state, _) in rows(said).items()}
    assert states == wanted


def test_a_failure_stops_the_rest_where_it_is_to() -> None:
    _, wire = played("fail_and_continue")
    _, status = done(wire, "job-00001", "install", install(DOTNET, MSRT, continue_on_error=False))
    assert rows(status)[MSRT] == ("skipped", "stopped")
    assert status["state"] == "failed"


def test_the_deadline_is_asked_between_updates_and_none_is_cut() -> None:
    windows, wire = played("deadline")
    until = "2026-02-12T21:00:00Z"
    job, status = done(wire, "job-00001", "install", install(MSRT, LCU, deadline_utc=until))
    assert job.exit_status == 5
    assert rows(status) == {LCU: ("succeeded", ""), MSRT: ("skipped", "deadline")}
    assert windows.installs(LCU) == 1


def test_an_update_loop_succeeds_every_time_and_is_offered_again() -> None:
    windows, wire = played("loop_after_reboot")
    for number in (1, 2):
        job, _ = done(wire, f"install-000{number}", "install", install(LCU))
        assert job.exit_status == 0
        reboot(wire)
        assert scanned(wire, f"scan-000{number}") == ("KB5075906",)
    assert windows.installs(LCU) == 2
    assert ask(wire, "facts")["os"]["build"] == "10.0.20348.4171"


def test_a_superseded_update_makes_room_for_its_successor() -> None:
    windows, wire = played("superseded")
    assert scanned(wire) == ("KB5075906",)
    windows.supersede(LCU)
    assert scanned(wire, "scan-0002") == ("KB5999906",)


def test_a_wsus_error_carries_its_hresult_and_still_the_history() -> None:
    _, wire = played("wsus_error")
    job, status = done(wire, "scan-0001", "scan", SCAN)
    assert job.exit_status == 1
    assert status["result"]["search_error"]["hresult"] == "0x80244022"
    assert ask(wire, "facts")["policy"]["use_wsus"]


def test_a_hotpatch_raises_the_build_without_a_restart() -> None:
    _, wire = played("hotpatch_host")
    hotpatch = "7c03ee51-9d64-4a1f-8f0a-507594200001"
    _, status = done(wire, "install-0001", "install", install(hotpatch))
    assert status["result"]["os_after"]["build"] == "10.0.26100.32313"
    facts = ask(wire, "facts")
    assert (facts["os"]["build"], facts["reboot"]["hard"]) == ("10.0.26100.32313", False)


def test_a_permanent_package_stays_and_another_goes_back_at_the_restart() -> None:
    windows, wire = played("rollback_ssu_lcu")
    target = {"kb": "KB5075906", "fixed_build": "10.0.20348.4773"}
    params: dict[str, object] = {"targets": [target], "dry_run": False}
    job, status = done(wire, "rollback-1", "rollback", params)
    assert job.exit_status == 1
    assert status["items"][0]["state"] == "not_removable"
    assert status["items"][0]["exit_code"] == -2146498523
    for package in windows.state.packages:
        package.permanent = False
    _, status = done(wire, "rollback-2", "rollback", params)
    assert status["items"][0]["state"] == "pending_reboot"
    reboot(wire)
    assert ask(wire, "facts")["os"]["build"] == "10.0.20348.4171"
    assert scanned(wire) == ("KB5075906",)


def test_a_client_makes_a_restore_point_and_a_server_a_shadow_copy() -> None:
    params: dict[str, object] = {"label": "wavemend-r1-win1", "volume": ""}
    client, wire = played("client_restore_point")
    done(wire, "snapshot-1", "snapshot", params)
    done(wire, "snapshot-2", "snapshot", params)
    (point,) = ask(wire, "list_points")["points"]
    assert point["kind"] == "restore_point"
    client.state.points.made[0].forgotten = True
    assert ask(wire, "list_points")["points"] == []
    client.state.points.restore_off = True
    done(wire, "snapshot-3", "snapshot", params)
    assert [item["kind"] for item in ask(wire, "list_points")["points"]] == ["shadow_copy"]

    server, wire = played("ok_reboot")
    server.state.points.shadow_code = 6
    job, _ = done(wire, "snapshot-1", "snapshot", params)
    assert job.exit_status == 6
    assert b"insufficient storage" in job.log
    server.state.points.shadow_code = 0
    done(wire, "snapshot-2", "snapshot", params)
    assert ask(wire, "remove_points", label="wavemend-r1-win1")["removed"]
    assert ask(wire, "list_points")["points"] == []


def test_chocolatey_raises_what_it_can() -> None:
    _, wire = played("third_party")
    wanted = [{"name": "7zip", "version": "25.1.0"}, {"name": "vlc", "version": "3.0.21"}]
    params: dict[str, object] = {
        "action": "upgrade",
        "packages": wanted,
        "deadline_utc": "",
        "continue_on_error": True,
    }
    job, status = done(wire, "choco-001", "chocolatey", params)
    assert job.exit_status == 2
    assert [item["state"] for item in status["items"]] == ["succeeded", "failed"]
    _, status = done(wire, "choco-002", "chocolatey", {**params, "action": "list", "packages": []})
    assert [item["name"] for item in status["result"]["outdated"]] == ["notepadplusplus", "vlc"]


@pytest.mark.parametrize(
    ("void", "refusal"),
    [
        ({"boot_id": "0"}, "refused_boot"),
        ({"not_after": 1}, "refused_late"),
        ({"fence": 6}, "refused_fence"),
    ],
)
def test_a_word_that_does_not_hold_any_more_restarts_no_host(
    void: dict[str, object], refusal: str
) -> None:
    windows, wire = played("ok_reboot")
    windows.state.fence = 7

    answer = tell_restart(wire, **void)
    windows.advance(600)

    assert (answer["scheduled"], answer["refusal"], windows.state.boots) == (False, refusal, 1)
    assert tell_restart(wire, fence=7)["scheduled"], "by the change that raised the fence"


def test_a_job_says_which_worker_it_got() -> None:
    _, wire = played("ok_reboot")
    text = calling.worker_text("nothing").encode()
    assert start(wire, "nothing-1", "nothing", {}).worker_sha256 == hashlib.sha256(text).hexdigest()


def test_a_host_goes_on_in_another_process_where_it_stood(tmp_path: Path) -> None:
    windows = WindowsHost(scenario("ok_reboot"), folder=tmp_path)
    start(Wire(windows), "install-0001", "install", install(LCU))
    windows.advance(300)
    save(windows.state, tmp_path / "state.json")
    other = WindowsHost(load(tmp_path / "state.json"), folder=tmp_path)
    wire = Wire(other)
    assert wait_for(wire, "install-0001", nonce=NONCE, deadline=20_000).exit_status == 0
    reboot(wire)
    kept = load(tmp_path / "state.json")
    assert kept.os.build == "10.0.20348.4773"


def test_a_scenario_with_a_field_nobody_reads_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text('{"wua": {"updates": [], "speed": 3}}')
    with pytest.raises(ValueError, match="speed"):
        load(path)


def test_many_hosts_share_one_clock() -> None:
    clock = Clock(1_770_926_400)
    hosts = [WindowsHost(HostState(), clock=clock) for _ in range(3)]
    hosts[0].advance(600)
    assert [ask(Wire(host), "facts")["utc_now"][:16] for host in hosts] == ["2026-02-12T20:10"] * 3
