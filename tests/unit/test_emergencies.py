"""An emergency has its own opening, soak and gates, takes only what it is about, and is signed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases.rollouts.build import (
    LAST_START,
    OCCASION,
    PILOT,
    PLAN,
    START,
    candidate,
    host,
    ranked,
    update,
)
from wavemend.calendar.declared import DutyRule, Freeze, TenantCalendar
from wavemend.outcomes import Outcome
from wavemend.planning import Candidate, make_plan
from wavemend.planning.hosts import touched_by
from wavemend.plans import Plan
from wavemend.policy.care import Unready
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
from wavemend.scoring import RankedUpdate
from wavemend.selectors import parse_selector

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
        WaveRule(
            name="pilot",
            kind=WaveKind.PILOT,
            select=parse_selector("ring=pilot"),
            gap=timedelta(hours=1),
            gate=LONG,
        ),
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
    hosts = (replace(host("web1"), labels={"ring": "pilot"}), host("web2"))
    hurried = profile_for(PROFILE, EmergencyRule(soak=timedelta(minutes=5)), hosts)
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


def plan_about(*candidates: Candidate, profile: Profile = PROFILE) -> Plan:
    """Plan an emergency about openssl as the freeze does."""
    touched, left = touched_by(candidates, frozenset({"openssl"}))
    hurried = profile_for(profile, EmergencyRule(), tuple(each.host for each in touched))
    plan = make_plan(replace(OCCASION, kind="emergency"), hurried, touched, ())
    return replace(plan, excluded=tuple(sorted((*plan.excluded, *left), key=lambda h: h.name)))


def ringed(name: str, *updates: RankedUpdate, reason: str = "") -> Candidate:
    found = candidate(name, *updates, reason=reason)
    return replace(found, host=replace(found.host, labels={"ring": "pilot"}))


OPENSSL, ZIP = ranked(update("openssl")), ranked(update("zip"))


def test_where_no_pilot_is_touched_the_first_touched_host_is_the_pilot() -> None:
    plan = plan_about(ringed("pilot1", ZIP), *(candidate(f"web{n}", OPENSSL) for n in range(4)))
    pilot, rest = plan.waves
    assert (pilot.kind, pilot.hosts) == (WaveKind.PILOT, ("web0",))
    assert pilot.soak_seconds == EmergencyRule().soak.total_seconds()
    assert rest.hosts == ("web1", "web2", "web3")
    assert {p.name for h in plan.hosts for p in h.packages} == {"openssl"}


def test_touched_pilots_of_the_profile_stay_the_pilots() -> None:
    plan = plan_about(ringed("pilot1", OPENSSL, ZIP), candidate("web1", OPENSSL))
    assert [(wave.kind, wave.hosts) for wave in plan.waves] == [
        (WaveKind.PILOT, ("pilot1",)),
        (WaveKind.BROAD, ("web1",)),
    ]


@pytest.mark.parametrize("unready", list(Unready))
def test_hosts_that_are_not_touched_or_not_seen_hold_nobody_back(unready: Unready) -> None:
    strict = replace(PROFILE, unready=unready)
    hosts = (ringed("off1", reason="unreachable"), candidate("web1", OPENSSL), candidate("idle1"))
    plan = plan_about(*hosts, profile=strict)
    assert [wave.hosts for wave in plan.waves] == [("web1",)]
    assert {left.name: left.outcome for left in plan.excluded} == {
        "idle1": Outcome.NOTHING_TO_DO,
        "off1": Outcome.UNREACHABLE,
    }
    assert plan.expected() == ("idle1", "off1", "web1")
