"""The fewest rules that cannot hold together."""

from wavemend.foresight.model import Model
from wavemend.foresight.problem import Problem, Rule


def conflict_in(problem: Problem) -> tuple[Rule, ...]:
    """Return rules that cannot hold together, of which none can be missed; empty when all can.

    Minimal, by taking rules away as long as the rest still cannot hold: whoever changes any one
    of them makes the others possible. There may be other conflicts beside it.
    """
    kept = list(problem.rules())
    everything = frozenset(kept)
    if _can_hold(problem, everything, kept):
        return ()
    size = max(1, len(kept) // 2)
    while size >= 1:
        at = 0
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if _can_hold(problem, everything, fewer):
                at += size
            else:
                kept = fewer
        size = size // 2
    return tuple(kept)


def _can_hold(problem: Problem, everything: frozenset[Rule], kept: list[Rule]) -> bool:
    """Say whether there is a schedule under these rules alone; time run out counts as yes.

    A rule is taken out of a conflict only when the rest is proven not to hold.
    """
    answer = Model(problem, without=everything - frozenset(kept)).build().solve()
    return answer.found or not answer.decided
