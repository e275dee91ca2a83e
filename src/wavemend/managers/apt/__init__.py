"""Debian and Ubuntu: apt-get and dpkg, read and driven by POSIX sh over one connection.

Where to look: `facts.sh` asks, `parse.py`, `pending.py`, `bonds.py`, `withheld.py`,
`repositories.py`, `kernels.py` and `facts.py` read the answer; `targets.py` turns a plan's packages
into arguments; `apply.sh` and `repair.sh` are what a detached job runs; `judge.py` says what came
of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import DEFAULT_OPTIONS, Conffiles, Facts, Host, ManagerOptions, Services
from wavemend.managers import Manager
from wavemend.managers.apt.facts import build_facts
from wavemend.managers.apt.judge import EXIT_MEANING, explain_exit, judge
from wavemend.managers.apt.parse import read_simulation, read_sizes, refusal_words
from wavemend.managers.apt.targets import (
    rehearsal_argv,
    repair_argv,
    transaction_argv,
    undo_argv,
)
from wavemend.managers.reading.asking import ANSWER_BOUND, Nonce, ask_facts, fresh_nonce, script
from wavemend.managers.reading.sections import split_sections
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport


@dataclass(frozen=True, slots=True)
class AptManager:
    """The `apt` package manager; see `wavemend.managers.Manager` for what each part promises."""

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
        sections, asked = ask_facts(
            transport,
            "apt",
            host.name,
            now,
            nonce=self.nonce(),
            refresh=refresh,
            deadline=deadline,
        )
        return build_facts(host, sections, asked)

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Ask apt-get what it would do for exactly these targets. Changes nothing."""
        nonce = self.nonce()
        result = transport.run_as_root(
            ("/bin/sh", "-s", "--", nonce, *rehearsal_argv(targets)),
            stdin=script("apt", "rehearse.sh"),
            deadline=deadline,
            bound=ANSWER_BOUND,
        )
        text = result.stdout.decode(errors="replace")
        sections = split_sections(text, nonce, "rehearsal")
        section = sections.get("rehearsal")
        if section is None or result.dropped_bytes:
            raise HostAnswerInvalid("the rehearsal's answer is not in the agreed form")
        simulation = read_simulation(section.lines)
        installs = (
            Target(name=step.name, arch=step.arch, version=step.candidate)
            for step in simulation.steps
            if not step.removes
        )
        refusal = ""
        if section.status != 0:
            refusal = f"{explain_exit(section.status)}: {refusal_words(section)}"
        elif simulation.unread:
            refusal = f"its answer could not be read: {simulation.unread[0]!r}"
        download_bytes, install_bytes = read_sizes(sections.get("sizes"))
        return Transaction(
            installs=tuple(sorted(installs)),
            removals=tuple(sorted(step.name for step in simulation.steps if step.removes)),
            refusal=refusal,
            download_bytes=download_bytes,
            install_bytes=install_bytes,
        )

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure."""
        conffiles = self.options.conffiles
        return self._job("apply.sh", _STAYS[conffiles], *transaction_argv(targets, conffiles))

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that takes packages back to exactly these older versions. Pure.

        Never by removing: a package that was new stays. Configuration files stay as they are.
        """
        return self._job("apply.sh", _STAYS[Conffiles.KEEP], *undo_argv(targets))

    def repair_script(self) -> JobScript:
        """Return the job that configures what was unpacked, and unpacks again what was cut.

        It brings in no other version and no other package. Exit status 0: nothing is left in
        between; 71: something is. A second look decides, as always.
        """
        return self._job("repair.sh", *repair_argv())

    def _job(self, name: str, *args: str) -> JobScript:
        parts = script("reading", "frame.sh"), script("apt", "changing.sh"), script("apt", name)
        restarts = "a" if self.options.services is Services.RESTART else "l"
        # The first two are the frame's: a job has no nonce and refreshes nothing.
        return JobScript(text=b"".join(parts).decode(), args=("-", "0", restarts, *args))

    def end_trouble(self, status: int | None) -> str:
        """Say why an exit status is no good end; empty when it is one. Pure.

        100 adds nothing to what the second look sees: dpkg keeps for each package whether its
        scripts ran to their end.
        """
        return "" if status in {None, 0, 100} else explain_exit(status)

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows. Pure."""
        return judge(targets, before, after, end)


_STAYS = {Conffiles.KEEP: "old", Conffiles.REPLACE: "new"}

APT: Manager = AptManager()

__all__ = ["APT", "EXIT_MEANING", "AptManager", "explain_exit"]
