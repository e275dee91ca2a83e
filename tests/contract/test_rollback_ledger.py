"""Only what may have changed a host's packages stands between it and its rollback."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session

from tests.cases.rollouts.build import PLAN, START, facts, host
from tests.cases.rollouts.ledgers import KEY, end, frozen, intend, new_ledger, opened, take
from tests.contract.test_point_stays import EVIDENCE
from wavemend.errors import LedgerConflict
from wavemend.fleet import RolloutKey, RolloutKind
from wavemend.ledger import attempts, audit, restore_points, rollback_runs, rollbacks, rollouts
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.care_tables import RestorePointRow, RollbackRow
from wavemend.ledger.restore_points import PointState
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.plans import Plan
from wavemend.rollbacks import AT_NEXT_BOOT, RollbackCase

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


BACK = "b-0123456789"


def refusal(ledger: Ledger, rollback: str = BACK) -> str:
    """Write the intent to take web1 back to before r-1; return why it is refused."""
    with ledger.writing() as book:
        held = Lease("r-1", "me", rollouts.get_rollout(book, "r-1").fence)
        answer = wish(book, held, rollback)
        return "" if isinstance(answer, Granted) else answer.reason


def wish(book: Session, lease: Lease, rollback: str) -> attempts.Answer:
    attempt = next(row for row in attempts.of_rollout(book, "r-1") if row.host == "web1")
    intent = RollbackIntent(
        rollback_id=rollback,
        nonce="n" * 32,
        attempt_id=attempt.id,
        kind="commands",
        requested_by="olga",
        reason="slow",
        automatic=False,
    )
    return rollbacks.intend(book, lease, intent, now=START, local_stop="")


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


def test_a_host_is_on_its_way_back_until_its_rollback_has_ended(ledger: Ledger) -> None:
    def seen() -> tuple[bool, bool]:
        with ledger.reading() as book:
            view = rollouts.read_view(book, "r-1").attempts["web1"]
        return view.going_back, view.taken_back

    assert seen() == (False, False)
    assert refusal(ledger) == ""
    assert seen() == (True, False)
    with ledger.writing() as book:
        held = Lease("r-1", "me", rollouts.get_rollout(book, "r-1").fence)
        rollbacks.end(
            book,
            held,
            "b-0123456789",
            outcome=Outcome.ROLLED_BACK,
            detail="",
            packages=(),
            evidence=None,
            now=START,
        )
    assert seen() == (False, True)


@pytest.mark.parametrize("kind", ["lvm", "btrfs", "snapper", "zfs"])
def test_a_disk_that_the_next_boot_puts_back_is_not_patched_nor_restarted_before(
    ledger: Ledger, kind: str
) -> None:
    stopped_before_its_restart(ledger, kind)
    see(ledger, "b")

    answer = at_web1(ledger)
    assert isinstance(answer, Refused)
    assert answer.reason == (
        "rollback b-0123456789 puts its disk back with its next restart: restart it by hand, "
        "and scan it"
    )

    assert refusal(ledger, "b-9876543210") == answer.reason, "it is not put back twice"

    see(ledger, "the next one")
    assert isinstance(at_web1(ledger), Granted)


@pytest.mark.parametrize("kind", ["package_versions", "windows", "libvirt", "commands"])
def test_what_comes_back_without_a_restart_keeps_no_change_waiting(
    ledger: Ledger, kind: str
) -> None:
    stopped_before_its_restart(ledger, kind)
    see(ledger, "b")

    assert isinstance(at_web1(ledger), Granted)


def stopped_before_its_restart(ledger: Ledger, kind: str) -> None:
    """Take web1 back on its disk only, in the boot `b`: the kill switch forbade the restart."""
    assert refusal(ledger) == ""
    evidence = replace(EVIDENCE, boot_id_after="b")
    with ledger.writing() as book:
        book.get_one(RollbackRow, "b-0123456789").kind = kind
        held = Lease("r-1", "me", rollouts.get_rollout(book, "r-1").fence)
        rollbacks.end(
            book,
            held,
            "b-0123456789",
            outcome=Outcome.NEEDS_HUMAN,
            detail=f"{AT_NEXT_BOOT}: not restarted: stopped: fire",
            packages=(),
            evidence=evidence,
            now=START,
        )
        rollouts.finish_rollout(book, held, "yes", START)


def see(ledger: Ledger, boot_id: str) -> None:
    """Look at web1, which is in this boot."""
    seen = Look(host="web1", at=START, facts=replace(facts("web1"), boot_id=boot_id))
    with ledger.writing() as book:
        record_look(book, host("web1"), seen, purpose="scan")


def at_web1(ledger: Ledger) -> Granted | Refused | Wait:
    """Ask whether the next rollout may begin at web1."""
    with ledger.reading() as book:
        is_open = any(row.id == "r-2" for row in rollouts.list_rollouts(book))
    if not is_open:
        lease = opened(ledger, LATER.rollout, OTHER)
        with ledger.writing() as book:
            rollouts.store_plan(book, lease, LATER, START)
    with ledger.reading() as book:
        fence = rollouts.get_rollout(book, "r-2").fence
    return intend(ledger, Lease("r-2", "me", fence), "web1", plan=LATER)


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


RUN = rollback_runs.RollbackRun(
    case=RollbackCase(
        rollout="r-1",
        tenant="acme",
        plan_digest=PLAN.digest,
        hosts=(),
        requested_by="olga",
        reason="slow",
    ),
    outside_window=False,
)
WRITES: dict[str, Callable[[Session, Lease], object]] = {
    "intend": lambda book, lease: wish(book, lease, "b-another"),
    "refuse": lambda book, lease: rollbacks.refuse(
        book, lease, "web1", requested_by="olga", reason="stopped", now=START
    ),
    "running": lambda book, lease: rollbacks.mark_running(book, lease, BACK, START, START),
    "restart": lambda book, lease: rollbacks.count_restart(book, lease, BACK, START),
    "take over": lambda book, lease: rollbacks.take_over(book, lease, BACK),
    "end": lambda book, lease: rollbacks.end(
        book,
        lease,
        BACK,
        outcome=Outcome.ROLLED_BACK,
        detail="",
        packages=(),
        evidence=None,
        now=START,
    ),
    "begin run": lambda book, lease: rollback_runs.begin_run(book, lease, "run-2", RUN, now=START),
    "end run": lambda book, lease: rollback_runs.end_run(book, lease, "run-1", now=START),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_an_owner_that_was_overtaken_writes_nothing_of_a_rollback_any_more(
    ledger: Ledger, write: Callable[[Session, Lease], object]
) -> None:
    older = take(ledger, owner="second", owner_is_dead=True)
    assert refusal(ledger) == ""
    with ledger.writing() as book:
        rollback_runs.begin_run(book, older, "run-1", RUN, now=START)
    take(ledger, owner="third", owner_is_dead=True)
    with ledger.reading() as book:
        before = audit.head(book)

    with pytest.raises(LedgerConflict, match="taken over by third"), ledger.writing() as book:
        write(book, older)
    with ledger.reading() as book:
        assert audit.head(book) == before


def test_each_restart_of_a_rollback_is_counted_before_the_host_is_told(ledger: Ledger) -> None:
    assert refusal(ledger) == ""
    with ledger.writing() as book:
        rollout = rollouts.get_rollout(book, "r-1")
        held = Lease("r-1", "me", rollout.fence)
        numbers = [rollbacks.count_restart(book, held, "b-0123456789", START) for _ in range(3)]

    assert numbers == [1, 2, 3]
