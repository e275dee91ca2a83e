"""What other groups and hosts mean for a host's start, each rule asked by itself."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from wavemend.fleet_limits import HostLimits
from wavemend.ledger.answers import Refused, Wait
from wavemend.ledger.gaps import group_hold
from wavemend.ledger.limits import others_verdict, taking_part
from wavemend.plans import Plan
from wavemend.steps.why_not_case import Case
from wavemend.why_not import Change, ChangeKind, Link, Rule

_MUCH_LATER = timedelta(days=60)
"""Every gap is over by then, and every opening of today: what blocks then, time does not lift."""


def lost(case: Case, rule: Rule, says: str, change: Change | None = None) -> Link:
    """Return a block that this opening's rollout does not get rid of any more."""
    return Link(
        rule=rule,
        says=says,
        origin=case.origin,
        blocks=True,
        change=change,
        another_opening=True,
    )


def other(case: Case, rule: Rule, says: str, what: str, origin: str) -> Link:
    """Return a block that other hosts lift; the company's gap is kept after them."""
    then = case.limits.gap or timedelta(0)
    change = Change(kind=ChangeKind.OTHER, of=rule, what=what, about=says, then=then)
    return Link(rule=rule, says=says, origin=origin, blocks=True, change=change)


def others(case: Case) -> Iterator[Link]:
    """Yield the gap, and each budget and order that keeps the host back."""
    yield _gap(case)
    limits = case.limits
    single = [
        *((Rule.ORDER, HostLimits(after=(item,)), item.name) for item in limits.after),
        *((Rule.BUDGET, HostLimits(sets=(item,)), item.name) for item in limits.sets),
    ]
    for rule, one, name in single:
        yield _verdict(case, rule, one, f"{rule} {name}")


def _verdict(case: Case, rule: Rule, one: HostLimits, origin: str) -> Link:
    answer = _asked(case, one, case.now, case.plan if case.opening is not None else None)
    if answer is None:
        return Link(rule=rule, says="nobody keeps it back", origin=origin)
    if isinstance(answer, Wait):
        return other(case, rule, answer.reason, f"the others are done ({answer.reason})", origin)
    if _asked(case, one, case.now + _MUCH_LATER) is None:
        return replace(lost(case, rule, answer.reason), origin=origin)
    what = f"make it well, then say so: `wavemend limits well HOST` ({answer.reason})"
    link = other(case, rule, answer.reason, what, origin)
    # Well again, but not changed: whoever comes after it does not follow in this night.
    idle = [name for item in one.after for name in taking_part(case.book, item.hosts, case.now)[1]]
    return replace(link, another_opening=bool(idle))


def _asked(
    case: Case, one: HostLimits, now: datetime, plan: Plan | None = None
) -> Wait | Refused | None:
    return others_verdict(case.book, case.host.tenant, case.host.name, one, now, plan=plan)


def _gap(case: Case) -> Link:
    wave, gap = case.plan.wave_of(case.host.name), case.limits.gap
    hold = group_hold(case.book, case.plan, wave, gap, case.now)
    if hold is None:
        return Link(rule=Rule.GAP, says="no gap is to be kept now", origin=case.origin)
    if not hold.known:
        link = other(case, Rule.GAP, hold.reason, f"it ends: {hold.reason}", "company")
        return replace(link, not_before=hold.until)
    says = f"{hold.reason}: until {hold.until:%H:%M:%S} UTC"
    return Link(rule=Rule.GAP, says=says, origin="company", blocks=True, not_before=hold.until)
