"""Debian and Ubuntu: apt-get and dpkg, read and driven by POSIX sh over one connection.

Where to look: `facts.sh` asks, `parse.py`, `pending.py`, `kernels.py` and `facts.py` read the
answer; `targets.py` turns a plan's packages into arguments; `apply.sh` is what a detached job
runs; `judge.py` says what came of it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, Host
from wavemend.managers import Manager
from wavemend.managers.apt.facts import Asked, build_facts
from wavemend.managers.apt.judge import EXIT_MEANING, explain_exit, judge
from wavemend.managers.apt.parse import read_simulation, refusal_words, split_sections
from wavemend.managers.apt.targets import rehearsal_argv, transaction_argv
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport

ANSWER_BOUND = 8_388_608
"""Bytes of one answer: 6,000 packages with 600 pending updates make about 2 MiB."""

REFRESH_SECONDS = 300
"""Longest refresh of the package index; the connection's own deadline shortens it."""

_REST_SECONDS = 90
"""Kept free of the deadline for what follows the refresh: simulations on a slow disk."""


@dataclass(frozen=True, slots=True)
class AptManager:
    """The `apt` package manager; see `wavemend.managers.Manager` for what each part promises."""

    nonce: Callable[[], str] = lambda: secrets.token_hex(16)
    """Marks the frames of an answer, so that nothing a package prints can pass for one."""

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        """Look at the host in one round trip; with `refresh` the index is renewed first."""
        nonce = self.nonce()
        seconds = max(10, min(REFRESH_SECONDS, int(deadline) - _REST_SECONDS)) if refresh else 0
        result = transport.run_as_root(
            ("/bin/sh", "-s", "--", nonce, str(seconds)),
            stdin=_text("facts.sh"),
            deadline=deadline,
            bound=ANSWER_BOUND,
        )
        if result.dropped_bytes:
            raise HostAnswerInvalid(
                f"{host.name}: the answer is larger than {ANSWER_BOUND // 1_048_576} MiB",
                hint="look at what dpkg-query -W and apt-get -s upgrade print on the host",
            )
        text = result.stdout.decode(errors="replace")
        sections = split_sections(text, nonce, host.name)
        return build_facts(host, sections, Asked(now=now, seconds=result.seconds))

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Ask apt-get what it would do for exactly these targets. Changes nothing."""
        nonce = self.nonce()
        result = transport.run_as_root(
            ("/bin/sh", "-s", "--", nonce, *rehearsal_argv(targets)),
            stdin=_text("rehearse.sh"),
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
        return Transaction(
            installs=tuple(sorted(installs)),
            removals=tuple(sorted(step.name for step in simulation.steps if step.removes)),
            refusal=refusal,
        )

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that brings exactly these targets in. Pure."""
        return JobScript(text=_text("apply.sh").decode(), args=transaction_argv(targets))

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows. Pure."""
        return judge(targets, before, after, end)


@cache
def _text(name: str) -> bytes:
    return files("wavemend").joinpath("managers", "apt", name).read_bytes()


APT: Manager = AptManager()

__all__ = ["APT", "EXIT_MEANING", "AptManager", "explain_exit"]
