"""`wavemend up` and `down`: what runs is kept, what the fleet lost is removed, nothing is left."""

import pytest

from tests.world import processes
from tests.world.world import World

pytestmark = pytest.mark.orchestration


def test_a_second_up_keeps_what_runs_and_removes_the_deployment_of_a_vanished_window(
    world: World,
) -> None:
    before = world.server_pid(), world.worker_pid()
    gone = "patch-rollout/closed-server-later"
    assert gone in deployments(world)

    world.apply_fleet(with_closed=False)
    try:
        said = world.up()

        assert (world.server_pid(), world.worker_pid()) == before
        assert f"removed {gone}" in said
        assert gone not in deployments(world)
        assert "refresh-feeds/daily" in deployments(world)
    finally:
        world.apply_fleet()


def test_up_without_a_word_about_schedules_leaves_them_off_those_of_new_windows_too(
    world: World,
) -> None:
    world.wavemend("up", "--port", str(world.port))

    found = world.api.post("/deployments/filter", {})
    assert "closed-server-later" in {each["name"] for each in found}
    assert [each["name"] for each in found if not each["paused"]] == []


def test_down_leaves_no_process_and_up_brings_everything_back(world: World) -> None:
    running = processes.of_home(world.home)
    assert {world.server_pid(), world.worker_pid()} <= set(running)

    world.wavemend("down")

    left = processes.of_home(world.home)
    assert left == {}
    assert world.wavemend("status", check=False).returncode != 0

    world.up()
    assert "patch-rollout/closed-server-later" in deployments(world)
    assert world.wavemend("status").returncode == 0


def deployments(world: World) -> set[str]:
    found = world.api.post("/deployments/filter", {})
    flows = {flow["id"]: flow["name"] for flow in world.api.post("/flows/filter", {})}
    return {f"{flows[each['flow_id']]}/{each['name']}" for each in found}
