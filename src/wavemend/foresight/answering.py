"""Answer the question: a schedule, or what stands in the way and the two cheapest ways out."""

from itertools import product

from wavemend.foresight.conflicts import conflict_in
from wavemend.foresight.model import SECONDS, Model
from wavemend.foresight.parts import parts_of
from wavemend.foresight.problem import Feasibility, Placed, Problem, Repair
from wavemend.foresight.repairs import repairs_of


def decide(problem: Problem) -> Feasibility:
    """Say whether every due date can be met. Equal questions get equal answers.

    What shares nothing is decided apart. The conflict is that of the first part that has one;
    the repairs are for all of them.
    """
    schedule: list[Placed] = []
    stuck: list[Problem] = []
    for part in parts_of(problem):
        answer = Model(part).build().solve()
        if not answer.decided:
            keys = ", ".join(sorted(part.waves))
            return Feasibility(
                feasible=False, undecided=f"no answer for {keys} within {SECONDS:.0f} s"
            )
        schedule += answer.schedule
        if not answer.found:
            stuck.append(part)
    if not stuck:
        return Feasibility(feasible=True, schedule=tuple(schedule))
    return Feasibility(feasible=False, conflict=conflict_in(stuck[0]), repairs=_for_all(stuck))


def _for_all(stuck: list[Problem]) -> tuple[Repair, ...]:
    """Every part needs one of its repairs: the two cheapest ways to choose them."""
    best: list[tuple[Repair, ...]] = [()]
    for part in stuck:
        more = [(*chosen, repair) for chosen, repair in product(best, repairs_of(part))]
        best = sorted(more, key=lambda chosen: sum(repair.cost for repair in chosen))[:2]
    return tuple(
        Repair(
            cost=sum(repair.cost for repair in chosen),
            sentence="; ".join(repair.sentence for repair in chosen),
            proven=all(repair.proven for repair in chosen),
        )
        for chosen in best
    )
