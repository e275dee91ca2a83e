"""Make the question smaller without changing its answer: alike tasks together, strangers apart."""

from collections.abc import Iterator
from dataclasses import replace

from wavemend.foresight.problem import Night, Problem, Task


def parts_of(problem: Problem) -> tuple[Problem, ...]:
    """Return problems that share nothing: each can be met, or not, whatever the others do."""
    keys = sorted({task.key for task in problem.tasks})
    leader = {key: key for key in keys}

    def find(key: str) -> str:
        while leader[key] != key:
            key = leader[key]
        return key

    for bound in _bound_together(problem):
        first, *others = (find(key) for key in sorted(bound))
        for other in others:
            leader[find(other)] = find(first)
    members: dict[str, set[str]] = {}
    for key in keys:
        members.setdefault(find(key), set()).add(key)
    return tuple(_part(problem, members[first]) for first in sorted(members))


def _bound_together(problem: Problem) -> Iterator[set[str]]:
    """Keys of one company with a common gap, and keys that share a budget."""
    used = {task.key for task in problem.tasks}
    for tenant in sorted(problem.gaps):
        if bound := {key for key in used if problem.tenants.get(key) == tenant}:
            yield bound
    for name in sorted(problem.budgets):
        if bound := {task.key for task in problem.tasks if name in task.budgets}:
            yield bound


def _part(problem: Problem, keys: set[str]) -> Problem:
    tasks = tuple(task for task in problem.tasks if task.key in keys)
    tenants = {problem.tenants.get(key, key) for key in keys}
    used = {name for task in tasks for name in task.budgets}
    nights = tuple(night for night in problem.nights if night.key in keys)
    return Problem(
        nights=nights,
        waves={key: waves for key, waves in problem.waves.items() if key in keys},
        tasks=_merged(tasks, nights),
        gaps={name: gap for name, gap in problem.gaps.items() if name in tenants},
        budgets={name: most for name, most in problem.budgets.items() if name in used},
        tenants={key: name for key, name in problem.tenants.items() if key in keys},
    )


def _merged(tasks: tuple[Task, ...], nights: tuple[Night, ...]) -> tuple[Task, ...]:
    """Put hosts together that have the same nights before their due date, in the same wave.

    A round of a wave is as long as its slowest host: the others' lengths play no part.
    """
    kinds: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        due = task.due
        in_time = sum(
            night.key == task.key and due is not None and night.end <= due for night in nights
        )
        kind = (task.key, task.wave, task.budgets, due is None, in_time)
        kinds.setdefault(kind, []).append(task)
    return tuple(_one(alike) for alike in kinds.values())


def _one(alike: list[Task]) -> Task:
    dates = [task.due for task in alike if task.due is not None]
    return replace(
        alike[0],
        name=alike[0].name if len(alike) == 1 else f"{alike[0].name} and alike",
        hosts=tuple(name for task in alike for name in task.hosts),
        minutes=max(task.minutes for task in alike),
        due=min(dates, default=None),
    )
