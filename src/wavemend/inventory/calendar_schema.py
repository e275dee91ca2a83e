"""The form of windows, calendars, freezes, rosters and the duty rule in a fleet file."""

from typing import Literal

from pydantic import Field

from wavemend.inventory.calendar_fields import (
    CalendarReference,
    HolidayRegion,
    LocalMoment,
    WindowZone,
)
from wavemend.inventory.fields import Day, Duration, Name, StartTime, Text, Zone
from wavemend.inventory.form import Form


class NthDayForm(Form):
    """A weekday of the month, and days after it: Patch Tuesday + 11 is `{n: 2, day: tue}` + 11."""

    n: Literal[1, 2, 3, 4, 5, -1] = Field(description="Which one; -1 is the month's last.")
    day: Day = Field(description="Day of the week that is counted.")
    offset: int = Field(
        default=0, ge=-30, le=30, description="Days after it (before, when negative)."
    )


class WindowForm(Form):
    """A maintenance window: the right to change hosts exists only inside one.

    It recurs by exactly one of `days`, `nth` and `rrule`.
    """

    name: Name = Field(description="Short name, used everywhere.")
    zone: WindowZone = Field(
        description="IANA time zone of `start`, or `host`: each device's own zone."
    )
    start: StartTime = Field(
        description=(
            "Local time of day, in quotes. A start that a switch to summer time skips begins at "
            "the first valid instant after it; one that exists twice begins once, at the first."
        )
    )
    days: list[Day] = Field(default=[], description="Days of the week on which it starts.")
    nth: list[NthDayForm] = Field(default=[], description="Days of the month on which it starts.")
    rrule: Text = Field(
        default="",
        description="RFC 5545 rule of its days, without times: `FREQ=MONTHLY;BYMONTHDAY=-1`.",
    )
    duration: Duration = Field(description="Elapsed time from start to end, at most 7d.")
    cutoff: Duration = Field(
        description="Elapsed time before the end from which nothing new starts."
    )


class CalendarForm(Form):
    """An iCalendar file, or an address that serves one."""

    name: Name = Field(description="Short name, used by freezes and duty rules.")
    source: CalendarReference = Field(
        description="`file:PATH`, relative to this file, or an `https://` address."
    )
    max_age: Duration = Field(
        default="2d",
        validate_default=True,
        description="A copy that could not be renewed for longer is not believed any more.",
    )


class FreezeForm(Form):
    """Times when nothing starts: `start` and `end`, or the events of a calendar."""

    name: Name = Field(description="Short name, shown as the reason.")
    scope: Literal["global", "company"] = Field(description="For everybody, or for one company.")
    tenant: Name = Field(default="", description="Whose hosts; needed for scope company.")
    start: LocalMoment = Field(default=None, description="Local date and time, in quotes.")
    end: LocalMoment = Field(
        default=None, description="First moment at which things may start again."
    )
    zone: Zone = Field(default="UTC", description="IANA zone of `start` and `end`.")
    calendar: Name = Field(default="", description="Its events are the times.")
    summaries: list[Text] = Field(
        default=[], description="Glob patterns: only events with such a title count."
    )
    reason: Text = Field(default="", description="Why, for people.")


class RosterForm(Form):
    """Who is at work when: an iCalendar (.ics), CSV or YAML file."""

    name: Name = Field(description="Short name, used by duty rules.")
    source: CalendarReference = Field(
        description="`file:PATH`, relative to this file, or an `https://` address."
    )
    zone: Zone = Field(description="IANA zone of times in it that name none.")
    max_age: Duration = Field(
        default="2d",
        validate_default=True,
        description="A copy that could not be renewed for longer is not believed any more.",
    )


class DutyForm(Form):
    """Nothing starts in a night whose morning nobody is there to see."""

    roster: Name = Field(description="Who is on duty.")
    hours_from: StartTime = Field(description="Local time at which the watched hours begin.")
    hours_until: StartTime = Field(description="Local time at which they end.")
    skills: list[Name] = Field(default=[], description="One of these is enough; none: anybody is.")
    days_off: list[Day] = Field(
        default=["sat", "sun"],
        validate_default=True,
        description="Days of the week that are no working days.",
    )
    holidays: list[HolidayRegion] = Field(
        default=[], description="Public holidays, by country or region: `DE-BY`, `US`."
    )
    calendars: list[Name] = Field(
        default=[], description="Calendars whose all-day events are days off too."
    )
