"""Restore points: what can be brought back after a change, proven before it.

To add one: write `snapshots/<kind>.py` with a `prove(transport, targets, name, deadline)`, add a
line to `SNAPSHOTS`, and say in `restores` honestly what it can and cannot bring back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wavemend.packages import Target
from wavemend.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePoint:
    """What was proven. `restores` is what a person reads at 2 a.m.: no promise beyond it."""

    kind: str
    name: str
    proven: bool
    restores: str
    detail: str


class Snapshotter(Protocol):
    """One kind of restore point."""

    def prove(
        self, transport: Transport, before: Sequence[Target], name: str, *, deadline: float
    ) -> RestorePoint:
        """Make sure that the versions in `before` can come back. Raises a TransportError."""
        ...


def _package_versions() -> Snapshotter:
    from wavemend.snapshots.package_versions import PACKAGE_VERSIONS

    return PACKAGE_VERSIONS


SNAPSHOTS: Mapping[str, Callable[[], Snapshotter]] = {"package_versions": _package_versions}
