"""Where a controller can die: every place that writes durably or reaches a host, from the code.

A site is one call in the source. At run time the calls are counted by the line they come from, so
what was found in the code and what was passed can be compared, and any site can be struck.
"""

import ast
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wavemend.errors import TransportError

ROOT = Path(__file__).resolve().parents[2]

PARTS = (
    "src/wavemend/execution",
    "src/wavemend/managers",
    "src/wavemend/snapshots",
    "src/wavemend/steps",
    "src/wavemend/windows",
    "tasks",
)
"""Where effects are made. What only decides (rollout, planning) or stores (ledger) has none."""

EFFECTS = frozenset({"writing", "run", "run_as_root", "operate"})
"""Calls that write durably, reach a host, or run an operator's command on the worker."""

BEFORE, AFTER = "before", "after"

ELSEWHERE = {
    "execution/jobs.py forbid_job run": "an attempt that is given up before its begin: "
    "tests/contract/test_attempt_deaths.py",
    "execution/jobs.py read_journal run": "reads, in reconciliation only",
    "execution/jobs.py remove_job run": "no rollout uses it; tests/contract/test_jobs.py",
    "execution/restore_points.py _Asking._on_worker operate": "points of the operator's commands: "
    "tests/contract/test_restore_points.py",
    "execution/rollback.py _refused writing": "a refusal: nothing was begun, nothing follows",
    "execution/rounds.py _next_round writing": "managers with rounds alone: Windows Update: "
    "tests/contract/test_windows_deaths.py",
    "execution/taking_back.py _by_worker operate": "points of the operator's commands: "
    "tests/contract/test_rollback.py",
    "execution/taking_back.py _restarted writing": "points that take effect with a restart: "
    "tests/contract/test_rollback.py and test_rollback_ledger.py",
    "steps/freeze_seen.py freeze_seen writing": "a plan, stored as freeze_plan's is",
    "steps/nights.py note_night writing": "a night without a rollout, in one transaction: "
    "tests/orchestration/test_nights.py",
    "steps/readiness.py _switch_on writing": "told once before a host is switched on; when the "
    "worker dies between, the next occasion tells it again",
    "steps/readiness.py _switch_on #2 writing": "a note in the audit chain: nothing follows",
    "steps/readiness.py _wait_for writing": "a look that is only noted; its host was off",
    "steps/reconcile.py reconcile_host writing": "tests/contract/test_reconcile.py",
    "steps/restore_points.py decide_stays writing": "after rollouts; what is left is decided in "
    "the next hour",
    "steps/restore_points.py forget_point writing": "a person's word, in one transaction: "
    "tests/contract/test_point_stays.py",
    "steps/restore_points.py remove_point writing": "after rollouts; safe to repeat",
    "steps/restore_points.py remove_point #2 writing": "after rollouts; a removal that was begun "
    "is taken up again: tests/contract/test_restore_points.py",
    "steps/scan.py scan_host writing": "a look outside of rollouts, in one transaction",
    "tasks/emergencies.py _begin writing": "an emergency rollout is opened, in one transaction; "
    "one that no run works for is taken up as any other",
    "tasks/emergencies.py _begin #2 writing": "which run works for it: without the note the run "
    "does all the same",
    "tasks/feeds.py load_results writing": "outside of rollouts, in one transaction",
    "tasks/feeds.py tell writing": "outside of rollouts, in one transaction",
    "tasks/rolling_back.py begin_run writing": "what a run was asked for, before its first host: "
    "tests/contract/test_resume_rollbacks.py",
    "tasks/rolling_back.py end_run writing": "after its last host; a run taken up again finds "
    "each rollback ended, and its report is renewed: tests/contract/test_reports_renewed.py",
    "tasks/readiness.py _notify writing": "a note in the audit chain: nothing follows",
    "windows/calling.py call run": "every call of a Windows host: "
    "tests/contract/test_windows_deaths.py",
    **{
        f"windows/selftest.py {question} run": "a person's self-test, outside of rollouts, which "
        "writes nothing down and changes nothing: tests/contract/test_winrm_selftest.py"
        for question in ("is_administrator", "packages", "powershell", "second_connection")
    },
}
"""Sites that the rollouts of the crash tests do not pass, and why that is no hole."""

SELDOM = frozenset(
    {
        "execution/lost.py Watch.lost writing",
        "steps/lease.py _beat writing",
        "steps/lease.py hold writing",
    }
)
"""Sites of which one side or both may not be met: a host is lost when it happens to restart between
two questions (tests/live/test_network_cut.py cuts the line there), a controller beats when it lives
for 15 s, and gives its lease back once, at the very end."""

PASSED_FILES = frozenset(
    {
        "execution/attempt.py",
        "execution/finish.py",
        "execution/hooks.py",
        "execution/jobs.py",
        "execution/looks.py",
        "execution/lost.py",
        "execution/probes.py",
        "execution/reboot.py",
        "execution/restore_points.py",
        "execution/rollback.py",
        "execution/rollback_room.py",
        "execution/rounds.py",
        "execution/start.py",
        "execution/taking_back.py",
        "managers/apt/__init__.py",
        "managers/reading/asking.py",
        "steps/assess.py",
        "steps/decide.py",
        "steps/freeze.py",
        "steps/lease.py",
        "steps/prepare.py",
        "steps/readiness.py",
        "steps/waves.py",
        "tasks/opening.py",
    }
)
"""Files of which rollouts pass a site: an effect in any other file is asked about within seconds,
not only when tests/live/test_crash_points.py has died everywhere else."""


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """One call in the source, named by its file, function and number within it."""

    file: str
    function: str
    number: int
    effect: str
    first_line: int
    last_line: int

    def __str__(self) -> str:
        more = f" #{self.number}" if self.number > 1 else ""
        return f"{self.file} {self.function}{more} {self.effect}"


@cache
def sites() -> tuple[Site, ...]:
    """Return every site of the code as it is now, sorted."""
    files = sorted(file for part in PARTS for file in (ROOT / part).rglob("*.py"))
    return tuple(sorted(site for file in files for site in _sites_of(file)))


def _sites_of(file: Path) -> Iterator[Site]:
    name = str(file.relative_to(ROOT)).removeprefix("src/wavemend/")
    counts: dict[tuple[str, str], int] = {}
    for function, call in _calls(ast.parse(file.read_text()), ""):
        target = call.func
        if not isinstance(target, ast.Attribute) or target.attr not in EFFECTS:
            continue
        if isinstance(target.value, ast.Name) and target.value.id in {"subprocess", "shell"}:
            continue  # the worker's own means, below what `operate` stands for
        effect = "run" if target.attr == "run_as_root" else target.attr
        number = counts[function, effect] = counts.get((function, effect), 0) + 1
        yield Site(name, function, number, effect, call.lineno, call.end_lineno or call.lineno)


def _calls(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _calls(child, f"{function}.{child.name}" if function else child.name)
            continue
        if isinstance(child, ast.Call):
            yield function, child
        yield from _calls(child, function)


@cache
def _by_file() -> dict[str, list[Site]]:
    found: dict[str, list[Site]] = {}
    for site in sites():
        folder = "" if site.file.startswith("tasks/") else "src/wavemend/"
        found.setdefault(str(ROOT / folder / site.file), []).append(site)
    return found


def site_of_caller() -> str:
    """Return the site that the call now on the stack comes from; else file and line, in brackets.

    The innermost frame in one of the parts counts: what calls it has no effect of its own.
    """
    frame = sys._getframe(1)
    while frame is not None:
        for site in _by_file().get(frame.f_code.co_filename, ()):
            if site.first_line <= frame.f_lineno <= site.last_line:
                return str(site)
        frame = frame.f_back  # type: ignore[assignment]
    return "(elsewhere)"


@dataclass(frozen=True, slots=True)
class Passed:
    """One place that a controller passed: its process, the moment, the site and the side."""

    pid: int
    at: float
    """Monotonic seconds, the same for all processes of this machine."""
    about: str
    """The thread's name, which is the host it works for."""
    side: str
    site: str
    died: bool


@dataclass(frozen=True, slots=True)
class Fate:
    """Notes every place a controller passes, and kills it at the one it is told to die at.

    `at`: the places counted by this process alone, -1 for none. `steered`: die at the first place,
    site and side, that no process of this log has died at yet.
    """

    log: Path
    at: int = -1
    steered: bool = False
    sides: tuple[str, ...] = (BEFORE, AFTER)

    def controller(self) -> "Struck":
        """Return the fate of the process that asks."""
        died = {(one.site, one.side) for one in read_log(self.log) if one.died}
        return Struck(self, frozenset(died))


class Struck:
    """One process under its fate."""

    def __init__(self, fate: Fate, spared: frozenset[tuple[str, str]]) -> None:
        self._fate = fate
        self._spared = spared
        self._lock = threading.Lock()
        self._count = 0
        self._log = os.open(fate.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @contextmanager
    def between(self) -> Iterator[None]:
        """Do one thing between two places to die; a write that is refused has no second one.

        A lost connection is an end like others: the host that was told to restart has gone.
        """
        site = site_of_caller()
        self._pass(BEFORE, site)
        try:
            yield
        except TransportError:
            self._pass(AFTER, site)
            raise
        self._pass(AFTER, site)

    def _pass(self, side: str, site: str) -> None:
        """Note the place; kill this process with SIGKILL when it is the one."""
        with self._lock:
            number, self._count = self._count, self._count + 1
            dies = number == self._fate.at or (
                self._fate.steered
                and side in self._fate.sides
                and not site.startswith("(")
                and (site, side) not in self._spared
            )
            words = (os.getpid(), f"{time.monotonic():.3f}", threading.current_thread().name)
            line = "\t".join([*map(str, words), side, site, "died" if dies else "went on"])
            # One write to the page cache: it is there although the process is killed right after.
            os.write(self._log, f"{line}\n".encode())
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)


def read_log(log: Path) -> tuple[Passed, ...]:
    """Return the places that the controllers of a log passed, oldest first."""
    lines = log.read_text().splitlines() if log.exists() else []
    return tuple(
        Passed(int(pid), float(at), about, side, site, fate == "died")
        for pid, at, about, side, site, fate in (line.split("\t") for line in lines)
    )
