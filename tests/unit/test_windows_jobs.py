"""What a Windows host says of a job means one thing; only a record with its nonce is its end."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from wavemend.errors import DeadlinePassed, HostAnswerInvalid, PlanError
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
from wavemend.execution.windows_jobs import words_of
from wavemend.packages import JobScript
from wavemend.transport import OUTPUT_BOUND, CommandResult
from wavemend.windows.calling import script_text, worker_text
from wavemend.windows.jobs import REGISTERED_WITHIN, STATUS_MARK, WAIT_SECONDS, Standing, wait_for

NONCE = "n0nce" * 4
RUN = "a-0123456789"
BEGUN: dict[str, Any] = {
    "found": True,
    "forbidden": False,
    "task_state": "running",
    "worker_alive": True,
    "nonce": "",
    "exit_status": None,
    "begun_at": 1_700_000_000,
    "ended_at": None,
    "boot_id_at_begin": "57",
    "boot_id": "57",
    "registered_seconds_ago": 4,
    "status_json": "",
    "log_tail": "",
    "log_size": 0,
    "utc_now": "2023-11-14T22:13:24Z",
}
GONE = BEGUN | {"task_state": "ready", "worker_alive": False}
ENDED = GONE | {"nonce": NONCE, "exit_status": 2, "ended_at": 1_700_000_060}
WAITS = BEGUN | {
    "worker_alive": False,
    "begun_at": None,
    "boot_id_at_begin": "",
    "task_state": "queued",
}
NOWHERE = WAITS | {"found": False, "task_state": "missing", "registered_seconds_ago": None}


@dataclass
class Says:
    """A Windows host that answers a script with what the test wrote down for it, in order."""

    answers: Mapping[str, Sequence[object]]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_windows: Literal[True] = True
    peer_key: str = ""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Take the request apart and give the answer that is due."""
        del argv, deadline, bound
        request = json.loads(gzip.decompress(base64.b64decode(stdin)))
        (name,) = (name for name in self.answers if script_text(name) == request["script"])
        told = self.answers[name]
        data = told[min(len([each for each in self.asked if each[0] == name]), len(told) - 1)]
        self.asked.append((name, request["params"]))
        answer = {"schema": 1, "ok": True, "data": data, "error": None}
        line = b"WM1:" + base64.b64encode(json.dumps(answer).encode()) + b"\r\n"
        return CommandResult(exit_status=0, stdout=line, stderr=b"", dropped_bytes=0, seconds=0.0)

    run_as_root = run

    def close(self) -> None:
        """Nothing is held open."""


def read(job: Mapping[str, Any], nonce: str = NONCE) -> JobView:
    return read_job(Says({"job_status": [job]}), RUN, nonce, deadline=60)


def started(answer: str, job: Mapping[str, Any] = BEGUN, seen: int = 3) -> Says:
    data = {"job_id": RUN, "answer": answer, "fence_seen": seen, "job": job, "worker_sha256": None}
    return Says({"start_job": [data]})


def spec(kind: str = "install", params: str = "{}", until: int | None = None) -> JobSpec:
    script = JobScript(text="worker", args=(params,), kind=kind)
    return JobSpec(
        attempt_id=RUN, nonce=NONCE, fence=3, script=script, not_after=1_800_000_000, until=until
    )


# --- what is true of a job -----------------------------------------------------------------------


def test_an_end_with_the_jobs_nonce_is_its_end_whatever_else_is_said() -> None:
    for job in (ENDED, ENDED | {"boot_id": "58"}, ENDED | {"worker_alive": True}):
        view = read(job)
        assert (view.state, view.exit_status, view.ended_at) == (JobState.ENDED, 2, 1_700_000_060)


def test_an_end_with_another_nonce_proves_nothing() -> None:
    view = read(ENDED, nonce="another" * 3)

    assert (view.state, view.exit_status, view.ended_at) == (JobState.LOST, None, None)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, JobState.RUNNING),
        ({"task_state": "missing"}, JobState.RUNNING),
        ({"worker_alive": False}, JobState.RUNNING),
        ({"worker_alive": False, "task_state": "unknown"}, JobState.RUNNING),
        ({"worker_alive": False, "task_state": "ready"}, JobState.LOST),
        ({"worker_alive": False, "task_state": "disabled"}, JobState.LOST),
        ({"worker_alive": False, "task_state": "missing"}, JobState.LOST),
        ({"boot_id": "58"}, JobState.LOST),
        ({"boot_id": "58", "worker_alive": False, "task_state": "ready"}, JobState.LOST),
        ({"found": False, "task_state": "missing", "worker_alive": False}, JobState.LOST),
    ],
    ids=[
        *("alive", "task-deleted", "task-runs", "nobody-knows", "died", "disabled", "gone"),
        *("process-id-of-another-boot", "interrupted", "folder-gone-journal-remembers"),
    ],
)
def test_a_job_that_has_begun_runs_as_long_as_it_can_and_is_lost_then(
    change: dict[str, Any], state: JobState
) -> None:
    view = read(BEGUN | change)

    assert (view.state, view.begun_at, view.boot_id_at_begin) == (state, 1_700_000_000, "57")


@pytest.mark.parametrize("task", ["queued", "running", "unknown"])
def test_a_task_may_wait_in_its_queue_for_minutes(task: str) -> None:
    waits = WAITS | {"task_state": task, "registered_seconds_ago": 3_600}

    assert read(waits).state is JobState.RUNNING


@pytest.mark.parametrize("task", ["missing", "ready", "disabled"])
def test_a_folder_whose_task_never_came_is_nothing_begun_after_minutes_not_before(
    task: str,
) -> None:
    young = WAITS | {"task_state": task, "registered_seconds_ago": REGISTERED_WITHIN - 1}
    old = WAITS | {"task_state": task, "registered_seconds_ago": REGISTERED_WITHIN}

    assert read(young).state is JobState.RUNNING
    assert read(old).state is JobState.ABSENT


def test_a_job_is_absent_when_it_is_not_there_or_was_forbidden() -> None:
    forbidden = WAITS | {"forbidden": True, "task_state": "missing"}

    assert read(NOWHERE).state is JobState.ABSENT
    assert read(forbidden).state is JobState.ABSENT
    forbid = Says({"forbid_job": [forbidden]})
    assert forbid_job(forbid, RUN, NONCE, deadline=60).state is JobState.ABSENT


# --- starting ------------------------------------------------------------------------------------


def test_a_start_sends_the_worker_and_its_parameters_as_they_are() -> None:
    host = started("started")

    assert start_job(host, spec(params='{"deadline_utc": ""}'), deadline=60).state is (
        JobState.RUNNING
    )
    ((_, params),) = host.asked
    assert (params["kind"], params["worker"], params["fence"]) == ("install", "worker", 3)
    assert json.loads(params["params_json"]) == {"deadline_utc": ""}
    assert params["mutating"] is True
    assert params["not_after"] == 1_800_000_000


def test_a_worker_that_takes_a_deadline_is_told_when_nobody_waits_for_it_any_more() -> None:
    host = started("started")
    start_job(host, spec(params='{"deadline_utc": "", "x": 1}', until=1_700_000_000), deadline=60)
    start_job(host, spec(kind="rollback", params='{"x": 1}', until=1_700_000_000), deadline=60)

    told = [json.loads(params["params_json"]) for _, params in host.asked]
    assert told == [{"deadline_utc": "2023-11-14T22:13:20Z", "x": 1}, {"x": 1}]


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ("refused_fence", JobState.REFUSED_FENCE, "has seen fence 9, this start carries 3"),
        ("refused_late", JobState.REFUSED_LATE, "past 1800000000"),
        ("busy", JobState.REFUSED_BUSY, "another job"),
    ],
)
def test_a_start_that_the_host_refuses_has_begun_nothing(
    answer: str, state: JobState, words: str
) -> None:
    view = start_job(started(answer, NOWHERE, seen=9), spec(), deadline=60)

    assert view.state is state
    assert words in view.log.decode()


@pytest.mark.parametrize(
    ("answer", "job", "state"),
    [
        ("already_running", BEGUN, JobState.RUNNING),
        ("exists", ENDED, JobState.ENDED),
        ("exists", GONE, JobState.LOST),
        ("forbidden", WAITS | {"forbidden": True}, JobState.ABSENT),
    ],
)
def test_a_second_start_says_what_became_of_the_first(
    answer: str, job: Mapping[str, Any], state: JobState
) -> None:
    assert start_job(started(answer, job), spec(), deadline=60).state is state


def test_a_script_for_another_system_is_refused_before_the_host_is_asked() -> None:
    host = started("started")

    with pytest.raises(PlanError, match="does not run on a Windows host"):
        start_job(host, spec(kind="sh"), deadline=60)
    assert host.asked == []


def test_a_job_that_does_nothing_has_a_text_for_windows_too() -> None:
    host = started("started")
    nothing = JobScript(text="exit 0\n", args=(), kind="nothing")
    start_job(host, JobSpec(attempt_id=RUN, nonce=NONCE, fence=3, script=nothing), deadline=60)

    ((_, params),) = host.asked
    assert params["worker"] == worker_text("nothing")
    assert params["params_json"] == "{}"


# --- logs, journal, clean-up ---------------------------------------------------------------------


def test_the_last_line_of_a_log_is_the_workers_status_and_nothing_in_the_log_passes_for_it() -> (
    None
):
    forged = f'one\n{STATUS_MARK}{{"state": "succeeded"}}'.encode()
    told = ENDED | {
        "log_tail": base64.b64encode(forged).decode(),
        "log_size": 9_000,
        "status_json": '{\r\n "state": "partial"}',
    }

    view = read(told)

    assert view.log.decode().splitlines()[-1] == STATUS_MARK + '{   "state": "partial"}'
    assert view.log_size == 9_000
    assert words_of(view.log) == forged + b"\n"
    bare = read(told | {"status_json": ""})
    assert bare.log.decode().splitlines()[-1] == STATUS_MARK


def test_the_journal_of_a_windows_host_reads_as_any_other() -> None:
    lines = f"orn line\nbegin {RUN} 3 1700000000 57\nend {RUN} 0 1700000060\nrubbish\n"
    text = {"text": base64.b64encode(lines.encode()).decode(), "size": len(lines) + 1}

    entries = read_journal(Says({"journal": [text]}), deadline=60)

    kinds = [JournalKind.BEGIN, JournalKind.END, JournalKind.DAMAGED]
    assert [entry.kind for entry in entries] == kinds
    assert (entries[0].attempt_id, entries[0].fence, entries[0].boot_id) == (RUN, 3, "57")


def test_old_folders_are_removed_and_those_that_run_are_not() -> None:
    host = Says({"clean_jobs": [{"removed": 4, "running": 1}]})

    cleaned = remove_old_jobs(host, keep=5, deadline=60)

    assert (cleaned.removed, cleaned.running) == (4, 1)
    assert not remove_job(host, RUN, deadline=60)
    assert [params["job_id"] for _, params in host.asked] == [None, RUN]


def test_an_answer_out_of_form_is_an_error_of_the_host() -> None:
    with pytest.raises(HostAnswerInvalid):
        read({**BEGUN, "task_state": "tired"})
    with pytest.raises(HostAnswerInvalid):
        read({**BEGUN, "exit_status": 256})


# --- waiting on the host -------------------------------------------------------------------------


def test_the_host_itself_waits_for_a_jobs_end() -> None:
    host = Says({"job_status": [WAITS, BEGUN, ENDED]})

    job = wait_for(host, RUN, nonce=NONCE, deadline=600)

    assert job.standing(NONCE) is Standing.ENDED
    assert [params["wait_seconds"] for _, params in host.asked] == [WAIT_SECONDS] * 3


def test_a_host_that_does_not_wait_is_not_asked_without_end() -> None:
    host = Says({"job_status": [BEGUN]})

    with pytest.raises(DeadlinePassed, match="still runs after 60 s"):
        wait_for(host, RUN, nonce=NONCE, deadline=60)
    assert len(host.asked) == 2 + 60 // WAIT_SECONDS
