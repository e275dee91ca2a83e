"""Asking a host: one script over one connection, its answer in frames that carry a nonce."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

from wavemend.errors import HostAnswerInvalid
from wavemend.managers.reading.sections import Section, split_sections
from wavemend.managers.reading.system import Asked
from wavemend.transport import Transport

ANSWER_BOUND = 1_572_864
"""Bytes of one answer: 6,000 packages with 600 pending updates make about 1.3 MB; a host that
sends without end costs no more than this."""

REFRESH_SECONDS = 300
"""Longest refresh of a package index; the connection's own deadline shortens it."""

_REST_SECONDS = 90
"""Kept free of the deadline for what follows the refresh: simulations on a slow disk."""

Nonce = Callable[[], str]


def fresh_nonce() -> str:
    """Return what marks the frames of one answer: nothing a package prints can pass for one."""
    return secrets.token_hex(16)


@cache
def script(manager: str, name: str) -> bytes:
    """Return one of the shell texts beside a manager's code, `script("apt", "facts.sh")`."""
    return files("wavemend").joinpath("managers", manager, name).read_bytes()


def refresh_seconds(*, refresh: bool, deadline: float) -> int:
    """Return how long an index may take to refresh within a deadline; 0: it is not refreshed."""
    return max(10, min(REFRESH_SECONDS, int(deadline) - _REST_SECONDS)) if refresh else 0


def ask_facts(
    transport: Transport,
    manager: str,
    host: str,
    now: datetime,
    *,
    nonce: str,
    refresh: bool,
    deadline: float,
) -> tuple[Mapping[str, Section], Asked]:
    """Run frame.sh and the manager's facts.sh on a host, in one round trip."""
    seconds = refresh_seconds(refresh=refresh, deadline=deadline)
    text = script("reading", "frame.sh") + script(manager, "facts.sh")
    return ask(transport, text, host, now, args=(nonce, str(seconds)), deadline=deadline)


def ask(
    transport: Transport,
    text: bytes,
    host: str,
    now: datetime,
    *,
    args: Sequence[str],
    deadline: float,
) -> tuple[Mapping[str, Section], Asked]:
    """Run a script whose first argument is the nonce; return its sections, when and how long.

    Raises HostAnswerInvalid when the answer is cut off or too large.
    """
    result = transport.run_as_root(
        ("/bin/sh", "-s", "--", *args), stdin=text, deadline=deadline, bound=ANSWER_BOUND
    )
    if result.dropped_bytes:
        raise HostAnswerInvalid(
            f"{host}: the answer is larger than {ANSWER_BOUND // 1024} KiB",
            hint="look at what the package manager's list of packages prints on the host",
        )
    sections = split_sections(result.stdout.decode(errors="replace"), args[0], host)
    return sections, Asked(now=now, seconds=result.seconds)
