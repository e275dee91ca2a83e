"""The cheapest ways out of a conflict: longer windows, nights opened by signature, hosts late."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from ortools.sat.python import cp_model

from wavemend.calendar.durations import format_duration
from wavemend.foresight.model import Answer, Model, Relaxed, total
from wavemend.foresight.problem import Night, Problem, Repair, RuleKind

MOST_LONGER = 24
"""Half hours: a window that would have to be longer by more than 12 hours is another window."""
HALF_HOUR = 30
COST_OF_SIGNED, COST_OF_FROZEN, COST_OF_LATE = 3, 8, 2
EFFORT = 0.25
"""Of one search: a way out that is nearly the cheapest, soon, beats the cheapest an hour later."""
NAMED = 5
"""Nights or hosts named in a sentence."""

Kind = Callable[[Model], tuple[Relaxed, cp_model.LinearExpr]]


def repairs_of(problem: Problem) -> tuple[Repair, ...]:
    """Return the two cheapest changes after which every due date can be met, cheapest first.

    Each kind of change is tried alone, and all of them together; what is proposed was solved.
    """
    found: dict[str, Repair] = {}
    for kind in (_longer, _signed, _frozen, _late, _mixed):
        model = Model(problem)
        relaxed, cost = kind(model)
        model.build(relaxed)
        model.cp.minimize(cost)
        answer = model.solve(EFFORT)
        if answer.found and (sentence := _in_words(problem, relaxed, answer)):
            price = round(answer.solver.objective_value)
            found.setdefault(sentence, Repair(cost=price, sentence=sentence, proven=answer.proven))
    return tuple(sorted(found.values(), key=lambda item: (item.cost, item.sentence))[:2])


def _longer(model: Model) -> tuple[Relaxed, cp_model.LinearExpr]:
    steps = {
        name: model.cp.new_int_var(0, MOST_LONGER, f"longer {name}")
        for name in sorted({night.window for night in model.problem.nights})
    }
    longer = {}
    for name, step in steps.items():
        minutes = model.cp.new_int_var(0, MOST_LONGER * HALF_HOUR, f"minutes {name}")
        model.cp.add(minutes == HALF_HOUR * step)
        longer[name] = minutes
    return Relaxed(longer=longer), total(steps.values())


def _signed(model: Model) -> tuple[Relaxed, cp_model.LinearExpr]:
    return _opened(model, {RuleKind.DUTY}, COST_OF_SIGNED)


def _frozen(model: Model) -> tuple[Relaxed, cp_model.LinearExpr]:
    return _opened(model, {RuleKind.DUTY, RuleKind.FREEZE}, COST_OF_FROZEN)


def _opened(model: Model, kinds: set[RuleKind], price: int) -> tuple[Relaxed, cp_model.LinearExpr]:
    opened = {
        night: model.cp.new_bool_var(f"opened {night.key}/{night}")
        for night in model.problem.nights
        if night.closed_by and {rule.kind for rule in night.closed_by} <= kinds
    }
    return Relaxed(opened=opened), total(price * item for item in opened.values())


def _late(model: Model) -> tuple[Relaxed, cp_model.LinearExpr]:
    late = {
        task.name: model.cp.new_int_var(0, task.count, f"late {task.name}")
        for task in model.problem.tasks
        if task.due is not None
    }
    return Relaxed(late=late), total(COST_OF_LATE * item for item in late.values())


def _mixed(model: Model) -> tuple[Relaxed, cp_model.LinearExpr]:
    longer, price_of_longer = _longer(model)
    signed, price_of_signed = _signed(model)
    late, price_of_late = _late(model)
    mixed = replace(late, longer=longer.longer, opened=signed.opened)
    return mixed, total((price_of_longer, price_of_signed, price_of_late))


def _in_words(problem: Problem, relaxed: Relaxed, answer: Answer) -> str:
    value = answer.solver.value
    parts = [
        f"make the window {name} {format_duration(timedelta(minutes=value(minutes)))} longer"
        for name, minutes in sorted(relaxed.longer.items())
        if value(minutes)
    ]
    opened = [night for night, chosen in relaxed.opened.items() if value(chosen)]
    parts += list(_nights_in_words(opened))
    for task in problem.tasks:
        late = relaxed.late.get(task.name)
        if late is not None and (count := value(late)):
            hosts = _some(task.hosts[:count])
            parts.append(f"accept that {count} of {task.name} are late ({hosts})")
    return "; ".join(parts)


def _nights_in_words(opened: Iterable[Night]) -> Iterable[str]:
    """A night without a freeze is opened by an approver's signature."""
    ordered = sorted(opened, key=lambda night: (night.start, night.key))
    for night in ordered[:NAMED]:
        freezes = [rule.name for rule in night.closed_by if rule.kind is RuleKind.FREEZE]
        how = f"lift the freeze {', '.join(freezes)} for" if freezes else "sign for"
        yield f"{how} the night {night} of {night.key}"
    if len(ordered) > NAMED:
        yield f"and {len(ordered) - NAMED} nights more"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
