"""Put the question to CP-SAT: how many hosts of each task in each night, under which rules.

What a night can do, by the rules of a rollout: its waves run one after the other, each in rounds
of as many hosts as its concurrency (and its budgets) allow, each round as long as the slowest
host of the wave (p95), with the pauses between waves that have hosts. A company with a common gap
runs one group at a time, so its rollouts of one night share the time. A task is done in time in
nights that end no later than it is due. Rounds are never shorter than in reality, so a schedule
that is found can be kept; durations beyond p95 are what cut-offs are for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from ortools.sat.python import cp_model

from wavemend.foresight.problem import Night, Placed, Problem, Rule, RuleKind, Task

SECONDS = 30.0
"""Bound of one search; a question of 1,000 hosts and 30 days takes far less."""

_LONG = 100 * 24 * 60
"""Minutes: what a night is taken to have when nobody limits it."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """How far the rules are loosened, in what a solver may choose. Empty: not at all."""

    longer: Mapping[str, cp_model.IntVar] = field(default_factory=dict)
    """By window: minutes by which each of its nights is longer."""
    opened: Mapping[Night, cp_model.IntVar] = field(default_factory=dict)
    """1 for a closed night that is opened all the same."""
    late: Mapping[str, cp_model.IntVar] = field(default_factory=dict)
    """By task: hosts that need not be done in time."""


def total(parts: Iterable[cp_model.LinearExpr]) -> cp_model.LinearExpr:
    """Return the sum of expressions; of none it is zero."""
    return cp_model.LinearExpr.sum(list(parts))


class Model:
    """The constraints of one problem; rules in `without` are left out."""

    def __init__(
        self,
        problem: Problem,
        *,
        without: frozenset[Rule] = frozenset(),
    ) -> None:
        self.problem = problem
        self.cp = cp_model.CpModel()
        self._without = without
        self._placed: dict[tuple[str, Night], cp_model.IntVar] = {}

    def build(self, relaxed: Relaxed | None = None) -> "Model":
        """Add every constraint; returns itself."""
        loosened = relaxed or Relaxed()
        for night in self.problem.nights:
            for task in self._tasks_of(night.key):
                name = f"{task.name}/{night}"
                self._placed[task.name, night] = self.cp.new_int_var(0, task.count, name)
        self._do_all(loosened)
        self._keep_closed(loosened)
        self._keep_budgets()
        times = {night: self._time_of(night) for night in self.problem.nights}
        for night, time in times.items():
            limit, longer = self._limit(night), loosened.longer.get(night.window, 0)
            self.cp.add(time <= limit + longer)
        self._share_company_nights(times, loosened)
        return self

    def solve(self, effort: float | None = None) -> "Answer":
        """Search; the answer says whether there is a schedule, there is none, or time ran out.

        `effort`: bound of the search in the solver's own unit, which counts its steps: about a
        second each, and the same answer on every machine.
        """
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = SECONDS
        if effort is not None:
            solver.parameters.max_deterministic_time = effort
        # One worker and a fixed seed: the same question gets the same answer.
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        status = solver.solve(self.cp)
        found = status in {cp_model.OPTIMAL, cp_model.FEASIBLE}
        schedule = tuple(
            Placed(task=name, night=night, count=count)
            for (name, night), variable in self._placed.items()
            if found and (count := solver.value(variable))
        )
        return Answer(
            found=found,
            decided=found or status == cp_model.INFEASIBLE,
            proven=status in {cp_model.OPTIMAL, cp_model.INFEASIBLE},
            schedule=schedule,
            solver=solver,
        )

    def _tasks_of(self, key: str) -> Iterator[Task]:
        return (task for task in self.problem.tasks if task.key == key)

    def _holds(self, kind: RuleKind, name: str) -> bool:
        return Rule(kind=kind, name=name) not in self._without

    def _do_all(self, relaxed: Relaxed) -> None:
        for task in self.problem.tasks:
            mine = [night for night in self.problem.nights if night.key == task.key]
            everything = [self._placed[task.name, night] for night in mine]
            self.cp.add(total(everything) <= task.count)
            tenant = self.problem.tenants.get(task.key, task.key)
            if task.due is None or not self._holds(RuleKind.DUE, tenant):
                continue
            due = task.due
            in_time = [self._placed[task.name, night] for night in mine if night.end <= due]
            self.cp.add(total(in_time) + relaxed.late.get(task.name, 0) >= task.count)

    def _keep_closed(self, relaxed: Relaxed) -> None:
        for night in self.problem.nights:
            if not any(rule not in self._without for rule in night.closed_by):
                continue
            opened = relaxed.opened.get(night, 0)
            for task in self._tasks_of(night.key):
                self.cp.add(self._placed[task.name, night] <= task.count * opened)

    def _limit(self, night: Night) -> int:
        return night.minutes if self._holds(RuleKind.WINDOW, night.window) else _LONG

    def _time_of(self, night: Night) -> cp_model.LinearExpr:
        """Return the minutes a night's rollout takes, as an expression."""
        time: list[cp_model.LinearExpr] = []
        used: list[tuple[cp_model.IntVar, int]] = []
        pauses = self._holds(RuleKind.PAUSES, night.key)
        for wave in self.problem.waves.get(night.key, ()):
            tasks = [task for task in self._tasks_of(night.key) if task.wave == wave.name]
            if not tasks:
                continue
            members = sum(task.count for task in tasks)
            minutes = max(task.minutes for task in tasks)
            rounds = self.cp.new_int_var(0, members, f"rounds {wave.name}/{night}")
            some = self.cp.new_bool_var(f"used {wave.name}/{night}")
            hosts = total(self._placed[task.name, night] for task in tasks)
            self.cp.add(wave.concurrency * rounds >= hosts)
            self.cp.add(hosts <= members * some)
            self._rounds_of_budgets(tasks, night, rounds)
            time.append(minutes * rounds)
            used.append((some, wave.pause if pauses else 0))
        time += self._pauses_between(used, night)
        return total(time)

    def _pauses_between(
        self, used: list[tuple[cp_model.IntVar, int]], night: Night
    ) -> Iterator[cp_model.LinearExpr]:
        """A wave's pause counts when it and any later wave have hosts."""
        tenant = self.problem.tenants.get(night.key, night.tenant)
        gap = self.problem.gaps.get(tenant, 0) if self._holds(RuleKind.GAP, tenant) else 0
        for at, (some, pause) in enumerate(used[:-1]):
            if not (length := max(pause, gap)):
                continue
            both = self.cp.new_bool_var(f"pause {at}/{night}")
            for later, _ in used[at + 1 :]:
                self.cp.add(both >= some + later - 1)
            yield length * both

    def _rounds_of_budgets(self, tasks: list[Task], night: Night, rounds: cp_model.IntVar) -> None:
        for name, most in sorted(self.problem.budgets.items()):
            members = [task for task in tasks if name in task.budgets]
            if members and self._holds(RuleKind.BUDGET, name):
                out = total(self._placed[task.name, night] for task in members)
                self.cp.add(most * rounds >= out)

    def _keep_budgets(self) -> None:
        """Rollouts of one night that share a budget share its places, too."""
        for name, most in sorted(self.problem.budgets.items()):
            if not self._holds(RuleKind.BUDGET, name):
                continue
            members = [task for task in self.problem.tasks if name in task.budgets]
            for nights in _together(self.problem.nights):
                busy = [
                    task.minutes * self._placed[task.name, night]
                    for night in nights
                    for task in members
                    if task.key == night.key
                ]
                if len({night.key for night in nights}) > 1 and busy:
                    room = max(self._limit(night) for night in nights)
                    self.cp.add(total(busy) <= most * room)

    def _share_company_nights(
        self, times: Mapping[Night, cp_model.LinearExpr], relaxed: Relaxed
    ) -> None:
        """With a common gap a company's rollouts of one night run one after the other."""
        for tenant, gap in sorted(self.problem.gaps.items()):
            if not self._holds(RuleKind.GAP, tenant):
                continue
            mine = tuple(
                night
                for night in self.problem.nights
                if self.problem.tenants.get(night.key, night.tenant) == tenant
            )
            for nights in _together(mine):
                if len(nights) > 1:
                    self._share(nights, gap, times, relaxed)

    def _share(
        self,
        nights: tuple[Night, ...],
        gap: int,
        times: Mapping[Night, cp_model.LinearExpr],
        relaxed: Relaxed,
    ) -> None:
        busy: list[cp_model.LinearExpr] = []
        for night in nights:
            some = self.cp.new_bool_var(f"busy {night.key}/{night}")
            for task in self._tasks_of(night.key):
                self.cp.add(self._placed[task.name, night] <= task.count * some)
            busy.append(some)
        start = min(night.start for night in nights)
        last = max(nights, key=lambda night: night.end)
        free = all(not self._holds(RuleKind.WINDOW, night.window) for night in nights)
        room = _LONG if free else int((last.end - start).total_seconds()) // 60
        longer = relaxed.longer.get(last.window, 0)
        gaps = self.cp.new_int_var(0, len(nights), f"gaps {last}")
        self.cp.add(gaps >= total(busy) - 1)
        self.cp.add(total(times[night] for night in nights) + gap * gaps <= room + longer)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the solver found."""

    found: bool
    decided: bool
    """False: it ran out of time."""
    proven: bool
    """True: there is none, or none that costs less."""
    schedule: tuple[Placed, ...]
    solver: cp_model.CpSolver


def _together(nights: tuple[Night, ...]) -> Iterator[tuple[Night, ...]]:
    """Yield the nights in sets that overlap in time, in order."""
    ordered = sorted(nights, key=lambda night: (night.start, night.end, night.key))
    number, ends = 0, [night.end for night in ordered[:1]]
    numbers = [0] * len(ordered)
    for at, (_, night) in enumerate(pairwise(ordered), start=1):
        if night.start >= max(ends):
            number, ends = number + 1, []
        ends.append(night.end)
        numbers[at] = number
    pairs = zip(numbers, ordered, strict=True)
    for _, members in groupby(pairs, key=lambda pair: pair[0]):
        yield tuple(night for _, night in members)
