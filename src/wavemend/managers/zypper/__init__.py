"""SUSE and openSUSE: zypper, asked for its XML.

Where to look: `facts.sh` asks, `answers.py`, `pending.py` and `facts.py` read the answer;
`apply.sh` and `mend.sh` are what a detached job runs; what all hosts with RPM share is in
`managers/rpm`.

Patches are read, for what they fix, and never installed: `zypper patch` leaves out those that ask
for a reboot and ends with 0. Their packages are installed, each in its exact version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.hosts import DEFAULT_OPTIONS, Facts, Host, ManagerOptions
from wavemend.managers import Manager
from wavemend.managers.reading.asking import Nonce, fresh_nonce
from wavemend.managers.rpm import scripts
from wavemend.managers.rpm.logs import NO_END, RpmLog, judge
from wavemend.managers.rpm.targets import checked, without_kernels
from wavemend.managers.zypper.answers import Answer, Summary, read_answer, read_summary
from wavemend.managers.zypper.exits import EXIT_MEANING, GOOD, SUCCESS
from wavemend.managers.zypper.facts import build_facts
from wavemend.managers.zypper.pending import word_of
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport

_APPLY = ("zypper/apply.sh",)


@dataclass(frozen=True, slots=True)
class ZypperManager:
    """The `zypper` package manager; see `wavemend.managers.Manager` for what each part promises."""

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
            ("zypper/facts.sh",),
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
            ("zypper/rehearse.sh",),
            _words(targets),
            nonce=self.nonce(),
            deadline=deadline,
        )
        answer = read_answer(section)
        summary = read_summary(answer)
        return Transaction(
            installs=summary.incoming,
            removals=summary.removed,
            refusal=_refusal(answer, summary),
            download_bytes=summary.download_bytes,
            install_bytes=summary.install_bytes,
        )

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure."""
        return scripts.job(
            self.options, _APPLY, ("newer", *_words(targets)), also_good=GOOD - {SUCCESS}
        )

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that takes packages back to exactly these older versions. Pure.

        Kernels stay as they are, see `without_kernels`; packages that were new stay too.
        """
        words = _words(without_kernels(targets))
        return scripts.job(self.options, _APPLY, ("older", *words), also_good=GOOD - {SUCCESS})

    def repair_script(self) -> JobScript:
        """Return the job that finishes a cut transaction; see rpm/repair.sh for what it does."""
        return scripts.job(self.options, ("zypper/mend.sh", scripts.REPAIR))

    def end_trouble(self, status: int | None) -> str:
        """Say why an exit status is no good end; empty when it is one. Pure."""
        if status is None:
            return NO_END
        if status in GOOD:
            return ""
        return EXIT_MEANING.get(status, f"exit status {status}, which zypper does not document")

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows. Pure."""
        return judge(RpmLog(meanings=EXIT_MEANING, tool="zypper"), targets, before, after, end)


def _words(targets: Sequence[Target]) -> tuple[str, ...]:
    return tuple(word_of(target) for target in checked(targets))


def _refusal(answer: Answer, summary: Summary) -> str:
    """Say why it would not be done at all; empty when it would."""
    if answer.status != SUCCESS:
        meaning = EXIT_MEANING.get(answer.status, f"exit status {answer.status}")
        return f"{meaning}: {answer.words}"
    if answer.root is None:
        return f"its answer could not be read: {answer.words[:200]}"
    return f"it would {summary.unwanted}" if summary.unwanted else ""


ZYPPER: Manager = ZypperManager()

__all__ = ["EXIT_MEANING", "ZYPPER", "ZypperManager"]
