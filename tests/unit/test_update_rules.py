"""The first rule that matches an update decides; what stays out says by whom, and the way out."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.cases.rollouts.build import NOON, PROFILE, candidate, facts, ranked, update
from wavemend.hosts import InstalledPackage
from wavemend.packages import Target
from wavemend.planning.hosts import Candidate, judge_each, plan_updates
from wavemend.planning.rules import Permits
from wavemend.plans import ExcludedHost, PlannedHost
from wavemend.policy.profiles import Updates
from wavemend.policy.resolving import resolve
from wavemend.policy.rules import Traits, matches, rule
from wavemend.policy.settings import Level, Policy, RuleAction, UpdateClass, UpdateRule
from wavemend.scoring import Lane, RankedUpdate
from wavemend.selectors import parse_selector

TRAITS = Traits(
    package="openssl",
    update_class=UpdateClass.SECURITY,
    lane="routine",
    cvss=7.5,
    epss=0.2,
    kev=False,
    severities=("important",),
    products=("Debian-Security:12", "debian"),
    age=timedelta(days=3),
    labels={"role": "web"},
)


def said(action: str = "reject", name: str = "r", **conditions: Any) -> UpdateRule:
    return UpdateRule(name=name, action=RuleAction(action), **conditions)


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"classes": (UpdateClass.SECURITY,)}, True),
        ({"classes": (UpdateClass.FUNCTIONAL,)}, False),
        ({"lanes": ("emergency", "routine")}, True),
        ({"lanes": ("emergency",)}, False),
        ({"cvss_at_least": 7.5}, True),
        ({"cvss_at_least": 7.6}, False),
        ({"epss_at_least": 0.2}, True),
        ({"epss_at_least": 0.21}, False),
        ({"kev": False}, True),
        ({"kev": True}, False),
        ({"packages": ("linux-*", "open?sl")}, True),
        ({"packages": ("ssl",)}, False),
        ({"severities": ("critical", "important")}, True),
        ({"severities": ("low",)}, False),
        ({"products": ("debian-*", "Debian-Security*")}, True),
        ({"products": ("debian",)}, True),
        ({"products": ("ubuntu",)}, False),
        ({"younger_than": timedelta(days=4)}, True),
        ({"younger_than": timedelta(days=3)}, False),
        ({"select": parse_selector("role=web")}, True),
        ({"select": parse_selector("role=db")}, False),
        ({"packages": ("open*",), "kev": True}, False),
    ],
)
def test_each_condition_asks_what_it_says(conditions: dict[str, Any], holds: bool) -> None:
    assert matches(said(**conditions), TRAITS) is holds


@pytest.mark.parametrize(
    "conditions",
    [{"cvss_at_least": 0.0}, {"epss_at_least": 0.0}, {"kev": True}, {"kev": False}],
)
def test_what_is_not_known_fulfils_no_condition(conditions: dict[str, Any]) -> None:
    unknown = replace(TRAITS, cvss=None, epss=None, kev=None)
    assert not matches(said(**conditions), unknown)


@pytest.mark.parametrize("lane", ["emergency", "expedited"])
def test_no_age_holds_back_what_is_urgent_unless_the_rule_names_the_lane(lane: str) -> None:
    urgent = replace(TRAITS, lane=lane)
    week = timedelta(days=7)

    assert not matches(said(younger_than=week), urgent)
    assert matches(said(younger_than=week, lanes=(lane,)), urgent)
    assert matches(said(packages=("openssl",)), urgent)


def layers(*policies: Policy) -> Any:
    return resolve(policies, PROFILE).rules


def policy(name: str, level: Level, *rules: UpdateRule) -> Policy:
    return Policy(name=name, level=level, tenant="acme", group="g", host="web1", rules=rules)


def test_the_first_rule_of_a_policy_and_the_nearest_level_decide() -> None:
    far = policy("far", Level.GLOBAL, said("reject", "all"))
    near = policy(
        "near", Level.CUSTOM, said("manual", "ssl", packages=("openssl",)), said("auto", "rest")
    )
    found = rule(layers(far, near), TRAITS)

    assert found is not None
    assert (found.rule, str(found)) == ("ssl", "rule ssl of policy near (custom group g)")
    assert rule(layers(far), TRAITS).action is RuleAction.REJECT  # type: ignore[union-attr]
    assert rule((), TRAITS) is None


@pytest.mark.parametrize("turned", [False, True])
def test_ac_08_reject_beats_every_other_answer_on_one_level(turned: bool) -> None:
    both = [
        policy("yes", Level.CUSTOM, said("auto", "take")),
        policy("no", Level.CUSTOM, said("reject", "leave")),
    ]
    found = rule(layers(*(reversed(both) if turned else both)), TRAITS)

    assert found is not None
    assert found.rule == "leave"


def test_ac_08_a_nearer_approval_beats_a_farther_rejection() -> None:
    company = policy("no", Level.COMPANY, said("reject", "leave"))
    own = policy("yes", Level.HOST, said("auto", "take"))

    assert rule(layers(company, own), TRAITS).rule == "take"  # type: ignore[union-attr]


# --- what becomes of it in a plan ----------------------------------------------------------------


def judged(
    *updates: RankedUpdate, says: Policy, permits: Permits | None = None, **more: Any
) -> PlannedHost | ExcludedHost:
    return plan_updates(on_web1(*updates, says=says, **more), PROFILE, permits or Permits())


def on_web1(*updates: RankedUpdate, says: Policy, **more: Any) -> Candidate:
    return replace(
        candidate("web1", *updates), settings=resolve([says], PROFILE).settings(), **more
    )


def reason(made: PlannedHost | ExcludedHost, package: str = "openssl") -> str:
    if isinstance(made, ExcludedHost):
        return made.reason
    return next((left.reason for left in made.left_out if left.name == package), "")


SSL, ZIP = ranked(update()), ranked(update("zip", security=False))


def test_a_rejected_update_is_left_out_with_rule_policy_and_way_out() -> None:
    made = judged(SSL, ZIP, says=policy("quiet", Level.COMPANY, said(packages=("open*",))))

    assert isinstance(made, PlannedHost)
    assert [package.name for package in made.packages] == ["zip"]
    assert reason(made) == (
        "rule r of policy quiet (company acme) rejects it: change the rule to have it installed"
    )


def test_a_manual_update_waits_until_a_rollout_names_its_rule_or_package() -> None:
    says = policy("careful", Level.COMPANY, said("manual", "by-hand"))

    left = judged(SSL, says=says)
    assert isinstance(left, ExcludedHost)
    assert "`wavemend rollout start acme --take by-hand` takes it" in left.reason
    for name in ("by-hand", "openssl"):
        taken = judged(SSL, says=says, permits=Permits(taken=frozenset({name})))
        assert isinstance(taken, PlannedHost)


def test_after_pilot_goes_to_pilots_and_to_others_once_exactly_this_version_was_tried() -> None:
    says = policy("slow", Level.COMPANY, said("after_pilot"))
    version = ("openssl", "amd64", "2.0")

    assert "no pilot of acme has had 2.0" in reason(judged(SSL, says=says))
    for permits in (
        Permits(pilots=frozenset({"web1"})),
        Permits(tried=frozenset({version})),
    ):
        assert isinstance(judged(SSL, says=says, permits=permits), PlannedHost)
    other = Permits(tried=frozenset({(*version[:2], "1.9"), ("openssl", "i386", "2.0")}))
    assert isinstance(judged(SSL, says=says, permits=other), ExcludedHost)


WAIT = Policy(name="wait", level=Level.GLOBAL, defer=timedelta(days=7))


@pytest.mark.parametrize(
    ("published", "seen", "waits"),
    [(3, None, True), (8, None, False), (None, 3, True), (3, 8, False), (None, None, True)],
)
def test_a_deferral_counts_from_publication_or_first_sight_whichever_is_earlier(
    published: int | None, seen: int | None, waits: bool
) -> None:
    one = replace(SSL, published=None if published is None else NOON - timedelta(days=published))
    first = {} if seen is None else {("openssl", "amd64", "2.0"): NOON - timedelta(days=seen)}
    made = judged(one, says=WAIT, first_seen=first)

    assert isinstance(made, ExcludedHost) is waits
    if published == 3 and waits:
        assert "policy wait (global) waits 7d" in reason(made)
        assert "due from 2026-03-14 12:00 UTC on" in reason(made)


@pytest.mark.parametrize("lane", [Lane.EMERGENCY, Lane.EXPEDITED])
def test_a_deferral_never_holds_what_is_urgent(lane: Lane) -> None:
    urgent = replace(SSL, priority=replace(SSL.priority, lane=lane))

    assert isinstance(judged(urgent, says=WAIT), PlannedHost)


def test_a_rule_that_says_auto_takes_an_update_before_its_time() -> None:
    says = replace(WAIT, rules=(said("auto", "now", packages=("openssl",)),))
    made = judged(SSL, ZIP, says=says)

    assert isinstance(made, PlannedHost)
    assert [package.name for package in made.packages] == ["openssl"]
    assert "waits 7d" in reason(made, "zip")


def test_what_is_rejected_does_not_come_in_beside_an_update_that_needs_it() -> None:
    library = InstalledPackage(
        name="libssl3", version="1.0", arch="amd64", source="openssl", source_version="1.0"
    )
    needs = replace(
        SSL, update=update(brings=(Target(name="libssl3", arch="amd64", version="2.0"),))
    )
    both = (needs, ranked(update("libssl3")))
    says = policy("no-lib", Level.COMPANY, said("reject", "keep-lib", packages=("libssl3",)))
    seen = replace(facts("web1"), installed=(library,))
    one = on_web1(*both, says=says)
    made = plan_updates(replace(one, look=replace(one.look, facts=seen)), PROFILE)

    assert isinstance(made, ExcludedHost)
    assert "openssl not_attempted: it needs libssl3, which stays out: rule keep-lib" in made.reason


def test_the_policy_that_takes_only_security_updates_is_named() -> None:
    says = replace(policy("strict", Level.COMPANY), updates=Updates.SECURITY)
    made = judged(SSL, ZIP, says=says)

    assert reason(made, "zip") == (
        "not known to be a security update, and policy strict (company acme) takes only those"
    )


def test_each_pending_update_is_told_with_the_rule_that_decides_it() -> None:
    says = policy("quiet", Level.COMPANY, said("reject", "no-zip", packages=("zip",)))
    told = {each.update.name: each for each in judge_each(on_web1(SSL, ZIP, says=says), PROFILE)}

    assert told["openssl"].reason == ""
    assert told["openssl"].ruled_by == "no rule speaks of it"
    assert told["zip"].ruled_by == "rule no-zip of policy quiet (company acme): reject"
    assert "rejects it" in told["zip"].reason
