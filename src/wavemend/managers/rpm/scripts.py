"""The shell texts of a manager above RPM, put together and run: to look, to rehearse, as a job."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Host, ManagerOptions
from wavemend.managers.reading.asking import ask, refresh_seconds, script
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import Asked
from wavemend.packages import JobScript
from wavemend.transport import Transport

FRAME = "reading/frame.sh"
SOFTWARE = "rpm/software.sh"
_CHANGING = "rpm/changing.sh"
REPAIR = "rpm/repair.sh"

_NEVER = datetime.min.replace(tzinfo=UTC)
"""A rehearsal compares no clocks."""


def look(
    transport: Transport,
    parts: Sequence[str],
    host: Host,
    now: datetime,
    *,
    nonce: str,
    refresh: bool,
    deadline: float,
) -> tuple[Mapping[str, Section], Asked]:
    """Ask a host for its facts in one round trip; `parts` are the manager's own texts."""
    seconds = refresh_seconds(refresh=refresh, deadline=deadline)
    text = _text(FRAME, SOFTWARE, *parts)
    return ask(transport, text, host.name, now, args=(nonce, str(seconds)), deadline=deadline)


def rehearsal(
    transport: Transport,
    parts: Sequence[str],
    words: Sequence[str],
    *,
    nonce: str,
    deadline: float,
) -> Section:
    """Ask what would be done for these words; raises HostAnswerInvalid without an answer."""
    text = _text(FRAME, *parts)
    args = (nonce, "0", *words)
    sections, _ = ask(transport, text, "rehearsal", _NEVER, args=args, deadline=deadline)
    if "rehearsal" not in sections:
        raise HostAnswerInvalid("the rehearsal's answer is not in the agreed form")
    return sections["rehearsal"]


def job(
    options: ManagerOptions,
    parts: Sequence[str],
    words: Sequence[str] = (),
    *,
    also_good: Iterable[int] = (),
) -> JobScript:
    """Return a detached job: what all share, then the manager's own texts. Pure."""
    text = _text(FRAME, SOFTWARE, _CHANGING, *parts).decode()
    # The first two are the frame's: a job has no nonce and refreshes nothing.
    args = ("-", "0", options.conffiles.value, options.services.value, *words)
    return JobScript(text=text, args=args, also_good=tuple(sorted(also_good)))


def _text(*parts: str) -> bytes:
    return b"".join(script(*part.split("/")) for part in parts)
