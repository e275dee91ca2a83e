"""A rollback takes a host out as a change does: it waits for its place, and not for ever."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases.rollouts.build import START
from tests.cases.rollouts.ledgers import at_once, new_ledger
from tests.contract.attempt_bench import HOUR
from tests.contract.night_bench import MINUTE, PAIR, Night
from tests.contract.test_pairs_apart import Side, pair_of
from wavemend.errors import LedgerConflict
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.rollback import roll_back_host
from wavemend.execution.rollback_end import RollbackEnd
from wavemend.execution.rollback_room import MOST_WAIT, wait_for_room
from wavemend.execution.start import intend
from wavemend.ledger import attempts, limits, rollbacks
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.outcomes import Outcome
from wavemend.rollbacks import RollbackRequest
from wavemend.steps.prepare import prepare_host
from wavemend.steps.roll_back import case_of

LATER = START + 10 * MINUTE
BY_POLICY = RollbackRequest(requested_by="profile linux", reason="the pilot was taken back")


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Return a night in which both hosts of the pair are planned, each in its own rollout."""
    made = Night(new_ledger(tmp_path))
    for n in (1, 2):
        made.freeze(f"r-{n}", [f"db{n}"])
    return made


def change(night: Night, n: int, outcome: Outcome) -> None:
    """Change the n-th host, with this end."""
    assert isinstance(start(night, n), Granted)
    with night.ledger.writing() as book:
        attempts.mark_running(book, night.leases[f"r-{n}"], f"a-r-{n}-db{n}", START, START)
    night.end(f"r-{n}", f"db{n}", outcome, START + n * MINUTE)


def start(night: Night, n: int) -> attempts.Answer:
    """Ask for the right to change the n-th host."""
    return night.intend(f"r-{n}", f"db{n}")


def take_back(night: Night, n: int, *, automatic: bool = False) -> Wait | Refused | None:
    """Ask for the right to take the n-th host of the pair back."""
    wish = RollbackIntent(
        rollback_id=f"b-{n}",
        nonce="n" * 32,
        attempt_id=f"a-r-{n}-db{n}",
        kind="commands",
        requested_by="olga",
        reason="slow",
        automatic=automatic,
    )
    with night.ledger.writing() as book:
        answer = rollbacks.intend(
            book, night.leases[f"r-{n}"], wish, now=LATER, local_stop="", limits=PAIR
        )
    return None if isinstance(answer, Granted) else answer


def taken_back(night: Night, n: int, outcome: Outcome) -> None:
    """End the rollback of the n-th host."""
    with night.ledger.writing() as book:
        rollbacks.end(
            book,
            night.leases[f"r-{n}"],
            f"b-{n}",
            outcome=outcome,
            detail="",
            packages=(),
            evidence=None,
            now=LATER,
        )


def test_the_second_of_a_pair_is_not_taken_back_while_the_first_is_out(night: Night) -> None:
    change(night, 1, Outcome.PATCHED)
    start(night, 2)

    assert take_back(night, 1) == Wait("budget pair: db2 is out already")
    night.end("r-2", "db2")
    assert take_back(night, 1) is None


def test_two_people_who_take_the_pair_back_at_once_get_one_after_the_other(night: Night) -> None:
    change(night, 1, Outcome.PATCHED)
    change(night, 2, Outcome.PATCHED)

    answers = at_once(2, lambda n: take_back(night, n + 1))
    assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "Wait"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNREACHABLE, Outcome.NEEDS_HUMAN])
def test_while_the_first_is_not_well_the_second_is_refused_and_the_first_itself_is_not(
    night: Night, outcome: Outcome
) -> None:
    change(night, 1, Outcome.PATCHED)
    change(night, 2, outcome)

    assert take_back(night, 1) == Refused("budget pair is used up: db2 is not well")
    assert take_back(night, 2) is None  # it has its place already


def test_a_host_that_is_out_is_taken_back_whoever_else_is(night: Night) -> None:
    """Within its own attempt, and when both are out: nobody is worse off by it."""
    start(night, 1)
    assert take_back(night, 1, automatic=True) is None
    taken_back(night, 1, Outcome.FAILED)
    night.end("r-1", "db1", Outcome.FAILED)
    night.intend("r-2", "db2", replace(PAIR, sets=()))

    assert take_back(night, 2, automatic=True) is None


def test_a_rollback_that_failed_leaves_its_host_out_until_somebody_saw_it_well(
    night: Night,
) -> None:
    change(night, 1, Outcome.PATCHED)
    assert take_back(night, 1) is None
    taken_back(night, 1, Outcome.FAILED)

    assert start(night, 2) == Refused("budget pair is used up: db1 is not well")
    with night.ledger.writing() as book:
        limits.say_well(book, "db1", actor="olga", reason="seen", now=LATER + MINUTE)
        with pytest.raises(LedgerConflict, match="db1 is not out"):
            limits.say_well(book, "db1", actor="olga", reason="seen", now=LATER + MINUTE)
    assert isinstance(start(night, 2), Granted)


def test_a_rollback_that_was_never_begun_leaves_its_host_in_service(night: Night) -> None:
    change(night, 1, Outcome.PATCHED)
    assert take_back(night, 1) is None
    taken_back(night, 1, Outcome.BLOCKED)
    assert isinstance(start(night, 2), Granted)


# --- the executor --------------------------------------------------------------------------------


needs_flock = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")


def patched_and_at_work(folder: Path) -> tuple[Side, Callable[[], None]]:
    """Return db1, patched; db2 is out, by its intent alone, until what is returned is called."""
    first, second = pair_of(folder)
    lease = first.take_lease()
    prepare_host(first.hands(), lease, first.plan, first.host, first.profile)
    assert attempt_host(first.hands(), first.order()) is Outcome.PATCHED
    order = second.order()
    granted = intend(second.hands(), order)
    assert isinstance(granted, Granted)

    def end() -> None:
        with second.ledger.writing() as book:
            attempts.end_attempt(
                book,
                order.lease,
                granted.attempt_id,
                outcome=Outcome.PATCHED,
                reason="",
                packages=(),
                evidence=None,
                now=second.now(),
            )

    return first, end


def roll_back(side: Side, hands: Hands, **changes: object) -> RollbackEnd:
    """Take db1 back as somebody asks for it."""
    with side.ledger.reading() as book:
        case = case_of(book, side.plan, ("db1",), requested_by="olga", reason="slow")
    wish = RollbackRequest(requested_by="olga", reason="slow", case=case, outside_window=True)
    return roll_back_host(hands, side.order(), replace(wish, **changes))  # type: ignore[arg-type]


@needs_flock
def test_a_rollback_waits_until_the_other_one_of_the_pair_is_back(tmp_path: Path) -> None:
    side, end_the_other = patched_and_at_work(tmp_path / "lab")
    asked = 0

    def sleep(_: float) -> None:
        nonlocal asked
        asked += 1
        with side.ledger.reading() as book:
            assert rollbacks.of_rollout(book, "r-1") == ()
        if asked == 3:
            end_the_other()

    waiting = replace(side.hands(), sleep=lambda seconds: sleep(seconds) if asked < 3 else None)
    assert roll_back(side, waiting).outcome is Outcome.ROLLED_BACK
    assert asked == 3


@needs_flock
def test_a_rollback_does_not_wait_for_ever_and_says_for_whom_it_has_waited(tmp_path: Path) -> None:
    side, _ = patched_and_at_work(tmp_path / "lab")
    passed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    end = roll_back(side, replace(side.hands(), sleep=sleep, monotonic=lambda: passed))
    assert end.outcome is Outcome.BLOCKED
    assert end.detail == "budget pair: db2 is out already, and it has waited 30m for that"
    assert MOST_WAIT.total_seconds() <= passed < MOST_WAIT.total_seconds() + 10
    with side.ledger.reading() as book:
        assert rollbacks.of_rollout(book, "r-1") == ()

    # By policy, it waits no longer than the window lasts; and a stop ends every wait.
    side.shift = 3 * HOUR
    end = roll_back(side, side.hands(), case=None, outside_window=False)
    assert end.detail.startswith("window: it ended at ")
    assert end.detail.endswith(", while it waited: budget pair: db2 is out already")
    (side.folder / "stop").write_text("fire\n")
    assert roll_back(side, side.hands()).detail.startswith("fire, while it waited: ")


@needs_flock
def test_hosts_of_a_wave_that_are_taken_back_at_once_go_one_after_the_other(
    tmp_path: Path,
) -> None:
    """By policy, as the flow does it: in threads that begin together."""
    sides = pair_of(tmp_path / "lab")
    for side in sides:
        prepare_host(side.hands(), side.take_lease(), side.plan, side.host, side.profile)
        assert attempt_host(side.hands(), side.order()) is Outcome.PATCHED

    def one(number: int) -> RollbackEnd:
        return roll_back_host(sides[number].hands(), sides[number].order(), BY_POLICY)

    ends = at_once(2, one)
    assert [getattr(end, "outcome", end) for end in ends] == [Outcome.ROLLED_BACK] * 2
    with sides[0].ledger.reading() as book:
        rows = [*rollbacks.of_rollout(book, "r-1"), *rollbacks.of_rollout(book, "r-2")]
    first, second = sorted(rows, key=lambda row: row.intent_at)
    assert first.ended_at is not None
    assert first.ended_at <= second.intent_at


@needs_flock
def test_by_policy_a_wave_of_many_is_waited_for_as_long_as_the_window_lasts(tmp_path: Path) -> None:
    side, end_the_other = patched_and_at_work(tmp_path / "lab")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            end_the_other()

    hands = replace(side.hands(), sleep=sleep)
    over = hands.monotonic()
    assert wait_for_room(hands, side.order(), BY_POLICY, over) == ""
    assert len(slept) == 3
