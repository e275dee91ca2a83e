"""One run of the self-test over one host: its connection, what it has learnt, what it must remove.

A check that fails says why and what to do, and the others are carried out all the same. Once the
host is away, nothing more is tried.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypedDict, cast, runtime_checkable

from wavemend.errors import DeadlinePassed, HostUnreachable, TransportError
from wavemend.transport import Transport
from wavemend.windows.calling import call
from wavemend.windows.jobs import prune_windows_jobs
from wavemend.windows.selftest_judging import Checked, Judged, failed, not_tried

CALL_SECONDS = 120.0
MOST_LATE = 3
"""So many answers that do not come in time end it: the rest would take an hour to say the same."""

_KNOWN_WAYS_OUT = {
    "0x80041315": "start the service Schedule (Task Scheduler) on the host and let it start by "
    "itself: nothing goes without it",
}
_WAY_OUT = "ask the same on the host by hand, and mend what fails there"


@runtime_checkable
class Droppable(Protocol):
    """A connection that can be broken as a network does it."""

    def drop(self) -> None:
        """Cut it; what runs on the host goes on, and the next command connects again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A host, and what the checks need of this side."""

    connect: Callable[[], Transport]
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    token: Callable[[], str]
    """A new nonce: 16 to 32 characters of a-z and 0-9."""
    binds: bool
    """The login is of a kind that can be tied to its TLS connection."""
    search: str
    """Parameters of a search, as JSON: those of every look."""
    with_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A job of this run."""

    job_id: str
    nonce: str


class Untried(Exception):
    """What a check builds on did not come about."""


class Session:
    """One run of the checks over one host."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.system = ""
        """What the host says it is."""
        self.simulated = False
        """The host says that it is only played."""
        self.job_ids: list[str] = []
        """Folders that are still to be removed."""
        self.begun: dict[str, Begun] = {}
        """Jobs that were started, by kind."""
        self.jobs_end = False
        """One began, and came to its end."""
        self.facts: Facts | None = None
        self.shells_before: int | None = None
        self.was_in = False
        """A login has worked."""
        self.too_late = 0
        """Answers that did not come in time."""
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """The connection that is open; a new one where there is none."""
        if self._transport is None:
            self._transport = self.trial.connect()
            self.was_in = True
        return self._transport

    def reconnect(self) -> Transport:
        """Leave, and come back over a new connection."""
        self.leave()
        return self.transport

    def leave(self) -> None:
        """End the connection and its shell."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def new_id(self, what: str) -> str:
        """Return a job id of this run; its folder is removed at the end."""
        self.job_ids.append(f"selftest-{what}-{self.trial.token()}")
        return self.job_ids[-1]

    def ask(self, script: str, **params: object) -> Mapping[str, object]:
        """Call a script; parameters and answer are held against their contracts."""
        return call(self.transport, script, params, deadline=CALL_SECONDS)

    def settings(self, job_id: str = "") -> "Settings":
        """Ask the script that only the self-test has."""
        return cast("Settings", self.ask("selftest", job_id=job_id))

    def known_facts(self) -> "Facts":
        """Return what the host said of itself."""
        if self.facts is None:
            raise Untried("the host's facts could not be read")
        return self.facts


Check = Callable[[Session], Judged]


def run_checks(session: Session, checks: Sequence[tuple[str, Check]]) -> Iterator[Checked]:
    """Carry the checks out in order. What is left on the host is removed, however it ends."""
    gone = ""
    try:
        for name, check in checks:
            judged = not_tried(gone) if gone else None
            if judged is None:
                judged, gone = _carried_out(session, check)
            yield _line(name, judged)
    finally:
        with contextlib.suppress(TransportError):
            remove_folders(session)
        session.leave()


def skip_checks(checks: Sequence[tuple[str, Check]], reason: str) -> Iterator[Checked]:
    """Say of each check that it was not tried, and why."""
    for name, _ in checks:
        yield _line(name, not_tried(reason))


def _carried_out(session: Session, check: Check) -> tuple[Judged, str]:
    """Return what came of a check, and why no further one makes sense; empty: they do."""
    try:
        return check(session), ""
    except Untried as reason:
        return not_tried(str(reason)), ""
    except TransportError as error:
        return failed(error.message, _way_out(error)), _end_of_patience(session, error)


def _end_of_patience(session: Session, error: TransportError) -> str:
    """Return why nothing more is asked after an error; empty: the next check may go better."""
    session.too_late += isinstance(error, DeadlinePassed)
    if isinstance(error, HostUnreachable) or not session.was_in:
        return "there is no connection"
    return "too many answers came too late" if session.too_late >= MOST_LATE else ""


def _way_out(error: TransportError) -> str:
    known = (way for code, way in _KNOWN_WAYS_OUT.items() if code in error.message)
    return next(known, error.hint or _WAY_OUT)


def _line(name: str, judged: Judged) -> Checked:
    return Checked(
        name=name,
        verdict=judged.verdict,
        seen=judged.seen,
        way_out=judged.way_out,
        by_choice=judged.by_choice,
    )


def remove_folders(session: Session) -> int:
    """Remove the folders of this run; returns how many were. Those that run stay, and are kept."""
    removed = 0
    for job_id in tuple(session.job_ids):
        pruned = prune_windows_jobs(
            session.transport,
            keep=1_000,
            journal_lines=100_000,
            job_id=job_id,
            deadline=CALL_SECONDS,
        )
        removed += pruned.removed
        if not pruned.running:
            session.job_ids.remove(job_id)
    return removed


class _Os(TypedDict, total=False):
    caption: str
    build: str
    boot_id: str
    simulated: bool


class _Reboot(TypedDict):
    hard: bool
    reasons: list[str]
    soft_reasons: list[str]


class _Package(TypedDict):
    name: str
    state: str


class Facts(TypedDict):
    """Part of facts.out.json, which `call` has checked; so with the others."""

    os: _Os
    reboot: _Reboot
    packages: list[_Package]


class _Fault(TypedDict):
    context: str
    message: str


class _Way(TypedDict):
    kind: str
    reason: str


class Settings(TypedDict):
    cbt_level: str
    max_shells: str
    shells_open: int
    folder_sddl: str
    task_user: str
    ways_back: list[_Way]
    faults: list[_Fault]
    utc_now: str
