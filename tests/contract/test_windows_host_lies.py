"""The simulated Windows host lies on demand as real ones do, and takes nothing it does not know.

It is what stands for Windows in all other tests: nothing here was run on a real one.
"""

import json
from typing import Any, cast

import pytest

from tests.windows_host.driving import (
    LCU,
    MSRT,
    NONCE,
    SCAN,
    ask,
    done,
    install,
    played,
    reboot,
    start,
    tell_restart,
)
from tests.windows_host.host import STRANGE
from tests.windows_host.state import Fault
from wavemend.errors import ConnectionLost, HostAnswerInvalid, HostPortClosed
from wavemend.windows import calling
from wavemend.windows.jobs import (
    Standing,
    StartAnswer,
    forbid_windows_job,
    wait_for,
    windows_job,
)


class TestLies:
    """What real hosts get wrong, or say wrongly."""

    def test_windows_goes_on_servicing_after_the_port_answers(self) -> None:
        windows, wire = played("ok_reboot")
        windows.state.lies.servicing_seconds = 240
        reboot(wire)
        boot = ask(wire, "boot")
        assert (boot["servicing_in_progress"], boot["logon_ui_ready"]) == (True, False)
        windows.advance(240)
        assert not ask(wire, "boot")["servicing_in_progress"]

    def test_a_restart_may_keep_its_boot_id_never_come_or_never_end(self) -> None:
        windows, wire = played("ok_reboot")
        windows.state.lies.boot_id_stays = True
        windows.boot()
        windows.state.faults.append(Fault(script="boot", how="hang_up"))
        with pytest.raises(ConnectionLost):
            ask(wire, "boot")
        assert ask(wire, "boot")["boot_id"] == "1"
        windows.state.lies.reboot_never = True
        assert tell_restart(wire)["scheduled"]
        windows.advance(1_000)
        assert ask(wire, "boot")["uptime_seconds"] > 1_000
        windows.state.lies.never_returns = True
        windows.boot()
        with pytest.raises(HostPortClosed):
            ask(wire, "boot")

    def test_a_folder_is_there_and_no_task(self) -> None:
        windows, wire = played("ok_reboot")
        windows.state.lies.folder_without_task = 1
        with pytest.raises(ConnectionLost):
            start(wire, "install-0001", "install", install(LCU))
        assert windows_job(wire, "install-0001", deadline=30).standing(NONCE) is Standing.RUNNING
        windows.advance(400)
        job = windows_job(wire, "install-0001", deadline=30)
        assert job.found
        assert job.standing(NONCE) is not Standing.RUNNING

    def test_a_task_is_queued_for_minutes_and_may_still_be_forbidden(self) -> None:
        windows, wire = played("ok_reboot")
        windows.state.lies.queued_seconds = 120
        for number in (1, 2):
            job_id = f"install-000{number}"
            started = start(wire, job_id, "install", install(MSRT))
            assert (started.answer, started.job.begun_at) == (StartAnswer.STARTED, None)
            if number == 2:
                forbid_windows_job(wire, job_id, deadline=30)
            wait_for(wire, job_id, nonce=NONCE, deadline=20_000)
        assert (windows.jobs("install"), windows.installs(MSRT)) == (1, 1)

    def test_a_task_vanishes_half_way(self) -> None:
        windows, wire = played("ok_reboot")
        windows.state.lies.task_vanishes = 1
        start(wire, "install-0001", "install", install(LCU))
        windows.advance(10_000)
        assert windows_job(wire, "install-0001", deadline=30).standing(NONCE) is Standing.LOST

    def test_a_status_file_is_cut(self) -> None:
        windows, wire = played("ok_reboot")
        done(wire, "scan-0001", "scan", SCAN)
        windows.state.lies.truncated_status = 1
        with pytest.raises(ValueError, match=r"line 1 column"):
            json.loads(windows_job(wire, "scan-0001", deadline=30).status_json)

    def test_an_answer_has_three_megabytes(self) -> None:
        windows, wire = played("ok_reboot")
        windows.state.lies.history_padding = 12_000
        job, status = done(wire, "scan-0001", "scan", SCAN)
        assert len(job.status_json) > 3_000_000
        assert len(status["result"]["updates"]) == 3

    @pytest.mark.parametrize("how", ["no_result", "truncated", "error"])
    def test_an_answer_is_missing_cut_or_an_error(self, how: str) -> None:
        windows, wire = played("ok_reboot")
        windows.state.faults.append(Fault(script="facts", how=cast("Any", how)))
        with pytest.raises(HostAnswerInvalid):
            ask(wire, "facts")
        assert ask(wire, "facts")["os"]["simulated"]

    def test_an_answer_stands_behind_three_megabytes_of_noise(self) -> None:
        windows, wire = played("ok_reboot")
        windows.state.faults.append(Fault(script="facts", how="noise"))
        assert ask(wire, "facts")["os"]["simulated"]


def test_what_wavemend_never_sends_is_written_down_and_fails() -> None:
    windows, wire = played("ok_reboot")
    unknown = calling.request("Get-Process", {})
    for argv, stdin in (
        (("powershell.exe", "-Command", "Get-Process"), b""),
        (calling.BOOTSTRAP_ARGV, b"no base64"),
        (calling.BOOTSTRAP_ARGV, unknown),
        (calling.BOOTSTRAP_ARGV, calling.request(calling.script_text("boot"), {"x": 1})),
    ):
        assert wire.run(argv, stdin=stdin, deadline=5).exit_status == STRANGE
    assert len(windows.state.strangers) == 4
    with pytest.raises(HostAnswerInvalid):
        start(wire, "install-0001", "install", {"approved": []})
    assert "install.in" in windows.state.strangers[-1]
