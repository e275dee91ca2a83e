"""A rollout that was frozen by an older version goes on after the upgrade, in nobody's way."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from sqlmodel import select

from tests.cases.rollouts.build import START, plan_of, wave
from tests.cases.rollouts.ledgers import quick_ledger
from tests.contract.night_bench import MINUTE, NIGHT_WINDOW, Night, key_of
from wavemend.fleet_limits import NO_LIMITS, DueRollout, HostLimits, Predecessors
from wavemend.ledger import migrate, rollouts
from wavemend.ledger.attempts import Granted, Wait
from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import PlanRow
from wavemend.plans import Plan

PLAN = plan_of(wave(1, "db1", "db2"), rollout="r-1")


@pytest.fixture
def old(tmp_path: Path) -> Ledger:
    """Return a ledger in the form of before planned_hosts."""
    path = tmp_path / "ledger.db"
    path.touch(mode=0o600)
    made = quick_ledger(path)
    with made._engine.connect() as connection:
        command.upgrade(migrate.config(connection), "0004")
        connection.commit()
    return made


def frozen_before(night: Night, plan: Plan) -> None:
    """Freeze a plan as it was done before: without a row for each host."""
    night.open(plan.rollout)
    with night.ledger.writing() as book:
        book.add(
            PlanRow(
                digest=plan.digest,
                rollout_id=plan.rollout,
                created_at=START,
                document=plan.document(),
            )
        )
        rollouts.get_rollout(book, plan.rollout).plan_digest = plan.digest
    night.plans[plan.rollout] = plan


def test_order_and_gap_hold_for_a_rollout_that_was_at_work_during_the_upgrade(old: Ledger) -> None:
    night = Night(old)
    frozen_before(night, PLAN)
    night.begin("r-1", 1)
    assert isinstance(night.intend("r-1", "db1", NO_LIMITS), Granted)
    night.end("r-1", "db1")
    old.migrate()
    night.freeze("r-2", ["app1"])
    due = DueRollout(key=key_of("r-1"), window=NIGHT_WINDOW)
    order = HostLimits(after=(Predecessors(name="db-first", hosts=("db2",), rollouts=(due,)),))
    now = START + 2 * MINUTE

    assert night.intend("r-2", "app1", order, now) == Wait("order db-first: db2 is not done yet")
    told = night.intend("r-2", "app1", HostLimits(gap=timedelta(0)), now)
    assert isinstance(told, Wait)
    assert told.reason.startswith("broad-1 of rollout r-1 is at work and has hosts left")


def test_the_upgrade_writes_what_freezing_writes_and_nothing_for_finished_rollouts(
    old: Ledger,
) -> None:
    night = Night(old)
    frozen_before(night, PLAN)
    frozen_before(night, plan_of(wave(1, "x1"), rollout="r-0"))
    night.finish("r-0")
    old.migrate()
    with old.reading() as book:
        copied = {row.host: row for row in book.exec(select(PlannedHostRow))}
    assert {row.rollout_id for row in copied.values()} == {"r-1"}
    assert len(copied) == len(PLAN.hosts) + len(PLAN.excluded)

    now_plan = plan_of(wave(1, "db1", "db2"), rollout="r-2")
    lease = night.open("r-2")
    with old.writing() as book:
        rollouts.store_plan(book, lease, now_plan, START)
    with old.reading() as book:
        query = select(PlannedHostRow).where(PlannedHostRow.rollout_id == "r-2")
        for row in book.exec(query):
            assert row.model_dump(exclude={"rollout_id"}) == copied[row.host].model_dump(
                exclude={"rollout_id"}
            )


def test_ledgers_that_are_made_at_once_do_not_get_into_each_other(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def made(number: int) -> int:
        ledger = Ledger(f"sqlite:///{tmp_path / str(number)}.db")
        together.wait(30)
        ledger.migrate()
        with ledger.reading() as book:
            return len(book.connection().exec_driver_sql("SELECT * FROM alembic_version").all())

    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(made, range(8))) == [1] * 8
        for file in tmp_path.glob("*.db*"):
            file.unlink()
