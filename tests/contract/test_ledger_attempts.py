"""A host is begun only by right, at most once, and ends with exactly one outcome."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from tests.cases.rollouts.build import (
    BROAD,
    LAST_START,
    PILOT,
    PLAN,
    START,
    plan_of,
    wave,
)
from tests.cases.rollouts.ledgers import (
    at_once,
    decide,
    end,
    frozen,
    intend,
    new_ledger,
    run_wave,
    take,
)
from wavemend.errors import LedgerConflict
from wavemend.ledger import attempts, audit, rollouts
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import (
    AttemptRow,
)
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.rollout import AttemptState

SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path)


def rows(ledger: Ledger) -> list[AttemptRow]:
    with ledger.reading() as book:
        return [*attempts.of_rollout(book, "r-1")]


def switch(ledger: Ledger, tenant: str) -> None:
    with ledger.writing() as book:
        rollouts.turn_switch(book, tenant, engaged=True, actor="olga", reason="fire", now=START)


# --- the right to start --------------------------------------------------------------------------


def test_a_granted_intent_is_in_the_ledger_before_anybody_hears_of_it(ledger: Ledger) -> None:
    lease = frozen(ledger)
    answer = intend(ledger, lease, "web1")
    (row,) = rows(ledger)

    assert answer == Granted(row.id, "n" * 32, row.fence)
    assert row.fence > lease.fence
    assert (row.state, row.touched, row.intent_at) == (AttemptState.INTENT, True, START)
    assert (row.plan_digest, row.wave, row.outcome) == (PLAN.digest, 1, "")


@pytest.mark.parametrize(
    ("now", "granted"),
    [
        (START - SECOND, False),
        (START, True),
        (LAST_START - SECOND, True),
        (LAST_START, False),
        (LAST_START + timedelta(days=7), False),
    ],
)
def test_nothing_starts_before_the_window_or_from_the_cut_off_on(
    ledger: Ledger, now: datetime, granted: bool
) -> None:
    answer = intend(ledger, frozen(ledger), "web1", now=now)

    assert isinstance(answer, Granted if granted else Refused)
    if isinstance(answer, Refused):
        assert answer.reason.startswith("window: ")
        assert "2026-03-10 22:00 to 2026-03-11 01:00 UTC (last start)" in answer.reason


@pytest.mark.parametrize("tenant", ["", "acme"])
def test_nothing_starts_while_the_kill_switch_is_engaged(ledger: Ledger, tenant: str) -> None:
    lease = frozen(ledger)
    switch(ledger, tenant)

    assert intend(ledger, lease, "web1") == Refused("stopped: fire (by olga)")
    assert rows(ledger) == []


def test_another_tenants_kill_switch_stops_nothing_here(ledger: Ledger) -> None:
    lease = frozen(ledger)
    switch(ledger, "globex")

    assert isinstance(intend(ledger, lease, "web1"), Granted)


def test_the_stop_file_of_this_machine_stops_its_starts(ledger: Ledger) -> None:
    answer = intend(ledger, frozen(ledger), "web1", local_stop="the file /x exists")

    assert answer == Refused("stopped: the file /x exists")


def test_a_plan_that_is_not_the_frozen_one_starts_nothing(ledger: Ledger) -> None:
    lease = frozen(ledger)
    answer = intend(ledger, lease, "web1", plan=replace(PLAN, nonce="1" * 32))

    assert answer == Refused("the plan is not the one this rollout has frozen")


@pytest.mark.parametrize("host", ["web3", "db1"])
def test_no_wave_starts_before_every_earlier_gate_was_passed(ledger: Ledger, host: str) -> None:
    lease = frozen(ledger)

    assert intend(ledger, lease, host) == Refused("the gate of pilot-1 was not passed")
    run_wave(ledger, lease, PILOT, Outcome.SKIPPED)
    assert intend(ledger, lease, host) == Refused("the gate of pilot-1 was not passed")


def test_a_critical_wave_needs_every_gate_before_it(ledger: Ledger) -> None:
    lease = frozen(ledger)
    run_wave(ledger, lease, PILOT)

    assert intend(ledger, lease, "db1") == Refused("the gate of broad-2 was not passed")
    run_wave(ledger, lease, BROAD)
    assert isinstance(intend(ledger, lease, "db1"), Granted)


def test_a_rejection_that_comes_late_still_stops_the_next_critical_host(ledger: Ledger) -> None:
    lease = frozen(ledger)
    run_wave(ledger, lease, PILOT)
    decide(ledger, "approve")
    decide(ledger, "reject")

    assert isinstance(intend(ledger, lease, "web3"), Granted)
    with ledger.writing() as book:
        end(book, lease, "web3")
    assert intend(ledger, lease, "db1") == Refused("rejected by the approver")


def test_errors_beyond_the_limit_refuse_every_further_host_of_the_wave(ledger: Ledger) -> None:
    lease = frozen(ledger)
    assert isinstance(intend(ledger, lease, "web1"), Granted)
    with ledger.writing() as book:
        end(book, lease, "web1", Outcome.FAILED)

    assert intend(ledger, lease, "web2") == Refused("gate pilot-1: 1 error, at most 0 allowed")


def test_a_full_budget_means_waiting_until_a_host_is_well_again(ledger: Ledger) -> None:
    lease = frozen(ledger)
    run_wave(ledger, lease, PILOT)
    intend(ledger, lease, "web3")
    intend(ledger, lease, "web4")

    assert intend(ledger, lease, "web5") == Wait("2 hosts of broad-2 are out already")
    with ledger.writing() as book:
        end(book, lease, "web3")
    assert isinstance(intend(ledger, lease, "web5"), Granted)


def test_failed_hosts_keep_their_place_until_waiting_would_never_end(ledger: Ledger) -> None:
    plan = plan_of(wave(1, "web1", "web2", "web3", max_errors=3, concurrency=2))
    lease = frozen(ledger, plan)
    intend(ledger, lease, "web1", plan=plan)
    with ledger.writing() as book:
        end(book, lease, "web1", Outcome.UNREACHABLE)
    intend(ledger, lease, "web2", plan=plan)

    assert isinstance(intend(ledger, lease, "web3", plan=plan), Wait)
    with ledger.writing() as book:
        end(book, lease, "web2", Outcome.FAILED)
    assert intend(ledger, lease, "web3", plan=plan) == Refused(
        "budget of broad-1 is used up by hosts that are not well"
    )


def test_a_running_host_uses_the_budget_whoever_began_it(ledger: Ledger) -> None:
    plan = plan_of(wave(1, "web1", "web2", concurrency=1))
    older = frozen(ledger, plan)
    intend(ledger, older, "web1", plan=plan)
    newer = take(ledger, owner="second", owner_is_dead=True)

    assert isinstance(intend(ledger, newer, "web2", plan=plan), Wait)


def test_threads_that_race_for_the_last_place_get_exactly_one(ledger: Ledger) -> None:
    names = [f"web{number}" for number in range(6)]
    plan = plan_of(wave(1, *names, concurrency=1))
    lease = frozen(ledger, plan)
    answers = at_once(6, lambda number: intend(ledger, lease, names[number], plan=plan))

    assert sorted(type(answer).__name__ for answer in answers) == ["Granted", *["Wait"] * 5]
    assert len(rows(ledger)) == 1


def test_threads_that_race_for_one_host_begin_it_once(ledger: Ledger) -> None:
    lease = frozen(ledger)

    def race(number: int) -> attempts.Answer:
        with ledger.writing() as book:
            return attempts.intend(
                book,
                lease,
                PLAN,
                "web1",
                attempt_id=f"a-{number}",
                nonce="n",
                now=START,
                local_stop="",
            )

    answers = at_once(6, race)

    assert sorted(type(answer).__name__ for answer in answers) == [
        "Granted",
        *["LedgerConflict"] * 5,
    ]
    assert len(rows(ledger)) == 1


# --- from intent to outcome ----------------------------------------------------------------------


def begun(ledger: Ledger) -> Lease:
    lease = frozen(ledger)
    intend(ledger, lease, "web1")
    return lease


def test_an_attempt_has_one_outcome_and_a_second_is_refused(ledger: Ledger) -> None:
    lease = begun(ledger)
    with ledger.writing() as book:
        end(book, lease, "web1", Outcome.FAILED)

    with pytest.raises(LedgerConflict, match="of web1 has ended already"):  # noqa: SIM117
        with ledger.writing() as book:
            end(book, lease, "web1", Outcome.PATCHED)
    assert [row.outcome for row in rows(ledger)] == [Outcome.FAILED]


def test_threads_that_end_one_attempt_at_once_leave_one_outcome(ledger: Ledger) -> None:
    lease = begun(ledger)
    outcomes = [Outcome.PATCHED, Outcome.FAILED, Outcome.UNREACHABLE]

    def race(number: int) -> Outcome:
        with ledger.writing() as book:
            end(book, lease, "web1", outcomes[number])
        return outcomes[number]

    found = at_once(3, race)
    won = [outcome for outcome in found if isinstance(outcome, Outcome)]

    assert len(won) == 1
    assert [row.outcome for row in rows(ledger)] == won
    with ledger.reading() as book:
        kinds = [event.kind for event in audit.events(book, "r-1")]
    assert kinds.count("attempt.ended") == 1


def test_a_host_that_has_an_attempt_is_not_settled_over_it(ledger: Ledger) -> None:
    lease = begun(ledger)
    with ledger.writing() as book:
        attempts.settle(
            book,
            lease,
            PLAN,
            "web1",
            attempt_id="a-other",
            outcome=Outcome.NOT_ATTEMPTED,
            reason="closed",
            now=START,
        )

    assert [(row.state, row.outcome) for row in rows(ledger)] == [(AttemptState.INTENT, "")]


def test_a_settled_host_was_never_touched_and_keeps_what_became_of_its_packages(
    ledger: Ledger,
) -> None:
    result = PackageResult(
        name="zip",
        arch="amd64",
        before="1",
        target="2",
        after="1",
        outcome=PackageOutcome.HELD,
    )
    lease = frozen(ledger)
    with ledger.writing() as book:
        attempts.settle(
            book,
            lease,
            PLAN,
            "web1",
            attempt_id="a-web1",
            outcome=Outcome.NOT_ATTEMPTED,
            reason="drift",
            packages=(result,),
            now=START,
        )
    (row,) = rows(ledger)

    assert (row.touched, row.intent_at, row.outcome) == (False, None, Outcome.NOT_ATTEMPTED)
    assert attempts.packages_of(row) == (result,)
    assert attempts.evidence_of(row) is None
    with pytest.raises(LedgerConflict):
        intend(ledger, lease, "web1")


def test_running_is_noted_once_with_the_hosts_own_time(ledger: Ledger) -> None:
    lease = begun(ledger)
    with ledger.writing() as book:
        attempts.mark_running(book, lease, "a-web1-" + str(lease.fence), START, START)
        attempts.mark_running(
            book, lease, "a-web1-" + str(lease.fence), START + SECOND, START + SECOND
        )
    (row,) = rows(ledger)

    assert (row.state, row.begun_at) == (AttemptState.RUNNING, START)


def test_an_ended_attempt_does_not_run_again(ledger: Ledger) -> None:
    lease = begun(ledger)
    with ledger.writing() as book:
        end(book, lease, "web1")
        attempts.mark_running(book, lease, "a-web1-" + str(lease.fence), START, START)

    assert [row.state for row in rows(ledger)] == [AttemptState.ENDED]


def test_reboots_are_counted_over_owners_before_the_host_is_told(ledger: Ledger) -> None:
    lease = begun(ledger)
    name = f"a-web1-{lease.fence}"
    with ledger.writing() as book:
        assert attempts.count_reboot(book, lease, name, START) == 1
    newer = take(ledger, owner="second", owner_is_dead=True)
    with ledger.writing() as book:
        granted = attempts.take_over(book, newer, name)
        assert attempts.count_reboot(book, newer, name, START) == 2

    assert [(row.fence, row.reboots) for row in rows(ledger)] == [(granted.fence, 2)]
    assert granted.fence > newer.fence


def test_an_attempt_that_does_not_exist_is_said(ledger: Ledger) -> None:
    lease = frozen(ledger)
    with pytest.raises(LedgerConflict, match="no attempt a-nothing"), ledger.writing() as book:
        attempts.count_reboot(book, lease, "a-nothing", START)


def test_every_change_of_an_attempt_is_in_the_audit_chain(ledger: Ledger) -> None:
    lease = begun(ledger)
    with ledger.writing() as book:
        attempts.mark_running(book, lease, f"a-web1-{lease.fence}", START, START)
        end(book, lease, "web1")
        audit.verify(book)
        kinds = [event.kind for event in audit.events(book, "r-1")]

    assert kinds == [
        "rollout.opened",
        "rollout.lease_taken",
        "plan.frozen",
        "attempt.intent",
        "attempt.running",
        "attempt.ended",
    ]


def test_no_two_rows_for_one_host_of_a_plan_can_exist(ledger: Ledger) -> None:
    begun(ledger)
    (row,) = rows(ledger)
    second = AttemptRow(**{**row.model_dump(), "id": "a-second"})
    with pytest.raises(IntegrityError), ledger.writing() as book:
        book.add(second)
