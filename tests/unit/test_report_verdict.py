"""The morning answer is recounted from the hosts, and `yes` is hard to get."""

from dataclasses import replace

import pytest

from tests.cases.reports.build import host, package, wave
from tests.cases.reports.example import acme_night, good_night
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.reports import Answer, balance_of, is_alarm, verdict_of
from wavemend.reports.model import HostReport, RolloutReport, RolloutState


def night(*outcomes: Outcome | None, state: RolloutState = RolloutState.DONE) -> RolloutReport:
    hosts = tuple(host(f"h{number}", outcome) for number, outcome in enumerate(outcomes))
    return with_hosts(*hosts, state=state)


def with_hosts(*hosts: HostReport, state: RolloutState = RolloutState.DONE) -> RolloutReport:
    waves = (wave(1, "broad-1", tuple(row.name for row in hosts)),)
    return replace(good_night(), hosts=hosts, waves=waves, expected=len(hosts), state=state)


GOOD = Outcome.PATCHED
BAD = Outcome.FAILED
LATER = Outcome.NOT_ATTEMPTED
SAME = Outcome.NOTHING_TO_DO


@pytest.mark.parametrize(
    ("outcomes", "state", "answer"),
    [
        ((GOOD, GOOD), RolloutState.DONE, Answer.YES),
        ((GOOD, Outcome.PATCHED_REBOOT_PENDING, SAME), RolloutState.DONE, Answer.YES),
        ((SAME, SAME), RolloutState.DONE, Answer.YES),
        *(((GOOD, bad), RolloutState.DONE, Answer.PARTLY) for bad in Outcome if not bad.is_good),
        *(((bad, bad), RolloutState.DONE, Answer.NO) for bad in Outcome if not bad.is_good),
        ((), RolloutState.DONE, Answer.NO),
        ((GOOD, BAD, LATER), RolloutState.HALTED, Answer.PARTLY),
        ((SAME, BAD, LATER), RolloutState.HALTED, Answer.NO),
        ((LATER, LATER), RolloutState.HALTED, Answer.NO),
        ((GOOD, LATER), RolloutState.WAITING_APPROVAL, Answer.PARTLY),
        ((LATER,), RolloutState.WAITING_APPROVAL, Answer.NO),
        ((GOOD, None), RolloutState.RUNNING, Answer.PARTLY),
        ((GOOD, GOOD), RolloutState.RUNNING, Answer.PARTLY),
        ((None, None), RolloutState.RUNNING, Answer.NO),
        ((GOOD, LATER), RolloutState.REJECTED, Answer.PARTLY),
        ((LATER,), RolloutState.REJECTED, Answer.NO),
        ((GOOD, LATER), RolloutState.EXPIRED, Answer.PARTLY),
        ((LATER,), RolloutState.EXPIRED, Answer.NO),
        ((GOOD, None), RolloutState.DONE, Answer.FAILED),
        ((GOOD, None), RolloutState.HALTED, Answer.FAILED),
        ((LATER, None), RolloutState.EXPIRED, Answer.FAILED),
    ],
)
def test_the_answer_follows_from_outcomes_and_state(
    outcomes: tuple[Outcome | None, ...], state: RolloutState, answer: Answer
) -> None:
    assert verdict_of(night(*outcomes, state=state)).answer is answer


def test_a_halted_night_that_patched_nobody_itself_is_a_no() -> None:
    idle = host("h0", Outcome.PATCHED_REBOOT_PENDING, intent_at=None, begun_at=None)

    night = with_hosts(idle, host("h1", LATER), state=RolloutState.HALTED)

    assert verdict_of(night).answer is Answer.NO


@pytest.mark.parametrize("expected", [1, 3])
def test_hosts_that_do_not_add_up_to_the_plan_fail_the_report(expected: int) -> None:
    verdict = verdict_of(replace(night(GOOD, GOOD), expected=expected))

    assert verdict.answer is Answer.FAILED
    assert "do not balance" in verdict.sentence
    assert "2 accounted for" in verdict.sentence


def test_a_host_counted_twice_cannot_stand_in_for_a_missing_one() -> None:
    report = night(GOOD, GOOD)
    verdict = verdict_of(replace(report, hosts=(report.hosts[0], report.hosts[0])))

    assert verdict.answer is Answer.FAILED
    assert "in a wave, but without a row: h1" in verdict.sentence
    assert "more than one outcome: h0" in verdict.sentence


def test_a_broken_audit_chain_fails_the_report_even_when_every_host_is_good() -> None:
    report = night(GOOD)
    verdict = verdict_of(replace(report, audit=replace(report.audit, verified=False)))

    assert verdict.answer is Answer.FAILED
    assert "audit chain does not verify" in verdict.sentence


def test_every_outcome_is_counted_and_zeros_are_kept() -> None:
    balance = balance_of(acme_night())

    assert [outcome for outcome, _ in balance.counts] == list(Outcome)
    assert sum(count for _, count in balance.counts) == balance.expected == 11
    assert dict(balance.counts)[Outcome.ROLLED_BACK] == 0
    assert balance.holds


def test_yes_says_what_still_waits() -> None:
    held = package("nginx", PackageOutcome.HELD, detail="held since January")
    report = with_hosts(
        host("web1", Outcome.PATCHED_REBOOT_PENDING), host("web2", packages=(package(), held))
    )
    verdict = verdict_of(report)

    assert verdict.answer is Answer.YES
    assert "(1 restart pending, 1 package left waiting)" in verdict.sentence
    assert [(step.host, step.kind) for step in verdict.next_steps] == [
        ("web1", "patched_reboot_pending"),
        ("web2", "package:held"),
    ]


def test_every_host_that_is_not_good_has_a_reason_and_a_way_out() -> None:
    outcomes = [outcome for outcome in Outcome if not outcome.is_good]
    verdict = verdict_of(night(*outcomes, None, state=RolloutState.RUNNING))

    assert len(verdict.next_steps) == len(outcomes) + 1
    assert all(step.why and step.action and step.waits for step in verdict.next_steps)


def test_what_waits_is_listed_most_urgent_first() -> None:
    steps = verdict_of(acme_night()).next_steps

    assert [step.kind for step in steps] == [
        "failed",
        "unreachable",
        "blocked",
        "not_attempted",
        "not_attempted",
        "patched_reboot_pending",
        "package:held",
    ]


def test_a_halted_night_says_why_in_its_one_sentence() -> None:
    assert verdict_of(acme_night()).sentence == (
        "6 of 11 hosts are in the state the plan wanted (1 failed, 1 unreachable, 1 blocked, "
        "2 not attempted); the rollout halted: gate broad-1 failed: 2 errors, at most 0."
    )


@pytest.mark.parametrize(
    ("outcomes", "state", "alarm"),
    [
        ((GOOD, GOOD), RolloutState.DONE, False),
        ((GOOD, Outcome.UNREACHABLE), RolloutState.DONE, False),
        ((GOOD, GOOD), RolloutState.REJECTED, False),
        ((GOOD, Outcome.FAILED), RolloutState.HALTED, True),
        ((Outcome.FAILED, Outcome.FAILED), RolloutState.DONE, True),
    ],
)
def test_a_halted_rollout_is_an_alarm_whatever_was_patched(
    outcomes: tuple[Outcome, ...], state: RolloutState, alarm: bool
) -> None:
    assert is_alarm(night(*outcomes, state=state)) is alarm
