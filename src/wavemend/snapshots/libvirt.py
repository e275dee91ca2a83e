"""libvirt: snapshots of the virtual machine a host is, made by virsh on the worker."""

from dataclasses import dataclass

from wavemend.hosts import Host
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import Command, Found, RestoreOnWorker, Restoring, Subject
from wavemend.snapshots.listed import kept_thing, names_in

_SECONDS = 900.0
"""A snapshot of a running machine writes its memory out."""


@dataclass(frozen=True, slots=True)
class Libvirt:
    """`restore_point.of` is `domain`, or `URI domain`; without it the host's name.

    Without a URI virsh takes its own default, LIBVIRT_DEFAULT_URI on the worker.
    """

    rule: RestorePointRule

    @property
    def restores(self) -> str:
        """Say what `virsh snapshot-revert` does."""
        return (
            "the virtual machine with all disks that its snapshot holds: everything written since "
            "is lost for good, the journal of this change too; disks outside libvirt, passed "
            "through or on the network, stay as they are"
        )

    def create(self, subject: Subject) -> Command:
        """All disks or none."""
        words = ("--name", subject.name, "--atomic")
        return self._ask(subject.host, "make a libvirt snapshot", "snapshot-create-as", *words)

    def listing(self, host: Host) -> Command:
        """The domain's snapshots, one name per line."""
        return self._ask(host, "list libvirt snapshots", "snapshot-list", "--name")

    def read(self, text: str) -> tuple[Found, ...]:
        """Read one name per line."""
        return names_in(text)

    def remove(self, host: Host, found: Found) -> Command:
        """Delete this snapshot; its children are kept."""
        words = ("--snapshotname", found.name)
        return self._ask(host, "delete a libvirt snapshot", "snapshot-delete", *words)

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Revert, and let the machine run: one that does not boot any more is brought back too."""
        words = ("--snapshotname", found.name, "--running")
        title = "revert to a libvirt snapshot"
        return RestoreOnWorker(command=self._ask(subject.host, title, "snapshot-revert", *words))

    def _ask(self, host: Host, title: str, verb: str, *words: str) -> Command:
        form = r"(?:[a-z][a-z0-9+.-]*://\S* )?[A-Za-z0-9_][A-Za-z0-9_.:+-]*"
        what = "a libvirt domain, or a connection URI and a domain"
        text = kept_thing(self.rule, host, default="{host}", form=form, what=what)
        uri, _, domain = text.rpartition(" ")
        connect = ("-c", uri) if uri else ()
        return Command(
            title=title,
            place=Place.WORKER,
            argv=("virsh", "-q", *connect, verb, "--domain", domain, *words),
            environment={"LC_ALL": "C.UTF-8", "LANGUAGE": ""},
            seconds=_SECONDS,
        )
