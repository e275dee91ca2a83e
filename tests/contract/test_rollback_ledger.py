"""Only what may have changed a host's packages stands between it and its rollback."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import PLAN, START
from tests.cases.rollouts.ledgers import KEY, end, frozen, intend, new_ledger, opened
from wavemend.fleet import RolloutKey, RolloutKind
from wavemend.ledger import attempts, restore_points, rollbacks, rollouts
from wavemend.ledger.attempts import Granted
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.ledger.restore_points import PointState
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger
from wavemend.outcomes import Outcome
from wavemend.plans import Plan

LATER = replace(PLAN, rollout="r-2")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a ledger in which the rollout r-1 has patched web1."""
    ledger = new_ledger(tmp_path)
    change(ledger, frozen(ledger), PLAN, Outcome.PATCHED)
    return ledger


def later(ledger: Ledger, outcome: Outcome, key: RolloutKey) -> None:
    """Let another rollout come to this at web1."""
    lease = opened(ledger, LATER.rollout, key)
    with ledger.writing() as book:
        rollouts.store_plan(book, lease, LATER, START)
    change(ledger, lease, LATER, outcome, START + timedelta(minutes=1))


def change(
    ledger: Ledger, lease: Lease, plan: Plan, outcome: Outcome, now: datetime = START
) -> None:
    assert isinstance(intend(ledger, lease, "web1", plan=plan, now=now), Granted)
    with ledger.writing() as book:
        if outcome is not Outcome.BLOCKED:
            attempts.mark_running(book, lease, f"a-web1-{lease.fence}", now, now)
        end(book, lease, "web1", outcome)


def refusal(ledger: Ledger) -> str:
    """Write the intent to take web1 back to before r-1; return why it is refused."""
    with ledger.writing() as book:
        rollout = rollouts.get_rollout(book, "r-1")
        attempt = next(row for row in attempts.of_rollout(book, "r-1") if row.host == "web1")
        wish = RollbackIntent(
            rollback_id="b-0123456789",
            nonce="n" * 32,
            attempt_id=attempt.id,
            kind="commands",
            requested_by="olga",
            reason="slow",
            automatic=False,
        )
        held = Lease("r-1", "me", rollout.fence)
        answer = rollbacks.intend(book, held, wish, now=START, local_stop="")
        return answer.reason if answer else ""


RESTART = replace(KEY, kind=RolloutKind.RESTART)
OTHER = replace(KEY, profile="other")


@pytest.mark.parametrize(("key", "outcome"), [(RESTART, Outcome.PATCHED), (OTHER, Outcome.BLOCKED)])
def test_a_restart_or_a_change_that_never_began_is_no_later_change(
    ledger: Ledger, key: RolloutKey, outcome: Outcome
) -> None:
    later(ledger, outcome, key)

    with ledger.reading() as book:
        last = rollbacks.last_touched(book, "web1")
    assert last is not None
    assert last.rollout_id == "r-1"
    assert refusal(ledger) == ""


@pytest.mark.parametrize("outcome", [Outcome.PATCHED, Outcome.FAILED, Outcome.UNREACHABLE])
def test_a_later_change_that_may_have_begun_is_taken_back_first(
    ledger: Ledger, outcome: Outcome
) -> None:
    later(ledger, outcome, OTHER)

    assert refusal(ledger) == "rollout r-2 has changed the host since: take that one back first"
    with ledger.reading() as book:
        last = rollbacks.last_touched(book, "web1")
    assert last is not None
    assert last.rollout_id == "r-2"


def put_point(ledger: Ledger, state: PointState) -> None:
    """Write down a restore point of web1."""
    point = RestorePointRow(
        rollout_id="r-1",
        host="web1",
        kind="commands",
        name="wavemend-r-1-web1",
        proven=True,
        restores="all",
        detail="",
        at=START,
        state=state,
    )
    with ledger.writing() as book:
        book.add(point)


def test_a_point_that_is_used_is_kept_from_then_on(ledger: Ledger) -> None:
    put_point(ledger, PointState.MADE)

    assert refusal(ledger) == ""

    with ledger.reading() as book:
        point = restore_points.point_of(book, "r-1", "web1")
    assert point is not None
    assert point.state == PointState.KEPT


def test_a_point_that_was_removed_meanwhile_takes_nothing_back(ledger: Ledger) -> None:
    put_point(ledger, PointState.REMOVED)

    assert "removed" in refusal(ledger)


def test_each_restart_of_a_rollback_is_counted_before_the_host_is_told(ledger: Ledger) -> None:
    assert refusal(ledger) == ""
    with ledger.writing() as book:
        rollout = rollouts.get_rollout(book, "r-1")
        held = Lease("r-1", "me", rollout.fence)
        numbers = [rollbacks.count_restart(book, held, "b-0123456789", START) for _ in range(3)]

    assert numbers == [1, 2, 3]
