"""What happened since is not passed over: a STOP file, another run, hosts that were taken back."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from tasks.approval import so_far
from tasks.opening import finish, note_step, steps_done, what_next
from tasks.rolling_back import Asked, begin_run, end_run
from tasks.workbench import Running, Workbench
from tests.cases.rollouts.build import START, plan_of, wave
from tests.cases.rollouts.ledgers import end, frozen, intend, new_ledger, take
from tests.contract.test_report_doubts import take_back
from wavemend.errors import LedgerConflict
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.attempts import Granted
from wavemend.ledger.intake import apply_fleet
from wavemend.outcomes import Outcome
from wavemend.rollbacks import RollbackCase
from wavemend.rollout import Close, JudgeGate, ProbeWave
from wavemend.site import Site, hands_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Return a rollout of which the first of two waves was patched."""
    ledger, fleet = new_ledger(tmp_path), load_fleet(EXAMPLE)
    plan = replace(
        plan_of(wave(1, "web1", kind="pilot"), wave(2, "web2")),
        excluded=(),
        fleet_digest=fleet.digest,
        profile="debian-server",
    )
    with ledger.writing() as book:
        apply_fleet(book, fleet, actor="olga", now=START)
    lease = frozen(ledger, plan)
    assert isinstance(intend(ledger, lease, "web1", plan=plan), Granted)
    with ledger.writing() as book:
        rollouts.record_step(book, lease, "prepared", START)
        attempts.mark_running(book, lease, f"a-web1-{lease.fence}", START, START)
        end(book, lease, "web1")
    site = Site(home=tmp_path)
    made = Running(Workbench(site, fleet, hands_of(site, ledger, fleet)), lease, plan)
    made.bench.hands = replace(made.bench.hands, clock=lambda: START)
    return made


def test_the_stop_file_closes_the_rollouts_of_its_machine(running: Running) -> None:
    assert what_next(running) == ProbeWave(running.plan.waves[0], ("web1",))
    note_step(running, "probed pilot-1", "web1: probe shop: it answers with status 503")
    assert so_far(running)[:2] == (
        "pilot-1: 1 patched",
        "web1: not well any more: probe shop: it answers with status 503",
    )
    assert isinstance(what_next(running), JudgeGate)

    running.bench.hands.stop_file.write_text("database looks wrong\n")

    assert what_next(running) == Close("stopped: database looks wrong", ("web2",))


def test_a_run_whose_rollout_another_one_goes_on_with_learns_so_before_its_next_hook(
    running: Running,
) -> None:
    note_step(running, "before hook 1")
    assert steps_done(running) >= {"prepared", "before hook 1"}

    take(running.bench.hands.ledger, owner="second", owner_is_dead=True)

    with pytest.raises(LedgerConflict, match="taken over by second"):
        steps_done(running)


def test_the_list_of_rollouts_says_what_a_rollback_made_of_one(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.rolling_back.label_run", lambda *_: None)
    ledger, lease = running.bench.hands.ledger, running.lease
    with ledger.writing() as book:
        attempts.settle(
            book,
            lease,
            running.plan,
            "web2",
            attempt_id="a-2",
            outcome=Outcome.NOTHING_TO_DO,
            reason="",
            now=START,
        )
        rollouts.record_step(book, lease, "verified", START)
    finish(running)
    case = RollbackCase(
        rollout="r-1",
        tenant="acme",
        plan_digest=running.plan.digest,
        hosts=(),
        requested_by="o",
        reason="slow",
    )
    asked = Asked(running, case)
    with disable_run_logger():
        begin_run(asked, "run-1")
        take_back(ledger, lease, 1, Outcome.ROLLED_BACK, START + timedelta(hours=1))
        end_run(asked, "run-1")

    with ledger.reading() as book:
        reason = rollouts.get_rollout(book, "r-1").reason
    assert reason == "partly: 1 of 2 hosts is in the state the plan wanted (1 rolled back)."
