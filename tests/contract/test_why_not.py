"""What `explain HOST` says would flip a decision flips it: asked of the executor itself.

200 random states, each a real ledger with a fleet, calendars, other rollouts and switches. The
changes that are suggested are made for real, with real signatures, and `intend` is asked again.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.cases.why_not import Keys, World, make_keys, random_world
from wavemend.why_not import Change, ChangeKind, Rule

STATES = 200


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def flipped(world: World, way: tuple[Change, ...], folder: Path) -> str:
    """Make the changes of one way in a copy of the world; return why it still does not start."""
    other = world.copied(folder)
    at = other.apply(way)
    return other.really(at, signs=any(change.kind is ChangeKind.SIGN for change in way))


def test_for_200_random_states_the_suggested_change_flips_the_decision(
    keys: Keys, tmp_path: Path
) -> None:
    seen: Counter[str] = Counter()
    for number in range(STATES):
        world = random_world(random.Random(number), tmp_path / "world", keys)
        decision = world.explained()
        story = (number, world.now, world.target, world.names, decision.ways, decision.links)

        before = world.copied(tmp_path / "before").really(world.now)
        assert (before == "") == decision.allowed, (before, story)
        seen["allowed" if decision.allowed else "refused"] += 1
        seen.update({str(link.rule) for link in decision.links if link.blocks})
        for turn, way in enumerate(decision.ways):
            after = flipped(world, way, tmp_path / "way")
            assert after == "", (turn, after, story)
            seen.update({str(change.kind) for change in way})
    # Every rule forbade something, and every kind of change was tried.
    assert {*Rule} - {Rule.FLEET} <= {*seen}, sorted({*Rule} - {*seen})
    assert {*ChangeKind} - {ChangeKind.LENGTHEN} <= {*seen}, sorted({*ChangeKind} - {*seen})
    assert seen["allowed"] >= STATES // 20
