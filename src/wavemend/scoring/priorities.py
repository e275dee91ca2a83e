"""The priority of one finding on one host: lane, due date, place in the queue, and every why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.advisories import UpdateClass, Vulnerability
from wavemend.findings import Finding
from wavemend.hosts import Host
from wavemend.policy.risk_profiles import DEFAULT_PROFILE, RiskProfile
from wavemend.policy.waivers import Waiver, lapsed_waiver_for, waiver_for
from wavemend.scoring.contributions import Contribution, because_line, what_line
from wavemend.scoring.dues import (
    Case,
    Deadlines,
    HeldDue,
    end_of_life_deadlines,
    functional_deadlines,
    keep,
    security_deadlines,
)
from wavemend.scoring.exploitation import NO_ZERO_DAY, Verdict, ZeroDay, zero_day
from wavemend.scoring.lanes import Lane, lane_of, urgency_of
from wavemend.scoring.risks import (
    END_OF_LIFE,
    EXPLOITED,
    NO_TAIL,
    PUBLIC_ZERO_DAY,
    REST,
    Risk,
    risk_of,
)

NONE_MARKED: frozenset[str] = frozenset()
_ZERO_DAY_PLACES = {
    ZeroDay.NO: REST,
    ZeroDay.PUBLIC: PUBLIC_ZERO_DAY,
    ZeroDay.EXPLOITED: EXPLOITED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """What was decided for one finding on one host."""

    lane: Lane
    due: datetime | None
    """UTC; None: with the next scheduled upgrade, or never (ignored)."""
    due_reason: str
    order: tuple[float, ...]
    """Sorts ascending, most urgent first; equal inputs give equal tuples, all of one length:
    urgency (the lane's, see `urgency_of`), attacked or zero-day, band, what was measured, risk,
    year and number of the CVE."""
    contributions: tuple[Contribution, ...]
    forensic: bool = False
    """The directive asks to look at the host before patching: patching destroys evidence."""
    zero_day: bool = False
    """Exploited or public before the fix, or within the profile's days after it."""
    waiver: Waiver | None = None
    """The waiver that put it into lane `ignored`."""
    rule: str = ""
    """The rule that decided the lane."""
    profile: str = ""
    """Name, version and day of the profile it was decided under."""


def prioritise(
    finding: Finding,
    host: Host,
    vulnerability: Vulnerability,
    now: datetime,
    *,
    first_seen: datetime | None = None,
    profile: RiskProfile = DEFAULT_PROFILE,
    waivers: Sequence[Waiver] = (),
    marked: frozenset[str] = NONE_MARKED,
    held: HeldDue | None = None,
) -> Priority:
    """Decide lane, due date and order of one finding. Pure.

    `first_seen` starts the clock of the days; without it they count from `now`, and a caller that
    keeps findings must pass it, or the due date moves with every scan. `marked`: packages and
    advisories whose functional fixes the operator calls critical. `held`: the earliest date it was
    given before; it is due no later, unless it is ignored.
    """
    case = Case(
        finding=finding,
        host=host,
        vulnerability=vulnerability,
        profile=profile,
        start=min(first_seen or now, now),
        now=now,
        marked=bool(marked) and (finding.package in marked or finding.advisory in marked),
    )
    risk, dates, verdict = _weighed(case)
    dates = keep(dates, held)
    waiver, spoken = _waived(case, risk, waivers) if waivers else (None, ())
    lane, rule = lane_of(case, risk, dates, verdict=verdict, waiver=waiver)
    due, reason = (None, rule) if lane is Lane.IGNORED else (dates.due, dates.reason)
    return Priority(
        lane=lane,
        due=due,
        due_reason=reason,
        order=(urgency_of(lane, case, risk, dates, verdict), *_place_and_tail(case, risk, verdict)),
        contributions=(
            what_line(finding),
            because_line(finding),
            *(risk.threat if risk else ()),
            *_zero_day_line(verdict),
            *(risk.weight if risk else ()),
            *_due_lines(dates, lane),
            *spoken,
            Contribution(name="Lane", value=lane.value, text=rule),
            Contribution(name="Profile", value=profile.name, text=_profile_words(profile)),
        ),
        forensic=risk is not None and risk.worst.forensic and lane is not Lane.IGNORED,
        zero_day=verdict.zero_day is not ZeroDay.NO,
        waiver=waiver,
        rule=rule,
        profile=profile.title,
    )


def _weighed(case: Case) -> tuple[Risk | None, Deadlines, Verdict]:
    match case.finding.update_class:
        case UpdateClass.END_OF_LIFE:
            return None, end_of_life_deadlines(case), NO_ZERO_DAY
        case UpdateClass.SECURITY:
            host = case.host
            risk = risk_of(
                case.vulnerability,
                exposed=host.exposed,
                critical=host.critical,
                profile=case.profile,
            )
            verdict = zero_day(case.finding, case.vulnerability, case.profile)
            return risk, security_deadlines(case, risk), verdict
        case _:
            return None, functional_deadlines(case), NO_ZERO_DAY


def _place_and_tail(case: Case, risk: Risk | None, verdict: Verdict) -> tuple[float, ...]:
    if risk is not None:
        return min(risk.place, _ZERO_DAY_PLACES[verdict.zero_day]), *risk.tail
    ended = case.finding.update_class is UpdateClass.END_OF_LIFE
    return END_OF_LIFE if ended else REST, *NO_TAIL


def _waived(
    case: Case, risk: Risk | None, waivers: Sequence[Waiver]
) -> tuple[Waiver | None, tuple[Contribution, ...]]:
    """Return the waiver that holds, and what is said of waivers either way."""
    waiver = waiver_for(waivers, case.finding, case.host, case.now)
    if waiver is None:
        lapsed = lapsed_waiver_for(waivers, case.finding, case.host, case.now)
        if lapsed is None:
            return None, ()
        text = f"The waiver {lapsed.id} of {lapsed} has run out: it counts again."
        return None, (Contribution(name="Waiver", value="ran out", text=text),)
    if risk is not None and risk.is_attacked and not waiver.cve:
        what = "known to be exploited" if risk.exploited else "attacked"
        text = (
            f"The waiver {waiver.id} of {waiver} does not hold: it is {what}. Name "
            f"{case.finding.cve or 'the CVE'} in a waiver to accept that."
        )
        return None, (Contribution(name="Waiver", value="does not hold", text=text),)
    line = Contribution(name="Waiver", value=waiver.id, text=f"Accepted by {waiver}")
    return waiver, (line,)


def _zero_day_line(verdict: Verdict) -> tuple[Contribution, ...]:
    if verdict.zero_day is ZeroDay.NO:
        return ()
    return (Contribution(name="Zero-day", value=verdict.zero_day.value, text=verdict.text),)


def _due_lines(dates: Deadlines, lane: Lane) -> tuple[Contribution, ...]:
    if lane is Lane.IGNORED:
        return ()
    if not dates.dates:
        return (Contribution(name="Due", value="no date", text=f"{dates.nothing}."),)
    return tuple(
        Contribution(
            name="Also due" if place else "Due",
            value=f"{item.at:%Y-%m-%d %H:%MZ}",
            text=f"{item.rule}.{'' if place else ' The earliest governs.'}",
        )
        for place, item in enumerate(dates.dates)
    )


def _profile_words(profile: RiskProfile) -> str:
    text = f"Version {profile.version} of {profile.date}: {profile.source}."
    count = len(profile.unverified)
    return f"{text} {count} points of it are unverified." if count else text
