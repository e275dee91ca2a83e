"""A rollout exists once, has one owner at a time, and keeps what was decided for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, select

from tests.cases.rollouts.build import (
    BROAD,
    CRITICAL,
    LAST_START,
    NOON,
    PILOT,
    PLAN,
    START,
    plan_of,
)
from tests.cases.rollouts.ledgers import (
    KEY,
    NIGHT,
    at_once,
    decide,
    frozen,
    intend,
    new_ledger,
    opened,
    run_wave,
    take,
)
from wavemend.calendar.windows import Occurrence
from wavemend.errors import LedgerConflict, LedgerError, PlanError
from wavemend.ledger import (
    approvals,
    attempt_steps,
    attempts,
    audit,
    losses,
    restore_points,
    rollouts,
    starts,
)
from wavemend.ledger.care_tables import (
    RestorePointRow,
)
from wavemend.ledger.rollouts import LEASE, Lease
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import (
    PlanRow,
    RolloutRow,
)
from wavemend.outcomes import Outcome
from wavemend.rollout import GateNumbers, Standing

SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path)


def open_one(ledger: Ledger, rollout: str, occurrence: Occurrence = NIGHT) -> str:
    with ledger.writing() as book:
        return rollouts.open_rollout(book, rollout, KEY, occurrence, requester="olga", now=NOON).id


# --- opened once ---------------------------------------------------------------------------------


def test_a_rollout_is_opened_once_per_key_and_occurrence(ledger: Ledger) -> None:
    tomorrow = replace(NIGHT, start=START + timedelta(days=1))

    assert open_one(ledger, "r-1") == "r-1"
    assert open_one(ledger, "r-2") == "r-1"
    assert open_one(ledger, "r-3", tomorrow) == "r-3"


def test_many_workers_that_open_the_same_rollout_at_once_get_the_same_one(ledger: Ledger) -> None:
    found = at_once(6, lambda number: open_one(ledger, f"r-{number}"))

    assert len(set(found)) == 1
    with ledger.reading() as book:
        assert len(book.exec(select(RolloutRow)).all()) == 1


def test_the_oldest_unfinished_rollout_of_a_key_is_found_until_it_is_finished(
    ledger: Ledger,
) -> None:
    lease = opened(ledger)
    with ledger.writing() as book:
        found = rollouts.unfinished_of(book, KEY)
        assert found is not None
        assert found.id == "r-1"
        assert rollouts.unfinished_of(book, replace(KEY, tenant="globex")) is None
        rollouts.finish_rollout(book, lease, "done", START)
        rollouts.finish_rollout(book, lease, "again", START)
        assert rollouts.unfinished_of(book, KEY) is None
        assert rollouts.get_rollout(book, "r-1").reason == "done"


def test_a_rollout_that_does_not_exist_is_said(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no rollout r-9"), ledger.reading() as book:
        rollouts.get_rollout(book, "r-9")


# --- one owner -----------------------------------------------------------------------------------


def test_a_second_owner_is_refused_while_the_first_is_alive(ledger: Ledger) -> None:
    opened(ledger)

    with pytest.raises(LedgerConflict, match=r"r-1 is being run by first.*lease ends at"):
        take(ledger, owner="second", now=START + LEASE - SECOND)


def test_a_lease_is_taken_when_it_has_expired_or_its_owner_is_proven_dead(ledger: Ledger) -> None:
    first = opened(ledger)
    second = take(ledger, owner="second", owner_is_dead=True)
    third = take(ledger, owner="third", now=START + LEASE)
    with ledger.writing() as book:
        rollouts.release_lease(book, third)
    fourth = take(ledger, owner="fourth")

    assert first.fence < second.fence < third.fence < fourth.fence


def test_a_renewed_lease_is_held_longer(ledger: Ledger) -> None:
    lease = opened(ledger)
    with ledger.writing() as book:
        rollouts.renew_lease(book, lease, START + LEASE / 2)

    with pytest.raises(LedgerConflict):
        take(ledger, owner="second", now=START + LEASE)


def test_the_same_owner_that_comes_again_gets_a_new_fence(ledger: Ledger) -> None:
    assert opened(ledger).fence < take(ledger).fence


def test_the_fence_only_grows_over_all_rollouts(ledger: Ledger) -> None:
    open_one(ledger, "r-1")
    open_one(ledger, "r-2", replace(NIGHT, start=START + timedelta(days=1)))
    fences = []
    for number in range(6):
        now = START + number * LEASE
        fences.append(take(ledger, f"r-{1 + number % 2}", f"w{number}", now).fence)

    assert fences == sorted(set(fences))
    assert fences[0] > 0


def test_of_many_workers_that_take_a_free_lease_at_once_one_gets_it(ledger: Ledger) -> None:
    open_one(ledger, "r-1")
    found = at_once(6, lambda number: take(ledger, owner=f"w{number}"))

    assert sum(isinstance(lease, Lease) for lease in found) == 1
    assert sum(isinstance(error, LedgerConflict) for error in found) == 5


POINT = RestorePointRow(
    rollout_id="r-1",
    host="web1",
    kind="k",
    name="n",
    proven=True,
    restores="",
    detail="",
    at=START,
)
NUMBERS = GateNumbers(passed=True, observed=2, good=2, errors=0, reason="")

WRITES: dict[str, Callable[[Session, Lease], object]] = {
    "renew": lambda book, lease: rollouts.renew_lease(book, lease, START),
    "plan": lambda book, lease: rollouts.store_plan(book, lease, plan_of(PILOT), START),
    "step": lambda book, lease: rollouts.record_step(book, lease, "closed", START),
    "wave": lambda book, lease: rollouts.begin_wave(book, lease, BROAD, START),
    "gate": lambda book, lease: rollouts.record_gate(book, lease, PILOT, NUMBERS, START),
    "point": lambda book, lease: restore_points.record_restore_points(
        book, lease, [POINT.model_copy()], START
    ),
    "finish": lambda book, lease: rollouts.finish_rollout(book, lease, "done", START),
    "ask": lambda book, lease: approvals.ask(
        book, lease, request_id="q", nonce="n", flow_run_id="f", now=START
    ),
    "intend": lambda book, lease: attempts.intend(
        book, lease, PLAN, "web2", attempt_id="a-2", nonce="n", now=START, local_stop=""
    ),
    "running": lambda book, lease: attempts.mark_running(book, lease, "a-web1-1", START, START),
    "take over": lambda book, lease: attempts.take_over(book, lease, "a-web1-1"),
    "reboot": lambda book, lease: attempts.count_reboot(book, lease, "a-web1-1", START),
    "end": lambda book, lease: attempts.end_attempt(
        book,
        lease,
        "a-web1-1",
        outcome=Outcome.PATCHED,
        reason="",
        packages=(),
        evidence=None,
        now=START,
    ),
    "part": lambda book, lease: attempt_steps.record_step(
        book,
        lease,
        "a-web1-1",
        attempt_steps.StepDone(step="after hook fill", ok=True, detail=""),
        START,
    ),
    "lost": lambda book, lease: losses.note_lost(book, lease, "a-web1-1", "silent", START),
    "judge again": lambda book, lease: rollouts.judge_again(book, lease, "partly", START),
    "settle": lambda book, lease: attempts.settle(
        book,
        lease,
        PLAN,
        "web3",
        attempt_id="a-3",
        outcome=Outcome.BLOCKED,
        reason="",
        now=START,
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_an_owner_that_was_overtaken_writes_nothing_any_more(
    ledger: Ledger, write: Callable[[Session, Lease], object]
) -> None:
    older = frozen(ledger)
    with ledger.writing() as book:
        attempts.intend(
            book, older, PLAN, "web1", attempt_id="a-web1-1", nonce="n", now=START, local_stop=""
        )
    take(ledger, owner="second", owner_is_dead=True)
    with ledger.reading() as book:
        before = audit.head(book)

    with pytest.raises(LedgerConflict, match="taken over by second"), ledger.writing() as book:
        write(book, older)
    with ledger.reading() as book:
        assert audit.head(book) == before


ASKS: dict[str, Callable[[Session, Lease], object]] = {
    "is there a place": lambda book, lease: starts.has_place(book, lease, PLAN, "web2", now=START),
    "may it start": lambda book, lease: starts.start_refusal(book, lease, PLAN, START, ""),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
def test_nor_is_it_told_that_anything_may_start(
    ledger: Ledger, ask: Callable[[Session, Lease], object]
) -> None:
    older = frozen(ledger)
    take(ledger, owner="second", owner_is_dead=True)

    with pytest.raises(LedgerConflict, match="taken over by second"), ledger.reading() as book:
        ask(book, older)


def test_giving_back_an_overtaken_lease_takes_it_from_nobody(ledger: Ledger) -> None:
    older = opened(ledger)
    take(ledger, owner="second", owner_is_dead=True)
    with ledger.writing() as book:
        rollouts.release_lease(book, older)

    with ledger.reading() as book:
        assert rollouts.get_rollout(book, "r-1").lease_owner == "second"


# --- what is kept --------------------------------------------------------------------------------


def test_a_plan_is_frozen_once_and_read_back_equal(ledger: Ledger) -> None:
    lease = frozen(ledger)
    with ledger.reading() as book:
        assert rollouts.read_plan(book, "r-1") == PLAN

    with pytest.raises(LedgerConflict, match="has a plan already"), ledger.writing() as book:
        rollouts.store_plan(book, lease, plan_of(PILOT), NOON)


def test_a_rollout_without_a_plan_has_none(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.reading() as book:
        assert rollouts.read_plan(book, "r-1") is None


def test_a_plan_that_was_edited_or_removed_in_the_database_is_refused(ledger: Ledger) -> None:
    frozen(ledger)
    with ledger.writing() as book:
        row = book.get_one(PlanRow, PLAN.digest)
        row.document = row.document.replace(b"web1", b"web9")
    with pytest.raises(PlanError, match="is not the one called"), ledger.reading() as book:
        rollouts.read_plan(book, "r-1")

    with ledger.writing() as book:
        book.delete(book.get_one(PlanRow, PLAN.digest))
    with pytest.raises(LedgerError, match="is missing"), ledger.reading() as book:
        rollouts.read_plan(book, "r-1")


def test_the_view_holds_all_that_the_next_action_needs(ledger: Ledger) -> None:
    lease = frozen(ledger)
    run_wave(ledger, lease, PILOT, Outcome.PATCHED)
    intend(ledger, lease, "web3")
    with ledger.writing() as book:
        rollouts.record_step(book, lease, "prepared", START)
        rollouts.record_step(book, lease, "prepared", LAST_START, detail="again")
    decide(ledger, "approve")
    with ledger.reading() as book:
        view = rollouts.read_view(book, "r-1")

    assert view.gates == {1: True}
    assert view.steps == {"prepared"}
    assert view.standing is Standing.APPROVED
    assert view.attempts["web1"].outcome is Outcome.PATCHED
    assert view.attempts["web1"].ended_at == START
    assert view.attempts["web3"].outcome is None
    assert set(view.attempts) == {"web1", "web2", "web3"}


def test_a_gate_is_decided_once(ledger: Ledger) -> None:
    lease = frozen(ledger)
    bad = replace(NUMBERS, passed=False, reason="errors")
    with ledger.writing() as book:
        rollouts.record_gate(book, lease, PILOT, bad, START)
        rollouts.record_gate(book, lease, PILOT, NUMBERS, START)

    with ledger.reading() as book:
        view = rollouts.read_view(book, "r-1")
    assert (view.gates, view.gate_reasons) == ({1: False}, {1: "errors"})


@pytest.mark.parametrize(
    ("answers", "standing"),
    [
        ([], Standing.NONE),
        ([("approve", True)], Standing.APPROVED),
        ([("approve", False)], Standing.NONE),
        ([("reject", False), ("approve", True)], Standing.APPROVED),
        ([("reject", True), ("approve", True)], Standing.REJECTED),
        ([("approve", True), ("reject", True)], Standing.REJECTED),
    ],
)
def test_a_rejection_overrides_every_approval_and_a_refused_answer_counts_for_nothing(
    ledger: Ledger, answers: list[tuple[str, bool]], standing: Standing
) -> None:
    frozen(ledger)
    for decision, accepted in answers:
        decide(ledger, decision, accepted=accepted)

    with ledger.reading() as book:
        assert rollouts.read_view(book, "r-1").standing is standing


def test_an_approval_of_another_plan_counts_for_nothing(ledger: Ledger) -> None:
    frozen(ledger)
    decide(ledger, "approve", plan=plan_of(PILOT, CRITICAL))

    with ledger.reading() as book:
        assert rollouts.read_view(book, "r-1").standing is Standing.NONE


@pytest.mark.parametrize(("tenant", "stops"), [("", True), ("acme", True), ("globex", False)])
def test_the_kill_switch_stops_everybody_or_one_tenant_until_it_is_released(
    ledger: Ledger, tenant: str, stops: bool
) -> None:
    opened(ledger)
    reasons = []
    for engaged in (True, False):
        with ledger.writing() as book:
            rollouts.turn_switch(
                book, tenant, engaged=engaged, actor="olga", reason="fire", now=START
            )
        with ledger.reading() as book:
            reasons.append(rollouts.read_view(book, "r-1").stopped)

    assert reasons == ["fire (by olga)" if stops else "", ""]


def test_each_asking_for_approval_has_a_number_and_a_key_of_its_own(ledger: Ledger) -> None:
    lease = frozen(ledger)
    with ledger.writing() as book:
        first = approvals.ask(book, lease, request_id="q-1", nonce="n1", flow_run_id="f", now=START)
        second = approvals.ask(
            book, lease, request_id="q-2", nonce="n2", flow_run_id="f", now=START
        )
        newest = approvals.newest(book, "r-1")

    assert (first.pause_key, second.pause_key) == ("gate-critical-1", "gate-critical-2")
    assert newest == second
    assert second.request.plan_digest == PLAN.digest
    assert second.request.expires_at == LAST_START


# --- transactions --------------------------------------------------------------------------------


def test_a_reader_sees_one_state_however_long_it_reads(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.reading() as book:
        before = audit.head(book).events
        with ledger.writing() as other:
            rollouts.turn_switch(other, "", engaged=True, actor="a", reason="x", now=START)
        assert audit.head(book).events == before
        assert rollouts.stopped(book, "acme") == ""
    with ledger.reading() as book:
        assert audit.head(book).events == before + 1


def test_what_a_reader_changes_is_not_kept(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.reading() as book:
        row = rollouts.get_rollout(book, "r-1")
        row.tenant = "globex"

    with ledger.reading() as book:
        assert rollouts.get_rollout(book, "r-1").tenant == "acme"


def test_times_come_back_as_utc(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.reading() as book:
        row = rollouts.get_rollout(book, "r-1")

    assert row.window_start == START
    assert row.window_start.utcoffset() == timedelta(0)
