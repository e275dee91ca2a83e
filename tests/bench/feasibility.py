"""How long it takes to decide whether 1,000 hosts can meet their due dates within 30 days.

`PYTHONPATH=src:. python -m tests.bench.feasibility`. Two questions of the same size: one that can
be met, and one that cannot, with its smallest conflict and its repairs.
"""

import random
import sys
import time
from datetime import UTC, datetime, timedelta

from wavemend.foresight.answering import decide
from wavemend.foresight.problem import Night, Problem, Rule, RuleKind, Task, Wave

HOSTS, DAYS, KEYS, BUDGETS = 1_000, 30, 10, 20
START = datetime(2026, 12, 1, 21, tzinfo=UTC)


def question(hours: int, *, closed: float, seed: int = 7) -> Problem:
    """Return 1,000 hosts in ten rollout keys of three companies, each host of its own length."""
    rnd = random.Random(seed)
    keys = [f"company-{n % 3}/profile-{n}/window-{n}" for n in range(KEYS)]
    rules = (
        Rule(kind=RuleKind.FREEZE, name="year-end"),
        Rule(kind=RuleKind.DUTY, name="company-0"),
    )
    nights = tuple(
        Night(
            key=key,
            tenant=key.partition("/")[0],
            window=key.rpartition("/")[2],
            start=START + timedelta(days=day),
            end=START + timedelta(days=day, hours=hours),
            closed_by=(rnd.choice(rules),) if rnd.random() < closed else (),
        )
        for key in keys
        for day in range(DAYS)
    )
    waves = (
        Wave(name="pilot", concurrency=2, pause=75),
        Wave(name="broad", concurrency=8, pause=75),
        Wave(name="critical", concurrency=1),
    )
    tasks: dict[tuple[str, str, int, int, str], list[str]] = {}
    for number in range(HOSTS):
        wave = ("pilot", "broad", "broad", "broad", "broad", "critical")[number % 6]
        budget = f"pair-{number % BUDGETS}" if number < 2 * BUDGETS else ""
        kind = (keys[number % KEYS], wave, rnd.randint(2, 9) * 5, rnd.randint(7, DAYS), budget)
        tasks.setdefault(kind, []).append(f"host-{number}")
    return Problem(
        nights=nights,
        waves=dict.fromkeys(keys, waves),
        tasks=tuple(
            Task(
                name=f"{key} {wave} {minutes}m by day {due} {budget}".strip(),
                key=key,
                wave=wave,
                hosts=tuple(hosts),
                minutes=minutes,
                due=START + timedelta(days=due),
                budgets=(budget,) if budget else (),
            )
            for (key, wave, minutes, due, budget), hosts in sorted(tasks.items())
        ),
        gaps={"company-1": 60},
        budgets={f"pair-{n}": 1 for n in range(BUDGETS)},
        tenants={key: key.partition("/")[0] for key in keys},
    )


def main() -> int:
    """Print both times."""
    print("\nFeasibility")
    for hours, closed in ((8, 0.2), (2, 0.5)):
        problem = question(hours, closed=closed)
        begun, cpu = time.monotonic(), time.process_time()
        answer = decide(problem)
        took, cpu = time.monotonic() - begun, time.process_time() - cpu
        said = "feasible" if answer.feasible else f"conflict of {len(answer.conflict)} rules"
        print(
            f"{HOSTS} hosts in {len(problem.tasks)} kinds, {len(problem.nights)} nights of "
            f"{hours} h: {answer.undecided or said}, {cpu:.1f} s CPU, {took:.1f} s"
        )
        for repair in answer.repairs:
            print(f"  way out, cost {repair.cost}: {repair.sentence[:120]} …")
        if answer.conflict:
            print(f"  conflict: {', '.join(map(str, answer.conflict))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
