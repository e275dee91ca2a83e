"""Every field of a host comes from the nearest policy that speaks of it, unless a lock forbids."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases.rollouts.build import PROFILE
from wavemend.fleet import Group, Scope, group_members
from wavemend.hosts import Host, OwnWords
from wavemend.inventory.fleet_file import load_fleet
from wavemend.membership import GroupIndex
from wavemend.policy.explaining import explain_settings
from wavemend.policy.profiles import Profile, RebootRule, Updates
from wavemend.policy.resolving import Resolved, Resolver, resolver_of, settings_of_profile
from wavemend.policy.settings import FIELDS, Importance, Level, Policy, RuleAction, UpdateRule
from wavemend.selectors import parse_selector

RIGHT = (Path(__file__).parents[2] / "tests/cases/fleet/right.yaml").read_text()
WEB = Group(name="web", scope=Scope.CUSTOM, select=parse_selector("role=web"))
EVERYBODY = Policy(name="everybody", level=Level.GLOBAL, reboot=RebootRule.NEVER)
ACME = Policy(
    name="acme-way", level=Level.COMPANY, tenant="acme", reboot=RebootRule.ALWAYS, conffiles="keep"
)
WEBS = Policy(name="webs", level=Level.CUSTOM, group="web", importance=Importance.LOW)
ONE = Policy(name="one", level=Level.HOST, host="web1", reboot=RebootRule.IF_NEEDED)


def web1(*policies: Policy, own: OwnWords | None = None, profile: Profile = PROFILE) -> Resolved:
    resolver = Resolver(policies, [WEB], {"acme": "night"})
    return resolver.resolve("web1", "acme", {"role": "web"}, profile, own or OwnWords())


def test_ac_08_the_nearest_level_wins_field_by_field_and_each_value_names_its_origin() -> None:
    found = web1(EVERYBODY, ACME, WEBS, ONE)

    assert {item.field: (item.value, item.source) for item in found.fields} == {
        "conffiles": ("keep", "policy acme-way (company acme)"),
        "critical": (False, "the default"),
        "defer": (timedelta(0), "the default"),
        "importance": (Importance.LOW, "policy webs (custom group web)"),
        "new_packages": (True, "profile linux"),
        "reboot": (RebootRule.IF_NEEDED, "policy one (host web1)"),
        "services": ("list", "profile linux"),
        "updates": (Updates.ALL, "profile linux"),
        "window": ("night", "company acme"),
    }
    assert [voice.source for voice in found.decided("reboot").instead_of] == [
        "policy acme-way (company acme)",
        "policy everybody (global)",
        "profile linux",
    ]


def test_ac_08_a_locked_field_is_not_given_away_and_whoever_tried_is_named() -> None:
    locked = replace(EVERYBODY, lock=("reboot",))
    found = web1(locked, replace(ACME, lock=("reboot",)), ONE).decided("reboot")

    assert (found.value, found.source) == (RebootRule.NEVER, "policy everybody (global)")
    assert found.locked_by == "policy everybody (global)"
    assert [voice.source for voice in found.overruled] == [
        "policy acme-way (company acme)",
        "policy one (host web1)",
    ]


def test_a_level_that_locks_a_field_without_a_value_leaves_it_to_the_farther_ones() -> None:
    guard = Policy(name="guard", level=Level.COMPANY, tenant="acme", lock=("conffiles", "reboot"))

    found = web1(EVERYBODY, guard, ONE)
    assert found.decided("reboot").source == "policy everybody (global)"
    assert found.decided("conffiles").source == "profile linux"


def test_entries_speak_at_the_level_of_whoever_they_are_about() -> None:
    noon = Policy(name="noon", level=Level.CUSTOM, group="web", window="noon", critical=True)

    assert web1().decided("window").source == "company acme"
    assert web1(noon).decided("window").value == "noon"
    own = web1(noon, own=OwnWords(window="dawn", critical=False))
    assert (own.decided("window").value, own.decided("window").source) == ("dawn", "its own entry")
    assert own.decided("critical").value is False
    assert own.decided("critical").instead_of[0].source == "policy noon (custom group web)"
    locked = web1(replace(noon, lock=("window",)), own=OwnWords(window="dawn"))
    assert locked.decided("window").overruled[0].source == "its own entry"


def test_two_of_one_level_that_differ_are_rivals_only_where_they_decide() -> None:
    other = Policy(name="other", level=Level.CUSTOM, group="web", importance=Importance.HIGH)
    nearer = Policy(name="nearer", level=Level.HOST, host="web1", importance=Importance.NORMAL)

    rivals = web1(WEBS, other).decided("importance").rivals
    assert [voice.policy for voice in rivals] == ["webs", "other"]
    assert web1(WEBS, replace(other, importance=Importance.LOW)).decided("importance").rivals == ()
    assert web1(WEBS, other, nearer).decided("importance").rivals == ()


def test_locked_rules_silence_the_rules_of_nearer_levels() -> None:
    said = UpdateRule(name="no", action=RuleAction.REJECT)
    locked = replace(EVERYBODY, rules=(said,), lock=("rules",))
    found = web1(locked, replace(WEBS, rules=(said,)))

    assert [layer.level for layer in found.rules] == [Level.GLOBAL]
    assert found.silenced == ("policy webs (custom group web)",)
    assert found.rules_locked_by == "policy everybody (global)"


def test_a_policy_speaks_only_of_its_own() -> None:
    strangers = (
        replace(ACME, tenant="globex"),
        replace(ONE, host="web2"),
        replace(WEBS, group="db"),
        replace(WEBS, tenant="globex"),
    )
    assert web1(*strangers) == web1()


def test_where_no_policy_speaks_the_profile_holds() -> None:
    plain = settings_of_profile(PROFILE)

    assert (plain.updates, plain.reboot, plain.new_packages) == (Updates.ALL, PROFILE.reboot, True)
    assert (plain.importance, plain.defer, plain.rules) == (Importance.NORMAL, timedelta(0), ())


FLAGS = st.sampled_from([None, True, False])


@st.composite
def policies(draw: st.DrawFn) -> list[Policy]:
    targets = {
        Level.GLOBAL: {},
        Level.COMPANY: {"tenant": "acme"},
        Level.CUSTOM: {"group": "web"},
        Level.HOST: {"host": "web1"},
    }
    return [
        Policy(
            name=f"p{number}",
            level=level,
            new_packages=draw(FLAGS),
            critical=draw(FLAGS),
            lock=tuple(draw(st.sets(st.sampled_from(["critical", "new_packages"])))),
            **targets[level],  # type: ignore[arg-type]
        )
        for number, level in enumerate(draw(st.lists(st.sampled_from(list(Level)), max_size=6)))
    ]


@settings(max_examples=200, deadline=None)
@given(policies())
def test_resolving_is_what_a_person_would_do_by_hand(given_policies: list[Policy]) -> None:
    found = web1(*given_policies)
    for field in ("critical", "new_packages"):
        value: object = {"critical": False, "new_packages": True}[field]
        for level in Level:
            here = [policy for policy in given_policies if policy.level is level]
            said = [getattr(policy, field) for policy in here]
            value = next((word for word in said if word is not None), value)
            if any(field in policy.lock for policy in here):
                break
        assert found.decided(field).value == value


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_index_of_groups_says_what_the_groups_say(data: st.DataObject) -> None:
    selectors = ["role=web", "role in (web,db), env!=dev", "env", "!env", "role!=web", "ring=a"]
    labels = st.dictionaries(st.sampled_from(["role", "env", "ring"]), st.sampled_from("ab"))
    hosts = [
        Host(
            name=f"h{number}",
            tenant=data.draw(st.sampled_from(["acme", "globex"])),
            address="",
            labels={**data.draw(labels), **data.draw(st.sampled_from([{}, {"role": "web"}]))},
        )
        for number in range(6)
    ]
    groups = [
        Group(
            name=f"g{number}",
            scope=Scope.CUSTOM,
            tenant=data.draw(st.sampled_from(["", "acme"])),
            select=parse_selector(text) if data.draw(st.booleans()) else None,
            hosts=tuple(data.draw(st.sets(st.sampled_from(["h0", "h1", "h5"])))),
        )
        for number, text in enumerate(selectors)
    ]
    index = GroupIndex(groups)
    for host in hosts:
        expected = [group.name for group in groups if host in group_members(group, hosts)]
        assert list(index.of(host.name, host.tenant, host.labels)) == expected


# --- from the fleet file -------------------------------------------------------------------------


def loaded(folder: Path, policies_text: str) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(RIGHT + policies_text)
    return path


def test_window_critical_and_manager_options_of_a_host_come_from_its_policies(
    tmp_path: Path,
) -> None:
    text = (
        "policies:\n"
        "  - {name: careful, scope: company, tenant: acme, conffiles: replace, services: restart}\n"
        "  - {name: vip, scope: host, host: web1, importance: high, conffiles: keep}\n"
    )
    fleet = load_fleet(loaded(tmp_path, text))

    assert str(fleet.host("db1").options.conffiles) == "replace"
    assert str(fleet.host("web1").options.conffiles) == "keep"
    assert str(fleet.host("web1").options.services) == "restart"
    assert fleet.host("db1").own == OwnWords(critical=True)
    profile = fleet.profile("debian-server")
    planning = resolver_of(fleet).settings(fleet.host("web1"), profile)
    assert planning.importance is Importance.HIGH


def test_ac_08_every_field_is_explained_with_value_and_origin(tmp_path: Path) -> None:
    text = (
        "policies:\n"
        "  - {name: base, scope: global, reboot: never, lock: [reboot]}\n"
        "  - {name: vip, scope: host, host: db1, reboot: always, defer: 7d}\n"
    )
    fleet = load_fleet(loaded(tmp_path, text))
    lines = {line.field: line for line in explain_settings(fleet, fleet.host("db1"))}

    assert tuple(lines) == FIELDS
    assert all(line.value and line.source for line in lines.values())
    assert (lines["critical"].value, lines["critical"].source) == ("yes", "its own entry")
    assert (lines["defer"].value, lines["defer"].source) == ("7d", "policy vip (host db1)")
    assert (lines["window"].value, lines["window"].source) == ("night", "company acme")
    assert lines["reboot"].notes[0] == (
        "policy vip (host db1) says always: overruled, policy base (global) locks it"
    )


@pytest.mark.parametrize("hosts", [20_000])
def test_equal_answers_are_worked_out_once(hosts: int) -> None:
    groups = [
        Group(name=f"g{n}", scope=Scope.CUSTOM, select=parse_selector(f"site=s{n}"))
        for n in range(500)
    ]
    rules = [
        Policy(name=f"p{n}", level=Level.CUSTOM, group=f"g{n}", importance=Importance.LOW)
        for n in range(500)
    ]
    resolver = Resolver(rules, groups, {"acme": "night"})
    found = {
        id(resolver.resolve(f"h{n}", "acme", {"site": f"s{n % 500}"}, PROFILE))
        for n in range(hosts)
    }

    assert len(found) == 500


def test_the_example_of_the_how_to_is_a_fleet(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/set-policies.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    needed = "groups:\n  - {name: test, scope: custom, hosts: [web1]}\n"
    text = (
        RIGHT.replace("name: night", "name: sun-early")
        .replace("window: night", "")
        .replace("  - name: acme\n", "  - name: acme\n    window: sun-early\n", 1)
    )
    path = tmp_path / "fleet.yaml"
    path.write_text(text + needed + example)
    fleet = load_fleet(path)

    lines = {line.field: line.source for line in explain_settings(fleet, fleet.host("web1"))}
    assert lines["importance"] == "policy test-machines (custom group test)"
    assert lines["reboot"] == "policy base (global)"


def test_a_budget_of_all_hosts_is_of_all_hosts_of_its_company(tmp_path: Path) -> None:
    budgets = "budgets:\n  - {name: few, most_out: 1, tenant: acme, hosts: all}\n"

    assert load_fleet(loaded(tmp_path, budgets)).budgets[0].hosts == ("db1", "web1")
