"""Alpine Linux: apk, read and driven by busybox' sh over one connection.

Where to look: `facts.sh` asks, `steps.py`, `pending.py` and `facts.py` read the answer;
`transaction.sh` is what a detached job runs: it compares a simulation with the plan and changes
nothing where they differ; `wording.py` says what its log means.

Not proven on a real Alpine host: by recorded output, and by busybox' sh against a stand-in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wavemend.errors import HostAnswerInvalid, PlanError
from wavemend.hosts import DEFAULT_OPTIONS, Facts, Host, ManagerOptions, Services
from wavemend.managers import Manager
from wavemend.managers.apk.facts import build_facts
from wavemend.managers.apk.steps import read_steps, troubles
from wavemend.managers.apk.targets import words_of
from wavemend.managers.apk.wording import EXIT_MEANING, ApkLog, explain_exit
from wavemend.managers.reading.asking import Nonce, ask, ask_facts, fresh_nonce, script
from wavemend.managers.reading.judging import judge_targets
from wavemend.managers.reading.sections import Section
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport

_NOWHEN = datetime(1970, 1, 1, tzinfo=UTC)
"""A rehearsal reads no clock."""


@dataclass(frozen=True, slots=True)
class ApkManager:
    """The `apk` package manager; see `wavemend.managers.Manager` for what each part promises."""

    options: ManagerOptions = DEFAULT_OPTIONS
    nonce: Nonce = fresh_nonce

    @property
    def reboot_argv(self) -> tuple[str, ...]:
        """The command that restarts the host."""
        return ("reboot",)

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        """Look at the host in one round trip; with `refresh` the index is renewed first."""
        sections, asked = ask_facts(
            transport,
            "apk",
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
        """Ask apk what it would do for exactly these targets. Changes nothing."""
        sections, _ = ask(
            transport,
            script("reading", "frame.sh") + script("apk", "rehearse.sh"),
            "rehearsal",
            _NOWHEN,
            args=(self.nonce(), "0", *words_of(targets)),
            deadline=deadline,
        )
        if missing := sorted({"upgrade", "exact"} - set(sections)):
            raise HostAnswerInvalid(f"the rehearsal's answer lacks {', '.join(missing)}")
        return _transaction(targets, sections)

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure."""
        if self.options.services is Services.RESTART:
            raise PlanError(
                "apk has no tool of its own that restarts services",
                hint="set `services: list` for these hosts, and restart by a hook or a reboot",
            )
        return self._script("upgrade", targets)

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that takes packages back to these versions, from repository or cache."""
        return self._script("back", targets)

    def _script(self, direction: str, targets: Sequence[Target]) -> JobScript:
        args = (direction, self.options.conffiles.value, *words_of(targets))
        return JobScript(text=script("apk", "transaction.sh").decode(), args=args)

    def repair_script(self) -> JobScript:
        """Return the job that installs again what is marked as broken."""
        return JobScript(text=script("apk", "repair.sh").decode(), args=())

    def end_trouble(self, status: int | None) -> str:
        """Say why an exit status is no good end; empty when it is one. Pure."""
        return "" if status in {None, 0} else explain_exit(status)

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows. Pure."""
        return judge_targets(targets, before, after, end, log=ApkLog())


def _transaction(targets: Sequence[Target], sections: Mapping[str, Section]) -> Transaction:
    """An upgrade that reaches the targets is what would run; else what going back would do."""
    wanted = {(target.name, target.version): target for target in targets}
    chosen = sections["upgrade"]
    steps, unread = read_steps(chosen.lines)
    if not wanted.keys() <= {(step.name, step.new) for step in steps}:
        chosen = sections["exact"]
        steps, unread = read_steps(chosen.lines)
    refusal = ""
    if chosen.status != 0:
        refusal = f"{explain_exit(chosen.status)}: {'; '.join(troubles(chosen)) or 'no word'}"
    elif unread:
        refusal = f"its answer could not be read: {unread[0]!r}"
    arches = {target.name: target.arch for target in targets}
    installs = (
        Target(name=step.name, arch=arches.get(step.name, ""), version=step.new)
        for step in steps
        if step.new
    )
    return Transaction(
        installs=() if refusal else tuple(sorted(installs)),
        removals=tuple(sorted(step.name for step in steps if not step.new)),
        refusal=refusal,
    )


APK: Manager = ApkManager()

__all__ = ["APK", "EXIT_MEANING", "ApkManager", "explain_exit"]
