"""A company's gap is kept over rollouts and rollbacks, and stops nobody for ever."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import END, LAST_START, START
from tests.cases.rollouts.ledgers import new_ledger
from tests.contract.night_bench import MINUTE, NIGHT_WINDOW, Night, key_of
from wavemend.fleet_limits import DueRollout, HostLimits, Predecessors
from wavemend.ledger.attempts import Granted, Wait
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.gaps import OVERDUE, REST, company_hold, gaps_seen
from wavemend.ledger.limits import at_work
from wavemend.outcomes import Outcome
from wavemend.rollout import AttemptState

HOUR = timedelta(hours=1)
SHORT = 10 * MINUTE
GAP = HostLimits(gap=HOUR)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(new_ledger(tmp_path))


def after(host: str, rollout: str) -> HostLimits:
    """Return the limits of a host that comes after one of another rollout."""
    due = DueRollout(key=key_of(rollout), window=NIGHT_WINDOW)
    first = Predecessors(name=f"{host}-first", hosts=(host,), rollouts=(due,))
    return HostLimits(after=(first,), gap=SHORT)


def roll_back(
    night: Night, began: datetime, ended: datetime | None = None, outcome: str = ""
) -> None:
    """Note a rollback of a1 in r-1, whose change ended at START."""
    with night.ledger.writing() as book:
        book.add(
            RollbackRow(
                id="b-1",
                rollout_id="r-1",
                attempt_id="a-r-1-a1",
                host="a1",
                kind="commands",
                requested_by="olga",
                reason="slow",
                state=AttemptState.ENDED if ended else AttemptState.RUNNING,
                intent_at=began,
                ended_at=ended,
                outcome=outcome,
                packages=b"[]",
                evidence=b"",
            )
        )


def changed_before(night: Night) -> None:
    """Let r-1 have changed a1, long enough ago; r-2 has b1 still to change."""
    night.freeze("r-1", ["a1"])
    night.freeze("r-2", ["b1"])
    night.begin("r-1", 1)
    night.intend("r-1", "a1", GAP)
    night.end("r-1", "a1", now=START)
    night.finish("r-1", START)


# --- groups that wait for each other -------------------------------------------------------------


def test_a_group_that_waits_for_another_rollout_gives_its_turn_to_it_and_goes_on_a_gap_later(
    night: Night,
) -> None:
    night.freeze("apps", ["app1", "web1"])
    night.freeze("data", ["db1"])
    night.freeze("caches", ["cache1"])
    plain = HostLimits(gap=SHORT)
    night.intend("data", "db1", plain)
    night.end("data", "db1")
    night.intend("apps", "app1", after("db1", "data"), START + 11 * MINUTE)
    night.end("apps", "app1", now=START + 12 * MINUTE)
    web = after("cache1", "caches")

    # Its own web1 waits for cache1, which waits for this group: until it has rested for a gap.
    assert isinstance(night.intend("apps", "web1", web, START + 13 * MINUTE), Wait)
    told = night.intend("caches", "cache1", plain, START + 22 * MINUTE - timedelta(seconds=1))
    assert isinstance(told, Wait)
    assert told.reason.startswith("wave 1 of rollout apps is at work and has hosts left: until")
    assert isinstance(night.intend("caches", "cache1", plain, START + 22 * MINUTE), Granted)

    with night.ledger.reading() as book:
        hold = company_hold(book, night.plans["apps"], SHORT, START + 23 * MINUTE)
    assert hold is not None
    assert (hold.reason, hold.known) == ("wave 1 of rollout caches is at work", False)
    night.end("caches", "cache1", now=START + 24 * MINUTE)
    told = night.intend("apps", "web1", web, START + 34 * MINUTE - timedelta(seconds=1))
    assert isinstance(told, Wait)
    assert told.reason.startswith("the company's gap after wave 1 of rollout caches")
    assert isinstance(night.intend("apps", "web1", web, START + 34 * MINUTE), Granted)

    with night.ledger.reading() as book:
        seen = gaps_seen(book, "acme", START, END)
    assert [(gap.after, gap.before, gap.length) for gap in seen] == [
        ("wave 1 of data", "wave 1 of apps", SHORT),
        ("wave 1 of apps", "wave 1 of caches", SHORT),
        ("wave 1 of caches", "wave 1 of apps", SHORT),
    ]


def test_between_two_of_its_hosts_a_group_keeps_its_turn_however_short_the_gap(
    night: Night,
) -> None:
    none = HostLimits(gap=timedelta(0))
    night.freeze("r-1", ["a1", "a2"])
    night.freeze("r-2", ["b1"])
    night.intend("r-1", "a1", none)
    night.end("r-1", "a1", now=START + MINUTE)

    soon = START + MINUTE + REST - timedelta(seconds=1)
    assert isinstance(night.intend("r-2", "b1", none, soon), Wait)
    assert isinstance(night.intend("r-1", "a2", none, soon), Granted)
    night.end("r-1", "a2", now=soon)
    assert isinstance(night.intend("r-2", "b1", none, soon), Granted)


# --- what nobody collects ------------------------------------------------------------------------


def test_a_change_that_nobody_collected_holds_the_gap_for_a_bounded_time_and_its_place_for_good(
    night: Night,
) -> None:
    night.freeze("old", ["x1", "x2"])
    night.intend("old", "x1", GAP)
    night.freeze(
        "new",
        ["y1"],
        window_start=END,
        window_end=END + timedelta(hours=4),
        last_start=END + timedelta(hours=3),
    )

    told = night.intend("new", "y1", GAP, END + OVERDUE - timedelta(seconds=1))
    assert isinstance(told, Wait)
    late = f"at work; it holds others back until {END + OVERDUE:%H:%M} UTC at the latest"
    assert late in told.reason
    assert isinstance(night.intend("new", "y1", GAP, END + OVERDUE), Granted)
    with night.ledger.reading() as book:
        assert at_work(book, ["x1"]) == {"x1"}


# --- rollbacks -----------------------------------------------------------------------------------


def test_no_group_starts_beside_a_rollback_nor_within_the_gap_after_it(night: Night) -> None:
    changed_before(night)
    roll_back(night, START + HOUR)
    now = START + HOUR + MINUTE

    told = night.intend("r-2", "b1", GAP, now)
    assert isinstance(told, Wait)
    assert told.reason.startswith("the rollback of a1 in rollout r-1 is at work")
    with night.ledger.writing() as book:
        row = book.get_one(RollbackRow, "b-1")
        row.state, row.ended_at, row.outcome = "ended", now, Outcome.ROLLED_BACK
    told = night.intend("r-2", "b1", GAP, now + HOUR - timedelta(seconds=1))
    assert isinstance(told, Wait)
    assert told.reason.startswith("the company's gap after the rollback of a1 in rollout r-1")
    assert isinstance(night.intend("r-2", "b1", GAP, now + HOUR), Granted)

    with night.ledger.reading() as book:
        (seen,) = gaps_seen(book, "acme", START, END)
    assert (seen.after, seen.length) == ("rollback of a1 in r-1", HOUR)


def test_a_refused_rollback_and_one_of_another_company_hold_nobody(night: Night) -> None:
    changed_before(night)
    night.open("r-3", tenant="globex")
    night.freeze("r-3", ["g1"], tenant="globex")
    now = START + HOUR
    roll_back(night, now, now, Outcome.BLOCKED)

    assert isinstance(night.intend("r-2", "b1", GAP, now), Granted)
    with night.ledger.writing() as book:
        row = book.get_one(RollbackRow, "b-1")
        row.state, row.ended_at, row.outcome = "running", None, ""
    assert isinstance(night.intend("r-3", "g1", GAP, now), Granted)


def test_a_rollback_that_nobody_collects_holds_the_gap_for_a_bounded_time(night: Night) -> None:
    changed_before(night)
    began = LAST_START - OVERDUE - MINUTE
    roll_back(night, began)

    held = night.intend("r-2", "b1", GAP, began + OVERDUE - timedelta(seconds=1))
    assert isinstance(held, Wait)
    assert isinstance(night.intend("r-2", "b1", GAP, began + OVERDUE), Granted)


def test_a_rollback_does_not_hold_up_a_group_between_two_of_its_hosts(night: Night) -> None:
    night.freeze("r-1", ["a1"])
    night.freeze("r-2", ["b1", "b2"])
    night.intend("r-1", "a1", GAP)
    night.end("r-1", "a1", now=START)
    night.finish("r-1", START)
    night.intend("r-2", "b1", GAP, START + HOUR)
    night.end("r-2", "b1", now=START + HOUR + MINUTE)
    roll_back(night, START + HOUR + MINUTE)

    assert isinstance(night.intend("r-2", "b2", GAP, START + HOUR + 2 * MINUTE), Granted)
    with night.ledger.reading() as book:
        assert [gap.length for gap in gaps_seen(book, "acme", START, END)] == [HOUR]
