"""RHEL and its rebuilds, Fedora, CentOS 7: dnf4, dnf5 or yum, whichever the host has.

Where to look: `tool.sh` finds out which one it is, `facts.sh` asks, `tables.py`, `pending.py`,
`repositories.py` and `facts.py` read the answer; `apply.sh` and `mend.sh` are what a detached job
runs; what all hosts with RPM share is in `managers/rpm`.

Going back is `downgrade` to exact versions, not `history undo`: that undoes a whole transaction by
its number, takes packages away with it, and refuses once anything came after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.hosts import DEFAULT_OPTIONS, Facts, Host, ManagerOptions
from wavemend.managers import Manager
from wavemend.managers.dnf.exits import EXIT_MEANING, LOCK_WORDS, LOCKED
from wavemend.managers.dnf.facts import build_facts
from wavemend.managers.dnf.tables import Table, read_table
from wavemend.managers.reading.asking import Nonce, fresh_nonce
from wavemend.managers.reading.sections import Section
from wavemend.managers.rpm import scripts
from wavemend.managers.rpm.logs import NO_END, RpmLog, judge
from wavemend.managers.rpm.targets import checked, without_kernels
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport

_APPLY = ("dnf/tool.sh", "dnf/apply.sh")

_ABORTED, _NOTHING = 1, 0
"""What a simulation ends with: the question was answered with no, or there was nothing to ask."""


@dataclass(frozen=True, slots=True)
class DnfManager:
    """The `dnf` package manager; see `wavemend.managers.Manager` for what each part promises."""

    options: ManagerOptions = DEFAULT_OPTIONS
    nonce: Nonce = fresh_nonce

    @property
    def reboot_argv(self) -> tuple[str, ...]:
        """The command that restarts the host."""
        return ("shutdown", "-r", "now")

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        """Look at the host in one round trip; with `refresh` the index is renewed first."""
        sections, asked = scripts.look(
            transport,
            ("dnf/tool.sh", "dnf/facts.sh"),
            host,
            now,
            nonce=self.nonce(),
            refresh=refresh,
            deadline=deadline,
        )
        return build_facts(host, sections, asked)

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Ask what would be done for exactly these targets. Changes nothing."""
        section = scripts.rehearsal(
            transport,
            ("dnf/tool.sh", "dnf/rehearse.sh"),
            _words(targets),
            nonce=self.nonce(),
            deadline=deadline,
        )
        table = read_table(section.lines, section.errors)
        return Transaction(
            installs=tuple(sorted(row.package for row in table.incoming)),
            removals=table.removed,
            refusal=_refusal(section, table),
            download_bytes=table.download_bytes,
            install_bytes=table.install_bytes,
        )

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure."""
        return scripts.job(self.options, _APPLY, ("install", *_words(targets)))

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that takes packages back to exactly these older versions. Pure.

        Kernels stay as they are, see `without_kernels`; packages that were new stay too.
        """
        words = _words(without_kernels(targets))
        return scripts.job(self.options, _APPLY, ("downgrade", *words))

    def repair_script(self) -> JobScript:
        """Return the job that finishes a cut transaction; see rpm/repair.sh for what it does.

        `history redo` and `rpm --rebuilddb` are no repair: the first brings versions in that
        nobody approved, the second reads the same two versions from the same database.
        """
        return scripts.job(self.options, ("dnf/tool.sh", "dnf/mend.sh", scripts.REPAIR))

    def end_trouble(self, status: int | None) -> str:
        """Say why an exit status is no good end; empty when it is one. Pure."""
        if status is None:
            return NO_END
        if status == 0:
            return ""
        return LOCK_WORDS if status == LOCKED else f"dnf ended with exit status {status}"

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows. Pure."""
        tool = _tool_of(end.log)
        log = RpmLog(meanings=EXIT_MEANING.get(tool, {}), tool=tool)
        return judge(log, targets, before, after, end)


def _words(targets: Sequence[Target]) -> tuple[str, ...]:
    return tuple(f"{t.name}-{t.version}.{t.arch}" for t in checked(targets))


def _tool_of(log: bytes) -> str:
    """Return which tool ran, by the job's first lines: each has an exit-code table of its own."""
    for line in log.split(b"\n"):
        if line.startswith(b"wavemend-tool "):
            return line.split()[1].decode(errors="replace")
    return "dnf"


def _refusal(section: Section, table: Table) -> str:
    """Say why it would not be done at all; empty when it would."""
    if section.status not in {_ABORTED, _NOTHING}:
        return f"exit status {section.status}: {_last_words(section)}"
    if section.status == _ABORTED and not table.complete:
        return _last_words(section)
    if table.unread:
        return f"its answer could not be read: {table.unread[0]!r}"
    if table.streams:
        return f"it would enable the module streams {', '.join(table.streams)}"
    if down := table.under("Downgrading"):
        return f"it would downgrade {', '.join(sorted(row.package.name for row in down))}"
    return ""


def _last_words(section: Section) -> str:
    said = [line.strip() for line in (*section.lines, *section.errors)]
    words = [line for line in said if line and not line.startswith(_NO_REASON)]
    return "; ".join(words[-12:])[:1000] or "without a word"


_NO_REASON = (
    "Last metadata",
    "Updating and loading",
    "Repositories loaded",
    "You can try",
    "(try to add",
    "--",
    "Operation aborted",
)

DNF: Manager = DnfManager()

__all__ = ["DNF", "EXIT_MEANING", "DnfManager"]
