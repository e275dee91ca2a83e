"""snap: by the revisions that its channels offer. Not proven on a real store: recorded output."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from wavemend.errors import PlanError
from wavemend.hosts import InstalledPackage, PendingUpdate
from wavemend.managers.beside.source import Additional, PlainLog, Source, offered_now
from wavemend.managers.reading.asking import Nonce, ask, fresh_nonce, refresh_seconds, script
from wavemend.managers.reading.judging import LogReader
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of
from wavemend.packages import JobScript, Target, Transaction
from wavemend.transport import Transport

_NOWHEN = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}(?:_[a-z0-9]{1,10})?")
_REVISION = re.compile(r"[1-9][0-9]{0,9}")
_ANY_REVISION = re.compile(r"x?[1-9][0-9]{0,9}")

LOG = PlainLog(
    tool="snap",
    exits=MappingProxyType(
        {
            0: "snap reports success",
            1: "snap reports an error",
            71: "another revision is offered than was planned, nothing more was changed",
        }
    ),
)
"""71 is snap_change.sh's own."""


@dataclass(frozen=True, slots=True)
class SnapSource:
    """The source `snap`; see `source.Source` for what each part promises."""

    nonce: Nonce = fresh_nonce

    @property
    def name(self) -> str:
        """Return what its architectures begin with."""
        return "snap"

    @property
    def log(self) -> LogReader:
        """Return how its log is read."""
        return LOG

    def read(
        self, transport: Transport, host: str, *, refresh: bool, deadline: float
    ) -> Additional:
        """Look at the host in one round trip; snapd always asks its store."""
        seconds = refresh_seconds(refresh=refresh, deadline=deadline)
        sections, _ = ask(
            transport,
            script("reading", "frame.sh") + script("beside", "snap_facts.sh"),
            host,
            _NOWHEN,
            args=(self.nonce(), str(seconds)),
            deadline=deadline,
        )
        return _additional(sections) if "list" in sections else Additional()

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Say what would be done: a refresh takes one snap to what its channel offers."""
        _words(targets)
        return offered_now(self, transport, targets, deadline=deadline)

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that refreshes exactly these snaps. Pure."""
        return _job("refresh", targets)

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that reverts to revisions which snapd kept on the host. Pure."""
        return _job("revert", targets)


def _job(direction: str, targets: Sequence[Target]) -> JobScript:
    text = script("beside", "snap_change.sh").decode()
    return JobScript(text=text, args=(direction, *_words(targets)))


def _words(targets: Sequence[Target]) -> tuple[str, ...]:
    words: list[str] = []
    for target in sorted(targets):
        if not _NAME.fullmatch(target.name):
            raise PlanError(f"{target.name!r} is not a snap's name")
        if not _REVISION.fullmatch(target.version):
            raise PlanError(f"{target.name}: {target.version!r} is not a snap's revision")
        words += (target.name, target.version)
    return tuple(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of a table of snaps."""

    name: str
    version: str
    revision: str
    tracking: str
    notes: frozenset[str]


def _rows(section: Section, title: str) -> tuple[list[_Row], list[str]]:
    """Return a table's rows by the names of its columns, and the lines that could not be read.

    Which columns there are has changed: sizes came with snapd 2.57.
    """
    rows: list[_Row] = []
    unread: list[str] = []
    columns: list[str] = []
    for line in section.lines:
        words = line.split()
        if words[:3] == ["Name", "Version", "Rev"]:
            columns = words
            continue
        cells = dict(zip(columns, words, strict=False)) if len(words) == len(columns) else {}
        name, revision = cells.get("Name", ""), cells.get("Rev", "")
        if _NAME.fullmatch(name) and _ANY_REVISION.fullmatch(revision):
            rows.append(
                _Row(
                    name=name,
                    version=cells["Version"],
                    revision=revision,
                    tracking=cells.get("Tracking", ""),
                    notes=frozenset(cells.get("Notes", "").split(",")),
                )
            )
        elif not line.startswith("All snaps up to date"):
            unread.append(f"snap {title}: {line[:200]!r} could not be read")
    return rows, unread


def _additional(sections: Mapping[str, Section]) -> Additional:
    listed, unread = _rows(sections["list"], "list")
    installed = {
        row.name: InstalledPackage(
            name=row.name,
            version=row.revision,
            arch=f"snap/{row.tracking}",
            source="snap",
            source_version=row.version,
        )
        for row in listed
    }
    held = {row.name for row in listed if "held" in row.notes}
    offered, odd = _rows(sections["refresh"], "refresh --list")
    pending = [
        PendingUpdate(
            name=row.name,
            arch=installed[row.name].arch,
            installed=installed[row.name].version,
            candidate=row.revision,
            origin=f"{installed[row.name].arch.removeprefix('snap/')} {row.version}",
            held=row.name in held,
        )
        for row in offered
        if row.name in installed
    ]
    errors = [
        f"{title} ended with {sections[key].status}: {'; '.join(sections[key].errors[-2:])}"
        for key, title in (("list", "snap list"), ("refresh", "snap refresh --list"))
        if sections[key].status != 0
    ]
    by_itself = not any(line.startswith("hold:") for line in lines_of(sections, "times"))
    return Additional(
        installed=tuple(sorted(installed.values(), key=lambda item: (item.name, item.arch))),
        pending=tuple(sorted(pending, key=lambda item: (item.name, item.arch))),
        index_errors=(*errors, *unread, *odd),
        rivals=("snapd (refreshes by itself)",) if installed and by_itself else (),
    )


SNAP: Source = SnapSource()
