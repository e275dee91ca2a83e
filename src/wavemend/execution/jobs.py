"""The one way a change runs on a host: detached, begun at most once, its end proven by a file.

A job is a directory `/var/lib/wavemend/jobs/<attempt id>` on the host. It outlives the connection,
the worker and the controller; whoever comes next attaches by asking. Waiting is the caller's.

Running is proven by a file lock that the runner and all its children hold, not by a process id:
ids are reused, and a killed runner's dpkg goes on. Ended is proven by an rc file that carries the
attempt's nonce; nothing a job prints is ever read as its result.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from wavemend.errors import HostAnswerInvalid, PlanError
from wavemend.packages import JobScript
from wavemend.transport import CommandResult, Transport

LOG_BOUND = 262_144
"""Bytes of a job's log that are read back, the last ones: 500 upgrades write about 90 KB."""

JOURNAL_BOUND = 4_194_304
"""Bytes of a host's journal that are read back: about 40,000 attempts."""

_ATTEMPT_ID = re.compile(r"[a-z0-9-]{8,64}")
_NONCE = re.compile(r"[a-z0-9]{16,128}")
_MAX_FENCE = 10**18
"""The host compares fences with sh's 64-bit arithmetic."""

# What a host's numbers may look like. Bounded and ASCII: `\d` also means other scripts' digits,
# and a time of 17 digits is one that no calendar holds.
_SIZE = r"[0-9]{1,15}"
_TIME = r"[0-9]{1,11}"
_FENCE = r"[0-9]{1,18}"
_STATUS = r"25[0-5]|2[0-4][0-9]|1?[0-9]{1,2}"
_BOOT = r"[!-~]{1,64}"

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


class JobState(StrEnum):
    """What the host says about one attempt."""

    ABSENT = "absent"
    """Not begun. It may still begin when an answer to a start was lost: see `forbid_job`."""
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """Begun, not running, and no proof of its end: a power cut, or its records were removed."""
    REFUSED_FENCE = "refused_fence"
    """The host has seen a newer controller; nothing was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job to start: at most once per attempt id, on the host's own word."""

    attempt_id: str
    """`[a-z0-9-]{8,64}`; names the job's directory."""
    nonce: str
    """Unguessable `[a-z0-9]{16,128}`; the rc file must carry it."""
    fence: int
    """Owner number of the rollout; the host refuses a lower one than it has seen."""
    script: JobScript


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """What one question about a job was answered with. Times are the host's, in Unix seconds."""

    state: JobState
    exit_status: int | None = None
    """The script's exit status; None unless `state` is ended."""
    log: bytes = b""
    """The last bytes of the job's output, stdout and stderr together."""
    log_size: int = 0
    """Bytes of output on the host; more than `len(log)` when only the tail came."""
    begun_at: float | None = None
    ended_at: float | None = None
    boot_id_at_begin: str = ""


class JournalKind(StrEnum):
    """What a line of a host's journal says."""

    BEGIN = "begin"
    END = "end"
    DAMAGED = "damaged"
    """Not in the agreed form: torn by a power cut, or edited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One line of the host's own record of what was done to it."""

    kind: JournalKind
    raw: str
    attempt_id: str = ""
    fence: int | None = None
    exit_status: int | None = None
    at: float | None = None
    boot_id: str = ""


def start_job(transport: Transport, spec: JobSpec, *, deadline: float) -> JobView:
    """Start a job, or find the one that was started under this attempt id; one round trip.

    Safe to repeat with the same spec: the host begins it once. When no answer comes the effect is
    unknown: ask `read_job`, and start again or `forbid_job`. Raises PlanError for a spec that is
    not in form, HostAnswerInvalid when the host could not prepare or launch the job.
    """
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
    return _view(_answer(result, spec.attempt_id), spec.attempt_id, spec.nonce)


def read_job(
    transport: Transport, attempt_id: str, nonce: str, *, deadline: float, bound: int = LOG_BOUND
) -> JobView:
    """Say what became of a job; reads only. `bound`: bytes of its log to bring along."""
    _check_attempt_id(attempt_id)
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", attempt_id, str(bound)),
        stdin=_text("job_status.sh"),
        deadline=deadline,
        bound=2 * bound + 4_096,
    )
    return _view(_answer(result, attempt_id), attempt_id, nonce)


def forbid_job(transport: Transport, attempt_id: str, nonce: str, *, deadline: float) -> JobView:
    """Make "not begun" final, and say what is true then.

    A start whose answer was lost may still be travelling. After this, ABSENT means that it never
    will begin; any other state means that it had begun. Required before an attempt is called
    not attempted. Safe to repeat.
    """
    _check_attempt_id(attempt_id)
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", attempt_id, str(LOG_BOUND)),
        stdin=_text("job_forbid.sh") + _text("job_status.sh"),
        deadline=deadline,
        bound=2 * LOG_BOUND,
    )
    return _view(_answer(result, attempt_id), attempt_id, nonce)


def read_journal(transport: Transport, *, deadline: float) -> tuple[JournalEntry, ...]:
    """Return the host's journal, oldest first; lines that are not in form are entries too."""
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
    lines = body.decode(errors="replace").splitlines()
    return tuple(_entry(line) for line in lines if line)


def remove_job(transport: Transport, attempt_id: str, *, deadline: float) -> bool:
    """Remove a job's directory; False when it still runs, and is left alone.

    The journal keeps that it began, so a later start of the same attempt id runs nothing.
    """
    _check_attempt_id(attempt_id)
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", attempt_id), stdin=_text("job_remove.sh"), deadline=deadline
    )
    if result.exit_status in {0, 81}:
        return result.exit_status == 0
    raise _trouble(result, attempt_id)


_REASONS = {
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
        hint=f"look at /var/lib/wavemend/jobs/{attempt_id} on the host",
    )


def _said(result: CommandResult) -> str:
    return result.stderr.decode(errors="replace").strip()[-300:]


def _answer(result: CommandResult, attempt_id: str) -> bytes:
    # Text before the mark is a login script's noise; the log comes after it and cannot forge it.
    _, mark, rest = result.stdout.partition(b"wavemend-job 1\n")
    if result.exit_status != 0 or not mark or result.dropped_bytes:
        raise _trouble(result, attempt_id)
    return rest


def _view(answer: bytes, attempt_id: str, nonce: str) -> JobView:
    header, _, log = answer.partition(b"\n\n")
    fields = dict(
        line.split(" ", 1) for line in header.decode(errors="replace").splitlines() if " " in line
    )
    if "held" not in fields or not re.fullmatch(_SIZE, fields.get("log", "")):
        raise HostAnswerInvalid(f"job {attempt_id}: the host's answer is not in the agreed form")
    begun_at, boot_id = _begin(fields.get("begun", ""))
    ended = _end(fields.get("rc", ""), nonce)
    if ended is not None:
        state = JobState.ENDED
    elif fields["held"] == "yes":
        state = JobState.RUNNING
    else:
        state = JobState.LOST if "begun" in fields else JobState.ABSENT
    return JobView(
        state=state,
        exit_status=ended[0] if ended else None,
        log=log,
        log_size=int(fields["log"]),
        begun_at=begun_at,
        ended_at=ended[1] if ended else None,
        boot_id_at_begin=boot_id,
    )


def _begin(text: str) -> tuple[float | None, str]:
    """Return when and in which boot a job began; unknown when the record is not in form."""
    found = re.fullmatch(rf"{_FENCE} ({_TIME}) ({_BOOT})", text.strip())
    return (float(found[1]), found[2]) if found else (None, "")


def _end(text: str, nonce: str) -> tuple[int, float] | None:
    """Return a job's proven end; a record that is not in form proves none."""
    found = re.fullmatch(rf"([a-z0-9]+) ({_STATUS}) ({_TIME})", text.strip())
    return (int(found[2]), float(found[3])) if found and found[1] == nonce else None


_BEGIN_LINE = re.compile(
    rf"begin (?P<id>[a-z0-9-]{{8,64}}) (?P<fence>{_FENCE}) (?P<at>{_TIME}) (?P<boot>{_BOOT})"
)
_END_LINE = re.compile(rf"end (?P<id>[a-z0-9-]{{8,64}}) (?P<status>{_STATUS}) (?P<at>{_TIME})")


def _entry(line: str) -> JournalEntry:
    if found := _BEGIN_LINE.fullmatch(line):
        return JournalEntry(
            kind=JournalKind.BEGIN,
            raw=line,
            attempt_id=found["id"],
            fence=int(found["fence"]),
            at=float(found["at"]),
            boot_id=found["boot"],
        )
    if found := _END_LINE.fullmatch(line):
        return JournalEntry(
            kind=JournalKind.END,
            raw=line,
            attempt_id=found["id"],
            exit_status=int(found["status"]),
            at=float(found["at"]),
        )
    return JournalEntry(kind=JournalKind.DAMAGED, raw=line)


def _check_attempt_id(attempt_id: str) -> None:
    if not _ATTEMPT_ID.fullmatch(attempt_id):
        raise PlanError(f"{attempt_id!r} is no attempt id", hint="8 to 64 of a-z, 0-9 and -")


def _check(spec: JobSpec) -> None:
    _check_attempt_id(spec.attempt_id)
    if not _NONCE.fullmatch(spec.nonce):
        raise PlanError(f"job {spec.attempt_id}: the nonce is not 16 to 128 of a-z and 0-9")
    if not 0 <= spec.fence < _MAX_FENCE:
        raise PlanError(f"job {spec.attempt_id}: {spec.fence} is no fence the host can compare")
    for argument in spec.script.args:
        if "\n" in argument or "\0" in argument:
            raise PlanError(f"job {spec.attempt_id}: argument {argument!r} holds a line break")


def _payload(spec: JobSpec) -> bytes:
    start, status, runner = (
        _text(name) for name in ("job_start.sh", "job_status.sh", "job_runner.sh")
    )
    arguments = "".join(f"{argument}\n" for argument in spec.script.args).encode()
    script = spec.script.text.encode()
    counts = (status.count(b"\n"), runner.count(b"\n"), len(spec.script.args), len(script))
    head = f"{spec.nonce} {' '.join(str(count) for count in counts)}\n".encode()
    return b"%d\n" % start.count(b"\n") + start + head + status + runner + arguments + script


@cache
def _text(name: str) -> bytes:
    return files("wavemend").joinpath("execution", name).read_bytes()
