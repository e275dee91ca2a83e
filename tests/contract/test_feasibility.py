"""Whether all due dates can be met is answered right, with a conflict of which nothing can go."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, product

from wavemend.foresight.answering import decide
from wavemend.foresight.model import Model
from wavemend.foresight.problem import Night, Problem, Rule, RuleKind, Task, Wave

START = datetime(2026, 12, 1, 21, tzinfo=UTC)
KEY = "acme/debian/nightly"
FREEZE = Rule(kind=RuleKind.FREEZE, name="year-end")
DUTY = Rule(kind=RuleKind.DUTY, name="acme")


def nights(count: int, hours: int = 4, closed: dict[int, Rule] | None = None) -> tuple[Night, ...]:
    closed = closed or {}
    return tuple(
        Night(
            key=KEY,
            tenant="acme",
            window="nightly",
            start=START + timedelta(days=day),
            end=START + timedelta(days=day, hours=hours),
            closed_by=(closed[day],) if day in closed else (),
        )
        for day in range(count)
    )


def task(
    name: str,
    count: int,
    due_day: int | None,
    *,
    wave: str = "broad",
    minutes: int = 60,
    budgets: tuple[str, ...] = (),
) -> Task:
    due = None if due_day is None else START + timedelta(days=due_day, hours=-1)
    hosts = tuple(f"{name}-{n}" for n in range(count))
    return Task(
        name=name, key=KEY, wave=wave, hosts=hosts, minutes=minutes, due=due, budgets=budgets
    )


def one_wave(concurrency: int, *tasks: Task, on: tuple[Night, ...]) -> Problem:
    return Problem(
        nights=on,
        waves={KEY: (Wave(name="broad", concurrency=concurrency),)},
        tasks=tasks,
        tenants={KEY: "acme"},
    )


def random_instance(seed: int) -> Problem:
    rnd = random.Random(seed)
    days = rnd.randint(2, 12)
    closed = {day: rnd.choice((FREEZE, DUTY)) for day in range(days) if rnd.random() < 0.3}
    tasks = tuple(
        task(f"t{n}", rnd.randint(1, 30), rnd.randint(1, days)) for n in range(rnd.randint(1, 4))
    )
    return one_wave(rnd.randint(1, 4), *tasks, on=nights(days, rnd.randint(1, 5), closed))


def can_be_met(problem: Problem) -> bool:
    """One wave, hosts of equal length: by each due date, what is due so far fits the nights so far.

    Hall's condition for nested deadlines, counted by hand: independent of the solver.
    """
    (wave,) = problem.waves[KEY]
    for due in sorted({item.due for item in problem.tasks if item.due}):
        demand = sum(item.count for item in problem.tasks if item.due and item.due <= due)
        room = sum(
            (night.minutes // 60) * wave.concurrency
            for night in problem.nights
            if night.end <= due and not night.closed_by
        )
        if demand > room:
            return False
    return True


def test_four_hundred_questions_with_known_answers_are_answered_right() -> None:
    seen = {True: 0, False: 0}
    for seed in range(400):
        problem = random_instance(seed)
        wanted = can_be_met(problem)
        seen[wanted] += 1
        assert Model(problem).build().solve().found is wanted, seed
    assert min(seen.values()) > 50, seen


def infeasible() -> Iterator[Problem]:
    problems = (random_instance(seed) for seed in range(1000, 1400))
    return (problem for problem in problems if not can_be_met(problem))


def test_of_a_conflict_no_rule_can_be_missed_and_with_all_of_them_nothing_goes() -> None:
    for problem in islice(infeasible(), 40):
        conflict = decide(problem).conflict
        everything = frozenset(problem.rules())
        alone = Model(problem, without=everything - frozenset(conflict))
        assert not alone.build().solve().found
        for rule in conflict:
            rest = Model(problem, without=everything - (frozenset(conflict) - {rule}))
            assert rest.build().solve().found, (rule, conflict)


def test_a_freeze_over_all_nights_is_the_conflict_together_with_the_due_dates() -> None:
    closed = dict.fromkeys(range(5), FREEZE)
    answer = decide(one_wave(2, task("web", 3, 5), on=nights(5, closed=closed)))
    assert answer.conflict == (Rule(kind=RuleKind.DUE, name="acme"), FREEZE)
    assert [repair.sentence for repair in answer.repairs] == [
        "accept that 3 of web are late (web-0, web-1, web-2)",
        "lift the freeze year-end for the night nightly@2026-12-01T21:00Z of acme/debian/nightly",
    ]


def test_what_is_proposed_as_a_longer_window_is_enough_and_not_more_than_enough() -> None:
    problem = one_wave(1, task("db", 5, 1), on=nights(1, hours=4))
    answer = decide(problem)
    assert answer.conflict == (
        Rule(kind=RuleKind.DUE, name="acme"),
        Rule(kind=RuleKind.WINDOW, name="nightly"),
    )
    longer = next(item for item in answer.repairs if "longer" in item.sentence)
    assert longer.sentence == "make the window nightly 1h longer"
    assert decide(replace(problem, nights=nights(1, hours=5))).feasible


def test_a_signed_night_is_cheaper_than_a_lifted_freeze() -> None:
    closed = {0: FREEZE, 1: DUTY}
    answer = decide(one_wave(4, task("web", 16, 2), on=nights(2, closed=closed)))
    assert not answer.feasible
    assert answer.repairs[0].sentence == (
        "sign for the night nightly@2026-12-02T21:00Z of acme/debian/nightly"
    )


def test_pauses_between_waves_take_their_time_out_of_the_night() -> None:
    waves = {KEY: (Wave(name="pilot", concurrency=1, pause=90), Wave(name="broad", concurrency=1))}
    tasks = (task("first", 1, 1, wave="pilot"), task("rest", 2, 1))
    problem = Problem(nights=nights(1), waves=waves, tasks=tasks, tenants={KEY: "acme"})
    answer = decide(problem)
    assert Rule(kind=RuleKind.PAUSES, name=KEY) in answer.conflict
    shorter = {KEY: (replace(waves[KEY][0], pause=60), waves[KEY][1])}
    assert decide(replace(problem, waves=shorter)).feasible


def test_a_pair_that_must_not_be_out_together_needs_two_rounds() -> None:
    pair = task("pair", 2, 1, minutes=120, budgets=("ha",))
    waves = {KEY: (Wave(name="broad", concurrency=2),)}
    problem = Problem(
        nights=nights(1, hours=3),
        waves=waves,
        tasks=(pair,),
        budgets={"ha": 1},
        tenants={KEY: "acme"},
    )
    answer = decide(problem)
    assert Rule(kind=RuleKind.BUDGET, name="ha") in answer.conflict
    assert decide(replace(problem, budgets={"ha": 2})).feasible
    assert decide(replace(problem, nights=nights(1, hours=4))).feasible


def test_groups_of_one_company_share_a_night_with_the_gap_between_them() -> None:
    other = "acme/suse/nightly"
    second = tuple(replace(night, key=other) for night in nights(1))
    problem = Problem(
        nights=(*nights(1), *second),
        waves={key: (Wave(name="broad", concurrency=1),) for key in (KEY, other)},
        tasks=(
            task("deb", 2, 1, minutes=50),
            replace(task("rpm", 2, 1, minutes=50), key=other),
        ),
        gaps={"acme": 60},
        tenants={KEY: "acme", other: "acme"},
    )
    assert Rule(kind=RuleKind.GAP, name="acme") in decide(problem).conflict
    assert decide(replace(problem, gaps={"acme": 40})).feasible


def test_a_small_question_with_two_waves_agrees_with_trying_everything() -> None:
    waves = {KEY: (Wave(name="pilot", concurrency=1, pause=60), Wave(name="broad", concurrency=2))}
    for pilots, rest, hours, days in product((1, 2), (1, 3, 5), (1, 2, 3, 4), (1, 2, 3)):
        tasks = (task("p", pilots, days, wave="pilot"), task("b", rest, days))
        problem = Problem(
            nights=nights(days, hours), waves=waves, tasks=tasks, tenants={KEY: "acme"}
        )
        wanted = _tried(pilots, rest, hours * 60, days)
        assert Model(problem).build().solve().found is wanted, (pilots, rest, hours, days)


def _tried(pilots: int, rest: int, minutes: int, days: int) -> bool:
    """Every way to spread the hosts over the nights."""
    if not days:
        return not pilots and not rest
    for p, b in product(range(pilots + 1), range(rest + 1)):
        time = 60 * p + 60 * -(-b // 2) + (60 if p and b else 0)
        if time <= minutes and _tried(pilots - p, rest - b, minutes, days - 1):
            return True
    return False


def test_the_same_question_gets_the_same_answer() -> None:
    problem = next(infeasible())
    assert decide(problem) == decide(problem)
