"""The detached-job contract holds on a Windows host, over real WinRM to a simulated one.

TLS, NTLM, the bootstrap and its answers are real; the host that plays them is not.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.windows_host.driving import LCU, MSRT, install
from tests.windows_host.world import World, winhost
from wavemend.errors import PlanError
from wavemend.execution.jobs import (
    JobSpec,
    JobState,
    JobView,
    JournalKind,
    forbid_job,
    read_job,
    read_journal,
    remove_job,
    remove_old_jobs,
    start_job,
)
from wavemend.packages import JobScript
from wavemend.transport import Transport
from wavemend.transports import TRANSPORTS
from wavemend.windows.calling import worker_text
from wavemend.windows.jobs import STATUS_MARK

NONCE = "n0nce" * 4
RUN = "a-0123456789"


@pytest.fixture
def world() -> Iterator[World]:
    with winhost("ok_reboot") as played:
        yield played


@pytest.fixture
def host(world: World) -> Iterator[Transport]:
    with contextlib.closing(TRANSPORTS["winrm"](world.host, world.login)) as transport:
        yield transport


def spec(*updates: str, attempt: str = RUN, fence: int = 1) -> JobSpec:
    script = JobScript(
        text=worker_text("install"), args=(json.dumps(install(*updates)),), kind="install"
    )
    return JobSpec(attempt_id=attempt, nonce=NONCE, fence=fence, script=script)


def start(host: Transport, job: JobSpec) -> JobView:
    return start_job(host, job, deadline=30)


def read(host: Transport, attempt: str = RUN, wait_seconds: int = 0) -> JobView:
    return read_job(host, attempt, NONCE, deadline=30, wait_seconds=wait_seconds)


def until_end(host: Transport, attempt: str = RUN) -> JobView:
    for _ in range(200):
        view = read(host, attempt, wait_seconds=20)
        if view.state is not JobState.RUNNING:
            return view
    raise AssertionError("it runs and runs")


def test_a_job_runs_detached_and_its_exit_status_and_log_come_back(host: Transport) -> None:
    assert start(host, spec(MSRT)).state is JobState.RUNNING

    view = until_end(host)

    assert (view.state, view.exit_status) == (JobState.ENDED, 0)
    status = json.loads(view.log.decode().splitlines()[-1].removeprefix(STATUS_MARK))
    assert [item["kb"] for item in status["items"]] == ["KB890830"]
    assert view.begun_at is not None
    assert view.ended_at is not None
    assert view.ended_at > view.begun_at
    assert view.boot_id_at_begin == "1"


def test_a_second_start_finds_the_first_and_installs_nothing_again(
    world: World, host: Transport
) -> None:
    start(host, spec(MSRT))

    assert start(host, spec(MSRT)).state is JobState.RUNNING
    until_end(host)
    assert start(host, spec(MSRT)).state is JobState.ENDED
    assert world.windows.installs(MSRT) == 1


def test_a_job_outlives_the_connection_that_started_it(world: World, host: Transport) -> None:
    start(host, spec(MSRT))
    host.close()
    world.peer.drop_all()

    with contextlib.closing(TRANSPORTS["winrm"](world.host, world.login)) as other:
        assert until_end(other).exit_status == 0


def test_an_older_controller_is_refused_and_a_newer_one_is_not(host: Transport) -> None:
    start(host, spec(MSRT, fence=7))
    until_end(host)

    refused = start(host, spec(LCU, attempt="a-other-one", fence=6))
    assert refused.state is JobState.REFUSED_FENCE
    assert "has seen fence 7, this start carries 6" in refused.log.decode()
    assert start(host, spec(LCU, attempt="a-third-one", fence=7)).state is JobState.RUNNING


def test_two_changes_of_one_host_never_run_at_once(world: World, host: Transport) -> None:
    start(host, spec(LCU))

    assert start(host, spec(MSRT, attempt="a-other-one")).state is JobState.REFUSED_BUSY
    assert read(host, "a-other-one").state is JobState.ABSENT
    until_end(host)
    assert world.windows.installs(MSRT) == 0


def test_a_start_that_comes_too_late_by_the_hosts_clock_begins_nothing(host: Transport) -> None:
    late = start(host, replace(spec(MSRT), not_after=1_000))

    assert late.state is JobState.REFUSED_LATE
    assert read(host).state is JobState.ABSENT


def test_a_forbidden_job_never_begins_and_one_that_began_is_only_told_of(
    world: World, host: Transport
) -> None:
    assert forbid_job(host, RUN, NONCE, deadline=30).state is JobState.ABSENT
    assert start(host, spec(MSRT)).state is JobState.ABSENT
    assert world.windows.installs(MSRT) == 0
    start(host, spec(MSRT, attempt="a-other-one"))
    assert forbid_job(host, "a-other-one", NONCE, deadline=30).state is JobState.RUNNING
    assert until_end(host, "a-other-one").exit_status == 0


def test_a_restart_in_the_middle_is_no_end(world: World, host: Transport) -> None:
    start(host, spec(LCU))
    world.windows.on_reboot = lambda _: None  # the line holds, so that the same one can ask
    world.windows.boot()

    view = read(host)

    assert (view.state, view.exit_status, view.boot_id_at_begin) == (JobState.LOST, None, "1")
    assert start(host, spec(LCU)).state is JobState.LOST
    assert world.windows.installs(LCU) == 0


def test_the_journal_says_what_began_and_ended_and_outlives_the_folders(
    world: World, host: Transport
) -> None:
    for number in range(3):
        start(host, spec(MSRT, attempt=f"a-number-{number}"))
        until_end(host, f"a-number-{number}")

    cleaned = remove_old_jobs(host, keep=1, deadline=30)

    assert (cleaned.removed, cleaned.running) == (2, 0)
    entries = read_journal(host, deadline=30)
    assert [entry.kind for entry in entries] == [JournalKind.BEGIN, JournalKind.END] * 3
    assert read(host, "a-number-0").state is JobState.LOST
    assert start(host, spec(MSRT, attempt="a-number-0")).state is JobState.LOST
    assert world.windows.state.begun == {"install": 3}


def test_a_job_that_runs_is_not_removed(host: Transport) -> None:
    start(host, spec(LCU))

    assert not remove_job(host, RUN, deadline=30)
    until_end(host)
    assert remove_job(host, RUN, deadline=30)


def test_a_script_for_linux_is_refused_before_anything_is_sent(
    world: World, host: Transport
) -> None:
    sh = JobScript(text="exit 0\n", args=())

    with pytest.raises(PlanError, match="does not run on a Windows host"):
        start(host, replace(spec(), script=sh))
    assert world.windows.state.begun == {}
