"""What a host says about its jobs, read: the state of one job, and the lines of its journal.

Everything in it may be forged or torn: what is not in the agreed form proves nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from wavemend.errors import HostAnswerInvalid

# What a host's numbers may look like. Bounded and ASCII: `\d` also means other scripts' digits,
# and a time of 17 digits is one that no calendar holds.
_SIZE = r"[0-9]{1,15}"
_TIME = r"[0-9]{1,11}"
_FENCE = r"[0-9]{1,18}"
_STATUS = r"25[0-5]|2[0-4][0-9]|1?[0-9]{1,2}"
_BOOT = r"[!-~]{1,64}"


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
    REFUSED_LATE = "refused_late"
    """The start reached the host after its `not_after`; nothing was started."""
    REFUSED_BUSY = "refused_busy"
    """Another job changes the host; nothing was started."""


REFUSALS: Mapping[JobState, str] = {
    JobState.REFUSED_FENCE: "the host has seen a newer controller and refused this one",
    JobState.REFUSED_LATE: "window: by the host's own clock the last start has passed",
    JobState.REFUSED_BUSY: "another job changes the host already",
}
"""Nothing was started, and why."""


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


def read_view(answer: bytes, attempt_id: str, nonce: str) -> JobView:
    """Read a status report. Raises HostAnswerInvalid when it is not in the agreed form."""
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


def read_entry(line: str) -> JournalEntry:
    """Read a line of the journal; one that is not in form is an entry too."""
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
