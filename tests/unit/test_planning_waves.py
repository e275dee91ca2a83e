"""Hosts change in an order that restarts nobody by surprise and puts nothing before its base."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.cases.rollouts.build import (
    OCCASION,
    PROFILE,
    candidate,
    facts,
    ranked,
    update,
)
from wavemend.errors import PlanError
from wavemend.hosts import ManagerOptions, Services
from wavemend.outcomes import Outcome
from wavemend.planning import Candidate, make_plan
from wavemend.plans import Plan
from wavemend.policy.care import RebootManners
from wavemend.policy.limits import Dependency
from wavemend.policy.profiles import GateRule, Profile, RebootRule, WaveKind, WaveRule
from wavemend.policy.resolving import settings_of_profile
from wavemend.policy.settings import Importance
from wavemend.scoring import Lane, RankedUpdate
from wavemend.selectors import parse_selector

TOOL = ranked(update("jq"))
KERNEL = ranked(update("linux-image-6.1.0-40-amd64"))
BROAD_ONLY = replace(
    PROFILE, waves=(WaveRule(name="broad", kind=WaveKind.BROAD), *PROFILE.waves[-1:])
)


def plan(
    *candidates: Candidate,
    profile: Profile = BROAD_ONLY,
    dependencies: Sequence[Dependency] = (),
    gap: timedelta = timedelta(0),
) -> Plan:
    occasion = replace(OCCASION, dependencies=tuple(dependencies), gap=gap)
    return make_plan(occasion, profile, candidates, ())


def host(name: str, *updates: RankedUpdate, role: str = "", critical: bool = False) -> Candidate:
    made = candidate(name, *(updates or (TOOL,)), critical=critical)
    return replace(
        made, host=replace(made.host, labels={"role": role or name.rstrip("0123456789")})
    )


def before(name: str, first: str, then: str) -> Dependency:
    return Dependency(
        name=name, first=parse_selector(f"role={first}"), then=parse_selector(f"role={then}")
    )


def waves(made: Plan) -> list[tuple[str, tuple[str, ...]]]:
    return [(wave.name, wave.hosts) for wave in made.waves]


# --- restarts apart ------------------------------------------------------------------------------


def test_ac_11_hosts_that_do_not_restart_go_first_and_are_planned_without_any_restart() -> None:
    made = plan(host("a1", KERNEL), host("b1"), host("c1", KERNEL), host("d1"))

    assert waves(made) == [("broad", ("b1", "d1")), ("broad-reboot", ("a1", "c1"))]
    assert {each.name: each.reboot for each in made.hosts} == {
        "a1": "if_needed",
        "b1": "never",
        "c1": "if_needed",
        "d1": "never",
    }


def test_both_groups_keep_gate_soak_and_gap_of_their_wave_as_far_as_they_have_the_hosts() -> None:
    gate = GateRule(min_observed=3, soak=timedelta(minutes=9), max_errors=2)
    rule = WaveRule(name="broad", kind=WaveKind.BROAD, gap=timedelta(hours=1), gate=gate)
    made = plan(
        *(host(f"a{n}") for n in range(5)),
        host("z1", KERNEL),
        profile=replace(BROAD_ONLY, waves=(rule, *PROFILE.waves[-1:])),
    )

    assert [(wave.name, wave.min_observed) for wave in made.waves] == [
        ("broad", 3),
        ("broad-reboot", 1),
    ]
    assert {(w.soak_seconds, w.gap_seconds, w.max_errors) for w in made.waves} == {(540, 3600, 2)}


def test_a_pilot_stays_whole_and_its_hosts_restart_if_they_need_to() -> None:
    pilot = WaveRule(name="pilot", kind=WaveKind.PILOT)
    made = plan(
        host("a1", KERNEL),
        host("b1"),
        profile=replace(BROAD_ONLY, waves=(pilot, *PROFILE.waves[1:])),
    )

    assert waves(made) == [("pilot", ("b1", "a1"))]
    assert {each.reboot for each in made.hosts} == {"if_needed"}


def test_critical_hosts_are_parted_too() -> None:
    made = plan(host("db1", KERNEL, critical=True), host("db2", critical=True))

    assert waves(made) == [("critical", ("db2",)), ("critical-reboot", ("db1",))]
    assert {wave.kind for wave in made.waves} == {"critical"}


@pytest.mark.parametrize(
    "profile",
    [
        replace(BROAD_ONLY, separate_reboots=False),
        replace(BROAD_ONLY, reboots=RebootManners(window="sunday")),
    ],
)
def test_nobody_is_parted_where_it_is_switched_off_or_restarts_have_a_window(
    profile: Profile,
) -> None:
    made = plan(host("a1", KERNEL), host("b1"), profile=profile)

    assert waves(made) == [("broad", ("a1", "b1"))]
    assert {each.reboot for each in made.hosts} == {"if_needed"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [(RebootRule.ALWAYS, "broad"), (RebootRule.NEVER, "broad")],
)
def test_a_rule_that_leaves_no_choice_makes_no_second_group(
    rule: RebootRule, expected: str
) -> None:
    made = plan(host("a1", KERNEL), host("b1"), profile=replace(BROAD_ONLY, reboot=rule))

    assert waves(made) == [(expected, ("a1", "b1"))]
    assert {each.reboot for each in made.hosts} == {rule.value}


@pytest.mark.parametrize(
    ("name", "restarts"),
    [
        ("linux-image-amd64", True),
        ("kernel-default", True),
        ("kernel", True),
        ("linux-lts", True),
        ("libc6", True),
        ("glibc", True),
        ("musl", True),
        ("systemd", True),
        ("dbus-broker", True),
        ("intel-microcode", True),
        ("libssl3", True),
        ("openssl-libs", True),
        ("jq", False),
        ("nginx", False),
        ("vim-tiny", False),
        ("linux-doc", False),
        ("librarian-puppet", False),
    ],
)
def test_what_runs_from_the_boot_on_is_foreseen_to_ask_for_a_restart(
    name: str, *, restarts: bool
) -> None:
    (planned,) = plan(host("a1", ranked(update(name)))).hosts

    assert (planned.reboot == "if_needed") is restarts


def test_a_library_asks_for_no_restart_where_services_are_restarted_by_themselves() -> None:
    made = host("a1", ranked(update("libssl3")))
    options = ManagerOptions(services=Services.RESTART)
    (planned,) = plan(replace(made, host=replace(made.host, options=options))).hosts

    assert planned.reboot == "never"


def test_a_host_of_a_declared_manager_is_expected_to_restart() -> None:
    made = host("a1")
    (planned,) = plan(replace(made, host=replace(made.host, manager="vyos"))).hosts

    assert planned.reboot == "if_needed"


def test_a_host_that_waits_for_a_restart_goes_with_those_that_restart() -> None:
    waiting = replace(facts("a1"), reboot_reasons=("kernel 6.1 runs, 6.2 is installed",))
    idle = candidate("idle1", facts_of=replace(waiting, host="idle1", machine_id="id-idle1"))
    made = plan(candidate("a1", TOOL, facts_of=waiting), idle, host("b1"))

    assert waves(made) == [("broad", ("b1",)), ("broad-reboot", ("a1", "idle1"))]
    # What an earlier rollout left pending is done now, although nothing is left to install.
    assert (made.host("idle1").packages, made.host("idle1").reboot) == ((), "if_needed")


def test_nothing_is_restarted_that_waits_where_the_profile_restarts_nobody() -> None:
    waiting = replace(facts("a1"), reboot_reasons=("kernel",))
    made = plan(
        candidate("a1", facts_of=waiting), profile=replace(BROAD_ONLY, reboot=RebootRule.NEVER)
    )

    assert made.hosts == ()
    (left,) = made.excluded
    assert left.reason == "nothing is pending; it waits for a restart: kernel"
    assert left.outcome is Outcome.PATCHED_REBOOT_PENDING  # old code runs: that is to be seen


# --- the order inside a wave ---------------------------------------------------------------------


def test_what_matters_less_goes_first_but_what_is_exploited_goes_before_all() -> None:
    def of(name: str, importance: Importance, lane: Lane = Lane.ROUTINE) -> Candidate:
        pending = ranked(update("jq"))
        pending = replace(pending, priority=replace(pending.priority, lane=lane))
        settings = replace(settings_of_profile(BROAD_ONLY), importance=importance)
        return replace(host(name, pending), settings=settings)

    made = plan(
        of("a1", Importance.HIGH),
        of("b1", Importance.NORMAL),
        of("c1", Importance.LOW),
        of("d1", Importance.HIGH, Lane.EMERGENCY),
        of("e1", Importance.LOW),
    )

    assert made.waves[0].hosts == ("d1", "c1", "e1", "b1", "a1")


def test_the_companys_gap_holds_between_all_groups_of_a_plan() -> None:
    made = plan(host("a1"), host("b1", KERNEL), gap=timedelta(minutes=75))

    assert [wave.gap_seconds for wave in made.waves] == [4500, 4500]


# --- dependencies --------------------------------------------------------------------------------


def test_what_depends_on_a_host_gets_a_wave_of_its_own_behind_it() -> None:
    made = plan(
        host("app1"),
        host("app2"),
        host("db1", KERNEL),
        host("web1"),
        dependencies=[before("db", "db", "app")],
    )

    # A dependency has the last word: the applications do not restart, and go last all the same.
    assert waves(made) == [
        ("broad", ("web1",)),
        ("broad-reboot", ("db1",)),
        ("broad-after-db", ("app1", "app2")),
    ]
    assert made.host("app1").reboot == "never"


def test_a_chain_of_dependencies_is_followed_to_its_end() -> None:
    chain = [before("web", "app", "web"), before("db", "db", "app")]
    made = plan(host("web1"), host("app1"), host("db1"), dependencies=chain)

    assert waves(made) == [
        ("broad", ("db1",)),
        ("broad-after-db", ("app1",)),
        ("broad-after-web", ("web1",)),
    ]


def test_hosts_behind_a_critical_one_wait_for_its_wave() -> None:
    made = plan(host("app1"), host("db1", critical=True), dependencies=[before("db", "db", "app")])

    assert [(wave.name, wave.kind) for wave in made.waves] == [
        ("critical", "critical"),
        ("broad-after-db", "broad"),
    ]


def test_with_a_gap_what_follows_another_rollouts_hosts_goes_last() -> None:
    occasion = replace(
        OCCASION,
        dependencies=(before("db", "db", "app"),),
        elsewhere=frozenset({"db"}),
        gap=timedelta(hours=1),
    )
    made = make_plan(occasion, BROAD_ONLY, [host("app1"), host("web1", KERNEL)], ())
    no_gap = make_plan(replace(occasion, gap=timedelta(0)), BROAD_ONLY, [host("app1")], ())

    # Else the group of app1 would wait for the database, and keep its group back.
    assert waves(made) == [("broad-reboot", ("web1",)), ("broad-after-db", ("app1",))]
    assert waves(no_gap) == [("broad", ("app1",))]


def test_an_order_that_holds_already_moves_nobody() -> None:
    made = plan(host("app1", KERNEL), host("db1"), dependencies=[before("db", "db", "app")])

    assert [name for name, _ in waves(made)] == ["broad", "broad-reboot"]


def test_waves_never_share_a_name() -> None:
    twice = [before("db", "db", "app"), before("db", "app", "web")]
    made = plan(host("db1"), host("app1"), host("web1"), dependencies=twice)

    assert [name for name, _ in waves(made)] == ["broad", "broad-after-db", "broad-after-db-2"]


def test_dependencies_that_go_round_in_a_circle_are_refused() -> None:
    circle = [before("one", "db", "app"), before("two", "app", "db")]

    with pytest.raises(PlanError, match="wait for each other: one, two"):
        plan(host("db1"), host("app1"), dependencies=circle)


# --- how long it takes ---------------------------------------------------------------------------


def test_every_planned_host_says_how_long_it_takes_and_the_deadline_bounds_it() -> None:
    made = plan(host("a1"), host("b1", KERNEL))
    short = replace(BROAD_ONLY, host_deadline=timedelta(minutes=10))

    assert [(h.system, h.takes_seconds, h.at_most_seconds) for h in made.hosts] == [
        ("debian 12", 240, 900),
        ("debian 12", 420, 1500),
    ]
    assert plan(host("b1", KERNEL), profile=short).hosts[0].at_most_seconds == 600
