"""What the tests of restore points share: one host's commands run here, or a folder of points."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from wavemend.execution.restore_points import operation_of
from wavemend.hosts import Host
from wavemend.operations import run_here
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import (
    Ask,
    Command,
    Found,
    Missing,
    RestoreOnHost,
    Restoring,
    Said,
    Snapshotter,
    Subject,
)

HOST = Host(name="web1", tenant="acme", address="192.0.2.11")
SUBJECT = Subject(host=HOST, name="wavemend-r-1-web1")


def ask_here(command: Command) -> Said:
    """Run a command here, as root of this machine: the host is this machine."""
    if command.place is Place.WORKER:
        end = run_here(operation_of(command))
        return Said(text=end.output, trouble=end.trouble)
    done = subprocess.run(command.argv, input=command.stdin, capture_output=True, check=False)
    words = (done.stderr or done.stdout).decode(errors="replace").strip()
    trouble = f"exit status {done.returncode}: {words}" if done.returncode else ""
    return Said(text=done.stdout.decode(), trouble=trouble)


def run_script(restoring: Restoring) -> None:
    """Run a host's way back here; it must succeed."""
    assert isinstance(restoring, RestoreOnHost)
    script = restoring.script
    subprocess.run(["/bin/sh", "-s", "--", *script.args], input=script.text.encode(), check=True)


def assert_lives(snapshotter: Snapshotter, ask: Ask = ask_here) -> Found:
    """Make a point twice, and find exactly one; return it."""
    assert isinstance(snapshotter.find(ask, SUBJECT), Missing)
    assert snapshotter.make(ask, SUBJECT) == ""
    assert snapshotter.make(ask, SUBJECT) == ""
    listing = snapshotter.listed(ask, HOST)
    assert listing.trouble == ""
    assert [found.name for found in listing.found] == [SUBJECT.name]
    found = snapshotter.find(ask, SUBJECT)
    assert isinstance(found, Found)
    return found


def assert_removed(snapshotter: Snapshotter, ask: Ask = ask_here) -> None:
    """Remove the point, twice: the second time there is nothing to remove."""
    assert snapshotter.remove(ask, HOST, SUBJECT.name) == ""
    assert snapshotter.listed(ask, HOST).found == ()
    assert snapshotter.remove(ask, HOST, SUBJECT.name) == ""


@dataclass(frozen=True, slots=True)
class Points:
    """An operator's own tool: each point is a file in a folder, its commands are scripts."""

    folder: Path

    def rule(self, *, required: bool = True) -> RestorePointRule:
        """Return the rule of a profile that uses it."""
        self.folder.mkdir(exist_ok=True)
        return RestorePointRule(
            kind="commands",
            required=required,
            create=self._script("create", 'echo "$WAVEMEND_HOST" >"$1/$WAVEMEND_RESTORE_POINT"'),
            find=self._script("find", 'ls "$1"'),
            remove=self._script("remove", 'rm "$1/$WAVEMEND_RESTORE_POINT"'),
            restore=self._script("restore", 'cp "$1/$WAVEMEND_RESTORE_POINT" "$1/../restored"'),
        )

    def _script(self, verb: str, line: str) -> tuple[str, ...]:
        file = self.folder.parent / f"points-{verb}"
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o755)
        return (str(file), str(self.folder))

    def names(self) -> list[str]:
        """Return the points that exist."""
        return sorted(path.name for path in self.folder.iterdir())

    def break_listing(self) -> None:
        """Let the tool fail from now on."""
        self._script("find", "echo the cloud does not answer >&2; exit 7")
