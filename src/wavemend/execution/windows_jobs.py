"""The contract of `jobs.py` on Windows hosts: a job is a task of the scheduler that runs as SYSTEM.

Nothing is decided here: `windows/jobs.py` says what is true of a job, this puts it into the words
that hold for every host.
"""

import json
from datetime import UTC, datetime

from wavemend.errors import PlanError
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.job_spec import JobSpec, check_spec
from wavemend.packages import NOTHING, SH
from wavemend.transport import Transport
from wavemend.windows.calling import worker_text
from wavemend.windows.jobs import (
    STATUS_MARK,
    Standing,
    StartAnswer,
    WindowsJob,
    forbid_windows_job,
    prune_windows_jobs,
    start_windows_job,
    windows_job,
    windows_journal,
)

STATUS_BOUND = 1_048_576
"""Characters of a worker's status; longer ones are left out: 500 updates are about 300,000."""

_STATES = {
    Standing.ABSENT: JobState.ABSENT,
    Standing.RUNNING: JobState.RUNNING,
    Standing.ENDED: JobState.ENDED,
    Standing.LOST: JobState.LOST,
}


def start(transport: Transport, spec: JobSpec, *, deadline: float) -> JobView:
    """Start a job, or find the one of that attempt id."""
    check_spec(spec)
    script = spec.script
    if script.kind == SH:
        raise PlanError(
            f"job {spec.attempt_id}: a script for sh does not run on a Windows host",
            hint="the host's transport and its manager do not fit each other",
        )
    started = start_windows_job(
        transport,
        spec.attempt_id,
        kind=script.kind,
        worker=worker_text(NOTHING) if script.kind == NOTHING else script.text,
        params=_params(spec),
        nonce=spec.nonce,
        fence=spec.fence,
        not_after=spec.not_after,
        mutating=True,
        deadline=deadline,
    )
    match started.answer:
        case StartAnswer.REFUSED_FENCE:
            said = f"the host has seen fence {started.fence_seen}, this start carries {spec.fence}"
            return JobView(state=JobState.REFUSED_FENCE, log=said.encode())
        case StartAnswer.REFUSED_LATE:
            said = f"the host's clock is past {spec.not_after}, the last second of this start"
            return JobView(state=JobState.REFUSED_LATE, log=said.encode())
        case StartAnswer.BUSY:
            return JobView(state=JobState.REFUSED_BUSY, log=b"another job changes the host now")
        case _:
            return _view(started.job, spec.nonce)


def read(
    transport: Transport,
    attempt_id: str,
    nonce: str,
    *,
    log_bytes: int,
    wait_seconds: int,
    deadline: float,
) -> JobView:
    """Say what became of a job, at its end or after so many seconds."""
    job = windows_job(
        transport, attempt_id, log_bytes=log_bytes, wait_seconds=wait_seconds, deadline=deadline
    )
    return _view(job, nonce)


def forbid(
    transport: Transport, attempt_id: str, nonce: str, *, log_bytes: int, deadline: float
) -> JobView:
    """Make "not begun" final, and say what is true then."""
    job = forbid_windows_job(transport, attempt_id, log_bytes=log_bytes, deadline=deadline)
    return _view(job, nonce)


def words_of(log: bytes) -> bytes:
    """Return a job's log as people read it: without the worker's status, which stands last."""
    head, mark, last = log.removesuffix(b"\n").rpartition(b"\n")
    return head + mark if last.startswith(STATUS_MARK.encode()) else log


def journal(transport: Transport, *, size: int, deadline: float) -> tuple[str, ...]:
    """Return the lines of the host's journal, oldest first."""
    text = windows_journal(transport, size=size, deadline=deadline)
    return tuple(line for line in text.decode(errors="replace").splitlines() if line)


def prune(
    transport: Transport, *, keep: int, journal_lines: int, deadline: float
) -> tuple[int, int]:
    """Remove old job folders; return how many went, and how many run and were left."""
    done = prune_windows_jobs(transport, keep=keep, journal_lines=journal_lines, deadline=deadline)
    return done.removed, done.running


def remove(transport: Transport, attempt_id: str, *, journal_lines: int, deadline: float) -> bool:
    """Remove one job's folder; False when it may still run, and is left alone."""
    done = prune_windows_jobs(
        transport, keep=1, journal_lines=journal_lines, job_id=attempt_id, deadline=deadline
    )
    return done.running == 0


def _params(spec: JobSpec) -> str:
    """Return the worker's parameters, with the time after which it begins no further part."""
    (text,) = spec.script.args or ("{}",)
    params = json.loads(text)
    if spec.until is not None and "deadline_utc" in params:
        params["deadline_utc"] = f"{datetime.fromtimestamp(spec.until, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps(params)


def _view(job: WindowsJob, nonce: str) -> JobView:
    state = _STATES[job.standing(nonce)]
    ended = state is JobState.ENDED
    return JobView(
        state=state,
        exit_status=job.exit_status if ended else None,
        log=_log(job),
        log_size=job.log_size,
        begun_at=job.begun_at,
        ended_at=job.ended_at if ended else None,
        boot_id_at_begin=job.boot_id_at_begin,
    )


def _log(job: WindowsJob) -> bytes:
    """Put the worker's own last words behind its log: no line of the log can pass for them."""
    status = job.status_json if len(job.status_json) <= STATUS_BOUND else ""
    status = status.replace("\r", " ").replace("\n", " ")
    head = job.log if not job.log or job.log.endswith(b"\n") else job.log + b"\n"
    return head + f"{STATUS_MARK}{status}\n".encode(errors="replace")
