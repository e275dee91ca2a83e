"""Restore points: what can be brought back after a change, proven before it.

To add one: write `snapshots/<kind>.py` with a `Tool` (see `listed.py`): the commands that make,
list, remove and restore, and how the list is read. Add a line to `SNAPSHOTS`, and say in
`restores` honestly what it can and cannot bring back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from wavemend.hosts import Host
from wavemend.packages import JobScript, Target
from wavemend.policy.care import Place, RestorePointRule

PREFIX = "wavemend-"
"""Every point of ours begins with it, so that those left behind are found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsScript:
    """One of the scripts of `windows/scripts`: what Windows hosts are asked by, in place of argv.

    Its parameters are the command's stdin, as JSON; what it said is JSON too.
    """

    name: str
    as_job: bool = False
    """Run as a task of SYSTEM and waited for: a login from afar may not, or it takes minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a restore point's tool, on the host as root or on the worker.

    Exactly one of `argv` and `script` is filled in.
    """

    title: str
    place: Place
    argv: tuple[str, ...] = ()
    script: WindowsScript | None = None
    stdin: bytes = b""
    """On the host only."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """On the worker only."""
    seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said. `trouble`: why that does not count; empty when it does."""

    text: str = ""
    trouble: str = ""


Ask = Callable[[Command], Said]
"""Runs one command at its place; whatever goes wrong comes back as trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One host of one rollout, as its restore point sees it."""

    host: Host
    name: str
    """`wavemend-<rollout>-<host>`: whoever lists points can tell what each belongs to."""
    before: tuple[Target, ...] = ()
    """The planned packages at the versions they have before the change; new ones are not in it."""
    question: JobScript | None = None
    """What asks the host for each of them, `yes` or `no`; None: `old_versions/` has it, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePoint:
    """What was proven. `restores` is what a person reads at 2 a.m.: no promise beyond it."""

    kind: str
    name: str
    proven: bool
    restores: str
    detail: str
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A point that its tool lists now. `reference`: what the tool calls it, where not its name."""

    name: str
    reference: str = ""
    detail: str = ""
    going: bool = False
    """It is being put back, with the host's next boot, and is gone then."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A point that cannot be counted on: it is not listed, or it could not be asked about."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All points of ours that a host or its backend has now, by name; or why that is unknown."""

    found: tuple[Found, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class UndoPackages:
    """The package manager takes the packages back to their old versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOnHost:
    """A detached job on the host brings the point back."""

    script: JobScript
    restarts: bool
    """It takes effect with the next boot."""
    uses_up: bool = False
    """The point is gone afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOnWorker:
    """A command on the worker brings the point back, whatever state the host is in."""

    command: Command


Restoring: TypeAlias = UndoPackages | RestoreOnHost | RestoreOnWorker


class Snapshotter(Protocol):
    """One kind of restore point. PlanError: the profile's `restore_point` does not fit the kind."""

    @property
    def restores(self) -> str:
        """What it brings back and what not, in one sentence."""
        ...

    @property
    def loses_data(self) -> bool:
        """True when bringing it back takes away what was written on the host since."""
        ...

    def make(self, ask: Ask, subject: Subject) -> str:
        """Make the point unless it is there already; return what went wrong, or nothing."""
        ...

    def find(self, ask: Ask, subject: Subject) -> Found | Missing:
        """List the point back, now. Changes nothing."""
        ...

    def listed(self, ask: Ask, host: Host) -> Listing:
        """List every point of ours, of whatever rollout. Changes nothing."""
        ...

    def remove(self, ask: Ask, host: Host, name: str) -> str:
        """Remove a point and list again; return why it may still be there, or nothing."""
        ...

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Say how the point is brought back. Pure."""
        ...


def _package_versions(rule: RestorePointRule) -> Snapshotter:
    from wavemend.snapshots.package_versions import PackageVersions

    return PackageVersions(rule)


def _snapper(rule: RestorePointRule) -> Snapshotter:
    from wavemend.snapshots.listed import ListedPoints
    from wavemend.snapshots.snapper import Snapper

    return ListedPoints(Snapper(rule))


def _btrfs(rule: RestorePointRule) -> Snapshotter:
    from wavemend.snapshots.btrfs import Btrfs
    from wavemend.snapshots.listed import ListedPoints

    return ListedPoints(Btrfs(rule))


def _lvm(rule: RestorePointRule) -> Snapshotter:
    from wavemend.snapshots.listed import ListedPoints
    from wavemend.snapshots.lvm import Lvm

    return ListedPoints(Lvm(rule))


def _zfs(rule: RestorePointRule) -> Snapshotter:
    from wavemend.snapshots.listed import ListedPoints
    from wavemend.snapshots.zfs import Zfs

    return ListedPoints(Zfs(rule))


def _libvirt(rule: RestorePointRule) -> Snapshotter:
    from wavemend.snapshots.libvirt import Libvirt
    from wavemend.snapshots.listed import ListedPoints

    return ListedPoints(Libvirt(rule))


def _windows(rule: RestorePointRule) -> Snapshotter:
    from wavemend.snapshots.listed import ListedPoints
    from wavemend.snapshots.windows import Windows

    return ListedPoints(Windows(rule), loses_data=False)


def _commands(rule: RestorePointRule) -> Snapshotter:
    from wavemend.snapshots.commands import Commands
    from wavemend.snapshots.listed import ListedPoints

    return ListedPoints(Commands(rule))


SNAPSHOTS: Mapping[str, Callable[[RestorePointRule], Snapshotter]] = {
    "btrfs": _btrfs,
    "commands": _commands,
    "libvirt": _libvirt,
    "lvm": _lvm,
    "package_versions": _package_versions,
    "snapper": _snapper,
    "windows": _windows,
    "zfs": _zfs,
}
