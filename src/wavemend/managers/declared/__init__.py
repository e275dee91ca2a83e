"""Managers that are declared in YAML: network equipment, appliances, applications of one's own.

Where to look: `looking.py` and `facts.sh` ask, `rows.py` and `facts.py` read the answers,
`commands.py` turns items into the words of commands, `apply.sh` is what a detached job runs,
`judge.py` says what came of it. The file's form is in `inventory/manager_schema.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wavemend.declarations import GOES_ON, Action, Declaration, ExitMeaning, Rehearsal
from wavemend.errors import PlanError
from wavemend.hosts import Facts, Host
from wavemend.managers.declared.commands import (
    Words,
    commands_for,
    job_arguments,
    kept_arguments,
)
from wavemend.managers.declared.facts import (
    ARCH,
    build_facts,
    explain,
    meaning_of,
    read_answers,
    read_installed,
)
from wavemend.managers.declared.judge import judge
from wavemend.managers.declared.looking import (
    Answers,
    Asker,
    Question,
    Visit,
    fixed_questions,
    item_questions,
)
from wavemend.managers.declared.rows import Row
from wavemend.managers.reading.asking import Nonce, fresh_nonce, script
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport

_UNDATED = datetime.fromtimestamp(0, UTC)
"""For questions of which no fact is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredManager:
    """A manager that does what a declaration says; see `wavemend.managers.Manager`."""

    declaration: Declaration
    nonce: Nonce = fresh_nonce

    @property
    def reboot_argv(self) -> tuple[str, ...]:
        """The command that restarts the host."""
        return self.declaration.reboot

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        """Look at the host: one round trip, and a second one when commands name each item.

        `refresh` changes nothing: a declared command asks its source each time.
        """
        del refresh
        asker = self._asker(transport, host.name, now)
        visit = asker.ask(fixed_questions(self.declaration), deadline=deadline)
        installed, answers = self._about_items(asker, visit, deadline)
        return build_facts(self.declaration, host, visit, installed, answers)

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Say what the change would do, by the declared rehearsal, else by what is offered."""
        asker = self._asker(transport, "rehearsal", _UNDATED)
        if self.declaration.rehearse is None:
            return self._offered(asker, targets, deadline)
        return self._rehearsed(asker, self.declaration.rehearse, targets, deadline)

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure."""
        return self._job(self.declaration.apply, targets)

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that takes items back to exactly these versions. Pure."""
        if self.declaration.roll_back is None:
            raise PlanError(f"{self.declaration.name} declares no roll_back")
        return self._job(self.declaration.roll_back, targets)

    def repair_script(self) -> JobScript:
        """Return the job that mends what was left half done."""
        repair = self.declaration.repair
        if repair is None:
            raise PlanError(f"{self.declaration.name} declares no repair")
        return self._script(repair, repair.steps)

    def old_versions_script(self, targets: Sequence[Target]) -> JobScript:
        """Return what asks the host whether these versions can be brought back. Pure."""
        kept = self.declaration.kept
        if kept is None:
            raise PlanError(
                f"{self.declaration.name} declares no `kept`: nobody can say what can come back"
            )
        commands = [commands_for((kept.run,), (target,), together=False)[0] for target in targets]
        return _with_words("kept.sh", kept_arguments(self.declaration, kept, commands))

    def end_trouble(self, status: int | None) -> str:
        """Say why an exit status is no good end; empty when it is one. Pure."""
        exits = self.declaration.exits
        if status is None or meaning_of(exits, status) in GOES_ON:
            return ""
        return explain(exits, status)

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per item what the second look shows. Pure."""
        return judge(self.declaration, targets, before, after, end)

    def _asker(self, transport: Transport, host: str, now: datetime) -> Asker:
        return Asker(
            declaration=self.declaration,
            transport=transport,
            host=host,
            nonce=self.nonce,
            now=now,
        )

    def _about_items(
        self, asker: Asker, visit: Visit, deadline: float
    ) -> tuple[tuple[Row, ...], Answers]:
        """Ask what needs an item's name, in what is left of the time; return all answers."""
        installed = read_installed(self.declaration, visit.answers, asker.host)
        questions = item_questions(self.declaration, installed)
        if not questions:
            return installed, visit.answers
        more = asker.ask(questions, deadline=max(1.0, deadline - visit.asked.seconds))
        return installed, {**visit.answers, **more.answers}

    def _offered(self, asker: Asker, targets: Sequence[Target], deadline: float) -> Transaction:
        visit = asker.ask(fixed_questions(self.declaration), deadline=deadline)
        _, answers = self._about_items(asker, visit, deadline)
        read = read_answers("available", self.declaration.available, answers["available"])
        offered = {(row.name, row.version) for row in read.rows}
        gone = [t for t in sorted(targets) if (t.name, t.version) not in offered]
        refusal = read.troubles[0] if read.troubles else ""
        if gone and not refusal:
            refusal = f"{gone[0].name} {gone[0].version} is not offered any more"
        installs = tuple(target for target in sorted(targets) if target not in gone)
        return Transaction(installs=installs, removals=(), refusal=refusal)

    def _rehearsed(
        self,
        asker: Asker,
        rehearsal: Rehearsal,
        targets: Sequence[Target],
        deadline: float,
    ) -> Transaction:
        reading = rehearsal.reading
        commands = commands_for((reading.run,), targets, together=rehearsal.together)
        seconds = int(reading.deadline.total_seconds())
        questions = [Question(key="rehearse", words=words, seconds=seconds) for words in commands]
        answers = asker.ask(questions, deadline=deadline).answers["rehearse"]
        read = read_answers("rehearse", reading, answers)
        installs = {Target(name=row.name, arch=ARCH, version=row.version) for row in read.rows}
        if not reading.reads:
            done = all(
                meaning_of(reading.exit, answer.section.status) is ExitMeaning.DONE
                for answer in answers
            )
            installs = set(targets) if done else set()
        refusal = read.troubles[0] if read.troubles else ""
        return Transaction(installs=tuple(sorted(installs)), removals=(), refusal=refusal)

    def _job(self, action: Action, targets: Sequence[Target]) -> JobScript:
        return self._script(action, commands_for(action.steps, targets, together=action.together))

    def _script(self, action: Action, commands: Sequence[Words]) -> JobScript:
        return _with_words("apply.sh", job_arguments(self.declaration, action, commands))


def _with_words(name: str, args: tuple[str, ...]) -> JobScript:
    text = script("declared", "words.sh") + script("declared", name)
    return JobScript(text=text.decode(), args=args)


__all__ = ["ARCH", "DeclaredManager", "explain"]
