"""The one way a change runs on a host: detached, begun at most once, its end proven by a file.

A job is a directory `/var/lib/wavemend/jobs/<attempt id>` on the host. It outlives the connection,
the worker and the controller; whoever comes next attaches by asking. Waiting is the caller's.

Running is proven by a file lock that the runner and all its children hold, not by a process id:
ids are reused, and a killed runner's dpkg goes on. Ended is proven by an rc file that carries the
attempt's nonce; nothing a job prints is ever read as its result.

Windows hosts hold the same contract by other means: see `windows_jobs.py`.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from wavemend.errors import HostAnswerInvalid, PlanError
from wavemend.execution import windows_jobs
from wavemend.execution.job_answers import (
    JobState,
    JobView,
    JournalEntry,
    JournalKind,
    read_entry,
    read_view,
)
from wavemend.execution.job_spec import JobSpec, check_attempt_id, check_spec
from wavemend.packages import NOTHING, SH
from wavemend.transport import CommandResult, Transport, WindowsTransport

LOG_BOUND = 262_144
"""Bytes of a job's log that are read back, the last ones: 500 upgrades write about 90 KB."""

JOURNAL_BOUND = 1_048_576
"""Bytes of a host's journal that are read back: as long as `remove_old_jobs` lets it grow."""

JOURNAL_LINES = 4_000
"""Lines of it that a clean-up keeps, besides those of jobs that still have a directory."""

_BOOTSTRAP = """\
IFS= read -r lines || exit 80
text=
while [ "$lines" -gt 0 ]; do
IFS= read -r line || exit 80
text="$text$line
"
lines=$((lines - 1))
done
eval "$text"
"""
"""Reads a script from stdin line by line and leaves the rest of stdin to it."""


def start_job(transport: Transport, spec: JobSpec, *, deadline: float) -> JobView:
    """Start a job, or find the one that was started under this attempt id; one round trip.

    Safe to repeat with the same spec: the host begins it once. When no answer comes the effect is
    unknown: ask `read_job`, and start again or `forbid_job`. Raises PlanError for a spec that is
    not in form, HostAnswerInvalid when the host could not prepare or launch the job.
    """
    if isinstance(transport, WindowsTransport):
        return windows_jobs.start(transport, spec, deadline=deadline)
    _check(spec)
    result = transport.run_as_root(
        (
            *("/bin/sh", "-c", _BOOTSTRAP, "wavemend-start"),
            *(spec.attempt_id, str(spec.fence), str(LOG_BOUND)),
        ),
        stdin=_payload(spec),
        deadline=deadline,
        bound=2 * LOG_BOUND,
    )
    if result.exit_status == 76:
        said = f"the host has seen fence {_said(result)}, this start carries {spec.fence}"
        return JobView(state=JobState.REFUSED_FENCE, log=said.encode())
    if result.exit_status == 82:
        said = f"the host's clock is past {spec.not_after}, the last second of this start"
        return JobView(state=JobState.REFUSED_LATE, log=said.encode())
    return read_view(_answer(result, spec.attempt_id), spec.attempt_id, spec.nonce)


def read_job(
    transport: Transport,
    attempt_id: str,
    nonce: str,
    *,
    deadline: float,
    bound: int = LOG_BOUND,
    wait_seconds: int = 0,
) -> JobView:
    """Say what became of a job; reads only. `bound`: bytes of its log to bring along.

    `wait_seconds`: a host that is slow to ask (Windows) answers at the job's end, or after so long.
    """
    check_attempt_id(attempt_id)
    if isinstance(transport, WindowsTransport):
        return windows_jobs.read(
            transport,
            attempt_id,
            nonce,
            log_bytes=bound,
            wait_seconds=wait_seconds,
            deadline=deadline,
        )
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", attempt_id, str(bound)),
        stdin=_text("job_status.sh"),
        deadline=deadline,
        bound=2 * bound + 4_096,
    )
    return read_view(_answer(result, attempt_id), attempt_id, nonce)


def forbid_job(transport: Transport, attempt_id: str, nonce: str, *, deadline: float) -> JobView:
    """Make "not begun" final, and say what is true then.

    A start whose answer was lost may still be travelling. After this, ABSENT means that it never
    will begin; any other state means that it had begun. Required before an attempt is called
    not attempted. Safe to repeat.
    """
    check_attempt_id(attempt_id)
    if isinstance(transport, WindowsTransport):
        return windows_jobs.forbid(
            transport, attempt_id, nonce, log_bytes=LOG_BOUND, deadline=deadline
        )
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", attempt_id, str(LOG_BOUND)),
        stdin=_text("job_forbid.sh", "job_status.sh"),
        deadline=deadline,
        bound=2 * LOG_BOUND,
    )
    return read_view(_answer(result, attempt_id), attempt_id, nonce)


def read_journal(transport: Transport, *, deadline: float) -> tuple[JournalEntry, ...]:
    """Return the host's journal, oldest first; lines that are not in form are entries too."""
    if isinstance(transport, WindowsTransport):
        lines = windows_jobs.journal(transport, size=JOURNAL_BOUND, deadline=deadline)
        return tuple(map(read_entry, lines))
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", str(JOURNAL_BOUND)),
        stdin=_text("job_journal.sh"),
        deadline=deadline,
        bound=JOURNAL_BOUND + 65_536,
    )
    _, mark, body = result.stdout.partition(b"wavemend-journal 1\n")
    if result.exit_status != 0 or not mark or result.dropped_bytes:
        raise HostAnswerInvalid(
            f"the host's journal could not be read: {_said(result) or 'no answer in form'}",
            hint="look at /var/lib/wavemend/journal on the host",
        )
    return tuple(read_entry(line) for line in body.decode(errors="replace").splitlines() if line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What became of a host's old job directories."""

    removed: int
    running: int
    """Old ones that were left alone because they still run."""


def remove_old_jobs(transport: Transport, *, keep: int, deadline: float) -> Cleaned:
    """Remove all job directories but the newest `keep`, and bound the host's journal.

    For the end of an attempt, when its evidence is stored. `keep` leaves room for attempts whose
    evidence is not: those of a controller that died. The journal goes on naming every attempt
    that has a directory, and the last `JOURNAL_LINES` lines.
    """
    if keep < 1:
        raise PlanError(f"keep is {keep}: the newest job directory is never removed")
    if isinstance(transport, WindowsTransport):
        removed, running = windows_jobs.prune(
            transport, keep=keep, journal_lines=JOURNAL_LINES, deadline=deadline
        )
        return Cleaned(removed=removed, running=running)
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", str(keep), str(JOURNAL_LINES)),
        stdin=_text("job_clean.sh"),
        deadline=deadline,
    )
    found = re.search(rb"^([0-9]{1,9}) ([0-9]{1,9})\n\Z", result.stdout, re.MULTILINE)
    if result.exit_status != 0 or not found:
        raise _trouble(result, "clean-up")
    return Cleaned(removed=int(found[1]), running=int(found[2]))


def remove_job(transport: Transport, attempt_id: str, *, deadline: float) -> bool:
    """Remove a job's directory; False when it still runs, and is left alone.

    The journal keeps that it began, so a later start of the same attempt id runs nothing.
    """
    check_attempt_id(attempt_id)
    if isinstance(transport, WindowsTransport):
        return windows_jobs.remove(
            transport, attempt_id, journal_lines=JOURNAL_LINES, deadline=deadline
        )
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", attempt_id), stdin=_text("job_remove.sh"), deadline=deadline
    )
    if result.exit_status in {0, 81}:
        return result.exit_status == 0
    raise _trouble(result, attempt_id)


_UNWRITTEN = "a file could not be written: is the disk full, out of inodes or read-only?"
_REASONS = {
    1: _UNWRITTEN,
    2: _UNWRITTEN,
    74: _UNWRITTEN,
    75: "another start or removal on the host held the lock for 20 s",
    77: "neither systemd-run nor setsid brought the job to its beginning within 10 s",
    78: "the host lacks a program",
    79: "the host's own records are damaged",
    80: "the request came incomplete",
}
"""Exit statuses of the job scripts; every other one is unknown and said as such."""


def _trouble(result: CommandResult, attempt_id: str) -> HostAnswerInvalid:
    status = result.exit_status
    reason = _REASONS.get(status, f"the script ended with the unknown exit status {status}")
    said = _said(result)
    return HostAnswerInvalid(
        f"job {attempt_id}: {reason}{': ' if said else ''}{said}",
        hint="look at /var/lib/wavemend on the host",
    )


def _said(result: CommandResult) -> str:
    return result.stderr.decode(errors="replace").strip()[-300:]


def _answer(result: CommandResult, attempt_id: str) -> bytes:
    # Text before the mark is a login script's noise; the log comes after it and cannot forge it.
    _, mark, rest = result.stdout.partition(b"wavemend-job 1\n")
    if result.exit_status != 0 or not mark or result.dropped_bytes:
        raise _trouble(result, attempt_id)
    return rest


def _check(spec: JobSpec) -> None:
    check_spec(spec)
    if spec.script.kind not in {SH, NOTHING}:
        raise PlanError(
            f"job {spec.attempt_id}: the worker {spec.script.kind} runs on Windows hosts only",
            hint="the host's transport and its manager do not fit each other",
        )
    for argument in spec.script.args:
        if "\n" in argument or "\0" in argument:
            raise PlanError(f"job {spec.attempt_id}: argument {argument!r} holds a line break")
        _encoded(spec, argument)


def _encoded(spec: JobSpec, text: str) -> bytes:
    """Return text as bytes; those that were no UTF-8 when they came in go out as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise PlanError(f"job {spec.attempt_id}: {text[:200]!r} stands for no bytes") from None


def _payload(spec: JobSpec) -> bytes:
    start, status, runner = (
        _text(name) for name in ("job_start.sh", "job_status.sh", "job_runner.sh")
    )
    arguments = b"".join(_encoded(spec, argument) + b"\n" for argument in spec.script.args)
    script = _encoded(spec, spec.script.text)
    counts = (status.count(b"\n"), runner.count(b"\n"), len(spec.script.args), len(script))
    not_after = "-" if spec.not_after is None else spec.not_after
    head = f"{spec.nonce} {not_after} {' '.join(str(count) for count in counts)}\n".encode()
    return b"%d\n" % start.count(b"\n") + start + head + status + runner + arguments + script


@cache
def _text(*names: str) -> bytes:
    """Return scripts as one text, after what all of them begin with."""
    folder = files("wavemend").joinpath("execution")
    return b"".join(folder.joinpath(name).read_bytes() for name in ("job_common.sh", *names))


__all__ = [
    "JOURNAL_BOUND",
    "LOG_BOUND",
    "Cleaned",
    "JobSpec",
    "JobState",
    "JobView",
    "JournalEntry",
    "JournalKind",
    "forbid_job",
    "read_job",
    "read_journal",
    "remove_job",
    "remove_old_jobs",
    "start_job",
]
