"""Which way a finding travels, and the rule that says so.

The rules are asked in the order of `lane_of`; the first that applies decides, and is named.
"""

from enum import StrEnum

from wavemend.advisories import AdvisoryStatus, UpdateClass
from wavemend.policy.risk_profiles import RiskProfile
from wavemend.policy.waivers import Waiver
from wavemend.scoring.dues import Case, Deadlines, is_critical_fix, is_limited
from wavemend.scoring.exploitation import Verdict, ZeroDay
from wavemend.scoring.risks import Risk


class Lane(StrEnum):
    """How a finding travels; in order of urgency."""

    EMERGENCY = "emergency"
    EXPEDITED = "expedited"
    ROUTINE = "routine"
    MANUAL = "manual"
    """There is no fix to install: mitigate, replace or accept."""
    IGNORED = "ignored"


LANE_ORDER = {lane: float(place) for place, lane in enumerate(Lane)}
"""First place of a priority's order, but for what `urgency_of` puts forward."""

_WAYS_OUT = {
    AdvisoryStatus.NEEDS_SUBSCRIPTION: (
        "Fixed for paying machines only, and this host is not offered the fix: attach a "
        "subscription, mitigate, replace it, or accept it with a waiver."
    ),
    AdvisoryStatus.WILL_NOT_FIX: (
        "The vendor will not fix it: replace the package, move to a newer release, mitigate, or "
        "accept it with a waiver."
    ),
}
_NO_FIX = (
    "There is no fixed version to install: mitigate, replace it, or accept it with a waiver; it "
    "moves on by itself when the vendor publishes a fix."
)


def lane_of(
    case: Case,
    risk: Risk | None,
    dates: Deadlines,
    *,
    verdict: Verdict,
    waiver: Waiver | None,
) -> tuple[Lane, str]:
    """Return the lane of a finding and the rule. `risk` None: it is about no vulnerability."""
    finding = case.finding
    if waiver is not None:
        return Lane.IGNORED, f"Waived by {waiver}"
    if finding.unimportant and not (risk and risk.is_attacked):
        return Lane.IGNORED, "The distribution says: no security impact in its build."
    if finding.update_class is UpdateClass.END_OF_LIFE:
        if is_limited(finding):
            return Lane.MANUAL, "Fixed for some uses only: check that yours is one of them."
        return Lane.MANUAL, "It gets no fixes any more: move to a supported release or package."
    if not is_installable(case):
        way_out = _WAYS_OUT.get(finding.status, _NO_FIX)
        if risk is None or not _is_urgent(risk, verdict):
            return Lane.MANUAL, way_out
        among, why = _security_lane(case, risk, dates, verdict)
        return Lane.MANUAL, f"Ranked as {among}. {why} {way_out}"
    if risk is None:
        return _functional_lane(case, dates)
    return _security_lane(case, risk, dates, verdict)


def urgency_of(
    lane: Lane, case: Case, risk: Risk | None, dates: Deadlines, verdict: Verdict
) -> float:
    """Return the first place of the order; smaller is more urgent.

    It is the lane's, with one exception: what is attacked or a zero-day and has no fix to install
    stays `manual`, and stands where it would if there were one. Else the worst of all would come
    behind everything that merely waits for its window.
    """
    if lane is Lane.MANUAL and risk is not None and _is_urgent(risk, verdict):
        return LANE_ORDER[_security_lane(case, risk, dates, verdict)[0]]
    return LANE_ORDER[lane]


def _is_urgent(risk: Risk, verdict: Verdict) -> bool:
    return risk.is_attacked or verdict.zero_day is not ZeroDay.NO


def is_installable(case: Case) -> bool:
    """Say whether there is anything to install; an offered fix needs no subscription any more."""
    finding = case.finding
    if finding.fixed is None:
        return False
    return finding.fix_pending or finding.status is AdvisoryStatus.FIXED


def _security_lane(case: Case, risk: Risk, dates: Deadlines, verdict: Verdict) -> tuple[Lane, str]:
    if risk.exploited:
        if case.vulnerability.kev is None and not case.vulnerability.kev_known:
            return Lane.EMERGENCY, "No KEV catalogue: decided as exploited."
        return Lane.EMERGENCY, "Known to be exploited."
    lane = by_days(dates.days, case.profile)
    if lane is Lane.ROUTINE and verdict.zero_day is not ZeroDay.NO:
        return Lane.EXPEDITED, f"A zero-day. {verdict.text}"
    return lane, f"{dates.days_rule}."


def _functional_lane(case: Case, dates: Deadlines) -> tuple[Lane, str]:
    """Place an update that fixes no vulnerability. Never an emergency: nobody is attacked."""
    finding = case.finding
    if finding.update_class is UpdateClass.DEFINITION:
        return Lane.EXPEDITED, "Signatures of a scanner are worth nothing late: daily."
    if finding.update_class is UpdateClass.BUGFIX and is_critical_fix(case):
        who = "the operator's mark" if case.marked else f"the vendor's word {finding.severity!r}"
        return Lane.EXPEDITED, f"A critical functional fix, by {who}."
    if by_days(dates.days, case.profile) is not Lane.ROUTINE:
        return Lane.EXPEDITED, f"{dates.days_rule}."
    return Lane.ROUTINE, f"A plain {finding.update_class} update: with the next window."


def by_days(days: int | None, profile: RiskProfile) -> Lane:
    """Return the lane in which so many days are kept."""
    if days is None or days > profile.expedited_days:
        return Lane.ROUTINE
    return Lane.EMERGENCY if days <= profile.emergency_days else Lane.EXPEDITED
