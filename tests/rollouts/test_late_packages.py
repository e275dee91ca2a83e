"""What was approved is what runs: packages published after the plan was frozen stay out."""

import pytest

from tests.world.standing import Standing
from tests.world.world import World
from wavemend.ledger import attempts

pytestmark = pytest.mark.live

TENANT, PROFILE = "late", "pausing"


@pytest.fixture(scope="module")
def ended(world: World) -> Standing:
    """Freeze a plan with wm-late 2.0, hold it by a hook, publish 3.0, and let it go on.

    late1 has 2.0 planned; late2 has it already, so that 3.0 is a brand-new update there; on late3
    somebody installs 3.0 by hand meanwhile.
    """
    world.hosts.publish("wm-late", "2.0")
    for host in ("late1", "late2", "late3"):
        world.hosts.run(host, "apt-get", "-q", "update")
    install(world, "late2", "wm-late=2.0")
    world.begin(TENANT, PROFILE)
    world.wait(TENANT, lambda s: s.plan is not None, "the frozen plan", profile=PROFILE)
    world.hosts.publish("wm-late", "3.0")
    for host in ("late1", "late2", "late3"):
        world.hosts.run(host, "apt-get", "-q", "update")
        assert "wm-late" in world.hosts.run(host, "apt-get", "-s", "upgrade")
    install(world, "late3", "wm-late=3.0")
    (world.home / "go-on").touch()
    return world.wait_finished(TENANT, PROFILE)


def install(world: World, host: str, package: str) -> None:
    world.hosts.run(host, "apt-get", "-q", "-y", "install", package)
    name, _, version = package.partition("=")
    assert world.packages(host)[name] == version


def planned(ended: Standing, host: str) -> dict[str, str]:
    assert ended.plan is not None
    return {package.name: package.target for package in ended.plan.host(host).packages}


def test_the_planned_version_lands_although_a_newer_one_is_offered(
    world: World, ended: Standing
) -> None:
    assert planned(ended, "late1")["wm-late"] == "2.0"
    assert ended.outcomes["late1"] == "patched"
    assert world.packages("late1")["wm-late"] == "2.0"
    assert world.installs("late1").count("wm-late 3.0") == 0


def test_a_brand_new_pending_package_is_not_installed_and_the_host_is_patched(
    world: World, ended: Standing
) -> None:
    assert "wm-late" not in planned(ended, "late2")
    assert ended.outcomes["late2"] == "patched"
    assert world.packages("late2")["wm-late"] == "2.0"
    assert world.packages("late2")["wm-fine"] == "2.0"
    assert world.installs("late2").count("wm-late 3.0") == 0


def test_a_host_that_was_changed_by_hand_since_is_left_alone(world: World, ended: Standing) -> None:
    row = ended.attempts["late3"]
    assert (row.outcome, row.touched) == ("not_attempted", False)
    assert row.reason == "drift: wm-late is 3.0, planned from 1.0"
    assert world.packages("late3")["wm-fine"] == "1.0"
    assert world.journal("late3") == []
    assert {str(p.outcome) for p in attempts.packages_of(row)} == {"not_attempted"}
