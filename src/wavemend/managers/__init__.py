"""How a host's package manager is read, rehearsed, driven and judged.

To add one: write `managers/<name>/__init__.py` with these four functions, add a line to
`MANAGERS`, give it recorded cases in `tests/cases/<name>/` and run the contract suite.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from wavemend.hosts import Facts, Host
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport


class Manager(Protocol):
    """Facts, decision, action, and a second look, for one kind of package manager."""

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        """Look at the host in one round trip; with `refresh` the package index is renewed first.

        Reads only (the index is a cache). Raises HostAnswerInvalid or another TransportError.
        """
        ...

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Ask the manager what it would do for exactly these targets. Changes nothing."""
        ...

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure."""
        ...

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows, sorted by name and architecture. Pure.

        The versions in `after` decide; the exit status and the log only explain.
        """
        ...


def _apt() -> Manager:
    from wavemend.managers.apt import APT

    return APT


MANAGERS: Mapping[str, Callable[[], Manager]] = {"apt": _apt}
