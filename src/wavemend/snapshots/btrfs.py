"""btrfs: read-only snapshots of one subvolume, kept at the top of its file system."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from wavemend.hosts import Host
from wavemend.packages import JobScript
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import Command, Found, RestoreOnHost, Restoring, Subject
from wavemend.snapshots.listed import kept_thing, names_in


@dataclass(frozen=True, slots=True)
class Btrfs:
    """`restore_point.of` is the mount point of the subvolume; without it `/`."""

    rule: RestorePointRule

    @property
    def restores(self) -> str:
        """Say what exchanging a subvolume does."""
        return (
            f"the subvolume mounted at {self.rule.of or '/'} with the next boot: what was written "
            "to it since is out of sight, in wavemend-points/replaced-… at the top of the file "
            "system, until the point is removed; other subvolumes stay as they are"
        )

    def create(self, subject: Subject) -> Command:
        """Make a read-only snapshot."""
        return self._ask(subject.host, "make a btrfs snapshot", "create", subject.name)

    def listing(self, host: Host) -> Command:
        """List the subvolumes in the folder of ours."""
        return self._ask(host, "list btrfs snapshots", "list", "")

    def read(self, text: str) -> tuple[Found, ...]:
        """Read one name per line."""
        return names_in(text)

    def remove(self, host: Host, found: Found) -> Command:
        """Delete the snapshot, and what it had replaced."""
        return self._ask(host, "delete a btrfs snapshot", "remove", found.name)

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Put a writable copy in the subvolume's place; the next boot mounts it."""
        script = JobScript(text=_text(), args=("restore", self._mount(subject.host), found.name))
        return RestoreOnHost(script=script, restarts=True)

    def _mount(self, host: Host) -> str:
        what = "the mount point of a btrfs subvolume"
        return kept_thing(self.rule, host, default="/", form=r"/[^\n\0]*", what=what)

    def _ask(self, host: Host, title: str, verb: str, name: str) -> Command:
        return Command(
            title=title,
            place=Place.HOST,
            argv=("/bin/sh", "-s", "--", verb, self._mount(host), name),
            stdin=_text().encode(),
        )


@cache
def _text() -> str:
    return files("wavemend").joinpath("snapshots", "btrfs.sh").read_text()
