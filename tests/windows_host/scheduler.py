"""Job folders and scheduled tasks of a played host: start, status, forbid, journal, clean-up.

Folders, records and the journal outlive a restart; a running task does not. A job begins at most
once in a host's life: where its folder was removed, the journal still says that it began.
"""

import base64
import hashlib
import json
import math

from tests.windows_host.chocolatey import chocolatey
from tests.windows_host.going_back import rollback, snapshot
from tests.windows_host.installing import install
from tests.windows_host.machine import Machine, iso
from tests.windows_host.searching import scan
from tests.windows_host.servicing import apply
from tests.windows_host.state import Job, Moment
from tests.windows_host.story import Document, Story

KEPT_LOOKS = 3
"""Ended jobs that change nothing, of which a clean-up keeps so many."""


class HungUpError(Exception):
    """The host went away in the middle of a call: no answer is written."""


def _nothing(story: Story, params: Document) -> None:
    story.tell("nothing")
    story.takes(1)
    story.end("succeeded", {})


WORKERS = {
    "scan": scan,
    "install": install,
    "rollback": rollback,
    "snapshot": snapshot,
    "chocolatey": chocolatey,
    "nothing": _nothing,
}


def start(machine: Machine, params: Document) -> Document:
    """Play start_job; the caller has checked the worker and its parameters."""
    state, job_id = machine.state, str(params["job_id"])
    job = _find(machine, job_id)
    fence, seen = int(str(params["fence"])), state.fence
    state.fence = max(seen, fence) if params["mutating"] else seen
    answer = "refused_fence" if params["mutating"] and fence < seen else ""
    answer = answer or _refusal(machine, params, job)
    digest = None
    if not answer:
        answer = "started"
        machine.disturb(str(params["kind"]))
        digest = hashlib.sha256(str(params["worker"]).encode()).hexdigest()
        job = _prepared(machine, params, job)
        _register(machine, job)
    return {
        "job_id": job_id,
        "answer": answer,
        "fence_seen": seen,
        "job": view(machine, job_id, 0),
        "worker_sha256": digest,
    }


def view(machine: Machine, job_id: str, log_bytes: int) -> Document:
    """Return the job object: what job_status, forbid_job and start_job say of a job."""
    job = _find(machine, job_id)
    begun_at, boot_id = (job.begun_at, job.boot_id) if job else _begun(machine, job_id)
    log = job.log.encode() if job else b""
    registered = job.registered_at if job else None
    return {
        "found": job is not None,
        "forbidden": bool(job and job.forbidden),
        "task_state": job.task if job else "missing",
        "worker_alive": bool(job and job.task == "running"),
        "nonce": job.end_nonce if job else "",
        "exit_status": job.exit_status if job else None,
        "begun_at": begun_at,
        "ended_at": job.ended_at if job else None,
        "boot_id_at_begin": boot_id,
        "boot_id": machine.state.boot_id,
        "registered_seconds_ago": None if registered is None else max(0, machine.unix - registered),
        "status_json": _status(machine, job),
        "log_tail": base64.b64encode(log[-log_bytes:] if log_bytes else b"").decode(),
        "log_size": len(log),
        "utc_now": iso(machine.unix),
    }


def forbid(machine: Machine, job_id: str) -> None:
    """Make "not begun" final."""
    job = _find(machine, job_id)
    if job is None and _begun(machine, job_id)[0] is None:
        job = Job(job_id=job_id, registered_at=machine.unix)
        machine.state.jobs.append(job)
    if job is not None and job.begun_at is None:
        job.forbidden = True


def journal(machine: Machine, size: int) -> Document:
    """Return the end of the journal."""
    text = "".join(f"{line}\n" for line in machine.state.journal).encode()
    return {"text": base64.b64encode(text[-size:] if size else b"").decode(), "size": len(text)}


def clean(machine: Machine, params: Document) -> Document:
    """Remove old folders, or the one that is named; never a running one's."""
    state, only = machine.state, params.get("job_id")
    changing = [job for job in state.jobs if job.mutating]
    looks = [job for job in state.jobs if not job.mutating]
    old = [*changing[: -int(str(params["keep"]))], *looks[:-KEPT_LOOKS]]
    if only is not None:
        old = [job for job in state.jobs if job.job_id == only]
    running = [job for job in old if job.task == "running"]
    gone = {job.job_id for job in old} - {job.job_id for job in running}
    state.jobs = [job for job in state.jobs if job.job_id not in gone]
    lines = int(str(params["journal_lines"]))
    if len(state.journal) <= 2 * lines:
        return {"removed": len(gone), "running": len(running)}
    kept = {job.job_id for job in state.jobs}
    older = [line for line in state.journal[:-lines] if line.split(" ")[1] in kept]
    state.journal = [*older, *state.journal[-lines:]]
    return {"removed": len(gone), "running": len(running)}


def next_end(machine: Machine, job_id: str) -> float | None:
    """Return in how many seconds of work a running job ends; None: it does not run."""
    job = _find(machine, job_id)
    if job is None or job.task not in {"queued", "running"}:
        return None
    last = job.timeline[-1].after if job.timeline else math.inf
    return max(0.0, job.begun_work + last - machine.clock.work())


def next_moment(machine: Machine) -> tuple[float, Job] | None:
    """Return when, in work, the next thing happens in a running job, and in which."""
    due = [
        (job.begun_work + (job.timeline[0].after if job.timeline else 0), job)
        for job in machine.state.jobs
        if job.task in {"queued", "running"}
    ]
    return min(due, key=lambda item: item[0]) if due else None


def play_moment(machine: Machine, job: Job) -> None:
    """Make the next moment of a job true: it begins, or goes on."""
    if job.task == "queued":
        _begin(machine, job)
        return
    moment = job.timeline.pop(0)
    if moment.killed:
        job.task, job.timeline = "missing", []
        return
    job.status = moment.status
    job.log += moment.log
    for effect in moment.effects:
        apply(machine, effect)
    if moment.exit_status is None:
        return
    job.task, job.end_nonce, job.exit_status = "ready", job.nonce, moment.exit_status
    job.ended_at = machine.unix
    if job.mutating:
        machine.state.journal.append(f"end {job.job_id} {moment.exit_status} {machine.unix}")


def power_cut(machine: Machine) -> None:
    """End what runs, as a restart does: no end record is written; tasks stay registered."""
    for job in machine.state.jobs:
        if job.task in {"queued", "running"}:
            job.task, job.timeline = "ready", []


def _find(machine: Machine, job_id: str) -> Job | None:
    found = [job for job in machine.state.jobs if job.job_id == job_id]
    return found[0] if found else None


def _begun(machine: Machine, job_id: str) -> tuple[int | None, str]:
    """Return what the journal says of a job whose folder is gone."""
    for line in machine.state.journal:
        if line.startswith(f"begin {job_id} "):
            return int(line.split(" ")[3]), line.split(" ")[4]
    return None, ""


def _refusal(machine: Machine, params: Document, job: Job | None) -> str:
    """Return why a start starts nothing; empty when it does."""
    if job is not None and job.forbidden:
        return "forbidden"
    if job is not None and job.begun_at is not None:
        return "already_running" if job.task == "running" else "exists"
    if _begun(machine, str(params["job_id"]))[0] is not None:
        return "exists"
    if job is not None and job.task == "queued":
        return "already_running"
    not_after = params["not_after"]
    if isinstance(not_after, int) and machine.unix > not_after:
        return "refused_late"
    return "busy" if params["mutating"] and _is_busy(machine) else ""


def _is_busy(machine: Machine) -> bool:
    in_motion = {"queued", "running"}
    return any(job.mutating and job.task in in_motion for job in machine.state.jobs)


def _prepared(machine: Machine, params: Document, job: Job | None) -> Job:
    if not params["mutating"]:
        clean(machine, {"keep": 1_000, "journal_lines": 100_000})
    if job is None:
        job = Job(job_id=str(params["job_id"]))
        machine.state.jobs.append(job)
    not_after = params["not_after"]
    job.kind, job.nonce = str(params["kind"]), str(params["nonce"])
    job.fence, job.mutating = int(str(params["fence"])), bool(params["mutating"])
    job.not_after = not_after if isinstance(not_after, int) else None
    job.params_json = str(params["params_json"])
    job.minutes = int(str(params["time_limit_minutes"]))
    job.registered_at = machine.unix
    return job


def _register(machine: Machine, job: Job) -> None:
    lies = machine.state.lies
    if lies.folder_without_task:
        lies.folder_without_task -= 1
        raise HungUpError
    if lies.workers_stopped:
        job.task = "ready"
        return
    job.task, job.begun_work = "queued", machine.clock.work() + lies.queued_seconds
    if not lies.queued_seconds:
        _begin(machine, job)


def _begin(machine: Machine, job: Job) -> None:
    """The worker's first word: it begins, unless that was forbidden while it waited."""
    state = machine.state
    late = job.not_after is not None and machine.unix > job.not_after
    if job.forbidden or late:
        job.task, job.forbidden = "ready", True
        return
    job.task, job.begun_at, job.boot_id = "running", machine.unix, state.boot_id
    job.begun_work = machine.clock.work()
    state.begun[job.kind] = state.begun.get(job.kind, 0) + 1
    job.log = "x" * state.lies.log_bytes
    if job.mutating:
        state.journal.append(f"begin {job.job_id} {job.fence} {machine.unix} {state.boot_id}")
    story = Story(machine, job.job_id, job.kind)
    WORKERS[job.kind](story, json.loads(job.params_json))
    job.timeline = _cut(machine, story.moments, 60 * job.minutes)


def _cut(machine: Machine, moments: list[Moment], limit: float) -> list[Moment]:
    """End a course where the task's time limit, or a lie, kills it."""
    last = moments[-1].after
    if machine.state.lies.task_vanishes:
        machine.state.lies.task_vanishes -= 1
        limit = min(limit, last / 2)
    if last <= limit:
        return moments
    left = [moment for moment in moments if moment.after <= limit]
    return [*left, Moment(after=limit, status="", killed=True)]


def _status(machine: Machine, job: Job | None) -> str:
    if job is None or not machine.state.lies.truncated_status or not job.status:
        return job.status if job else ""
    machine.state.lies.truncated_status -= 1
    return job.status[: len(job.status) // 2]
