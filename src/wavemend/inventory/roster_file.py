"""The YAML form of a roster: weekly patterns, single shifts, and absences such as sick leave."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal

from pydantic import Field, ValidationError

from wavemend.calendar.ical import folded
from wavemend.calendar.roster_entries import (
    MOST_ENTRIES,
    NO_SHIFT,
    Entry,
    moment,
    refuse_if_any,
    span_fault,
)
from wavemend.calendar.windows import local_start, zone_info
from wavemend.errors import CalendarError
from wavemend.inventory.fields import Day, LastDay, Name, StartTime, Text
from wavemend.inventory.form import Form
from wavemend.inventory.problems import Problem
from wavemend.inventory.schema_errors import place_of, sentence
from wavemend.inventory.yaml_source import Source, source_of

SCHEMA = "wavemend.roster/1"
_EXAMPLE = "docs/how-to/quiet-mornings.md"


class WeeklyForm(Form):
    """Hours that come back every week."""

    days: list[Day] = Field(min_length=1, description="Days of the week on which they begin.")
    start: StartTime = Field(description="Local time, in quotes.")
    end: StartTime = Field(description="Local time; not after `start` means the next day.")
    first: LastDay | None = Field(default=None, description="First day on which they hold.")
    last: LastDay | None = Field(default=None, description="Last day on which they begin.")


class ShiftForm(Form):
    """Hours of one day."""

    start: Text = Field(description="Date and time, local or with offset: `2026-12-24T07:00`.")
    end: Text = Field(description="Date and time at which they end.")


class AbsenceForm(Form):
    """Days on which somebody is away, whatever else the roster says."""

    first: LastDay = Field(description="First day, local.")
    last: LastDay = Field(description="Last day; it belongs to the absence.")
    reason: Text = Field(default="", description="Why, for people: sick leave, holidays.")


class PersonForm(Form):
    """One person."""

    name: Text = Field(description="The name that reasons and reports show.")
    skills: list[Name] = Field(default=[], description="What they can look after.")
    weekly: list[WeeklyForm] = Field(default=[], description="Hours of every week.")
    shifts: list[ShiftForm] = Field(default=[], description="Single shifts.")
    absences: list[AbsenceForm] = Field(default=[], description="Days away.")


class RosterFile(Form):
    """A roster."""

    schema_: Literal["wavemend.roster/1"] = Field(alias="schema", description="Form of the file.")
    people: list[PersonForm] = Field(min_length=1, description="Everybody who is ever on duty.")


def roster_entries(
    document: bytes, zone: str, since: datetime, until: datetime
) -> tuple[Entry, ...]:
    """Return what a roster says between two moments (UTC-aware).

    Raises CalendarError with `line N: place: what` for every problem.
    """
    source = source_of(document, form=SCHEMA, example=_EXAMPLE)
    problems = list(source.problems)
    form = _form_of(source, problems)
    if form is not None:
        problems += _span_problems(source, form, zone)
    ordered = sorted(set(problems), key=lambda problem: (problem.line, str(problem)))
    refuse_if_any([f"line {max(problem.line, 1)}: {problem}" for problem in ordered])
    if form is None:
        raise AssertionError("neither a roster nor a problem")
    entries: list[Entry] = []
    for person in form.people:
        entries += _of_person(person, zone, since, until)
        if len(entries) > MOST_ENTRIES:
            raise CalendarError(f"more than {MOST_ENTRIES:,} shifts until {until:%Y-%m-%d}")
    return tuple(entries)


def _form_of(source: Source, problems: list[Problem]) -> RosterFile | None:
    if not source.readable:
        return None
    try:
        return RosterFile.model_validate(source.data)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            place = place_of(fault)
            problems.append(Problem(source.line(place), place, sentence(fault, RosterFile)))
        return None


def _span_problems(source: Source, form: RosterFile, zone: str) -> Iterator[Problem]:
    """Yield what no single value can know: ends before their starts, absences of nobody."""
    there = {folded(each.name) for each in form.people if each.weekly or each.shifts}
    for number, person in enumerate(form.people):
        if person.absences and folded(person.name) not in there:
            away = ("people", number, "absences")
            yield Problem(source.line(away), away, f'"{person.name}" {NO_SHIFT}')
        for index, shift in enumerate(person.shifts):
            place = ("people", number, "shifts", index)
            if fault := _shift_fault(shift, zone):
                yield Problem(source.line(place), place, fault)
        dated: dict[str, Sequence[WeeklyForm | AbsenceForm]]
        dated = {"weekly": person.weekly, "absences": person.absences}
        for key, spans in dated.items():
            for index, span in enumerate(spans):
                place = ("people", number, key, index)
                if span.first and span.last and span.last < span.first:
                    yield Problem(source.line(place), place, "the last day is before the first")


def _shift_fault(shift: ShiftForm, zone: str) -> str:
    try:
        fault = span_fault(moment(shift.start, zone), moment(shift.end, zone))
    except CalendarError as error:
        return error.message
    return f"the end {fault}" if fault else ""


def _of_person(person: PersonForm, zone: str, since: datetime, until: datetime) -> Iterator[Entry]:
    skills = tuple(sorted(set(person.skills)))
    for shift in person.shifts:
        start, end = moment(shift.start, zone), moment(shift.end, zone)
        yield Entry(person=person.name, skills=skills, start=start, end=end)
    for pattern in person.weekly:
        for day in _days(pattern, zone, since, until):
            start, end = _hours(pattern.start, pattern.end, zone, day)
            if end > start:  # a switch to summer time may swallow a short one
                yield Entry(person=person.name, skills=skills, start=start, end=end)
    info, one = zone_info(zone), timedelta(days=1)
    earliest = since.astimezone(info).date() - one
    latest = until.astimezone(info).date() + one
    for absence in person.absences:
        first, last = max(absence.first, earliest), min(absence.last, latest)
        if first <= last:
            start, end = (local_start(zone, each, time(0)) for each in (first, last + one))
            yield Entry(person=person.name, start=start, end=end, absent=True)


def _days(pattern: WeeklyForm, zone: str, since: datetime, until: datetime) -> Iterator[date]:
    """Yield the local days on which a pattern begins, from a day before `since`."""
    info = zone_info(zone)
    first, last = since.astimezone(info).date(), until.astimezone(info).date()
    day = max(first - timedelta(days=1), pattern.first or date.min)
    last = min(last, pattern.last or date.max)
    while day <= last:
        if day.weekday() in pattern.days:
            yield day
        day += timedelta(days=1)


def _hours(start: time, end: time, zone: str, day: date) -> tuple[datetime, datetime]:
    over = timedelta(days=1) if end <= start else timedelta(0)
    return local_start(zone, day, start), local_start(zone, day + over, end)
