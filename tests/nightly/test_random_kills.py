"""Three hundred kills at random moments, from outside, and no host is changed twice or forgotten.

The controllers work on real hosts, with real sshd and apt, where they can be had. A rollout is
killed up to 25 times, then left to its end and judged by what its hosts wrote down. The moments
come from fixed seeds; what a kill meets still differs from night to night, which is the point.
"""

import os
import random
from pathlib import Path

import pytest

from tests.contract.crash_places import Fate, read_log
from tests.contract.crash_world import CrashWorld

# The bound of other tests is a third of what three hundred kills take.
pytestmark = pytest.mark.timeout(3600)

KILLS = int(os.environ.get("WAVEMEND_KILLS", "300"))
KILLS_PER_ROLLOUT = 25
SECONDS = (0.2, 5.0)
"""Between the start of a controller and its death: from its first look to a whole restart."""


def test_random_kills_change_no_host_twice_and_forget_none(tmp_path: Path) -> None:
    kills = rollouts = 0
    while kills < KILLS:
        home = tmp_path / f"rollout{rollouts}"
        home.mkdir()
        world = CrashWorld(home)
        try:
            kills += killed_at_random(world, random.Random(rollouts))
            world.judge()
        finally:
            world.close()
        rollouts += 1
        print(f"{kills} kills in {rollouts} rollouts: 0 double effects, 0 forgotten hosts")


def killed_at_random(world: CrashWorld, chance: random.Random) -> int:
    """Kill controllers at random moments until the rollout has ended; return how many died."""
    kills = 0
    while kills < KILLS_PER_ROLLOUT:
        controller = world.controller()
        controller.join(chance.uniform(*SECONDS))
        controller.kill()
        controller.join()
        if controller.exitcode != -9:
            assert controller.exitcode == 0, world.story()
            return kills
        kills += 1
    world.run()
    return kills


def test_second_deaths_while_recovering_from_a_first_one_change_nothing_of_that(
    tmp_path: Path,
) -> None:
    chance = random.Random(0)
    for number in range(int(os.environ.get("WAVEMEND_PAIRS", "12"))):
        home = tmp_path / f"pair{number}"
        home.mkdir()
        world = CrashWorld(home)
        try:
            # A rollout passes about 400 places, a recovery a few dozen before it is through.
            for at in (chance.randrange(30, 380), chance.randrange(1, 40)):
                world.run(Fate(world.log, at=at))
            world.run()
            world.judge()
            died = [place for place in read_log(world.log) if place.died]
            print(f"pair {number}: " + " and ".join(f"{p.side} {p.site}" for p in died))
        finally:
            world.close()
