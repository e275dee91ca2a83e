"""The kill switch: what runs is collected, nothing further starts, and `go` releases it."""

import pytest

from tests.world.world import World

pytestmark = pytest.mark.live

TENANT = "stop"


def test_stop_in_the_middle_collects_what_runs_and_starts_nothing_further_until_go(
    world: World,
) -> None:
    world.begin(TENANT)
    world.wait(
        TENANT,
        lambda s: s.attempts.get("stop1") is not None and s.attempts["stop1"].state == "running",
        "the pilot's start",
    )

    world.wavemend("stop", "the phone rings", "--tenant", TENANT)

    stopped = world.wait_finished(TENANT)
    # The switch also keeps back the restart that its new libraries ask for.
    done = "patched" if world.hosts.simulated else "patched_reboot_pending"
    assert stopped.outcomes == {"stop1": done, "stop2": "not_attempted"}
    assert stopped.attempts["stop2"].reason.startswith("stopped: the phone rings (by ")
    assert world.installs("stop1").count("wm-slow 2.0") == 1
    assert world.journal("stop2") == []
    assert world.packages("stop2")["wm-fine"] == "1.0"

    world.wavemend("go", "--tenant", TENANT)

    world.begin(TENANT, "spare")
    assert world.wait_finished(TENANT, "spare").outcomes == {"stop3": "patched"}
    assert world.packages("stop3")["wm-fine"] == "2.0"
