"""A restart rollout plans the hosts that wait for a restart, and names why the others do not."""

from dataclasses import replace

import pytest

from tests.cases.rollouts.build import NOON, OCCASION, PROFILE, candidate, facts
from wavemend.hosts import FreeSpace
from wavemend.outcomes import Outcome
from wavemend.planning import Candidate, make_plan
from wavemend.plans import ExcludedHost, PlannedHost
from wavemend.policy.profiles import RebootRule
from wavemend.steps.freeze_restarts import plan_restart

ASKING = replace(facts("web1"), reboot_reasons=("kernel 6.2 is newer",))
CALM = facts("web1")


def planned(
    seen: Candidate, waiting: str = "", rule: RebootRule = RebootRule.IF_NEEDED
) -> PlannedHost | ExcludedHost:
    return plan_restart({"web1": waiting}, seen, replace(PROFILE, reboot=rule))


@pytest.mark.parametrize(
    ("seen", "waiting", "rule", "reboot"),
    [
        (ASKING, "", RebootRule.IF_NEEDED, RebootRule.IF_NEEDED),
        (ASKING, "", RebootRule.ALWAYS, RebootRule.ALWAYS),
        # Its last change left a restart pending, and it is in that boot still.
        (CALM, "b", RebootRule.IF_NEEDED, RebootRule.ALWAYS),
        (CALM, "b", RebootRule.ALWAYS, RebootRule.ALWAYS),
    ],
)
def test_a_host_that_waits_for_a_restart_is_planned_with_it_and_with_nothing_else(
    seen: object, waiting: str, rule: RebootRule, reboot: RebootRule
) -> None:
    made = planned(candidate("web1", facts_of=seen), waiting, rule)  # type: ignore[arg-type]

    assert isinstance(made, PlannedHost)
    assert (made.reboot, made.packages, made.machine_id) == (reboot, (), "id-web1")


@pytest.mark.parametrize("waiting", ["", "an earlier boot"])
def test_a_host_that_waits_for_nothing_or_was_restarted_since_is_left_alone(waiting: str) -> None:
    made = planned(candidate("web1", facts_of=CALM), waiting)

    assert made == ExcludedHost(
        name="web1", outcome=Outcome.NOTHING_TO_DO, reason="no restart is due"
    )


def test_a_host_that_is_not_fit_for_a_restart_is_excluded_with_the_reason() -> None:
    late = replace(ASKING, clock_skew_seconds=99.0)

    assert planned(candidate("web1", reason="off")).outcome is Outcome.UNREACHABLE  # type: ignore[union-attr]
    skipped = planned(candidate("web1", facts_of=late))
    assert isinstance(skipped, ExcludedHost)
    assert (skipped.outcome, skipped.reason) == (
        Outcome.SKIPPED,
        "preflight: clock: its clock is 99 s off",
    )


def test_a_full_disk_or_a_repository_that_is_down_keeps_no_host_from_its_restart() -> None:
    poor = replace(
        ASKING, free_space=(FreeSpace("/", 1_000, 10),), index_errors=("mirror is down",)
    )

    assert isinstance(planned(candidate("web1", facts_of=poor)), PlannedHost)


def test_restarts_are_placed_in_the_profiles_waves() -> None:
    hosts = [
        candidate(name, critical=name == "db1", facts_of=replace(ASKING, machine_id=name))
        for name in ("db1", "web1", "web2", "web3")
    ]
    plan = make_plan(
        OCCASION,
        PROFILE,
        hosts,
        (),
        plan_host=lambda seen, profile: plan_restart({}, seen, profile),
    )

    assert [(wave.name, wave.hosts) for wave in plan.waves] == [
        ("pilot", ("web1",)),
        ("broad-1", ("web2", "web3")),
        ("critical", ("db1",)),
    ]
    assert plan.host("db1").critical
    assert plan.created_at == NOON
