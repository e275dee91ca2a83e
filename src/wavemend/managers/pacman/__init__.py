"""Arch Linux: pacman, read and driven by POSIX sh over one connection.

Where to look: `shared.sh` comes before every other script; `facts.sh` asks, `records.py`,
`pending.py` and `facts.py` read the answer; `rehearsal.py` says whether exact
versions can come in, and refuses a partial upgrade; `transaction.sh` is what a detached job runs,
forwards and back; `wording.py` says what its log means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wavemend.errors import HostAnswerInvalid, PlanError
from wavemend.hosts import DEFAULT_OPTIONS, Facts, Host, ManagerOptions, Services
from wavemend.managers import Manager
from wavemend.managers.pacman.facts import build_facts
from wavemend.managers.pacman.rehearsal import read_rehearsal
from wavemend.managers.pacman.targets import words_of
from wavemend.managers.pacman.wording import EXIT_MEANING, PacmanLog, explain_exit
from wavemend.managers.reading.asking import Nonce, ask, fresh_nonce, refresh_seconds, script
from wavemend.managers.reading.judging import judge_targets
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport

_NOWHEN = datetime(1970, 1, 1, tzinfo=UTC)
"""A rehearsal reads no clock."""


@dataclass(frozen=True, slots=True)
class PacmanManager:
    """The `pacman` package manager; see `wavemend.managers.Manager` for what each part promises."""

    options: ManagerOptions = DEFAULT_OPTIONS
    nonce: Nonce = fresh_nonce

    @property
    def reboot_argv(self) -> tuple[str, ...]:
        """The command that restarts the host."""
        return ("shutdown", "-r", "now")

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        """Look at the host in one round trip; with `refresh` our copy of the index is renewed."""
        seconds = refresh_seconds(refresh=refresh, deadline=deadline)
        sections, asked = ask(
            transport,
            script("reading", "frame.sh") + _part("shared.sh") + _part("facts.sh"),
            host.name,
            now,
            args=(self.nonce(), str(seconds)),
            deadline=deadline,
        )
        return build_facts(host, sections, asked)

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Ask pacman what it would do for exactly these targets. Changes nothing."""
        sections, _ = ask(
            transport,
            script("reading", "frame.sh") + _part("shared.sh") + _part("rehearse.sh"),
            "rehearsal",
            _NOWHEN,
            args=(self.nonce(), "0", *words_of(targets)),
            deadline=deadline,
        )
        needed = {"copy", "absent", "plan", "installed", "upgradable"}
        if missing := sorted(needed - set(sections)):
            raise HostAnswerInvalid(f"the rehearsal's answer lacks {', '.join(missing)}")
        return read_rehearsal(targets, sections)

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure."""
        if self.options.services is Services.RESTART:
            raise PlanError(
                "pacman has no tool of its own that restarts services",
                hint="set `services: list` for these hosts, and restart by a hook or a reboot",
            )
        return self._transaction(targets)

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that takes packages back to these versions, from the host's cache."""
        return self._transaction(targets)

    def _transaction(self, targets: Sequence[Target]) -> JobScript:
        text = _part("shared.sh") + _part("transaction.sh")
        args = (self.options.conffiles.value, *words_of(targets))
        return JobScript(text=text.decode(), args=args)

    def repair_script(self) -> JobScript:
        """Return the job that removes a dead lock and installs half-written packages again."""
        return JobScript(text=(_part("shared.sh") + _part("repair.sh")).decode(), args=())

    def end_trouble(self, status: int | None) -> str:
        """Say why an exit status is no good end; empty when it is one. Pure.

        Hooks run when all versions are in, and pacman keeps no account of them: without an end
        nobody knows whether the initial ramdisk was built for the new kernel.
        """
        if status is None:
            return f"{explain_exit(None)}: hooks may not have run"
        return "" if status == 0 else explain_exit(status)

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows. Pure."""
        return judge_targets(targets, before, after, end, log=PacmanLog())


def _part(name: str) -> bytes:
    return script("pacman", name)


PACMAN: Manager = PacmanManager()

__all__ = ["EXIT_MEANING", "PACMAN", "PacmanManager", "explain_exit"]
