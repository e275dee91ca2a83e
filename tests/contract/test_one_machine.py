"""One machine under two names is changed under neither: its rules are those of one of the two."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases.rollouts.build import wave
from tests.cases.rollouts.ledgers import KEY
from tests.contract.attempt_bench import Bench
from tests.contract.test_attempt_deaths import bench_of, installs
from tests.contract.test_attempt_second_look import WHOLE, fleet_of
from wavemend.calendar.windows import Occurrence
from wavemend.execution.attempt import attempt_host
from wavemend.execution.looks import look_and_record
from wavemend.execution.order import Order
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.intake import apply_fleet
from wavemend.outcomes import Outcome

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")


def in_force(bench: Bench, *hosts: Host) -> None:
    with bench.ledger.writing() as book:
        apply_fleet(book, fleet_of(*hosts).sealed(), actor="olga", now=bench.now())


def order_for(bench: Bench, host: Host) -> Order:
    """Return the order for the bench's machine, under another name and in another rollout."""
    (planned,) = bench.plan.hosts
    plan = replace(
        bench.plan,
        rollout="r-2",
        hosts=(replace(planned, name=host.name),),
        waves=(wave(1, host.name),),
    )
    night = Occurrence(
        window="night", start=plan.window_start, end=plan.window_end, last_start=plan.last_start
    )
    with bench.ledger.writing() as book:
        key = replace(KEY, profile="other")
        rollouts.open_rollout(book, "r-2", key, night, requester="olga", now=bench.now())
        lease = rollouts.take_lease(book, "r-2", "other", bench.now(), owner_is_dead=False)
        rollouts.store_plan(book, lease, plan, bench.now())
    return replace(bench.order(), lease=lease, plan=plan, host=host)


def reason_of(bench: Bench) -> str:
    with bench.ledger.reading() as book:
        (row,) = attempts.of_rollout(book, "r-2")
    assert not row.touched
    return row.reason


@pytest.mark.parametrize(
    ("tenant", "named"), [("acme", "web1"), ("globex", "a host of another company")]
)
def test_a_critical_host_is_not_changed_under_a_second_name_that_nobody_called_critical(
    tmp_path: Path, tenant: str, named: str
) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    critical = replace(bench.host, critical=True, tenant=tenant)
    alias = replace(bench.host, name="shop-front", tenant="acme")
    in_force(bench, alias, critical)
    look_and_record(bench.hands(), critical, purpose="scan")

    assert attempt_host(bench.hands(), order_for(bench, alias)) is Outcome.BLOCKED
    assert reason_of(bench) == f"it is the same machine as {named}: take one of the two out"
    assert installs(machine) == {}


def test_a_host_that_was_given_another_name_is_changed_under_that(tmp_path: Path) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    look_and_record(bench.hands(), bench.host, purpose="scan")
    renamed = replace(bench.host, name="shop-front")
    in_force(bench, renamed)

    assert attempt_host(bench.hands(), order_for(bench, renamed)) is Outcome.PATCHED
    assert installs(machine) == WHOLE
