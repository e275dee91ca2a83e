"""What is said of how long a change takes is kept: 95 of 100 later changes take no longer."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.calendar.estimates import (
    ChangeKind,
    Durations,
    SizeClass,
    estimate,
    prior_of,
    size_class,
)

PATCH = ChangeKind(system="debian 12", size=SizeClass.FEW, reboot=False)
HOUR = timedelta(hours=1)

LANES: dict[str, Callable[[random.Random], float]] = {
    "quick": lambda dice: dice.lognormvariate(4.0, 0.3),
    "as the prior": lambda dice: dice.lognormvariate(5.48, 0.8),
    "slow": lambda dice: dice.lognormvariate(7.5, 0.6),
    "two kinds": lambda dice: dice.gauss(100, 10) if dice.random() < 0.8 else dice.gauss(900, 90),
    "heavy tail": lambda dice: 60 * dice.paretovariate(1.5),
}


@pytest.mark.parametrize("kind", [PATCH, ChangeKind(system="", size=SizeClass.NONE, reboot=True)])
def test_without_history_the_stated_prior_is_said_exactly(kind: ChangeKind) -> None:
    prior, found = prior_of(kind), estimate(kind, ())

    assert (found.p50, found.p95, found.seen) == (prior.p50, prior.p95, 0)


@pytest.mark.parametrize("lane", sorted(LANES))
@pytest.mark.parametrize("seen", [19, 40, 200])
def test_ac_19_at_most_five_of_a_hundred_later_changes_take_longer_than_was_said(
    lane: str, seen: int
) -> None:
    draw, over, asked = LANES[lane], 0, 0
    for seed in range(400):
        dice = random.Random(seed)
        said = estimate(PATCH, [draw(dice) for _ in range(seen)]).p95
        over += sum(draw(dice) > said for _ in range(50))
        asked += 50

    # Three standard errors of 400 estimates, of which each has its own luck, are below 0.9 %.
    assert over / asked <= 0.05 + 0.009


@given(st.lists(st.floats(1, 20_000), max_size=60), st.floats(1, 20_000))
def test_a_slower_change_never_makes_the_next_one_look_quicker(
    seen: list[float], more: float
) -> None:
    slowest = max([*seen, more])

    assert estimate(PATCH, [*seen, slowest]).p95 >= estimate(PATCH, seen).p95 or len(seen) >= 19
    assert estimate(PATCH, seen).p50 <= estimate(PATCH, seen).p95


def test_history_outweighs_the_prior_in_the_end() -> None:
    quick = estimate(PATCH, [60.0] * 2000)

    assert (quick.p50, quick.p95) == (60, 60)


def test_no_estimate_is_above_the_hosts_deadline() -> None:
    slow = Durations(known={PATCH: estimate(PATCH, [7200.0] * 50)})

    assert slow.of(PATCH, at_most=HOUR).p95 == 3600
    assert Durations().of(PATCH, at_most=HOUR).p95 == 900


@pytest.mark.parametrize(
    ("packages", "size"), [(0, "none"), (1, "few"), (10, "few"), (11, "some"), (51, "many")]
)
def test_sets_of_packages_fall_into_four_sizes(packages: int, size: str) -> None:
    assert size_class(packages) == size
