"""Jobs of a Windows host: tasks of its scheduler that run as SYSTEM, each with a folder of its own.

The scripts only say what they find; what that means for a job is decided here, in one place. The
same rules as for `execution/jobs.py`: an end is proven by a record with the job's nonce, "runs" is
believed as long as it can be true, and a boot that is another one ends everything.
"""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict, cast

from wavemend.errors import DeadlinePassed
from wavemend.transport import Transport
from wavemend.windows.calling import call

LOG_BYTES = 65_536
"""Bytes of a job's log that come along; the most that a script gives is 1 MiB."""

WAIT_SECONDS = 20
"""The longest that the host itself waits for a job's end before it answers."""

TIME_LIMIT_MINUTES = 1_440
"""The scheduler ends a task after so long, whatever it is doing: a hung one is gone after a day.
Nothing shorter: an update in progress is never killed, workers stop between updates themselves."""

REGISTERED_WITHIN = 300
"""Seconds. A folder whose task does not run by then was left behind by a start that died: to be
started again, or forbidden. The host itself sees to it that it begins once."""

STATUS_MARK = "WMS1:"
"""Begins the last line of what the executor keeps as a job's log: what the worker wrote last, as
JSON in one line. It explains, and proves nothing."""

NOT_MUTATING = -1
"""In place of a fence, for jobs that change nothing."""


class TaskState(StrEnum):
    """What the scheduler says about a job's task."""

    MISSING = "missing"
    DISABLED = "disabled"
    QUEUED = "queued"
    READY = "ready"
    """Registered, and does not run now."""
    RUNNING = "running"
    UNKNOWN = "unknown"


_MAY_RUN = frozenset({TaskState.QUEUED, TaskState.RUNNING, TaskState.UNKNOWN})


class StartAnswer(StrEnum):
    """What came of a start."""

    STARTED = "started"
    ALREADY_RUNNING = "already_running"
    EXISTS = "exists"
    FORBIDDEN = "forbidden"
    REFUSED_FENCE = "refused_fence"
    REFUSED_LATE = "refused_late"
    BUSY = "busy"
    """Another job changes the host now; nothing was started."""


class Standing(StrEnum):
    """What is true of a job, as far as the host's words prove it."""

    ABSENT = "absent"
    """Not begun: not there, forbidden, or left behind by a start that died half way."""
    RUNNING = "running"
    """It runs, or may still begin."""
    ENDED = "ended"
    LOST = "lost"
    """It died, or a restart interrupted it: there will be no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsJob:
    """What the host says about one job. Times are the host's, in Unix seconds."""

    found: bool
    forbidden: bool
    task_state: TaskState
    worker_alive: bool
    """Its process id runs: means something only within the boot it began in."""
    nonce: str
    """Of its end record; empty: there is none."""
    exit_status: int | None
    begun_at: int | None
    ended_at: int | None
    boot_id_at_begin: str
    boot_id: str
    registered_seconds_ago: int | None
    status_json: str
    """What the worker wrote last, as text: it explains, and proves nothing."""
    log: bytes
    log_size: int

    def standing(self, nonce: str) -> Standing:
        """Say what is true of the job that was started with this nonce."""
        if self.exit_status is not None and self.nonce == nonce:
            return Standing.ENDED
        if self.begun_at is None:
            return self._not_begun()
        return Standing.RUNNING if self._may_run else Standing.LOST

    def _not_begun(self) -> Standing:
        if not self.found or self.forbidden:
            return Standing.ABSENT
        age = self.registered_seconds_ago
        may_come = self.task_state in _MAY_RUN or age is None or age < REGISTERED_WITHIN
        return Standing.RUNNING if may_come else Standing.ABSENT

    @property
    def _may_run(self) -> bool:
        if self.boot_id_at_begin and self.boot_id_at_begin != self.boot_id:
            return False  # whatever has its process id now is another process
        return self.worker_alive or self.task_state in _MAY_RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The answer to a start."""

    answer: StartAnswer
    fence_seen: int
    """The highest fence this host was started with."""
    job: WindowsJob
    worker_sha256: str
    """Hex, of the text that was written to the host; empty: none was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What became of old job folders."""

    removed: int
    running: int
    """Left alone, because they may still run."""


def start_windows_job(
    transport: Transport,
    job_id: str,
    *,
    kind: str,
    worker: str,
    params: str,
    nonce: str,
    fence: int = NOT_MUTATING,
    not_after: int | None = None,
    minutes: int = TIME_LIMIT_MINUTES,
    mutating: bool,
    deadline: float,
) -> Started:
    """Register and start a job, or find the one of that id; the host begins it once.

    `worker`: the script's text; `params`: its parameters as JSON. Raises TransportError when the
    answer was lost: ask `windows_job`, the effect is unknown.
    """
    answer = call(
        transport,
        "start_job",
        {
            "job_id": job_id,
            "kind": kind,
            "worker": worker,
            "params_json": params,
            "time_limit_minutes": minutes,
            "nonce": nonce,
            "fence": fence,
            "not_after": not_after,
            "mutating": mutating,
        },
        deadline=deadline,
    )
    said = cast("_StartAnswer", answer)
    return Started(
        answer=StartAnswer(said["answer"]),
        fence_seen=said["fence_seen"],
        job=_job(said["job"]),
        worker_sha256=said["worker_sha256"] or "",
    )


def windows_job(
    transport: Transport,
    job_id: str,
    *,
    log_bytes: int = LOG_BYTES,
    wait_seconds: int = 0,
    deadline: float,
) -> WindowsJob:
    """Ask what became of a job; reads only.

    `wait_seconds`: the host answers at the job's end or after so long, at most `WAIT_SECONDS`.
    """
    asked = {"job_id": job_id, "log_bytes": log_bytes, "wait_seconds": wait_seconds}
    return _job(call(transport, "job_status", asked, deadline=deadline))


def wait_for(
    transport: Transport,
    job_id: str,
    *,
    nonce: str,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> WindowsJob:
    """Return the job once it does not run any more; the waiting is done on the host.

    Raises DeadlinePassed when it still runs after `deadline` seconds: it goes on without us.
    """
    ends_at = clock() + deadline
    # Counted too: a host that does not wait is not asked without end.
    for _ in range(2 + int(deadline // WAIT_SECONDS)):
        left = max(1.0, ends_at - clock())
        wait = min(WAIT_SECONDS, int(left / 2))
        job = windows_job(transport, job_id, wait_seconds=wait, deadline=left)
        if job.standing(nonce) is not Standing.RUNNING:
            return job
        if clock() >= ends_at:
            break
    raise DeadlinePassed(f"the job {job_id} still runs after {deadline:.0f} s")


def forbid_windows_job(
    transport: Transport, job_id: str, *, log_bytes: int = LOG_BYTES, deadline: float
) -> WindowsJob:
    """Make sure that a job which has not begun never will, and say what is true then."""
    asked = {"job_id": job_id, "log_bytes": log_bytes}
    return _job(call(transport, "forbid_job", asked, deadline=deadline))


def windows_journal(transport: Transport, *, size: int, deadline: float) -> bytes:
    """Return the last bytes of the host's journal, at most `size`, in whole lines."""
    said = cast("_Journal", call(transport, "journal", {"bytes": size}, deadline=deadline))
    text = base64.b64decode(said["text"])
    return text.partition(b"\n")[2] if said["size"] > len(text) else text


def prune_windows_jobs(
    transport: Transport, *, keep: int, journal_lines: int, job_id: str = "", deadline: float
) -> Pruned:
    """Remove old job folders, or with a `job_id` that one alone; those that may run stay."""
    asked = {"keep": keep, "journal_lines": journal_lines, "job_id": job_id or None}
    said = cast("_Pruned", call(transport, "clean_jobs", asked, deadline=deadline))
    return Pruned(removed=said["removed"], running=said["running"])


class _Job(TypedDict):
    """`job` of contracts/shared.json, which `call` has checked."""

    found: bool
    forbidden: bool
    task_state: str
    worker_alive: bool
    nonce: str
    exit_status: int | None
    begun_at: int | None
    ended_at: int | None
    boot_id_at_begin: str
    boot_id: str
    registered_seconds_ago: int | None
    status_json: str
    log_tail: str
    log_size: int


class _StartAnswer(TypedDict):
    answer: str
    fence_seen: int
    job: _Job
    worker_sha256: str | None


class _Journal(TypedDict):
    text: str
    size: int


class _Pruned(TypedDict):
    removed: int
    running: int


def _job(data: Mapping[str, object]) -> WindowsJob:
    said = cast("_Job", data)
    return WindowsJob(
        found=said["found"],
        forbidden=said["forbidden"],
        task_state=TaskState(said["task_state"]),
        worker_alive=said["worker_alive"],
        nonce=said["nonce"],
        exit_status=said["exit_status"],
        begun_at=said["begun_at"],
        ended_at=said["ended_at"],
        boot_id_at_begin=said["boot_id_at_begin"],
        boot_id=said["boot_id"],
        registered_seconds_ago=said["registered_seconds_ago"],
        status_json=said["status_json"],
        log=base64.b64decode(said["log_tail"]),
        log_size=said["log_size"],
    )
