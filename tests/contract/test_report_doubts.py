"""The morning's answer rests on the newest word about a host, not on the best one there was."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import START, facts, host, plan_of, wave
from tests.cases.rollouts.ledgers import end, frozen, intend, new_ledger
from tests.contract.test_windows_care_views import FLEET
from tests.unit.test_report_closed import assessment, ranked
from wavemend.ledger import attempts, rollbacks, rollouts
from wavemend.ledger.assessments import record_assessment
from wavemend.ledger.attempts import Granted
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import Look, Ranked
from wavemend.outcomes import Outcome
from wavemend.plans import ExcludedHost
from wavemend.reporting import build_report
from wavemend.reports import Answer, balance_of, render_html, summary_text, verdict_of
from wavemend.reports.model import GateReport, GateVerdict, HostReport, RolloutReport
from wavemend.rollout import ProbeWave, judge_gate

FLEET_NOW = replace(FLEET, hosts=(host("web1"), host("web2"))).sealed()
PLAN = replace(plan_of(wave(1, "web1", "web2")), excluded=(), fleet_digest=FLEET_NOW.digest)


def patched(tmp_path: Path, last_look: str = "") -> tuple[Ledger, Lease]:
    """Return a ledger in which both hosts were patched, with what the last look found."""
    ledger = new_ledger(tmp_path)
    lease = frozen(ledger, PLAN)
    for name in ("web1", "web2"):
        assert isinstance(intend(ledger, lease, name, plan=PLAN), Granted)
        with ledger.writing() as book:
            attempts.mark_running(book, lease, f"a-{name}-{lease.fence}", START, START)
            end(book, lease, name)
    with ledger.writing() as book:
        rollouts.record_step(book, lease, "verified", START, detail=last_look)
    return ledger, lease


def morning(ledger: Ledger) -> RolloutReport:
    return build_report(ledger, FLEET_NOW, "r-1", START + timedelta(days=1))


def row(report: RolloutReport, name: str = "web1") -> HostReport:
    return next(each for each in report.hosts if each.name == name)


def test_a_host_that_was_as_it_was_left_is_good(tmp_path: Path) -> None:
    report = morning(patched(tmp_path)[0])

    assert verdict_of(report).answer is Answer.YES
    assert balance_of(report).good == 2


@pytest.mark.parametrize("found", ["unreachable: no answer on port 22", "wm-fine is not 2.0"])
def test_a_patched_host_that_the_last_look_sees_otherwise_is_no_yes(
    tmp_path: Path, found: str
) -> None:
    report = morning(patched(tmp_path, f"web1: {found}")[0])

    verdict = verdict_of(report)
    assert verdict.answer is Answer.PARTLY
    assert verdict.sentence.startswith("1 of 2 hosts is in the state the plan wanted (1 in doubt)")
    step = verdict.next_steps[0]
    assert (step.host, step.why) == ("web1", f"at the last look: {found}")
    assert row(report).outcome is Outcome.PATCHED
    assert balance_of(report).holds
    told = summary_text(report)
    assert "2 expected = 2 patched" in told
    assert f"web1: patched: at the last look: {found}" in told
    assert f"at the last look: {found}" in render_html(report).decode()


def test_a_host_whose_service_died_before_the_gate_is_in_doubt_until_it_is_looked_at_again(
    tmp_path: Path,
) -> None:
    ledger = new_ledger(tmp_path)
    lease = frozen(ledger, PLAN)
    for name in ("web1", "web2"):
        assert isinstance(intend(ledger, lease, name, plan=PLAN), Granted)
        with ledger.writing() as book:
            end(book, lease, name)
    wave_1, said = PLAN.waves[0], "web1: probe shop: it answers with status 503"
    with ledger.writing() as book:
        rollouts.record_step(book, lease, ProbeWave(wave_1, ()).step, START, detail=said)
        numbers = judge_gate(wave_1, rollouts.read_view(book, "r-1"))
        rollouts.record_gate(book, lease, wave_1, numbers, START)
        rollouts.record_step(book, lease, "closed", START, detail=numbers.reason)

    report = morning(ledger)
    assert balance_of(report).doubted == 1
    assert row(report).doubt == "before the gate: probe shop: it answers with status 503"
    assert report.open_questions[0] == f"before the gate of {wave_1.name}: {said}"
    assert report.waves[0].gate is not None
    assert report.waves[0].gate.verdict is GateVerdict.FAILED

    with ledger.writing() as book:
        rollouts.record_step(book, lease, "verified", START)
    report = morning(ledger)
    assert row(report).doubt == ""
    assert report.open_questions[0] == f"before the gate of {wave_1.name}: {said}"
    assert verdict_of(report).answer is not Answer.YES
    assert "not well any more: web1" in verdict_of(report).sentence


def test_what_the_last_look_says_of_a_host_that_is_bad_anyway_is_no_doubt(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path)
    lease = frozen(ledger, PLAN)
    for name in ("web1", "web2"):
        assert isinstance(intend(ledger, lease, name, plan=PLAN), Granted)
    with ledger.writing() as book:
        end(book, lease, "web1", Outcome.UNREACHABLE)
        end(book, lease, "web2")
        rollouts.record_step(book, lease, "verified", START, detail="web1: unreachable: gone")

    assert "doubt" not in verdict_of(morning(ledger)).sentence


# --- rollbacks ------------------------------------------------------------------------------------


def take_back(
    ledger: Ledger, lease: Lease, number: int, outcome: Outcome | None, at: datetime
) -> None:
    """Begin the rollback of web1; end it unless its end was never recorded."""
    wish = RollbackIntent(
        rollback_id=f"b-{number}",
        nonce="n" * 32,
        attempt_id=f"a-web1-{lease.fence}",
        kind="commands",
        requested_by="olga",
        reason="slow",
        automatic=False,
    )
    with ledger.writing() as book:
        answer = rollbacks.intend(book, lease, wish, now=at, local_stop="")
        assert isinstance(answer, Granted)
        if outcome is not None:
            rollbacks.end(
                book,
                lease,
                wish.rollback_id,
                outcome=outcome,
                detail="said so",
                packages=(),
                evidence=None,
                now=at + timedelta(minutes=1),
            )


def test_a_rollback_that_failed_is_not_forgotten_for_a_later_one_that_was_not_begun(
    tmp_path: Path,
) -> None:
    ledger, lease = patched(tmp_path)
    take_back(ledger, lease, 1, Outcome.FAILED, START + timedelta(hours=1))
    take_back(ledger, lease, 2, Outcome.BLOCKED, START + timedelta(hours=2))

    report = morning(ledger)

    assert row(report).outcome is Outcome.FAILED
    assert verdict_of(report).answer is Answer.PARTLY


def test_a_rollback_without_an_end_leaves_nobody_patched_for_sure(tmp_path: Path) -> None:
    ledger, lease = patched(tmp_path)
    take_back(ledger, lease, 1, None, START + timedelta(hours=1))

    report = morning(ledger)

    assert verdict_of(report).answer is Answer.PARTLY
    assert "rollback by olga (slow) has no end recorded" in verdict_of(report).next_steps[0].why


def test_a_rollback_that_was_not_begun_changes_no_answer(tmp_path: Path) -> None:
    ledger, lease = patched(tmp_path)
    take_back(ledger, lease, 1, Outcome.BLOCKED, START + timedelta(hours=1))

    report = morning(ledger)

    assert row(report).outcome is Outcome.PATCHED
    assert verdict_of(report).answer is Answer.YES


# --- findings -------------------------------------------------------------------------------------


def look_at(ledger: Ledger, name: str, purpose: str, *ranks: Ranked, at: datetime = START) -> None:
    """Write a look at a host and what it was judged to lack."""
    with ledger.writing() as book:
        seen = Look(host=name, at=at, facts=facts(name))
        scan = record_look(book, host(name), seen, purpose=purpose, rollout_id="r-1")
        mine = [replace(each, finding=replace(each.finding, host=name)) for each in ranks]
        record_assessment(book, scan, replace(assessment(*mine), host=name))


def lanes(ledger: Ledger) -> tuple[int, int, int]:
    """Return how many findings were open before, were closed, and are open still."""
    found = morning(ledger).findings.lanes
    return tuple(
        sum(getattr(lane, name) for lane in found)
        for name in ("open_before", "closed", "still_open")
    )


def test_what_the_rollout_closed_is_open_again_once_the_host_was_taken_back(
    tmp_path: Path,
) -> None:
    ledger, lease = patched(tmp_path)
    look_at(ledger, "web1", "preflight", ranked("zip"))
    look_at(ledger, "web1", "verify")
    assert lanes(ledger) == (1, 1, 0)

    take_back(ledger, lease, 1, Outcome.ROLLED_BACK, START + timedelta(hours=1))

    assert lanes(ledger) == (1, 0, 1)


def test_findings_of_hosts_that_were_left_out_count_and_unseen_hosts_are_named(
    tmp_path: Path,
) -> None:
    ledger = new_ledger(tmp_path)
    left = tuple(
        ExcludedHost(name=name, outcome=Outcome.BLOCKED, reason="preflight: disk")
        for name in ("db1", "db2")
    )
    frozen(ledger, replace(PLAN, excluded=left))
    for name in ("db1", "web1", "web2"):
        look_at(ledger, name, "preflight", ranked("zip"))

    assert lanes(ledger) == (3, 0, 3)
    assert morning(ledger).open_questions[0] == (
        "not seen before the rollout, so none of their findings is counted: db2"
    )


# --- gates ----------------------------------------------------------------------------------------


def gate_of(ledger: Ledger) -> GateReport:
    gate = morning(ledger).waves[0].gate
    assert gate is not None
    return gate


def test_a_gate_that_nobody_asked_has_not_failed(tmp_path: Path) -> None:
    ledger, lease = patched(tmp_path)
    with ledger.writing() as book:
        rollouts.begin_wave(book, lease, PLAN.waves[0], START)
        rollouts.record_step(book, lease, "closed", START, detail="stopped: fire")

    gate = gate_of(ledger)

    assert (gate.verdict, gate.ok, gate.errors) == (GateVerdict.PENDING, 2, 0)
    assert gate.reason == "never judged: stopped: fire"


def test_a_host_that_was_taken_back_is_an_error_of_its_gate_as_it_was_for_the_rollout(
    tmp_path: Path,
) -> None:
    ledger, lease = patched(tmp_path)
    take_back(ledger, lease, 1, Outcome.ROLLED_BACK, START)
    with ledger.writing() as book:
        rollouts.begin_wave(book, lease, PLAN.waves[0], START)
        rollouts.record_step(book, lease, "closed", START, detail="gate broad-1: 1 error")

    gate = gate_of(ledger)

    assert (gate.verdict, gate.ok, gate.errors) == (GateVerdict.FAILED, 1, 1)
