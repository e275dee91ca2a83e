"""The self-test's checks of jobs: one that does nothing, starts that must be refused, a search."""

import hashlib
import json
from typing import TypedDict, cast

from wavemend.errors import DeadlinePassed, HostAnswerInvalid
from wavemend.windows import hresults
from wavemend.windows import selftest_judging as judging
from wavemend.windows.calling import contract_fault, parse_json, worker_text
from wavemend.windows.jobs import (
    NOT_MUTATING,
    Standing,
    StartAnswer,
    Started,
    WindowsJob,
    forbid_windows_job,
    start_windows_job,
    wait_for,
    windows_job,
)
from wavemend.windows.selftest_judging import Judged, failed, not_tried, ok
from wavemend.windows.selftest_session import CALL_SECONDS, Begun, Droppable, Session, Untried

NOTHING_SECONDS = 300.0
"""A task may be queued for minutes on a busy host."""
SEARCH_SECONDS = 1_800.0
"""The first search of a host that was never searched takes so long."""
SNAPSHOT_SECONDS = 900.0
_MINUTES = 60
_DAY = 86_400

_NEVER_BEGUN = (
    "its task was registered and never ran: look at it in the task scheduler; a policy (AllSigned, "
    "AppLocker, WDAC) or a security product may stop worker.ps1"
)
_NOT_REFUSED = "report it with the JSON file: the host would do what it must not"


def job_starts(session: Session) -> Judged:
    """Start a job that does nothing."""
    begun = Begun(session.new_id("nothing"), session.trial.token())
    started = _start(session, begun, "nothing")
    wanted = hashlib.sha256(worker_text("nothing").encode()).hexdigest()
    if started.answer is not StartAnswer.STARTED:
        return failed(f"the host answers {started.answer}", "look at the task scheduler")
    session.begun["nothing"] = begun
    if started.worker_sha256 != wanted:
        return failed(
            "the host wrote down another text than it was sent",
            "report it with the JSON file: the text's coding was changed on its way",
        )
    return ok("registered as a task, its text arrived unchanged")


def job_ends(session: Session) -> Judged:
    """Find the job again over a new connection, and wait for its end."""
    begun = _begun(session, "nothing")
    session.reconnect()
    job = _wait(session, begun, NOTHING_SECONDS)
    if job.begun_at is None:
        return failed(f"its task is {job.task_state} and the job has not begun", _NEVER_BEGUN)
    if job.standing(begun.nonce) is not Standing.ENDED:
        return failed(
            f"it is {job.standing(begun.nonce)}: {_last_words(job)}",
            "look at its folder in %ProgramData%\\Wavemend\\jobs, and at the event log",
        )
    status = _status(job)
    if job.exit_status != 0 or status["state"] != "succeeded":
        return failed(f"it ended with {job.exit_status}: {_last_words(job)}", "look at its log")
    session.jobs_end = True
    return ok("seen over a new connection: its end record carries our nonce, status succeeded")


def job_folder(session: Session) -> Judged:
    """Look at the rights of its folder, and at who its task runs as."""
    said = session.settings(_begun(session, "nothing").job_id)
    for fault in said["faults"]:
        return failed(f"{fault['context']}: {fault['message']}", "look at it on the host")
    return judging.judge_folder(said["folder_sddl"], said["task_user"])


def second_start(session: Session) -> Judged:
    """Start the same id once more: nothing may run."""
    _need_jobs(session)
    first = _begun(session, "nothing")
    before = windows_job(session.transport, first.job_id, deadline=CALL_SECONDS)
    again = _start(session, Begun(first.job_id, session.trial.token()), "nothing")
    same = (again.job.nonce, again.job.begun_at) == (first.nonce, before.begun_at)
    if again.answer is StartAnswer.EXISTS and same:
        return ok("the host answers exists, and what it had begun and ended stays as it was")
    return failed(f"the host answers {again.answer}", _NOT_REFUSED)


def forbidden_job(session: Session) -> Judged:
    """Forbid a job that was not begun, then start it."""
    begun = Begun(session.new_id("forbidden"), session.trial.token())
    job = forbid_windows_job(session.transport, begun.job_id, deadline=CALL_SECONDS)
    if not job.forbidden or job.begun_at is not None:
        return failed("the host did not take it", _NOT_REFUSED)
    return _refused(_start(session, begun, "nothing"), StartAnswer.FORBIDDEN)


def older_fence(session: Session) -> Judged:
    """Start a change with a fence that is lower than every one there is."""
    begun = Begun(session.new_id("fence"), session.trial.token())
    started = _start(session, begun, "nothing", mutating=True)
    return _refused(started, StartAnswer.REFUSED_FENCE)


def late_start(session: Session) -> Judged:
    """Start a job that should have begun yesterday."""
    begun = Begun(session.new_id("late"), session.trial.token())
    not_after = int(session.trial.clock().timestamp()) - _DAY
    started = _start(session, begun, "nothing", not_after=not_after)
    return _refused(started, StartAnswer.REFUSED_LATE)


def dropped_connection(session: Session) -> Judged:
    """Start a search, break our connection, and ask for the search."""
    _need_jobs(session)
    begun = Begun(session.new_id("scan"), session.trial.token())
    started = _start(session, begun, "scan", params=session.trial.search)
    if started.answer is not StartAnswer.STARTED:
        return failed(f"the host answers {started.answer}", "look at the task scheduler")
    session.begun["scan"] = begun
    transport = session.transport
    if not isinstance(transport, Droppable):
        return not_tried("this connection cannot be broken on purpose")
    transport.drop()
    job = windows_job(transport, begun.job_id, deadline=CALL_SECONDS)
    if job.standing(begun.nonce) in {Standing.RUNNING, Standing.ENDED}:
        return ok(f"cut by us while a search ran: the search is {job.standing(begun.nonce)}")
    return failed(
        f"after our connection broke the search is {job.standing(begun.nonce)}",
        "what ends tasks on this host when a session ends? A job must outlive it",
    )


def search(session: Session) -> Judged:
    """Wait for what Windows Update answers to SYSTEM."""
    begun = _begun(session, "scan")
    job = _wait(session, begun, SEARCH_SECONDS)
    if job.standing(begun.nonce) is not Standing.ENDED:
        return failed(
            f"it is {job.standing(begun.nonce)}: {_last_words(job)}",
            "look at WindowsUpdate.log on the host (Get-WindowsUpdateLog), and try again later",
        )
    status = _status(job)
    if status["result"] is None:
        known = hresults.explain(status["error"]["hresult"] if status["error"] else "")
        return failed(f"its worker threw: {_last_words(job)}", known.way_out)
    if fault := contract_fault("scan.out", status["result"]):
        return failed(
            f"its result is not in the agreed form: {fault}", "report it with the JSON file"
        )
    return _found(cast("_Scan", status["result"]))


def snapshot(session: Session) -> Judged:
    """Make a way back, see it listed by Windows, and remove it; only where that is wanted."""
    if not session.trial.with_snapshot:
        return not_tried("only with --with-snapshot", by_choice=True)
    _need_jobs(session)
    begun = Begun(session.new_id("snapshot"), session.trial.token())
    label = f"wavemend-{begun.job_id}"
    _start(session, begun, "snapshot", params=json.dumps({"label": label, "volume": ""}))
    try:
        job = _wait(session, begun, SNAPSHOT_SECONDS)
        kinds = _listed(session, label)
    finally:
        removed = session.ask("remove_points", label=label)
    if not kinds:
        return failed(f"none was made: {_last_words(job)}", "see the line of the ways back")
    if removed["failed"] or _listed(session, label):
        return failed(f"{label} was made and stays", "remove it on the host (vssadmin)")
    return ok(f"a {' and a '.join(kinds)} was made, listed by Windows, and removed")


def _listed(session: Session, label: str) -> list[str]:
    points = cast("_Points", session.ask("list_points"))["points"]
    return [item["kind"].replace("_", " ") for item in points if item["label"] == label]


def _start(
    session: Session,
    begun: Begun,
    kind: str,
    *,
    params: str = "{}",
    mutating: bool = False,
    not_after: int | None = None,
) -> Started:
    return start_windows_job(
        session.transport,
        begun.job_id,
        kind=kind,
        worker=worker_text(kind),
        params=params,
        nonce=begun.nonce,
        fence=NOT_MUTATING,
        not_after=not_after,
        minutes=_MINUTES,
        mutating=mutating,
        deadline=CALL_SECONDS,
    )


def _refused(started: Started, wanted: StartAnswer) -> Judged:
    if started.answer is wanted and started.job.begun_at is None:
        return ok(f"the host answers {wanted}, and nothing was begun")
    return failed(f"the host answers {started.answer}", _NOT_REFUSED)


def _need_jobs(session: Session) -> None:
    if not session.jobs_end:
        raise Untried("no job came to its end")


def _begun(session: Session, kind: str) -> Begun:
    if kind not in session.begun:
        raise Untried("no job could be started")
    return session.begun[kind]


def _wait(session: Session, begun: Begun, seconds: float) -> WindowsJob:
    """Return the job at its end, or as it is when it does not come to one."""
    transport = session.transport
    try:
        return wait_for(
            transport,
            begun.job_id,
            nonce=begun.nonce,
            deadline=seconds,
            clock=session.trial.monotonic,
        )
    except DeadlinePassed:
        return windows_job(transport, begun.job_id, deadline=CALL_SECONDS)


def _status(job: WindowsJob) -> "_Status":
    """Return what the worker wrote; HostAnswerInvalid where that is not in form."""
    try:
        status = parse_json(job.status_json)
    except ValueError as error:
        raise HostAnswerInvalid(f"its status cannot be read: {error}") from None
    if fault := contract_fault("status", status):
        raise HostAnswerInvalid(f"its status is not in the agreed form: {fault}")
    return cast("_Status", status)


def _last_words(job: WindowsJob) -> str:
    lines = job.log.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "its log is empty"


def _found(result: "_Scan") -> Judged:
    error = result["search_error"]
    if error is not None:
        known = hresults.explain(error["hresult"])
        return failed(f"Windows Update answers {known.code}: {known.meaning}", known.way_out)
    seen = f"{len(result['updates'])} updates on offer, {len(result['history'])} in its history"
    if result["warnings"]:
        known = hresults.explain(result["warnings"][0]["hresult"])
        return ok(f"{seen}; it warns: {known.code}: {known.meaning}", known.way_out)
    return ok(seen)


class _Fault(TypedDict):
    hresult: str


class _Scan(TypedDict):
    """Part of scan.out.json, which was checked; so with the others."""

    search_error: _Fault | None
    warnings: list[_Fault]
    updates: list[object]
    history: list[object]


class _Status(TypedDict):
    state: str
    result: object
    error: _Fault | None


class _Point(TypedDict):
    label: str
    kind: str


class _Points(TypedDict):
    points: list[_Point]
