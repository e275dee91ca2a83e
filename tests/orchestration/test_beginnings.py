"""A run finds its window in spite of a slow clock, and its company in spite of a newer fleet."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.opening import open_for
from tasks.workbench import Running, Workbench
from tests.cases.rollouts.build import PLAN
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.calendar.windows import next_occurrences
from wavemend.fleet import Fleet, RolloutKey
from wavemend.inventory import INVENTORIES
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.tables import RolloutRow
from wavemend.site import Site, hands_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEY = RolloutKey(tenant="acme", profile="debian-server", window="sat-night")


class Clock:
    """A clock that only moves while somebody sleeps."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def fleet() -> Fleet:
    return INVENTORIES["file"]()(EXAMPLE)


@pytest.fixture
def bench_at(tmp_path: Path, fleet: Fleet) -> Callable[[datetime], tuple[Workbench, Clock]]:
    ledger = new_ledger(tmp_path)
    with ledger.writing() as book:
        apply_fleet(book, fleet, actor="olga", now=NOW)

    def made(now: datetime) -> tuple[Workbench, Clock]:
        clock, site = Clock(now), Site(home=tmp_path)
        hands = replace(hands_of(site, ledger, fleet), clock=clock, sleep=clock.sleep)
        return Workbench(site, fleet, hands), clock

    return made


Benches = Callable[[datetime], tuple[Workbench, Clock]]


@pytest.mark.parametrize("early", [0.4, 59.0, 120.0])
def test_a_clock_that_is_behind_waits_for_the_window(
    bench_at: Benches, fleet: Fleet, early: float
) -> None:
    (night,) = next_occurrences(fleet.window(KEY.window), NOW, 1)
    bench, clock = bench_at(night.start - timedelta(seconds=early))

    row = open_for.fn(bench, KEY, "schedule", "run-1")

    assert isinstance(row, RolloutRow)
    assert (row.window_start, row.created_at) == (night.start, night.start)
    assert sum(clock.slept) == pytest.approx(early)


def test_long_before_its_window_a_run_neither_waits_nor_opens_anything(
    bench_at: Benches, fleet: Fleet
) -> None:
    (night,) = next_occurrences(fleet.window(KEY.window), NOW, 1)
    bench, clock = bench_at(night.start - timedelta(seconds=121))

    assert open_for.fn(bench, KEY, "schedule", "run-1") is None
    assert clock.slept == []


def test_a_rollout_left_over_from_a_window_that_is_gone_is_taken_up(
    bench_at: Benches, fleet: Fleet
) -> None:
    (night,) = next_occurrences(fleet.window(KEY.window), NOW, 1)
    bench, clock = bench_at(night.start)
    first = open_for.fn(bench, KEY, "schedule", "run-1")
    clock.now = night.end + timedelta(hours=1)
    bench.fleet = replace(fleet, windows=())

    again = open_for.fn(bench, KEY, "schedule", "run-2")

    assert isinstance(first, RolloutRow)
    assert isinstance(again, RolloutRow)
    assert (again.id, again.flow_run_id) == (first.id, "run-2")


def test_the_rollout_of_a_company_that_was_taken_out_goes_on_and_nobody_may_approve_it(
    bench_at: Benches, fleet: Fleet
) -> None:
    bench, _ = bench_at(NOW)
    plan = replace(PLAN, tenant="acme", fleet_digest=fleet.digest)
    lease = Lease("r-1", "first", 1)
    assert Running(bench, lease, plan).tenant == fleet.tenant("acme")

    without = replace(
        fleet,
        tenants=tuple(tenant for tenant in fleet.tenants if tenant.name != "acme"),
        hosts=tuple(host for host in fleet.hosts if host.tenant != "acme"),
    ).sealed()
    with bench.hands.ledger.writing() as book:
        apply_fleet(book, without, actor="olga", now=NOW)

    tenant = Running(bench, lease, plan).tenant
    assert tenant == replace(fleet.tenant("acme"), approvers=())
