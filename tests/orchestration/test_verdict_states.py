"""What Prefect's list of runs shows of a night: its colour is all that many people look at."""

from dataclasses import replace

import pytest

from flows.patch_rollout import verdict_state
from tests.cases.reports.build import host, wave
from tests.cases.reports.example import good_night
from wavemend.outcomes import Outcome
from wavemend.reports.model import RolloutState

pytestmark = pytest.mark.orchestration


@pytest.mark.parametrize(
    ("outcomes", "ended", "shown", "name"),
    [
        ((Outcome.PATCHED, Outcome.PATCHED), RolloutState.DONE, "COMPLETED", "VerdictYes"),
        ((Outcome.PATCHED, Outcome.UNREACHABLE), RolloutState.DONE, "COMPLETED", "VerdictPartly"),
        ((Outcome.PATCHED, Outcome.FAILED), RolloutState.HALTED, "FAILED", "VerdictPartly"),
        ((Outcome.FAILED, Outcome.FAILED), RolloutState.DONE, "FAILED", "VerdictNo"),
    ],
)
def test_a_halted_night_is_never_green(
    outcomes: tuple[Outcome, ...], ended: RolloutState, shown: str, name: str
) -> None:
    hosts = tuple(host(f"h{number}", outcome) for number, outcome in enumerate(outcomes))
    waves = (wave(1, "broad-1", tuple(row.name for row in hosts)),)
    night = replace(good_night(), hosts=hosts, waves=waves, expected=len(hosts), state=ended)

    state = verdict_state(night)

    assert (state.type.value, state.name) == (shown, name)
    assert state.message
