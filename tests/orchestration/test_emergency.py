"""An emergency rollout patches what it is about outside every window, after a signature."""

import pytest

from tests.world.fleet import RUSHED
from tests.world.standing import Standing
from tests.world.world import World
from wavemend.fleet import RolloutKind

pytestmark = pytest.mark.orchestration


@pytest.fixture(scope="module")
def rushed(world: World) -> Standing:
    """rush1 and rush2 were looked at; their window is closed; wm-fine is sent out."""
    world.run_deployment("scan-fleet/daily")
    said = world.wavemend("emergency", "wm-fine", "--company", RUSHED, "--go").stdout
    assert "after a signature" in said
    asking = world.wait_asking(RUSHED)
    assert asking.attempts == {}, "nothing may be touched before the signature"
    signing = ("--key", str(world.key("alice")), "--reason", "it is exploited")
    world.wavemend("approve", asking.rollout, *signing)
    return world.wait_finished(RUSHED)


def test_hosts_are_patched_though_their_window_is_closed(rushed: Standing) -> None:
    assert rushed.outcomes == {"rush1": "patched", "rush2": "patched"}
    assert rushed.plan is not None
    assert rushed.plan.kind == RolloutKind.EMERGENCY
    assert rushed.plan.all_signed
    assert [wave.name for wave in rushed.plan.waves] == ["pilot", "broad-1"]


def test_only_what_the_emergency_is_about_is_installed(world: World, rushed: Standing) -> None:
    assert rushed.plan is not None
    assert rushed.plan.about == ("wm-fine",)
    assert {p.name for host in rushed.plan.hosts for p in host.packages} == {"wm-fine"}
    installed = world.packages("rush1")
    assert (installed["wm-conffile"], installed["wm-fine"]) == ("1.0", "2.0")


def test_no_second_one_is_opened_by_itself_for_what_was_taken(
    world: World, rushed: Standing
) -> None:
    run = world.run_deployment("plan-emergencies/every-quarter-hour")
    assert run["state"]["name"] == "Quiet"
    assert world.standing(RUSHED).rollout == rushed.rollout


def test_without_go_only_the_plan_of_each_company_is_shown(world: World) -> None:
    before = world.standing("closed").rollout
    said = world.wavemend("emergency", "wm-fine", "--all-companies").stdout
    assert "nothing was started" in said
    assert "Crash Works" in said
    assert world.standing("closed").rollout == before
