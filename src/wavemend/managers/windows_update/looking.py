"""Asking a Windows host: a script for what any administrator may read, jobs for what SYSTEM must.

Searches run as tasks of the host's scheduler: the agent refuses remote callers. One that does not
answer is no failed look: what the host said of itself stands, and what is pending is not known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from wavemend.errors import DeadlinePassed, HostAnswerInvalid
from wavemend.managers.reading.system import Asked
from wavemend.managers.windows_update.answers import (
    ChocolateyList,
    Search,
    Told,
    chocolatey_answer,
    host_answer,
    search_answer,
)
from wavemend.managers.windows_update.facts import Seen
from wavemend.managers.windows_update.naming import CHOCOLATEY
from wavemend.managers.windows_update.targets import list_params, search_params
from wavemend.transport import Transport
from wavemend.windows.calling import call, contract_fault, parse_json, worker_text
from wavemend.windows.jobs import Standing, WindowsJob, start_windows_job, wait_for

LOOK_SECONDS = 2_400.0
"""A first search after a restart takes up to half an hour on old servers whose WSUS is busy; one
that is given up goes on, and the next is queued behind it."""

HISTORY = 400
"""Entries of the agent's history: definitions alone make three a day."""

_CALL_SECONDS = 120.0
"""PowerShell needs seconds to start; reading all servicing packages of an old host takes 20."""

_LEAST_SECONDS = 5.0
_JOB_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Asking:
    """One visit: the connection, and until when it may take."""

    transport: Transport
    nonce: Callable[[], str]
    clock: Callable[[], float]
    """Monotonic, in seconds."""
    ends_at: float

    @property
    def left(self) -> float:
        """Seconds that are left, at least a few: the end is then seen by what is asked."""
        return max(_LEAST_SECONDS, self.ends_at - self.clock())


def look(asking: Asking, now: datetime, kinds: Sequence[str], sources: Sequence[str]) -> Seen:
    """Ask everything that one look is about."""
    began = asking.clock()
    told = host_answer(
        call(asking.transport, "facts", {}, deadline=min(_CALL_SECONDS, asking.left))
    )
    asked = Asked(now=now, seconds=max(0.0, asking.clock() - began))
    packages = ChocolateyList()
    if CHOCOLATEY in sources and told.has_chocolatey:
        packages = list_packages(asking)
    return Seen(asked=asked, host=told, search=search(asking, kinds), chocolatey=packages)


def search(asking: Asking, kinds: Sequence[str]) -> Search:
    """Search for updates; why that did not work is part of what is returned."""
    try:
        result = _run(asking, "scan", search_params(kinds, history=HISTORY))
    except (DeadlinePassed, HostAnswerInvalid) as error:
        return Search(trouble=f"the search for updates: {error}")
    return search_answer(result)


def list_packages(asking: Asking) -> ChocolateyList:
    """Ask Chocolatey what it has and what is newer."""
    try:
        result = _run(asking, "chocolatey", list_params())
    except (DeadlinePassed, HostAnswerInvalid) as error:
        return ChocolateyList(troubles=(f"Chocolatey's list: {error}",))
    return chocolatey_answer(result)


def _run(asking: Asking, kind: str, params: str) -> Told:
    """Run a worker that changes nothing, and return its result."""
    nonce = asking.nonce()
    job_id = f"{kind}-{nonce}"
    started = start_windows_job(
        asking.transport,
        job_id,
        kind=kind,
        worker=worker_text(kind),
        params=params,
        nonce=nonce,
        minutes=_JOB_MINUTES,
        mutating=False,
        deadline=min(_CALL_SECONDS, asking.left),
    )
    job = started.job
    if job.standing(nonce) is Standing.RUNNING:
        job = wait_for(
            asking.transport, job_id, nonce=nonce, deadline=asking.left, clock=asking.clock
        )
    if job.standing(nonce) is not Standing.ENDED:
        raise HostAnswerInvalid(
            f"its job {job_id} is {job.standing(nonce)} on the host ({started.answer})",
            hint="look at %ProgramData%\\Wavemend\\jobs and at the task scheduler",
        )
    return _result(job, kind)


def _result(job: WindowsJob, kind: str) -> Told:
    try:
        status = parse_json(job.status_json)
    except ValueError as error:
        raise HostAnswerInvalid(f"its status cannot be read: {error}") from None
    if fault := contract_fault("status", status):
        raise HostAnswerInvalid(f"its status is not in the agreed form: {fault}")
    said = cast("Told", status)
    if said["result"] is None:
        died = said["error"] or {}
        reason = f"{died.get('hresult', '')} {died.get('message', 'without a word')}".strip()
        raise HostAnswerInvalid(f"its worker ended with {job.exit_status}: {reason[:300]}")
    if fault := contract_fault(f"{kind}.out", said["result"]):
        raise HostAnswerInvalid(f"its result is not in the agreed form: {fault}")
    return cast("Told", said["result"])
