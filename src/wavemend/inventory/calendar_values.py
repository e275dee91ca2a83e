"""From checked forms to calendars, freezes, rosters and duty rules."""

from datetime import UTC, datetime

from wavemend.calendar.declared import CalendarSource, DutyRule, Freeze, Roster
from wavemend.calendar.windows import local_start
from wavemend.inventory.calendar_schema import (
    CalendarForm,
    DutyForm,
    FreezeForm,
    RosterForm,
)


def calendar_of(form: CalendarForm) -> CalendarSource:
    """Return the calendar a form declares."""
    return CalendarSource(name=form.name, source=form.source, max_age=form.max_age)


def freeze_of(form: FreezeForm) -> Freeze:
    """Return the freeze a form declares, its times in UTC by the rule of windows."""
    return Freeze(
        name=form.name,
        tenant=form.tenant,
        start=_instant(form.zone, form.start),
        end=_instant(form.zone, form.end),
        calendar=form.calendar,
        summaries=tuple(sorted(set(form.summaries))),
        reason=form.reason,
    )


def roster_of(form: RosterForm) -> Roster:
    """Return the roster a form declares."""
    return Roster(name=form.name, source=form.source, zone=form.zone, max_age=form.max_age)


def duty_of(form: DutyForm | None) -> DutyRule | None:
    """Return the duty rule of a company, if it has one."""
    if form is None:
        return None
    return DutyRule(
        roster=form.roster,
        hours_from=form.hours_from,
        hours_until=form.hours_until,
        skills=tuple(sorted(set(form.skills))),
        days_off=frozenset(form.days_off),
        holidays=tuple(sorted(set(form.holidays))),
        calendars=tuple(sorted(set(form.calendars))),
    )


def _instant(zone: str, moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return local_start(zone, moment.date(), moment.time()).astimezone(UTC)
