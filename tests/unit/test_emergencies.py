"""An emergency has its own opening, soak and gates, takes only what it is about, and is signed."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.cases.rollouts.build import LAST_START, PILOT, PLAN, START
from wavemend.calendar.declared import DutyRule, Freeze, TenantCalendar
from wavemend.policy.emergencies import calendar_for, opening_for, profile_for
from wavemend.policy.limits import EmergencyRule
from wavemend.policy.profiles import (
    CRITICAL_WAVE,
    GateRule,
    Profile,
    RebootRule,
    Updates,
    WaveKind,
    WaveRule,
)
from wavemend.rollout import (
    AskApproval,
    Close,
    Prepare,
    RolloutView,
    Standing,
    next_action,
)

SIGNED = replace(PLAN, all_signed=True)
LONG = GateRule(max_errors=3, min_success_percent=50, soak=timedelta(hours=2))
PROFILE = Profile(
    name="server",
    device="server",
    os="debian",
    manager="apt",
    updates=Updates.SECURITY,
    reboot=RebootRule.NEVER,
    waves=(
        WaveRule(name="pilot", kind=WaveKind.PILOT, gap=timedelta(hours=1), gate=LONG),
        WaveRule(name="rest", kind=WaveKind.BROAD, gap=timedelta(hours=1), gate=LONG),
        CRITICAL_WAVE,
    ),
    host_deadline=timedelta(minutes=30),
)


def test_without_a_standing_rule_nothing_is_prepared_before_a_signature() -> None:
    asked = next_action(SIGNED, RolloutView(), START)
    assert asked == AskApproval(PILOT)
    approved = next_action(SIGNED, RolloutView(standing=Standing.APPROVED), START)
    assert isinstance(approved, Prepare)


def test_a_rejected_emergency_is_closed_with_every_host_untouched() -> None:
    closed = next_action(SIGNED, RolloutView(standing=Standing.REJECTED), START)
    assert isinstance(closed, Close)
    assert set(closed.hosts) == {host.name for host in SIGNED.hosts}


def test_no_signature_before_the_cut_off_closes_it() -> None:
    closed = next_action(SIGNED, RolloutView(), LAST_START)
    assert isinstance(closed, Close)
    assert closed.reason == "window: the cut-off has passed"


def test_one_signature_over_the_plan_is_enough_for_its_critical_hosts() -> None:
    assert all(SIGNED.needs_signature(host.name) for host in SIGNED.hosts)
    assert {host.name for host in PLAN.hosts if PLAN.needs_signature(host.name)} == {
        host.name for host in PLAN.hosts if host.critical
    }


@given(st.integers(1, 48), st.integers(0, 59))
def test_the_opening_begins_now_and_leaves_the_cut_off_at_its_end(hours: int, late: int) -> None:
    rule = EmergencyRule(duration=timedelta(hours=hours), cutoff=timedelta(minutes=late))
    opening = opening_for(rule, "emergency", START)
    assert (opening.start, opening.end) == (START, START + rule.duration)
    assert opening.may_start(START)
    assert not opening.may_start(opening.last_start)


def test_waves_keep_the_emergency_s_pauses_and_the_strictest_gate() -> None:
    hurried = profile_for(PROFILE, EmergencyRule(soak=timedelta(minutes=5)))
    pilot, rest, _ = hurried.waves
    assert (pilot.gate.soak, pilot.gap) == (timedelta(minutes=5), timedelta(0))
    assert rest.gate.soak == timedelta(0)
    assert (pilot.gate.max_errors, pilot.gate.min_success_percent) == (0, 100)
    assert [wave.name for wave in hurried.waves] == [wave.name for wave in PROFILE.waves]


def test_freezes_and_duty_hold_in_an_emergency_unless_the_company_says_otherwise() -> None:
    duty = DutyRule(roster="ops", hours_from=START.time(), hours_until=LAST_START.time())
    freeze = Freeze(name="year-end", start=START, end=LAST_START)
    calendar = TenantCalendar(tenant="acme", zone="UTC", freezes=(freeze,), duty=duty)
    assert calendar_for(calendar, EmergencyRule()) == calendar
    lifted = calendar_for(calendar, EmergencyRule(ignores_freezes=True, ignores_duty=True))
    assert (lifted.freezes, lifted.duty) == ((), None)
