"""What a rollout does next follows from the plan, the ledger and the time alone."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases.rollouts.build import (
    BROAD,
    CRITICAL,
    LAST_START,
    PILOT,
    PLAN,
    START,
    attempts,
    ended,
    plan_of,
    wave,
)
from wavemend.common_cause import common_cause
from wavemend.outcomes import Outcome
from wavemend.plans import Plan, PlannedWave
from wavemend.policy.care import RollBack
from wavemend.rollout import (
    Action,
    AskApproval,
    AttemptState,
    AttemptView,
    CheckWave,
    Close,
    Done,
    Gap,
    JudgeGate,
    Prepare,
    ProbeWave,
    Report,
    RollBackWave,
    RolloutView,
    RunWave,
    Soak,
    Standing,
    Verify,
    errors_in,
    in_flight,
    judge_gate,
    next_action,
)

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
CHECKED = frozenset({"ready pilot-1", "ready broad-2", "ready critical-3"})
PREPARED = CHECKED | {"prepared", "prepared critical-3"}
INTENT = AttemptView(state=AttemptState.INTENT)
RUNNING = AttemptView(state=AttemptState.RUNNING)


def view(**fields: object) -> RolloutView:
    return replace(RolloutView(steps=PREPARED), **fields)  # type: ignore[arg-type]


AFTER_PILOT = view(attempts=attempts(PILOT.hosts), gates={1: True})
AFTER_BROAD = view(attempts=attempts([*PILOT.hosts, *BROAD.hosts]), gates={1: True, 2: True})


# --- the way through -----------------------------------------------------------------------------


def test_restore_points_come_before_everything_but_those_of_critical_hosts() -> None:
    assert next_action(PLAN, RolloutView(), START) == Prepare(
        ("web1", "web2", "web3", "web4", "web5")
    )


def test_a_critical_host_gets_its_restore_point_after_the_approval_and_right_before_its_wave() -> (
    None
):
    unprepared = replace(AFTER_BROAD, steps=frozenset({"prepared", "ready broad-2"}))
    approved = replace(unprepared, standing=Standing.APPROVED)
    prepare = Prepare(("db1",), step="prepared critical-3")

    assert next_action(PLAN, unprepared, START) == AskApproval(CRITICAL)
    assert next_action(PLAN, approved, START) == prepare
    prepared = replace(approved, steps=approved.steps | {prepare.step})
    assert next_action(PLAN, prepared, START) == CheckWave(CRITICAL, ("db1",))
    rejected = replace(unprepared, standing=Standing.REJECTED)
    assert isinstance(next_action(PLAN, rejected, START), Close)
    assert isinstance(next_action(PLAN, approved, LAST_START), Close)
    assert isinstance(next_action(PLAN, replace(approved, stopped="fire"), START), Close)


def test_critical_hosts_that_are_only_restarted_are_not_prepared_after_the_approval_either() -> (
    None
):
    hosts = tuple(replace(host, packages=()) for host in PLAN.hosts)
    approved = replace(
        AFTER_BROAD, steps=frozenset({"prepared", "ready broad-2"}), standing=Standing.APPROVED
    )

    assert next_action(replace(PLAN, hosts=hosts), approved, START) == CheckWave(CRITICAL, ("db1",))


def test_the_pilot_comes_first_and_in_the_plans_own_order() -> None:
    turned = plan_of(wave(1, "zeta", "alpha", kind="pilot"))

    assert next_action(PLAN, view(), START) == RunWave(PILOT, ("web1", "web2"))
    assert next_action(turned, view(), START) == RunWave(turned.waves[0], ("zeta", "alpha"))


def test_hosts_are_looked_at_once_more_right_before_their_wave_and_only_once() -> None:
    unchecked = view(steps=frozenset({"prepared"}))
    check = CheckWave(PILOT, PILOT.hosts)

    assert next_action(PLAN, unchecked, START) == check
    assert next_action(PLAN, view(steps=frozenset({"prepared", check.step})), START) == RunWave(
        PILOT, PILOT.hosts
    )


def test_hosts_that_are_only_restarted_need_no_restore_point() -> None:
    plan = plan_of(PILOT)
    restarts = replace(plan, hosts=tuple(replace(host, packages=()) for host in plan.hosts))

    assert next_action(restarts, RolloutView(), START) == Prepare(())


def test_only_hosts_without_an_attempt_are_started() -> None:
    half = view(attempts=attempts(["web1"]))

    assert next_action(PLAN, half, START) == RunWave(PILOT, ("web2",))


def test_a_wave_is_judged_when_its_last_host_has_ended() -> None:
    assert next_action(PLAN, view(attempts=attempts(PILOT.hosts)), START) == JudgeGate(PILOT)


def test_the_next_wave_starts_when_the_gate_is_passed() -> None:
    assert next_action(PLAN, AFTER_PILOT, START) == RunWave(BROAD, BROAD.hosts)


def test_a_wave_of_hosts_that_were_all_settled_before_is_judged_too() -> None:
    blocked = view(attempts=attempts(PILOT.hosts, Outcome.BLOCKED))

    assert next_action(PLAN, blocked, START) == JudgeGate(PILOT)


def test_after_the_last_gate_everything_is_verified_reported_and_done() -> None:
    names = [*PILOT.hosts, *BROAD.hosts, *CRITICAL.hosts]
    seen = view(attempts=attempts(names), gates={1: True, 2: True, 3: True})
    verified = replace(seen, steps=seen.steps | {"verified"})
    reported = replace(verified, steps=verified.steps | {"reported"})

    assert next_action(PLAN, seen, START) == Verify(tuple(sorted(names)))
    assert next_action(PLAN, verified, START) == Report()
    assert next_action(PLAN, reported, START) == Done()


def test_a_plan_without_hosts_goes_straight_to_its_report() -> None:
    assert next_action(plan_of(), RolloutView(), START) == Verify(())
    assert next_action(plan_of(), view(steps=frozenset({"verified"})), START) == Report()


# --- what was begun is collected first -----------------------------------------------------------


@pytest.mark.parametrize("state", [INTENT, RUNNING], ids=["intent", "running"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"stopped": "fire"},
        {"halted": "lost together"},
        {"steps": frozenset({"prepared", "closed"})},
        {"steps": frozenset({"prepared", "closed", "verified", "reported"})},
        {"gates": {1: False}},
        {"standing": Standing.REJECTED},
    ],
    ids=["plain", "stopped", "halted", "closed", "reported", "gate failed", "rejected"],
)
def test_an_unfinished_attempt_comes_before_whatever_was_decided_since(
    state: AttemptView, more: dict[str, object]
) -> None:
    seen = view(attempts={"web1": ended(), "web2": state}, **more)

    assert next_action(PLAN, seen, START) == RunWave(PILOT, ("web2",))
    assert next_action(PLAN, seen, LAST_START + timedelta(days=30)) == RunWave(PILOT, ("web2",))


def test_unfinished_attempts_of_an_earlier_wave_come_first() -> None:
    seen = view(attempts={"web3": RUNNING, "web1": RUNNING})

    assert next_action(PLAN, seen, START) == RunWave(PILOT, ("web1",))


# --- soak and gap --------------------------------------------------------------------------------


def test_a_soak_counts_from_the_last_end_of_the_wave() -> None:
    soaking = plan_of(wave(1, "web1", "web2", kind="pilot", soak=5 * MINUTE))
    first = soaking.waves[0]
    seen = view(attempts={"web1": ended(at=START), "web2": ended(at=START + MINUTE)})
    until = START + 6 * MINUTE

    assert next_action(soaking, seen, until - SECOND) == Soak(first, until)
    assert next_action(soaking, seen, until) == JudgeGate(first)


def test_a_gap_counts_from_the_stored_end_so_a_restart_does_not_lose_or_repeat_it() -> None:
    gapped = plan_of(replace(PILOT, gap_seconds=600), BROAD)
    until = START + 10 * MINUTE

    for late in range(10):  # each call is a new process: nothing but the ledger is kept
        assert next_action(gapped, AFTER_PILOT, START + late * MINUTE) == Gap(BROAD, until)
    assert next_action(gapped, AFTER_PILOT, until) == RunWave(BROAD, BROAD.hosts)


def test_a_host_of_the_next_wave_that_was_blocked_beforehand_does_not_shorten_the_gap() -> None:
    gapped = plan_of(replace(PILOT, gap_seconds=600), BROAD)
    seen = replace(AFTER_PILOT, attempts={**AFTER_PILOT.attempts, "web3": ended()})

    assert next_action(gapped, seen, START) == Gap(BROAD, START + timedelta(seconds=600))
    late = START + timedelta(seconds=600)
    assert next_action(gapped, seen, late) == RunWave(BROAD, ("web4", "web5"))


def test_after_the_cut_off_nothing_is_prepared_and_no_hook_is_run() -> None:
    plan = plan_of(PILOT, BROAD)

    action = next_action(plan, view(steps=()), plan.last_start)

    assert isinstance(action, Close)
    assert action.reason == "window: the cut-off has passed"


def test_the_longest_gap_of_all_earlier_waves_holds() -> None:
    waves = (replace(PILOT, gap_seconds=7200), replace(BROAD, gap_seconds=60), wave(3, "app1"))
    gapped = plan_of(*waves)
    seen = view(
        attempts=attempts(PILOT.hosts) | attempts(BROAD.hosts, at=START + 10 * MINUTE),
        gates={1: True, 2: True},
    )

    assert next_action(gapped, seen, START) == Gap(waves[2], START + timedelta(hours=2))


# --- gates ---------------------------------------------------------------------------------------


def test_a_failed_gate_closes_the_rollout_with_its_numbers() -> None:
    seen = replace(AFTER_PILOT, gates={1: False}, gate_reasons={1: "2 errors, at most 0 allowed"})

    assert next_action(PLAN, seen, START) == Close(
        "gate pilot-1: 2 errors, at most 0 allowed", ("db1", "web3", "web4", "web5")
    )


def test_one_error_beyond_the_limit_stops_the_issuing_inside_the_wave() -> None:
    failed = {"web3": ended(Outcome.FAILED)}
    one = view(attempts={**AFTER_PILOT.attempts, **failed}, gates={1: True})
    two = replace(one, attempts={**one.attempts, "web4": ended(Outcome.UNREACHABLE)})

    assert next_action(PLAN, one, START) == RunWave(BROAD, ("web4", "web5"))
    assert next_action(PLAN, two, START) == Close(
        "gate broad-2: 2 errors, at most 1 allowed", ("db1", "web5")
    )


@pytest.mark.parametrize(
    ("outcomes", "changes", "reason"),
    [
        ([Outcome.PATCHED] * 3, {}, ""),
        ([Outcome.PATCHED_REBOOT_PENDING, Outcome.NOTHING_TO_DO, Outcome.PATCHED], {}, ""),
        ([Outcome.PATCHED, Outcome.PATCHED, Outcome.FAILED], {"min_success_percent": 66}, ""),
        (
            [Outcome.PATCHED, Outcome.PATCHED, Outcome.FAILED],
            {"min_success_percent": 67},
            "66 % succeeded, at least 67 % needed",
        ),
        ([Outcome.PATCHED] * 2, {}, "1 of 3 hosts have no outcome"),
        ([Outcome.FAILED, Outcome.NEEDS_HUMAN, Outcome.PATCHED], {}, "2 errors, at most 1 allowed"),
        ([Outcome.BLOCKED] * 3, {}, "0 hosts observed, at least 1 needed"),
        ([Outcome.SKIPPED, Outcome.PATCHED, Outcome.BLOCKED], {}, ""),
        (
            [Outcome.SKIPPED, Outcome.PATCHED, Outcome.BLOCKED],
            {"min_observed": 2},
            "1 hosts observed, at least 2 needed",
        ),
        ([Outcome.NOT_ATTEMPTED] * 3, {}, "0 hosts observed, at least 1 needed"),
        ([Outcome.SKIPPED] * 3, {"min_observed": 0, "min_success_percent": 0}, ""),
        ([Outcome.SKIPPED] * 3, {"min_observed": 0}, "0 % succeeded, at least 50 % needed"),
    ],
)
def test_a_gate_counts_what_was_seen_and_takes_missing_for_bad(
    outcomes: list[Outcome], changes: dict[str, int], reason: str
) -> None:
    judged = replace(BROAD, **changes)  # type: ignore[arg-type]
    found = {name: ended(o) for name, o in zip(BROAD.hosts, outcomes, strict=False)}
    numbers = judge_gate(judged, view(attempts=found))

    assert (numbers.passed, numbers.reason) == (not reason, reason)
    assert numbers.good == sum(outcome.is_good for outcome in outcomes)
    assert numbers.errors == sum(outcome.is_bad for outcome in outcomes)


def test_a_failed_or_unfinished_host_keeps_its_place_in_the_budget() -> None:
    seen = view(
        attempts={"web3": RUNNING, "web4": ended(Outcome.FAILED), "web5": ended(), "web1": INTENT}
    )

    assert in_flight(BROAD, seen) == 2
    assert errors_in(BROAD, seen) == 1


def test_declared_probes_are_asked_again_after_the_soak_and_before_the_gate() -> None:
    soaking = plan_of(wave(1, "web1", "web2", "web3", kind="pilot", soak=5 * MINUTE))
    first, until = soaking.waves[0], START + 5 * MINUTE
    changed = {"web1": ended(), "web2": ended(Outcome.PATCHED_REBOOT_PENDING)}
    seen = view(attempts={**changed, "web3": ended(Outcome.NOTHING_TO_DO)}, probed=True)
    again = ProbeWave(first, ("web1", "web2"))

    assert next_action(soaking, seen, until - SECOND) == Soak(first, until)
    assert next_action(soaking, seen, until) == again
    asked = replace(seen, steps=seen.steps | {again.step})
    assert next_action(soaking, asked, until) == JudgeGate(first)
    assert next_action(soaking, replace(seen, probed=False), until) == JudgeGate(first)
    assert isinstance(next_action(soaking, replace(seen, stopped="fire"), until), Close)
    nothing = replace(seen, attempts=attempts(first.hosts, Outcome.NOTHING_TO_DO))
    assert next_action(soaking, nothing, until) == JudgeGate(first)


@pytest.mark.parametrize(("max_errors", "passed"), [(0, False), (1, True)])
def test_a_host_that_was_patched_and_is_not_well_any_more_is_an_error_at_the_gate(
    max_errors: int, passed: bool
) -> None:
    judged = replace(BROAD, max_errors=max_errors)
    ill = replace(ended(), unwell="probe shop: it answers with status 503")
    seen = view(attempts={**attempts(BROAD.hosts), "web3": ill})
    numbers = judge_gate(judged, seen)

    assert (numbers.passed, numbers.good, numbers.errors) == (passed, 2, 1)
    said = "1 error, at most 0 allowed; not well any more: web3"
    assert numbers.reason == ("" if passed else said)
    assert in_flight(judged, seen) == 1


# --- hosts that are lost together ----------------------------------------------------------------


def lost(*seconds: float) -> dict[str, AttemptView]:
    """Return running attempts of hosts that stopped answering at these seconds."""
    return {
        f"web{number}": replace(RUNNING, lost_at=START + timedelta(seconds=at))
        for number, at in enumerate(seconds, start=1)
    }


@pytest.mark.parametrize(
    ("seconds", "named"),
    [
        ((0, 30), ""),
        ((0, 30, 60), "web1, web2, web3"),
        ((0, 30, 61), ""),
        ((0, 300, 330, 350), "web2, web3, web4"),
        ((60, 0, 120, 180), ""),
        ((), ""),
    ],
)
def test_three_hosts_lost_within_a_minute_have_a_common_cause(
    seconds: tuple[float, ...], named: str
) -> None:
    found = common_cause(lost(*seconds) | {"well": RUNNING, "fine": ended()})

    assert found == (f"common cause: lost within a minute: {named}" if named else "")


def test_many_lost_hosts_are_named_up_to_ten() -> None:
    found = common_cause(lost(*range(14)))

    assert found.startswith("common cause: lost within a minute: web1, web10, ")
    assert found.endswith(" and 4 more")


def test_a_halted_rollout_collects_what_runs_and_starts_nothing_more() -> None:
    halted = view(attempts={"web1": RUNNING, "web2": ended()}, halted="lost together")
    collected = replace(halted, attempts=attempts(["web1", "web2"]))

    assert next_action(PLAN, halted, START) == RunWave(PILOT, ("web1",))
    assert next_action(PLAN, collected, START) == Close(
        "halted: lost together", ("db1", "web3", "web4", "web5")
    )


# --- a pilot that is taken back ------------------------------------------------------------------


def test_a_pilot_that_was_not_well_is_taken_back_whole_before_anything_else() -> None:
    ill = attempts(["web1"], Outcome.ROLLED_BACK) | attempts(["web2"])
    seen = view(attempts=ill)
    back = RollBackWave(PILOT, ("web2",), "web1 of pilot-1 was not well after the change")

    assert next_action(PLAN, seen, START, RollBack.WAVE) == back
    for policy in (RollBack.HOST, RollBack.NEVER):
        assert isinstance(next_action(PLAN, seen, START, policy), JudgeGate)
    closed = replace(seen, steps=PREPARED | {"closed"})
    assert next_action(PLAN, closed, START, RollBack.WAVE) == back


@pytest.mark.parametrize(
    "changes",
    [{"stopped": "fire"}, {"steps": PREPARED | {"taken back pilot-1"}}],
    ids=["stopped", "done"],
)
def test_a_pilot_is_taken_back_once_and_not_while_everything_is_stopped(
    changes: dict[str, object],
) -> None:
    ill = attempts(["web1"], Outcome.ROLLED_BACK) | attempts(["web2"])
    action = next_action(PLAN, view(attempts=ill, **changes), START, RollBack.WAVE)

    assert not isinstance(action, RollBackWave)


def test_a_pilot_host_that_is_on_its_way_back_is_collected_while_everything_is_stopped() -> None:
    known = attempts(["web1"], Outcome.ROLLED_BACK)
    known["web2"] = replace(ended(), going_back=True)
    seen = view(attempts=known, stopped="fire")
    back = RollBackWave(PILOT, ("web2",), "web1 of pilot-1 was not well after the change")

    assert next_action(PLAN, seen, START, RollBack.WAVE) == back


def test_a_broad_wave_is_not_taken_back_for_one_of_its_hosts() -> None:
    ill = attempts(["web3"], Outcome.ROLLED_BACK) | attempts(["web4"])
    seen = replace(AFTER_PILOT, attempts=dict(AFTER_PILOT.attempts) | ill)

    assert not isinstance(next_action(PLAN, seen, START, RollBack.WAVE), RollBackWave)


def test_a_patched_host_that_was_taken_back_is_an_error_at_the_gate() -> None:
    back = {"web2": replace(ended(), taken_back=True)}
    numbers = judge_gate(PILOT, view(attempts=attempts(["web1"]) | back))

    assert (numbers.passed, numbers.good, numbers.errors) == (False, 1, 1)


# --- approval, window, kill switch ---------------------------------------------------------------


def test_a_critical_wave_asks_for_approval_and_runs_only_with_it() -> None:
    approved = replace(AFTER_BROAD, standing=Standing.APPROVED)

    assert next_action(PLAN, AFTER_BROAD, START) == AskApproval(CRITICAL)
    assert next_action(PLAN, approved, START) == RunWave(CRITICAL, ("db1",))


def test_a_rejection_closes_the_rollout() -> None:
    rejected = replace(AFTER_BROAD, standing=Standing.REJECTED)

    assert next_action(PLAN, rejected, START) == Close("rejected by the approver", ("db1",))


def test_approval_that_does_not_come_before_the_cut_off_closes_the_rollout() -> None:
    approved = replace(AFTER_BROAD, standing=Standing.APPROVED)

    assert next_action(PLAN, AFTER_BROAD, LAST_START - SECOND) == AskApproval(CRITICAL)
    assert next_action(PLAN, AFTER_BROAD, LAST_START) == Close(
        "window: no approval before the cut-off", ("db1",)
    )
    assert isinstance(next_action(PLAN, approved, LAST_START), Close)


def test_nothing_starts_from_the_cut_off_on_to_the_second() -> None:
    assert isinstance(next_action(PLAN, AFTER_PILOT, LAST_START - SECOND), RunWave)
    assert next_action(PLAN, AFTER_PILOT, LAST_START) == Close(
        "window: the cut-off has passed", ("db1", "web3", "web4", "web5")
    )


def test_a_gap_that_ends_after_the_cut_off_ends_in_a_close_not_in_a_start() -> None:
    gapped = plan_of(replace(PILOT, gap_seconds=86_400), BROAD)

    assert isinstance(next_action(gapped, AFTER_PILOT, LAST_START - SECOND), Gap)
    assert isinstance(next_action(gapped, AFTER_PILOT, START + timedelta(days=1)), Close)


def test_the_kill_switch_closes_the_rollout_before_anything_is_prepared() -> None:
    assert next_action(PLAN, RolloutView(stopped="fire (by olga)"), START) == Close(
        "stopped: fire (by olga)", tuple(host.name for host in PLAN.hosts)
    )


def test_a_closed_rollout_is_verified_and_reported_whatever_else_is_true() -> None:
    seen = view(
        attempts=attempts([host.name for host in PLAN.hosts], Outcome.NOT_ATTEMPTED),
        steps=frozenset({"closed"}),
        stopped="fire",
        gates={1: False},
    )

    assert isinstance(next_action(PLAN, seen, START), Verify)
    done = replace(seen, steps=frozenset({"closed", "verified"}))
    assert next_action(PLAN, done, START) == Report()


# --- any rollout, whatever happens to it ---------------------------------------------------------


@dataclass
class Night:
    """A ledger in memory that does what the flow does, with a world that misbehaves as told."""

    plan: Plan
    luck: random.Random
    now: datetime = START
    seen: RolloutView = field(default_factory=RolloutView)
    began: list[tuple[str, RolloutView]] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    prepared: set[str] = field(default_factory=set)

    def run(self) -> None:
        for _ in range(200):
            self._world()
            action = next_action(self.plan, self.seen, self.now, RollBack.WAVE)
            assert action == next_action(self.plan, replace(self.seen), self.now, RollBack.WAVE)
            if isinstance(action, Done):
                return
            self._do(action)
        pytest.fail("the rollout does not end")

    def _world(self) -> None:
        event = self.luck.choice([*[""] * 12, "time", "hour", "stop", "release", "halt"])
        if event == "halt" and self.luck.random() < 0.2:
            self.seen = replace(self.seen, halted="lost together")
        if event in {"time", "hour"}:
            self.now += MINUTE if event == "time" else timedelta(hours=1)
        if event in {"stop", "release"}:
            self.seen = replace(self.seen, stopped="fire" if event == "stop" else "")

    def _do(self, action: Action) -> None:  # noqa: C901, PLR0912 - one case each
        match action:
            case Prepare(hosts):
                blocked = [name for name in hosts if self.luck.random() < 0.1]
                self._write(attempts(blocked, Outcome.BLOCKED, self.now))
                for name in hosts:
                    critical = self.plan.host(name).critical
                    assert not critical or self.seen.standing is Standing.APPROVED
                    assert not self.seen.stopped
                    self.prepared.add(name)
                self._step(action.step)
            case CheckWave():
                self._step(action.step)
            case RollBackWave(_, hosts):
                found = {name: self.seen.attempts[name] for name in hosts}
                back = {name: replace(seen, taken_back=True) for name, seen in found.items()}
                self.seen = replace(self.seen, attempts={**self.seen.attempts, **back})
                self._step(action.step)
            case RunWave(_, hosts):
                self._run_hosts(hosts)
            case Soak(_, until) | Gap(_, until):
                assert until > self.now
                self.now = until
            case ProbeWave(_, hosts):
                assert self.seen.probed, "this profile declares no probes"
                found = {name: self.seen.attempts[name] for name in hosts}
                ill = {
                    name: replace(seen, unwell="probe shop: no answer")
                    for name, seen in found.items()
                    if self.luck.random() < 0.1
                }
                self.seen = replace(self.seen, attempts={**self.seen.attempts, **ill})
                self._step(action.step)
            case JudgeGate(judged):
                self._judge(judged)
            case AskApproval():
                answer = self.luck.choice([*Standing, Standing.APPROVED])
                self.seen = replace(self.seen, standing=answer)
                self.now += timedelta(hours=1)
            case Close(_, hosts):
                self._write(attempts(hosts, Outcome.NOT_ATTEMPTED, self.now))
                self._step("closed")
            case Verify():
                self._step("verified")
            case Report():
                self._step("reported")
            case Done():
                pytest.fail("done is not an action to take")

    def _run_hosts(self, hosts: tuple[str, ...]) -> None:
        asked = self.seen
        for name in hosts:
            if name not in asked.attempts:
                self.began.append((name, asked))
            outcome = self.luck.choice([*[Outcome.PATCHED] * 20, *Outcome])
            # The process may die at any line, twice: an intent or a running job is left behind.
            if self.deaths[name] < 2 and self.luck.random() < 0.2:
                self.deaths[name] += 1
                self._write({name: self.luck.choice([INTENT, RUNNING])})
                return
            self._write({name: ended(outcome, self.now)})
            self.now += SECOND

    def _judge(self, judged: PlannedWave) -> None:
        patched = any(self.seen.attempts[n].outcome is Outcome.PATCHED for n in judged.hosts)
        taken_back = any(self.seen.attempts[n].taken_back for n in judged.hosts)
        if self.seen.probed and patched and not taken_back:
            assert f"probed {judged.name}" in self.seen.steps, "judged on what was well long ago"
        numbers = judge_gate(judged, self.seen)
        assert judged.number not in self.seen.gates
        self.seen = replace(
            self.seen,
            gates={**self.seen.gates, judged.number: numbers.passed},
            gate_reasons={**self.seen.gate_reasons, judged.number: numbers.reason},
        )

    def _write(self, found: dict[str, AttemptView]) -> None:
        for name in found:
            known = self.seen.attempts.get(name)
            assert known is None or known.state is not AttemptState.ENDED, "a second outcome"
        self.seen = replace(self.seen, attempts={**self.seen.attempts, **found})

    def _step(self, step: str) -> None:
        self.seen = replace(self.seen, steps=self.seen.steps | {step})


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    kinds = ["pilot", *["broad"] * draw(st.integers(0, 2)), "critical"]
    kinds = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4, unique=False))
    kinds.sort(key=["pilot", "broad", "critical"].index)
    waves = []
    for number, kind in enumerate(kinds, start=1):
        names = [f"{kind}-{number}-{n}" for n in range(draw(st.integers(1, 4)))]
        waves.append(
            wave(
                number,
                *names,
                kind=kind,
                max_errors=draw(st.integers(0, 2)),
                min_success_percent=draw(st.sampled_from([0, 50, 100])),
                min_observed=draw(st.integers(0, 2)),
                soak=draw(st.sampled_from([timedelta(0), 5 * MINUTE])),
                gap=draw(st.sampled_from([timedelta(0), 10 * MINUTE])),
            )
        )
    return plan_of(*waves)


@settings(max_examples=150, deadline=None)
@given(plans(), st.integers(0, 2**32), st.booleans())
def test_every_rollout_ends_with_one_outcome_per_host_and_no_start_out_of_turn(
    plan: Plan, seed: int, probed: bool
) -> None:
    night = Night(plan, random.Random(seed), seen=RolloutView(probed=probed))
    night.run()

    assert sorted(night.seen.attempts) == sorted(host.name for host in plan.hosts)
    assert all(attempt.outcome is not None for attempt in night.seen.attempts.values())
    for name, seen in night.began:
        own = plan.wave_of(name)
        assert all(seen.gates.get(w.number) is True for w in plan.waves if w.number < own.number)
        assert {"prepared", f"ready {own.name}"} <= seen.steps
        assert name in night.prepared
        assert not seen.stopped
        assert not seen.halted
        if plan.host(name).critical:
            assert seen.standing is Standing.APPROVED


def test_such_nights_reach_every_host_and_meet_every_trouble() -> None:
    """What holds of every night says little of nights on which nothing ever begins."""
    nights = [
        Night(PLAN, random.Random(seed), seen=RolloutView(probed=seed % 2 == 0))
        for seed in range(200)
    ]
    for night in nights:
        night.run()
    attempts_seen = [seen for night in nights for seen in night.seen.attempts.values()]

    assert {name for night in nights for name, _ in night.began} == {h.name for h in PLAN.hosts}
    assert any("closed" not in night.seen.steps for night in nights), "none ran to its end"
    assert any(night.seen.halted for night in nights)
    assert any(False in night.seen.gates.values() for night in nights)
    assert any(seen.taken_back for seen in attempts_seen)
    assert any(seen.unwell for seen in attempts_seen)
    assert any(night.deaths for night in nights)
