"""Over all rollouts together pairs stay apart, order and gaps are kept, and late means never."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import END, LAST_START, START, plan_of, wave
from tests.cases.rollouts.ledgers import at_once, new_ledger
from tests.contract.night_bench import MINUTE, NIGHT_WINDOW, Night, key_of
from wavemend.errors import LedgerConflict
from wavemend.fleet_limits import NO_LIMITS, DueRollout, HostLimits, HostSet, Predecessors
from wavemend.ledger import attempts, audit, limits, rollouts
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.gaps import company_hold, gaps_seen
from wavemend.ledger.store import Ledger
from wavemend.outcomes import Outcome
from wavemend.plans import ExcludedHost
from wavemend.rollout import Close, Gap, next_action

HOUR = timedelta(hours=1)
AFTER_DB = HostLimits(
    after=(
        Predecessors(
            name="db-first",
            hosts=("db1", "db2"),
            rollouts=(DueRollout(key=key_of("r-1"), window=NIGHT_WINDOW),),
        ),
    )
)
GAP = HostLimits(gap=HOUR)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(new_ledger(tmp_path))


# --- exclusion sets and budgets ------------------------------------------------------------------


def test_ac_12_the_second_of_a_pair_waits_whichever_rollout_it_is_in(night: Night) -> None:
    night.freeze("r-1", ["db1"])
    night.freeze("r-2", ["db2"])

    assert isinstance(night.intend("r-1", "db1"), Granted)
    assert night.intend("r-2", "db2") == Wait("budget pair: db1 is out already")
    assert not night.place("r-2", "db2")
    night.end("r-1", "db1")
    assert night.place("r-2", "db2")
    assert isinstance(night.intend("r-2", "db2"), Granted)


def test_ac_12_of_a_hundred_that_ask_at_once_the_budget_lets_so_many_out_and_no_more(
    night: Night,
) -> None:
    names = [f"h{n:02}" for n in range(12)]
    for name in names:
        night.freeze(name, [name])
    shared = HostLimits(sets=(HostSet(name="few", hosts=tuple(names), most_out=3),))

    answers = at_once(12, lambda n: night.intend(names[n], names[n], shared))

    assert sum(isinstance(answer, Granted) for answer in answers) == 3
    assert sum(isinstance(answer, Wait) for answer in answers) == 9


@pytest.mark.parametrize(
    "outcome",
    [Outcome.FAILED, Outcome.UNREACHABLE, Outcome.NEEDS_HUMAN, Outcome.ROLLED_BACK],
)
def test_a_host_that_ended_badly_keeps_its_place_and_nobody_waits_for_it(
    night: Night, outcome: Outcome
) -> None:
    night.freeze("r-1", ["db1"])
    night.freeze("r-2", ["db2"])
    night.intend("r-1", "db1")
    night.end("r-1", "db1", outcome)

    assert night.place("r-2", "db2")  # the refusal is decided, not waited for
    assert night.intend("r-2", "db2") == Refused("budget pair is used up: db1 is not well")


def test_of_two_that_are_not_well_each_may_be_mended_one_after_the_other(night: Night) -> None:
    for name in ("db1", "db2"):
        night.freeze(f"r-{name}", [name])
        night.intend(f"r-{name}", name, NO_LIMITS)
        night.end(f"r-{name}", name, Outcome.FAILED)
        night.freeze(f"repair-{name}", [name])

    assert isinstance(night.intend("repair-db1", "db1"), Granted)
    assert night.intend("repair-db2", "db2") == Wait("budget pair: db1 is out already")
    night.end("repair-db1", "db1", now=START + 2 * MINUTE)
    assert isinstance(night.intend("repair-db2", "db2"), Granted)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (None, "budget web: w1 and 2 hosts of other companies are out already"),
        (Outcome.FAILED, "budget web is used up: w1 and 2 hosts of other companies are not well"),
    ],
)
def test_a_reason_names_no_host_of_another_company(
    night: Night, outcome: Outcome | None, told: str
) -> None:
    for name in ("w1", "globex-1", "globex-2"):
        night.freeze(f"r-{name}", [name])
        night.intend(f"r-{name}", name, NO_LIMITS)
        if outcome:
            night.end(f"r-{name}", name, outcome)
    night.freeze("r-2", ["w2"])
    hosts, own = ("globex-1", "globex-2", "w1", "w2"), frozenset({"w1", "w2"})

    answer = night.intend(
        "r-2", "w2", HostLimits(sets=(HostSet(name="web", hosts=hosts, most_out=3, own=own),))
    )
    assert isinstance(answer, Refused if outcome else Wait)
    assert answer.reason == told


def test_it_gives_its_place_back_once_a_later_change_of_it_ended_well(night: Night) -> None:
    night.freeze("r-1", ["db1"])
    night.freeze("r-2", ["db2"])
    night.freeze("r-3", ["db1"])
    night.intend("r-1", "db1")
    night.end("r-1", "db1", Outcome.FAILED)

    assert isinstance(night.intend("r-3", "db1"), Granted)  # it is not in its own way
    night.end("r-3", "db1", Outcome.NOTHING_TO_DO, START + 2 * MINUTE)
    assert isinstance(night.intend("r-2", "db2"), Granted)


def test_a_person_can_say_that_a_host_is_well_and_the_chain_keeps_it(night: Night) -> None:
    night.freeze("r-1", ["db1"])
    night.freeze("r-2", ["db2"])
    night.intend("r-1", "db1")
    night.end("r-1", "db1", Outcome.FAILED)
    with night.ledger.writing() as book:
        limits.say_well(book, "db1", actor="olga", reason="disk changed", now=START + 2 * MINUTE)

    assert isinstance(night.intend("r-2", "db2"), Granted)
    with night.ledger.reading() as book:
        assert any(event.kind == "host.well" for event in audit.events(book, "r-1"))
    with (
        night.ledger.writing() as book,
        pytest.raises(LedgerConflict, match="db1 is not out"),
    ):
        limits.say_well(book, "db1", actor="olga", reason="again", now=START + 3 * MINUTE)


def test_a_host_that_tonights_preflight_did_not_reach_is_out(night: Night) -> None:
    gone = ExcludedHost(name="db1", outcome=Outcome.UNREACHABLE, reason="off")
    night.freeze("r-1", ["other1"])
    night.open("r-2")
    made = replace(plan_of(wave(1, "db2"), rollout="r-2"), excluded=(gone,))
    with night.ledger.writing() as book:
        rollouts.store_plan(book, night.leases["r-2"], made, START)
    night.plans["r-2"] = made

    assert night.intend("r-2", "db2") == Refused("budget pair is used up: db1 is not well")


def test_budgets_do_not_ask_more_of_the_database_as_its_history_grows(night: Night) -> None:
    for n in range(60):
        night.freeze(f"old-{n}", ["db1"])
        night.intend(f"old-{n}", "db1", NO_LIMITS, START + n * MINUTE)
        night.end(f"old-{n}", "db1", Outcome.PATCHED, START + n * MINUTE)
    with night.ledger.reading() as book:
        explained = book.connection().exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT host FROM attempts WHERE host IN ('db1') AND outcome = ''"
        )
        assert "ix_attempts_standing" in str(explained.all())


# --- order ---------------------------------------------------------------------------------------


def test_what_comes_later_waits_for_an_unfinished_rollout_that_has_the_first(night: Night) -> None:
    night.freeze("r-1", ["db1", "db2"])
    night.freeze("r-2", ["app1"])

    assert night.intend("r-2", "app1", AFTER_DB) == Wait(
        "order db-first: db1, db2 are not done yet"
    )
    for name in ("db1", "db2"):
        night.intend("r-1", name, NO_LIMITS)
        assert isinstance(night.intend("r-2", "app1", AFTER_DB), Wait)
        night.end("r-1", name)
    assert isinstance(night.intend("r-2", "app1", AFTER_DB), Granted)


def test_what_comes_later_is_refused_when_the_first_is_not_well_or_was_left_out(
    night: Night,
) -> None:
    night.freeze("r-1", ["db1"])
    night.freeze("r-2", ["app1"])
    night.intend("r-1", "db1", NO_LIMITS)
    night.end("r-1", "db1", Outcome.FAILED)
    assert night.intend("r-2", "app1", AFTER_DB) == Refused("order db-first: db1 is not well")

    night.freeze("r-3", ["db2"])
    night.settle("r-3", "db2", Outcome.SKIPPED)
    after = replace(AFTER_DB.after[0], hosts=("db2",))
    assert night.intend("r-2", "app1", HostLimits(after=(after,))) == Refused(
        "order db-first: db2 is not changed tonight"
    )


def test_what_takes_no_part_tonight_is_not_waited_for(night: Night) -> None:
    night.freeze("r-2", ["app1"])
    nowhere = HostLimits(after=(replace(AFTER_DB.after[0], rollouts=()),))

    assert isinstance(night.intend("r-2", "app1", nowhere), Granted)


def test_a_rollout_of_the_first_hosts_that_has_no_plan_yet_is_waited_for(night: Night) -> None:
    night.open("r-1")
    night.freeze("r-2", ["app1"])

    assert night.intend("r-2", "app1", AFTER_DB) == Wait(
        "order db-first: the rollout r-1 has no plan yet"
    )


def test_two_rollouts_that_wait_for_each_other_end_at_the_cut_off(night: Night) -> None:
    def after(host: str) -> HostLimits:
        rule = Predecessors(name="x", hosts=(host,))
        return HostLimits(after=(rule,))

    night.freeze("r-1", ["a1"])
    night.freeze("r-2", ["b1"])
    assert isinstance(night.intend("r-1", "a1", after("b1")), Wait)
    assert isinstance(night.intend("r-2", "b1", after("a1")), Wait)

    with night.ledger.reading() as book:
        over = attempts.has_place(
            book, night.leases["r-1"], night.plans["r-1"], "a1", now=LAST_START, limits=after("b1")
        )
    assert over
    late = night.intend("r-1", "a1", after("b1"), LAST_START)
    assert isinstance(late, Refused)
    assert late.reason.startswith("window: ")
    assert late.reason.endswith(" while it waited: order x: b1 is not done yet")


# --- gaps ----------------------------------------------------------------------------------------


def test_ac_18_a_group_waits_for_the_verified_end_of_another_rollouts_and_then_for_the_gap(
    night: Night,
) -> None:
    night.freeze("r-1", ["a1", "a2"])
    night.freeze("r-2", ["b1"])
    night.begin("r-1", 1)
    night.intend("r-1", "a1", GAP)
    night.end("r-1", "a1", now=START + 5 * MINUTE)
    now = START + 6 * MINUTE

    told = night.intend("r-2", "b1", GAP, now)
    assert isinstance(told, Wait)
    assert told.reason.startswith("broad-1 of rollout r-1 is at work")
    night.intend("r-1", "a2", GAP, now)
    night.end("r-1", "a2", now=START + 10 * MINUTE)

    ends = START + 10 * MINUTE + HOUR
    assert isinstance(night.intend("r-2", "b1", GAP, ends - timedelta(seconds=1)), Wait)
    reopened = Ledger(night.ledger.url)  # as after a restart: nothing is remembered but the ledger
    with reopened.reading() as book:
        hold = company_hold(book, night.plans["r-2"], HOUR, ends - MINUTE)
        view = replace(rollouts.read_view(book, "r-2"), hold=hold, steps=frozenset({"prepared"}))
    assert hold is not None
    assert (hold.until, hold.reason) == (ends, "the company's gap after broad-1 of rollout r-1")
    plan = night.plans["r-2"]
    assert next_action(plan, view, ends - MINUTE) == Gap(plan.waves[0], ends)
    closed = next_action(plan, view, LAST_START)
    assert isinstance(closed, Close)
    assert closed.reason.endswith("waited: the company's gap after broad-1 of rollout r-1")
    assert isinstance(night.intend("r-2", "b1", GAP, ends), Granted)
    night.end("r-2", "b1", now=ends + MINUTE)

    with reopened.reading() as book:
        (seen,) = gaps_seen(book, "acme", START, END)
    assert (seen.after, seen.length) == ("broad-1 of r-1", HOUR)
    assert seen.before.endswith("of r-2")
    assert seen.keeps(HOUR)
    assert not seen.keeps(HOUR + MINUTE)


def test_ac_18_the_gap_inside_a_rollout_is_kept_by_the_executor_itself(night: Night) -> None:
    made = night.freeze("r-1", ["a1"], ["a2"])
    assert made.waves[0].gap_seconds == 0
    night.intend("r-1", "a1", GAP)
    night.end("r-1", "a1", now=START + MINUTE)
    night.pass_gate("r-1", 1, START + MINUTE)

    told = night.intend("r-1", "a2", GAP, START + HOUR)
    assert isinstance(told, Wait)
    assert told.reason.startswith("the gap after broad-1 of this rollout")
    assert not night.place("r-1", "a2", GAP)
    assert isinstance(night.intend("r-1", "a2", GAP, START + HOUR + MINUTE), Granted)


def test_ac_18_a_finished_rollout_is_followed_by_its_gap_too(night: Night) -> None:
    night.freeze("r-1", ["a1"])
    night.freeze("r-2", ["b1"])
    night.begin("r-1", 1)
    night.intend("r-1", "a1", GAP)
    night.end("r-1", "a1")
    night.finish("r-1")

    assert isinstance(night.intend("r-2", "b1", GAP, START + HOUR), Wait)
    assert isinstance(night.intend("r-2", "b1", GAP, START + HOUR + MINUTE), Granted)


def test_groups_that_begin_at_the_same_moment_go_one_after_the_other(night: Night) -> None:
    night.freeze("r-1", ["a1"])
    night.freeze("r-2", ["b1"])
    night.begin("r-1", 1)
    night.begin("r-2", 1)

    first, second = at_once(2, lambda n: night.intend(f"r-{n + 1}", ("a1", "b1")[n], GAP))
    assert {type(first), type(second)} == {Granted, Wait}
    early, late = (("r-1", "a1"), ("r-2", "b1"))[:: 1 if isinstance(first, Granted) else -1]
    night.end(*early)
    assert isinstance(night.intend(*late, GAP, START + HOUR + MINUTE), Granted)


def test_a_group_that_only_waits_for_another_rollouts_hosts_does_not_hold_them_up(
    night: Night,
) -> None:
    night.freeze("r-1", ["db1"])
    night.freeze("r-2", ["app1"])
    night.begin("r-2", 1)
    both = replace(AFTER_DB, gap=HOUR)
    assert isinstance(night.intend("r-2", "app1", both), Wait)

    night.begin("r-1", 1)
    assert isinstance(night.intend("r-1", "db1", GAP), Granted)


def test_a_group_that_has_begun_is_not_held_up_by_another_one(night: Night) -> None:
    night.freeze("r-1", ["a1", "a2"])
    night.freeze("r-2", ["b1"])
    night.begin("r-1", 1)
    night.intend("r-1", "a1", GAP)
    night.begin("r-2", 1, START + MINUTE)

    assert isinstance(night.intend("r-1", "a2", GAP, START + MINUTE), Granted)


def test_another_company_and_a_company_without_a_gap_wait_for_nobody(night: Night) -> None:
    night.freeze("r-1", ["a1"])
    night.begin("r-1", 1)
    night.intend("r-1", "a1", GAP)
    night.open("r-2", tenant="globex")
    night.freeze("r-2", ["b1"], tenant="globex")
    night.freeze("r-3", ["c1"])

    assert isinstance(night.intend("r-2", "b1", GAP), Granted)
    assert isinstance(night.intend("r-3", "c1", NO_LIMITS), Granted)


def test_groups_that_overlapped_are_not_called_apart(night: Night) -> None:
    night.freeze("r-1", ["a1"])
    night.freeze("r-2", ["b1"])
    night.intend("r-1", "a1", NO_LIMITS)
    night.intend("r-2", "b1", NO_LIMITS, START + MINUTE)
    with night.ledger.reading() as book:
        (running,) = gaps_seen(book, "acme", START, END)
    night.end("r-1", "a1", now=START + 5 * MINUTE)
    with night.ledger.reading() as book:
        (ended,) = gaps_seen(book, "acme", START, END)

    assert (running.length, running.keeps(timedelta(0))) == (None, False)
    assert (ended.length, ended.keeps(timedelta(0))) == (-4 * MINUTE, False)


# --- never start what cannot finish --------------------------------------------------------------


def test_ac_19_a_host_is_not_started_when_its_change_may_not_end_in_the_window(
    night: Night,
) -> None:
    made = plan_of(wave(1, "a1"), rollout="r-1")
    slow = replace(made.hosts[0], at_most_seconds=22 * 60)
    night.freeze("r-1", ["a1"], hosts=(slow,), last_start=END)
    last = END - 22 * MINUTE

    assert night.intend("r-1", "a1", NO_LIMITS, last + timedelta(seconds=1)) == Refused(
        f"window: it may take 22 minutes, and the window ends in 21 minutes, at {END:%H:%M} UTC"
    )
    assert isinstance(night.intend("r-1", "a1", NO_LIMITS, last), Granted)
