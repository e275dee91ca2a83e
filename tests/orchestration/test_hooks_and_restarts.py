"""Hooks after a rollout run whatever came of it; restarts have a rollout of their own."""

import pytest

from tests.world.standing import Standing
from tests.world.world import World

pytestmark = pytest.mark.orchestration


@pytest.fixture(scope="module")
def hooked(world: World) -> Standing:
    world.begin("hook", "hooked")
    found = world.wait_finished("hook", "hooked")
    world.wait_ended(found.flow_run)
    return found


def test_a_hook_before_the_rollout_that_fails_starts_nothing(
    world: World, hooked: Standing
) -> None:
    assert hooked.outcomes == {"hook1": "not_attempted"}
    assert "before hook 1 failed" in hooked.attempts["hook1"].reason
    assert world.journal("hook1") == []


def test_the_hooks_after_a_rollout_all_run_though_one_before_it_failed(
    world: World, hooked: Standing
) -> None:
    assert (world.home / "hooks").read_text().split() == ["before", "after-1", "after-2"]
    steps = {event.kind for event in hooked.events}
    assert {"rollout.hooks begun", "rollout.closed", "rollout.verified"} <= steps
    verified = next(event for event in hooked.events if event.kind == "rollout.verified")
    assert "after hook 1 failed" in verified.body


def test_hosts_are_patched_in_one_rollout_and_restarted_in_another(world: World) -> None:
    before = world.boot_id("again1")
    world.begin("again", "waiting")
    patched = world.wait_finished("again", "waiting")

    assert patched.outcomes == {"again1": "patched_reboot_pending"}
    assert "restarts happen in the window now" in patched.attempts["again1"].reason
    assert world.boot_id("again1") == before

    words = ("rollout", "start", "again", "--profile", "waiting", "--restarts")
    run = world.wavemend(*words).stdout.split()[-1]
    world.wait_ended(run)
    restarted = world.standing("again", "waiting")

    assert restarted.rollout != patched.rollout
    assert restarted.outcomes == {"again1": "patched"}, restarted.attempts["again1"].reason
    assert restarted.attempts["again1"].reboots == 1
    assert world.boot_id("again1") != before
    assert len(world.journal("again1")) == 4  # begin and end of each
    assert world.flow_run(run)["name"].startswith("restart again · waiting · now")
