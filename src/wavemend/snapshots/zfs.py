"""ZFS: snapshots of one dataset, rolled back in place."""

from dataclasses import dataclass

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Host
from wavemend.packages import JobScript
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import Command, Found, RestoreOnHost, Restoring, Subject
from wavemend.snapshots.listed import kept_thing

_ZFS = ("env", "LC_ALL=C.UTF-8", "LANGUAGE=", "PATH=/usr/sbin:/sbin:/usr/bin:/bin", "zfs")


@dataclass(frozen=True, slots=True)
class Zfs:
    """`restore_point.of` is a dataset, `rpool/ROOT/debian`."""

    rule: RestorePointRule

    @property
    def restores(self) -> str:
        """Say what `zfs rollback` does."""
        return (
            f"the dataset {self.rule.of} in place, then a restart: everything written to it since "
            "is lost for good; refused while newer snapshots of it exist (theirs would be "
            "destroyed); child datasets and other pools stay as they are"
        )

    def create(self, subject: Subject) -> Command:
        """Not recursive: a rollback is not either."""
        point = f"{self._dataset(subject.host)}@{subject.name}"
        return _ask("make a ZFS snapshot", "snapshot", point)

    def listing(self, host: Host) -> Command:
        """The dataset's own snapshots."""
        words = ("list", "-H", "-t", "snapshot", "-o", "name", "-d", "1", self._dataset(host))
        return _ask("list ZFS snapshots", *words)

    def read(self, text: str) -> tuple[Found, ...]:
        """Read `dataset@snapshot` lines."""
        found = []
        for line in text.splitlines():
            dataset, mark, name = line.partition("@")
            if not dataset or not mark or not name:
                raise HostAnswerInvalid(f"zfs listed {line!r}, which is no snapshot")
            found.append(Found(name=name, reference=line))
        return tuple(found)

    def remove(self, host: Host, found: Found) -> Command:
        """Destroy the snapshot alone; one that a clone rests on is refused by zfs."""
        return _ask("destroy a ZFS snapshot", "destroy", f"{self._dataset(host)}@{found.name}")

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Never with -r, which destroys newer snapshots, somebody's backups among them."""
        point = f"{self._dataset(subject.host)}@{found.name}"
        script = JobScript(text='exec "$@"\n', args=(*_ZFS, "rollback", point))
        return RestoreOnHost(script=script, restarts=True)

    def _dataset(self, host: Host) -> str:
        form = r"[A-Za-z][A-Za-z0-9_.:-]*(?:/[A-Za-z0-9_.:-]+)*"
        return kept_thing(self.rule, host, default="", form=form, what="a ZFS dataset")


def _ask(title: str, *words: str) -> Command:
    return Command(title=title, place=Place.HOST, argv=(*_ZFS, *words))
