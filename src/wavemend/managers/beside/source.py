"""What a source beside the package manager is: the values and the Protocol. Pure.

A source's packages carry its name in their architecture, `flatpak/x86_64/stable`: so they stand in
plans, reports and second looks beside the manager's own, and are never taken for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wavemend.hosts import InstalledPackage, PendingUpdate, Repository
from wavemend.managers.reading.judging import LogReader
from wavemend.packages import JobScript, Target, Transaction
from wavemend.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Additional:
    """What one source says of a host; field for field as in `Facts`."""

    installed: tuple[InstalledPackage, ...] = ()
    pending: tuple[PendingUpdate, ...] = ()
    index_errors: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    repositories: tuple[Repository, ...] = ()


class Source(Protocol):
    """Something else than the package manager that installs software on a host."""

    @property
    def name(self) -> str:
        """Return what its architectures begin with."""
        ...

    @property
    def log(self) -> LogReader:
        """Return how its exit statuses and its log are read."""
        ...

    def read(
        self, transport: Transport, host: str, *, refresh: bool, deadline: float
    ) -> Additional:
        """Look at the host in one round trip; nothing where the source is not installed."""
        ...

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Say what would be done for exactly these targets. Changes nothing."""
        ...

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure. PlanError: it cannot."""
        ...

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that takes these back to older versions. Pure. PlanError: it cannot."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainLog:
    """Reads the log of a source whose updates run no scripts and keep no configuration files."""

    tool: str
    exits: Mapping[int, str]

    def explain_exit(self, status: int | None) -> str:
        """Say what an exit status means; one that the tool does not document is unknown."""
        if status is None:
            return "the transaction's end was never recorded"
        return self.exits.get(status, f"exit status {status}, which {self.tool} does not document")

    def cause(self, target: Target, lines: Sequence[str]) -> str:
        """Return the last error that names the target, else the last one."""
        errors = [line.strip() for line in lines if line.lower().startswith(("error:", "f: "))]
        chosen = [line for line in errors if target.name in line] or errors
        return chosen[-1][:400] if chosen else ""

    def kept(self, _lines: Sequence[str], /) -> Mapping[str, tuple[str, ...]]:
        """Return nothing."""
        return {}

    def failed(self, _lines: Sequence[str], /) -> Mapping[str, str]:
        """Return nothing."""
        return {}


def offered_now(
    source: Source, transport: Transport, targets: Sequence[Target], *, deadline: float
) -> Transaction:
    """Rehearse for a source that cannot: what is offered is what would come, and nothing else."""
    seen = source.read(transport, "rehearsal", refresh=False, deadline=deadline)
    offers = {(item.name, item.arch): item for item in seen.pending}
    here = {(item.name, item.arch) for item in seen.installed}
    reasons = []
    for target in sorted(targets):
        offer = offers.get((target.name, target.arch))
        if (target.name, target.arch) not in here:
            reasons.append(f"{target.name} is not installed by {source.name}")
        elif offer is not None and offer.candidate == target.version and offer.held:
            reasons.append(f"{target.name} is on hold")
        elif offer is not None and offer.candidate == target.version and offer.not_taken:
            reasons.append(f"{target.name}: {offer.not_taken}")
    return Transaction(
        installs=() if reasons else tuple(sorted(targets)),
        removals=(),
        refusal="; ".join(reasons),
    )
