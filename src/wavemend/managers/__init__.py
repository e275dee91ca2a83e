"""How a host's package manager is read, rehearsed, driven and judged.

To add one: write `managers/<name>/__init__.py` with these functions, add a line to `MANAGERS`,
give it recorded cases in `tests/cases/<name>/` and run the contract suite. What all of them ask
a host (clock, boot, space, who is logged in) is in `reading/`. Where YAML is enough, no code is
needed: see `declared/`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from wavemend.hosts import Facts, Host, ManagerOptions
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.plans import PlannedPackage
from wavemend.transport import Transport


class Manager(Protocol):
    """Facts, decision, action, and a second look, for one kind of package manager."""

    @property
    def reboot_argv(self) -> tuple[str, ...]:
        """The command that restarts a host of this kind, run as root."""
        ...

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
        """Return the job that brings exactly these targets in. Pure. PlanError: it cannot."""
        ...

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that takes packages back to exactly these older versions. Pure.

        Raises PlanError where the manager cannot go back.
        """
        ...

    def repair_script(self) -> JobScript:
        """Return the job that finishes or mends what an earlier transaction left in between.

        Pure. Run only as its own approved step. Raises PlanError where there is no such command.
        When something is still half done, `end_trouble` of its exit status says so.
        """
        ...

    def end_trouble(self, status: int | None) -> str:
        """Say why a job's exit status is no good end; empty when it is one. Pure.

        One that nobody documents is none. None: no end was recorded, which is a good one only where
        the looks tell of each package whether all that belongs to it has run.
        """
        ...

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows, sorted by name and architecture. Pure.

        The versions in `after` decide; the exit status and the log only explain. The same for an
        undo: its targets are the old versions.
        """
        ...


@runtime_checkable
class KnowsOldVersions(Protocol):
    """A manager that can say itself what a restore point of package versions needs to know."""

    def old_versions_script(self, targets: Sequence[Target]) -> JobScript:
        """Return what asks the host: one line `yes` or `no` for each target, in their order.

        Pure; the script changes nothing. PlanError: the manager cannot tell.
        """
        ...


@runtime_checkable
class TakesUpdatesBack(Protocol):
    """A manager whose updates are things of their own: taking one back is removing it."""

    def before_update(self, package: PlannedPackage) -> Target:
        """Return what a planned package that had no version before goes back to. Pure."""
        ...


@runtime_checkable
class TakesLonger(Protocol):
    """A manager that needs minutes to say what it offers."""

    @property
    def look_seconds(self) -> float:
        """The longest that a look, or a rehearsal, may take."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSeen:
    """Which boot a host is in."""

    boot_id: str
    is_up: bool
    """Up for good: it does not go on with the restart that brought it there."""


@runtime_checkable
class WatchesBoot(Protocol):
    """A manager whose hosts answer before they are up: they go on servicing after a restart."""

    def boot_seen(self, transport: Transport, *, deadline: float) -> BootSeen:
        """Ask for a host's boot; a short question, in place of a look. Raises TransportError."""
        ...


@runtime_checkable
class TellsReboot(Protocol):
    """A manager that restarts its hosts otherwise than by `reboot_argv`."""

    def tell_reboot(
        self, transport: Transport, *, boot_id: str, fence: int, not_after: int, deadline: float
    ) -> str:
        """Tell the host to restart within seconds; a restart that is scheduled already is one.

        The host itself obeys only in the boot `boot_id`, until `not_after` (Unix seconds, by its
        own clock), and while it has seen no higher fence. Returns why the word is nobody's any more
        there; empty: whether it restarts, its boot id says. Raises TransportError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRound:
    """What a further round of the same change would bring in."""

    targets: tuple[Target, ...] = ()
    """Empty: no further round helps."""
    reboot_first: bool = False
    """Only after a restart, whatever the reboot reasons of the facts say."""
    reason: str = ""
    """Without targets: why no round and no restart helps any more."""


@runtime_checkable
class NeedsRounds(Protocol):
    """A manager whose updates may need to be asked for again, for instance after a restart."""

    def next_round(
        self,
        targets: Sequence[Target],
        before: Facts,
        after: Facts,
        end: JobEnd,
        *,
        rounds: int,
        restarted: bool,
    ) -> NextRound:
        """Say which of these targets, which `after` does not show, another round would bring in.

        Pure; asked after a job's end, and again when its host was restarted since. `rounds`: how
        many there were; `end`: of the last one's job.
        """
        ...


def _apt(options: ManagerOptions) -> Manager:
    from wavemend.managers.apt import AptManager

    return AptManager(options=options)


def _dnf(options: ManagerOptions) -> Manager:
    from wavemend.managers.dnf import DnfManager

    return DnfManager(options=options)


def _zypper(options: ManagerOptions) -> Manager:
    from wavemend.managers.zypper import ZypperManager

    return ZypperManager(options=options)


def _pacman(options: ManagerOptions) -> Manager:
    from wavemend.managers.pacman import PacmanManager

    return PacmanManager(options=options)


def _apk(options: ManagerOptions) -> Manager:
    from wavemend.managers.apk import ApkManager

    return ApkManager(options=options)


def _windows_update(options: ManagerOptions) -> Manager:
    from wavemend.managers.windows_update import WindowsUpdateManager

    return WindowsUpdateManager(options=options)


def _with_sources(
    make: Callable[[ManagerOptions], Manager],
) -> Callable[[ManagerOptions], Manager]:
    """Return a factory that puts the profile's additional sources beside the manager it makes."""

    def made(options: ManagerOptions) -> Manager:
        manager = make(options)
        if not options.sources:
            return manager
        from wavemend.managers.beside import beside

        return beside(manager, options.sources)

    return made


MANAGERS: Mapping[str, Callable[[ManagerOptions], Manager]] = {
    **{
        name: _with_sources(make)
        for name, make in (
            ("apk", _apk),
            ("apt", _apt),
            ("dnf", _dnf),
            ("pacman", _pacman),
            ("zypper", _zypper),
        )
    },
    # It drives Chocolatey itself: what runs beside it is no sh.
    "windows_update": _windows_update,
}
