"""What a policy keeps out comes in beside nothing: under no version, no architecture, no chain."""

from dataclasses import replace
from typing import Any

import pytest

from tests.cases.rollouts.build import PROFILE, candidate, ranked, update
from wavemend.packages import Target
from wavemend.planning import Candidate
from wavemend.planning.hosts import plan_updates, touched_by
from wavemend.planning.rules import Permits
from wavemend.plans import ExcludedHost, PlannedHost
from wavemend.policy.profiles import Updates
from wavemend.policy.resolving import resolve
from wavemend.policy.settings import Level, Policy, RuleAction, UpdateRule
from wavemend.scoring import RankedUpdate

NAMED = ("oracle-*", "linux-image-*")


def rule(action: str = "reject", packages: tuple[str, ...] = NAMED) -> UpdateRule:
    return UpdateRule(name="keep", action=RuleAction(action), packages=packages)


def on_web1(*updates: RankedUpdate, rules: tuple[UpdateRule, ...] = (rule(),)) -> Candidate:
    said = Policy(name="p", level=Level.GLOBAL, new_packages=True, rules=rules)
    return replace(candidate("web1", *updates), settings=resolve([said], PROFILE).settings())


def target(name: str, version: str = "2.0", arch: str = "amd64") -> Target:
    return Target(name=name, arch=arch, version=version)


def offer(name: str, *brings: Target, **flags: Any) -> RankedUpdate:
    return ranked(update(name, brings=brings, **flags))


def names(made: PlannedHost | ExcludedHost) -> list[str]:
    return [each.name for each in made.packages] if isinstance(made, PlannedHost) else []


ORACLE = offer("oracle-lib")
IMAGE = target("linux-image-6.8.0-51", "6.8.0-51")
REJECTED = "which stays out: rule keep of policy p (global) rejects it"


@pytest.mark.parametrize("action", ["reject", "manual", "after_pilot"])
def test_a_rule_that_names_a_package_is_asked_where_an_update_brings_it_new(action: str) -> None:
    made = plan_updates(
        on_web1(offer("linux-generic", IMAGE), offer("zip"), rules=(rule(action),)), PROFILE
    )

    assert isinstance(made, PlannedHost)
    assert names(made) == ["zip"]
    assert [left.name for left in made.left_out] == ["linux-generic"]
    assert "it needs linux-image-6.8.0-51, which stays out: rule keep" in made.left_out[0].reason


@pytest.mark.parametrize(
    "brought",
    [target("oracle-lib"), target("oracle-lib", "1.5"), target("oracle-lib", arch="all")],
)
def test_what_is_rejected_comes_in_under_no_other_version_or_architecture(brought: Target) -> None:
    made = plan_updates(on_web1(ORACLE, offer("app", brought)), PROFILE)

    assert isinstance(made, ExcludedHost)
    assert f"app not_attempted: it needs oracle-lib, {REJECTED}" in made.reason


@pytest.mark.parametrize("flags", [{"security": False}, {"held": True}, {"phased": True}])
def test_what_stays_out_for_another_reason_too_is_still_rejected(flags: dict[str, Any]) -> None:
    profile = replace(PROFILE, updates=Updates.SECURITY)
    host = on_web1(offer("oracle-lib", **flags), offer("app", target("oracle-lib")))
    said = replace(resolve([], profile).settings(), rules=host.settings.rules)  # type: ignore[union-attr]
    made = plan_updates(replace(host, settings=replace(said, new_packages=True)), profile)

    assert isinstance(made, ExcludedHost)
    assert f"app not_attempted: it needs oracle-lib, {REJECTED}" in made.reason


@pytest.mark.parametrize("turned", [False, True])
def test_what_needs_something_that_stays_out_keeps_out_what_needs_it_in_turn(turned: bool) -> None:
    chain = [
        offer("a", target("b")),
        offer("b", target("c")),
        offer("c", target("oracle-lib")),
        ORACLE,
    ]
    made = plan_updates(on_web1(*(reversed(chain) if turned else chain), offer("zip")), PROFILE)

    assert names(made) == ["zip"]
    assert isinstance(made, PlannedHost)
    (reason,) = (left.reason for left in made.left_out if left.name == "a")
    assert reason.startswith(
        "it needs b, which stays out: it needs c, which stays out: it needs oracle-lib, "
    )


def test_updates_that_need_each_other_come_or_stay_together() -> None:
    circle = (offer("a", target("b")), offer("b", target("a")))

    assert names(plan_updates(on_web1(*circle), PROFILE)) == ["a", "b"]
    kept = plan_updates(on_web1(*circle, rules=(rule(packages=("b",)),)), PROFILE)
    assert names(kept) == []


def test_an_emergency_brings_nothing_along_that_a_policy_rejects() -> None:
    chain = (offer("app", target("b")), offer("b", target("oracle-lib")), ORACLE)
    (host,), _ = touched_by([on_web1(*chain)], frozenset({"app"}))
    made = plan_updates(host, PROFILE, Permits(taken=frozenset({"app"})))

    assert isinstance(made, ExcludedHost)
    assert made.reason.startswith("app not_attempted: it needs b, which stays out: it needs oracle")
    assert "oracle-lib not_attempted" not in made.reason, "the plan is not about it"


def test_an_emergency_still_brings_along_what_no_policy_speaks_of() -> None:
    (host,), _ = touched_by([on_web1(offer("app", target("b")), offer("b"))], frozenset({"app"}))

    assert names(plan_updates(host, PROFILE)) == ["app", "b"]


def test_who_takes_an_update_by_name_takes_what_it_needs_of_the_same_rule_and_of_no_other() -> None:
    app = offer("app", target("app-data"), target("oracle-lib"))
    taken = Permits(taken=frozenset({"app"}))
    everything = replace(rule("manual", ()), name="by-hand")
    one = on_web1(app, ORACLE, rules=(everything,))
    other = on_web1(app, ORACLE, rules=(rule("manual"), everything))

    assert names(plan_updates(one, PROFILE)) == []
    assert names(plan_updates(one, PROFILE, taken)) == ["app", "app-data", "oracle-lib"]
    assert names(plan_updates(other, PROFILE, taken)) == []
