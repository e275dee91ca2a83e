"""Every host of a rollout ends with the outcome that the host itself bears witness to."""

import json
from typing import Any

import pytest

from tests.world.standing import Standing
from tests.world.world import World
from wavemend.ledger import attempts
from wavemend.ledger.tables import (
    AttemptRow,
)

pytestmark = pytest.mark.live

TENANT = "mixed"


@pytest.fixture(scope="module")
def ended(world: World) -> Standing:
    """One rollout: a reboot and a hold, then a failing package, then a host that is off."""
    world.begin(TENANT)
    return world.wait_finished(TENANT)


@pytest.fixture(scope="module")
def report(world: World, ended: Standing) -> dict[str, dict[str, Any]]:
    """What the rollout's JSON report says, by host."""
    file = world.home / "reports" / f"rollout-{ended.rollout}.json"
    return {host["name"]: host for host in json.loads(file.read_text())["hosts"]}


def packages_of(row: AttemptRow) -> dict[str, str]:
    return {package.name: str(package.outcome) for package in attempts.packages_of(row)}


def test_every_expected_host_has_exactly_one_outcome(ended: Standing) -> None:
    assert ended.plan is not None
    assert ended.outcomes == {
        "mixed1": "patched",
        "mixed2": "failed",
        "mixed3": "not_attempted",
        "mixed4": "unreachable",
    }
    assert sorted(ended.outcomes) == list(ended.plan.expected())


def test_a_held_package_ends_held_and_the_rest_of_its_host_is_patched(
    world: World, ended: Standing, report: dict[str, dict[str, Any]]
) -> None:
    seen = packages_of(ended.attempts["mixed1"])
    assert seen["zip"] == "held"
    assert seen["wm-fine"] == "installed"
    assert set(seen.values()) == {"held", "installed"}
    now = world.packages("mixed1")
    assert now["wm-fine"] == "2.0"
    assert now["zip"] == world.packages("mixed3")["zip"], "mixed3 was not touched at all"
    told = {package["name"]: package["outcome"] for package in report["mixed1"]["packages"]}
    assert told == seen


def test_a_host_that_needs_a_reboot_gets_one_and_proves_it_by_its_boot_id(
    world: World, ended: Standing
) -> None:
    evidence = attempts.evidence_of(ended.attempts["mixed1"])
    assert evidence is not None
    assert evidence.reboots == 1
    assert evidence.boot_id_before != evidence.boot_id_after == world.boot_id("mixed1")
    assert evidence.reboot_reasons == ()


def test_a_failing_postinst_fails_its_host_once_and_is_not_tried_again(
    world: World, ended: Standing
) -> None:
    assert packages_of(ended.attempts["mixed2"])["wm-fails"] == "failed"
    assert len(world.journal("mixed2")) == 2
    assert world.installs("mixed2").count("wm-fails 2.0") <= 1


def test_a_failed_wave_stops_the_next_one_and_says_why(world: World, ended: Standing) -> None:
    row = ended.attempts["mixed3"]
    assert row.reason == "gate broad-1: 1 error, at most 0 allowed"
    assert not row.touched
    assert world.journal("mixed3") == []
    assert world.packages("mixed3")["wm-fine"] == "1.0"
    assert list(ended.gates.values()) == [True, False]


def test_a_host_that_is_switched_off_is_unreachable_and_says_how(ended: Standing) -> None:
    assert ended.plan is not None
    (left,) = ended.plan.excluded
    assert left.name == "mixed4"
    assert left.reason.startswith("preflight: ")


def test_the_report_has_the_same_outcomes_as_the_ledger(
    ended: Standing, report: dict[str, dict[str, Any]]
) -> None:
    assert {name: host["outcome"] for name, host in report.items()} == ended.outcomes
