"""Budgets, exclusion sets, orders and gaps find their hosts, and nobody else's."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from wavemend.fleet import Fleet, Group, Scope
from wavemend.fleet_limits import NO_LIMITS, FleetLimits
from wavemend.hosts import Host
from wavemend.inventory.fleet_file import load_fleet
from wavemend.policy.limits import Budget, Dependency
from wavemend.policy.profiles import Size
from wavemend.selectors import parse_selector

ONE = Size(value=1, percent=False)
FLEET = load_fleet(Path(__file__).parents[1] / "cases/fleet/right.yaml")


def host(name: str, role: str, tenant: str = "acme") -> Host:
    return Host(
        name=name,
        tenant=tenant,
        address="192.0.2.1",
        profile="linux",
        window="night",
        labels={"role": role},
    )


def fleet(**parts: object) -> Fleet:
    tenants = tuple(replace(FLEET.tenants[0], name=name) for name in ("acme", "globex"))
    hosts = (
        host("app1", "app"),
        host("app2", "app"),
        host("app3", "app", "globex"),
        host("db1", "db"),
        host("db2", "db"),
    )
    return replace(FLEET, tenants=tenants, hosts=hosts, **parts)  # type: ignore[arg-type]


def sets(made: Fleet, name: str) -> list[tuple[str, tuple[str, ...], int]]:
    return [(each.name, each.hosts, each.most_out) for each in FleetLimits(made).of(name).sets]


def test_a_set_is_named_by_hosts_by_selector_or_by_group() -> None:
    apps = Group(name="apps", scope=Scope.GLOBAL, select=parse_selector("role=app"))
    made = fleet(
        groups=(apps,),
        budgets=(
            Budget(name="pair", hosts=("db1", "db2"), most_out=ONE),
            Budget(
                name="all", select=parse_selector("role"), most_out=Size(value=50, percent=True)
            ),
            Budget(name="mine", group="apps", tenant="acme", most_out=ONE),
        ),
    )

    everyone = ("app1", "app2", "app3", "db1", "db2")
    assert sets(made, "db1") == [("pair", ("db1", "db2"), 1), ("all", everyone, 2)]
    assert sets(made, "app1") == [("all", everyone, 2), ("mine", ("app1", "app2"), 1)]
    assert sets(made, "app3") == [("all", everyone, 2)]
    assert FleetLimits(made).of("gone1") == NO_LIMITS


def test_of_a_set_over_several_companies_each_sees_its_own_hosts() -> None:
    both = Budget(name="apps", select=parse_selector("role=app"), most_out=ONE)
    mine = Budget(name="dbs", select=parse_selector("role=db"), most_out=ONE)
    limits = FleetLimits(fleet(budgets=(both, mine)))

    own = {name: limits.of(name).sets[0].own for name in ("app1", "app2", "app3", "db1")}
    assert own["app1"] == own["app2"] == frozenset({"app1", "app2"})
    assert own["app3"] == frozenset({"app3"})
    assert own["db1"] is None  # no other company is in it


def test_a_percentage_lets_one_host_out_at_least() -> None:
    few = Budget(
        name="few", select=parse_selector("role=db"), most_out=Size(value=10, percent=True)
    )

    assert sets(fleet(budgets=(few,)), "db1") == [("few", ("db1", "db2"), 1)]


def test_a_budget_for_one_companys_hosts_in_anothers_group_has_none() -> None:
    group = Group(name="g", scope=Scope.COMPANY, tenant="globex", select=parse_selector("role=app"))
    made = fleet(
        groups=(group,), budgets=(Budget(name="x", group="g", tenant="acme", most_out=ONE),)
    )

    assert FleetLimits(made).sets == ()


def test_an_order_holds_inside_one_company() -> None:
    rule = Dependency(
        name="db-first", first=parse_selector("role=db"), then=parse_selector("role in (app,db)")
    )
    limits = FleetLimits(fleet(dependencies=(rule,)))

    (before,) = limits.of("app1").after
    assert (before.name, before.hosts) == ("db-first", ("db1", "db2"))
    assert [(str(due.key), due.window.name) for due in before.rollouts] == [
        ("acme/linux/night", "night")
    ]
    assert limits.of("app3").after == ()  # globex has no database
    assert limits.of("db1").after == ()  # nobody waits for himself


def test_a_host_has_its_companys_gap() -> None:
    made = fleet()
    tenants = (replace(made.tenants[0], gap=timedelta(hours=1)), made.tenants[1])
    limits = FleetLimits(replace(made, tenants=tenants))

    assert (limits.of("app1").gap, limits.of("app3").gap) == (timedelta(hours=1), None)
