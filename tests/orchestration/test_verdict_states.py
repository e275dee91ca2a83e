"""What Prefect's list of runs shows of a night: its colour is all that many people look at."""

import pytest

from flows.patch_rollout import verdict_state
from wavemend.reports import Answer, Verdict

pytestmark = pytest.mark.orchestration


@pytest.mark.parametrize(
    ("answer", "halted", "shown"),
    [
        (Answer.YES, False, "COMPLETED"),
        (Answer.PARTLY, False, "COMPLETED"),
        (Answer.PARTLY, True, "FAILED"),
        (Answer.NO, False, "FAILED"),
        (Answer.FAILED, False, "FAILED"),
    ],
)
def test_a_halted_night_is_never_green(answer: Answer, *, halted: bool, shown: str) -> None:
    state = verdict_state(
        Verdict(answer=answer, sentence="5 of 6 patched.", next_steps=(), halted=halted)
    )

    assert state.type.value == shown
    assert state.name == f"Verdict{answer.capitalize()}"
    assert state.message == "5 of 6 patched."
