"""snapper: snapshots of a btrfs subvolume as SUSE makes them, and Debian or Fedora may."""

import csv
from dataclasses import dataclass

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Host
from wavemend.packages import JobScript
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import Command, Found, RestoreOnHost, Restoring, Subject
from wavemend.snapshots.listed import kept_thing

_ROOT = "root"

# Without a bus (a container, a rescue system) snapper works by itself when told so.
_RUN = """\
export LC_ALL=C.UTF-8 LANGUAGE= PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin"
[ -S /run/dbus/system_bus_socket ] || set -- --no-dbus "$@"
exec snapper "$@" </dev/null
"""


@dataclass(frozen=True, slots=True)
class Snapper:
    """`restore_point.of` names a snapper configuration; without it `root`."""

    rule: RestorePointRule

    @property
    def restores(self) -> str:
        """Say what `snapper rollback` and `undochange` do."""
        if self.rule.of in {"", _ROOT}:
            return (
                "the root subvolume by snapper rollback and a restart: what was written to it "
                "since is out of sight, in the snapshot that snapper makes of it first; other "
                "subvolumes and file systems stay as they are"
            )
        return (
            f"the files of the snapper configuration {self.rule.of}: those changed since are "
            "taken back at once, what was written to them is lost; running services keep what "
            "they have open, other subvolumes stay as they are"
        )

    def create(self, subject: Subject) -> Command:
        """No clean-up algorithm: snapper must not take it away before its time."""
        return self._ask(
            subject.host,
            "make a snapper snapshot",
            "create",
            "--type",
            "single",
            "--description",
            subject.name,
        )

    def listing(self, host: Host) -> Command:
        """Number and description of each snapshot."""
        columns = ("list", "--columns", "number,description")
        return self._ask(host, "list snapper's snapshots", *columns, before=("--csvout",))

    def read(self, text: str) -> tuple[Found, ...]:
        """Read snapper's comma-separated list."""
        rows = list(csv.reader(text.splitlines()))
        if not rows or rows[0] != ["number", "description"] or any(len(row) != 2 for row in rows):
            raise HostAnswerInvalid("snapper's list is not in its comma-separated form")
        return tuple(Found(name=row[1], reference=row[0]) for row in rows[1:])

    def remove(self, host: Host, found: Found) -> Command:
        """Delete by number."""
        return self._ask(host, "delete a snapper snapshot", "delete", found.reference)

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Roll the root back with the next boot; take files of other configurations back now."""
        config = self._config(subject.host)
        words = ("rollback", found.reference)
        if config != _ROOT:
            words = ("undochange", f"{found.reference}..0")
        script = JobScript(text=_RUN, args=("-c", config, *words))
        return RestoreOnHost(script=script, restarts=config == _ROOT)

    def _config(self, host: Host) -> str:
        form = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
        what = "the name of a snapper configuration"
        return kept_thing(self.rule, host, default=_ROOT, form=form, what=what)

    def _ask(self, host: Host, title: str, *words: str, before: tuple[str, ...] = ()) -> Command:
        return Command(
            title=title,
            place=Place.HOST,
            argv=("/bin/sh", "-s", "--", *before, "-c", self._config(host), *words),
            stdin=_RUN.replace("exec snapper", "snapper").encode(),
        )
