"""Commands of the operator's own: snapshots of a cloud, a hypervisor, a backup tool."""

from dataclasses import dataclass

from wavemend.errors import PlanError
from wavemend.hosts import Host
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import Command, Found, RestoreOnWorker, Restoring, Subject
from wavemend.snapshots.listed import names_in

_SECONDS = 1800.0
"""A cloud's snapshot of a large disk takes its time."""


@dataclass(frozen=True, slots=True)
class Commands:
    """`restore_point.create`, `find`, `remove` and `restore`, run on the worker.

    They are told by WAVEMEND_HOST, WAVEMEND_ADDRESS and WAVEMEND_RESTORE_POINT in their
    environment; `restore` ends when the host is on its way up.
    """

    rule: RestorePointRule

    @property
    def restores(self) -> str:
        """We know only whose word it is."""
        program = self.rule.restore[0] if self.rule.restore else "no command"
        return (
            f"what the operator's own {program} brings back; wavemend knows no more of it, so take "
            "it that everything written since is lost"
        )

    def create(self, subject: Subject) -> Command:
        """Make the point $WAVEMEND_RESTORE_POINT."""
        return _ask("create", self.rule.create, subject.host, subject.name)

    def listing(self, host: Host) -> Command:
        """Print the names of the points that exist, one per line."""
        return _ask("find", self.rule.find, host, "")

    def read(self, text: str) -> tuple[Found, ...]:
        """Read one name per line."""
        return names_in(text)

    def remove(self, host: Host, found: Found) -> Command:
        """Remove the point $WAVEMEND_RESTORE_POINT."""
        return _ask("remove", self.rule.remove, host, found.name)

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Bring the host back to $WAVEMEND_RESTORE_POINT."""
        return RestoreOnWorker(command=_ask("restore", self.rule.restore, subject.host, found.name))


def _ask(verb: str, argv: tuple[str, ...], host: Host, point: str) -> Command:
    if not argv:
        raise PlanError(
            f"the restore point of host {host.name} has no command to {verb}",
            hint=f"declare restore_point.{verb} in its profile",
        )
    return Command(
        title=f"{verb} a restore point",
        place=Place.WORKER,
        argv=argv,
        environment={
            "WAVEMEND_HOST": host.name,
            "WAVEMEND_ADDRESS": host.address,
            "WAVEMEND_RESTORE_POINT": point,
        },
        seconds=_SECONDS,
    )
