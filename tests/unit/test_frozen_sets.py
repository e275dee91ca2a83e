"""All hosts of a rollout get one frozen set of updates: what the pilots try is what others get."""

from dataclasses import replace

from tests.cases.rollouts.build import OCCASION, PROFILE, candidate, facts, ranked, update
from wavemend.packages import Target
from wavemend.planning import Candidate, make_plan
from wavemend.planning.rules import Permits
from wavemend.plans import Plan
from wavemend.policy.profiles import Size, WaveKind
from wavemend.policy.resolving import resolve
from wavemend.policy.settings import Level, Policy, RuleAction, UpdateRule

SLOW = Policy(
    name="slow",
    level=Level.GLOBAL,
    rules=(UpdateRule(name="tried-first", action=RuleAction.AFTER_PILOT),),
)


def plan(*candidates: Candidate, pilots: int = 1, permits: Permits | None = None) -> Plan:
    first, *others = PROFILE.waves
    waves = (replace(first, size=Size(value=pilots, percent=False)), *others)
    return make_plan(
        OCCASION, replace(PROFILE, waves=waves), candidates, (), permits=permits or Permits()
    )


def offered(name: str, version: str, package: str = "openssl", **more: str) -> Candidate:
    seen = replace(facts(name), **more)  # type: ignore[arg-type]
    return candidate(name, ranked(update(package, candidate=version)), facts_of=seen)


def versions(made: Plan, package: str = "openssl") -> dict[str, str]:
    return {
        host.name: planned.target
        for host in made.hosts
        for planned in host.packages
        if planned.name == package
    }


def reasons(made: Plan) -> dict[str, str]:
    return {left.name: left.reason for left in made.excluded}


def test_ac_10_no_two_hosts_of_a_run_get_two_versions_of_one_package() -> None:
    made = plan(offered("a1", "2.0"), offered("b1", "2.0"), offered("b2", "2.1"))

    assert versions(made) == {"a1": "2.0", "b1": "2.0"}
    assert reasons(made)["b2"] == (
        "openssl not_attempted: all hosts of a rollout get one version: openssl 2.0, which a1 is "
        "offered; 2.1 comes with the next rollout"
    )


def test_ac_10_the_pilots_decide_even_where_most_other_hosts_are_offered_another_version() -> None:
    made = plan(offered("a1", "2.0"), *(offered(f"b{n}", "2.1") for n in range(5)))

    assert versions(made) == {"a1": "2.0"}


def test_among_the_pilots_the_version_of_most_of_them_counts_then_of_the_first() -> None:
    most = plan(offered("a1", "2.1"), offered("a2", "2.0"), offered("a3", "2.0"), pilots=3)
    tie = plan(offered("a1", "2.1"), offered("a2", "2.0"), pilots=2)

    assert versions(most) == {"a2": "2.0", "a3": "2.0"}
    assert versions(tie) == {"a1": "2.1"}


def test_where_no_pilot_is_offered_a_package_the_next_wave_decides() -> None:
    made = plan(offered("a1", "9", "zip"), offered("b1", "2.0"), offered("b2", "2.1"))

    assert versions(made) == {"b1": "2.0"}
    assert versions(made, "zip") == {"a1": "9"}


def test_other_releases_and_other_repositories_have_versions_of_their_own() -> None:
    other_source = replace(update(), candidate="2.2", origin="mirror of the company")
    made = plan(
        offered("a1", "2.0"),
        offered("b1", "3.0", os_version="13", codename="trixie"),
        candidate("b2", ranked(other_source)),
    )

    assert versions(made) == {"a1": "2.0", "b1": "3.0", "b2": "2.2"}


def test_a_host_keeps_the_rest_of_its_updates_when_one_of_them_waits() -> None:
    both = candidate(
        "b1", ranked(update("openssl", candidate="2.1")), ranked(update("zip", candidate="9"))
    )
    made = plan(offered("a1", "2.0"), both)

    assert versions(made) == {"a1": "2.0"}
    assert versions(made, "zip") == {"b1": "9"}
    assert [left.name for left in made.host("b1").left_out] == ["openssl"]


def test_the_order_in_which_hosts_come_changes_no_frozen_set() -> None:
    hosts = [offered(f"h{n}", f"2.{n % 3}") for n in range(7)]
    hosts.append(replace(offered("pilot", "2.5"), host=offered("a0", "2.5").host))

    assert plan(*hosts).digest == plan(*reversed(hosts)).digest


# --- after_pilot ----------------------------------------------------------------------------------


def waiting(*candidates: Candidate) -> list[Candidate]:
    settings = resolve([SLOW], PROFILE).settings()
    return [replace(each, settings=settings) for each in candidates]


def test_what_a_pilot_of_the_same_plan_gets_goes_to_the_others_behind_its_gate() -> None:
    made = plan(*waiting(offered("a1", "2.0"), offered("b1", "2.0"), offered("b2", "1", "zip")))

    assert versions(made) == {"a1": "2.0", "b1": "2.0"}
    assert made.wave_of("a1").kind == WaveKind.PILOT
    assert made.wave_of("a1").number < made.wave_of("b1").number
    assert "rule tried-first of policy slow (global) takes it after a pilot" in reasons(made)["b2"]


def after_pilot(made: Plan) -> dict[str, list[str]]:
    return {
        host.name: [package.name for package in host.packages if package.after_pilot]
        for host in made.hosts
    }


def test_what_only_this_plans_pilots_try_is_marked_to_wait_for_them_with_what_it_brings() -> None:
    data = Target(name="openssl-data", arch="all", version="2.0")
    both = [candidate(name, ranked(update(brings=(data,))), ranked(update("zip"))) for name in "ab"]
    tried = Permits(tried=frozenset({("zip", "amd64", "2.0")}))

    assert after_pilot(plan(*waiting(*both), permits=tried)) == {
        "a": [],
        "b": ["openssl", "openssl-data"],
    }
    assert after_pilot(plan(*both)) == {"a": [], "b": []}, "no policy asks for pilots"


def test_what_an_earlier_rollout_tried_needs_no_pilot_now() -> None:
    tried = Permits(tried=frozenset({("zip", "amd64", "1")}))
    made = plan(*waiting(offered("a1", "2.0"), offered("b1", "1", "zip")), permits=tried)

    assert versions(made, "zip") == {"b1": "1"}


def test_a_pilot_whose_updates_all_stay_out_keeps_nobody_back() -> None:
    no_zip = Policy(
        name="no-zip",
        level=Level.GLOBAL,
        rules=(UpdateRule(name="no", action=RuleAction.REJECT, packages=("zip",)),),
    )
    settings = resolve([no_zip], PROFILE).settings()
    pilot = replace(offered("a1", "1", "zip"), settings=settings)
    made = plan(pilot, replace(offered("b1", "2.0"), settings=settings))

    assert versions(made) == {"b1": "2.0"}
    assert "rule no of policy no-zip (global) rejects it" in reasons(made)["a1"]


def test_a_version_that_pilots_are_offered_but_do_not_get_is_not_tried() -> None:
    elsewhere = candidate("b1", ranked(replace(update(), candidate="2.1", origin="mirror")))
    pilots = (offered("a1", "2.0"), offered("a2", "2.0"), offered("a3", "2.1"))
    made = plan(*waiting(*pilots, elsewhere), pilots=3)

    assert versions(made) == {"a1": "2.0", "a2": "2.0"}
    assert "no pilot of acme has had 2.1" in reasons(made)["b1"]
