"""What is wrong with windows, calendars, freezes, rosters and duty rules, seen together."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from wavemend.calendar.holidays_by_region import region_fault
from wavemend.calendar.windows import HOST_ZONE
from wavemend.errors import CalendarError
from wavemend.inventory.calendar_schema import DutyForm, FreezeForm, RosterForm, WindowForm
from wavemend.inventory.calendar_values import freeze_of
from wavemend.inventory.calendar_windows import used_zones, window_of
from wavemend.inventory.forms import Forms
from wavemend.inventory.inheritance import Inheritance, zoned_window
from wavemend.inventory.problems import Place, Problem, shown

_ROSTER_KINDS = (".ics", ".csv", ".yaml", ".yml")


def check_calendars(forms: Forms, inheritance: Inheritance) -> Iterator[Problem]:
    """Yield every problem of the windows and of what closes them.

    Whether a calendar's file is there is no question of the fleet file: what cannot be read when
    it is needed forbids then, and says so.
    """
    for number, window in forms.windows.items():
        yield from _window(forms, ("windows", number), window)
    yield from _zoned_windows(forms, inheritance)
    for number, profile in forms.profiles.items():
        yield from _restarts(
            forms, ("profiles", number, "reboots", "window"), profile.reboots.window
        )
    for number, freeze in forms.freezes.items():
        yield from _freeze(forms, ("freezes", number), freeze)
    for number, roster in forms.rosters.items():
        yield from _roster(forms, ("rosters", number), roster)
    for number, tenant in forms.tenants.items():
        if tenant.duty is not None:
            yield from _duty(forms, ("tenants", number, "duty"), tenant.duty)


def _window(forms: Forms, place: Place, form: WindowForm) -> Iterator[Problem]:
    try:
        window_of(form, "UTC" if form.zone == HOST_ZONE else "")
    except CalendarError as error:
        # The window's name stands in the message of one made elsewhere; here the line names it.
        what = error.message.partition(": ")[2]
        yield forms.problem((*place, *_guilty(form, what)), what)


def _guilty(form: WindowForm, what: str) -> Place:
    """Return which key of a window a fault is about; empty: the window as a whole."""
    if what.startswith(("needs exactly one", "the start")):
        return ()
    if what.startswith("the cut-off"):
        return ("cutoff",)
    if what.startswith("the duration"):
        return ("duration",)
    return ("rrule",) if form.rrule else ("nth",)


def _zoned_windows(forms: Forms, inheritance: Inheritance) -> Iterator[Problem]:
    """Name the windows made for a zone whose name somebody else has."""
    taken = set(forms.known["windows"])
    numbers = {form.name: number for number, form in forms.windows.items()}
    for name, zone in used_zones(forms, inheritance):
        made = zoned_window(name, zone)
        if made in taken:
            what = f"in {zone} it is called {shown(made)}, which another window is called already"
            yield forms.problem(("windows", numbers[name], "name"), what)
        taken.add(made)


def _restarts(forms: Forms, place: Place, name: str) -> Iterator[Problem]:
    zones = {form.name: form.zone for form in forms.windows.values()}
    if name and zones.get(name) == HOST_ZONE:
        what = f"{shown(name)} is of zone host; restarts need a window with a zone of its own"
        yield forms.problem(place, what)


def _freeze(forms: Forms, place: Place, form: FreezeForm) -> Iterator[Problem]:
    yield from forms.unknown((*place, "tenant"), "tenants", form.tenant)
    yield from forms.unknown((*place, "calendar"), "calendars", form.calendar)
    if form.scope == "company" and not form.tenant:
        yield forms.problem((*place, "tenant"), "is missing; scope company is one company's")
    if form.scope == "global" and form.tenant:
        what = "scope global reaches all companies; take tenant out, or write scope: company"
        yield forms.problem((*place, "tenant"), what)
    has_span = form.start is not None or form.end is not None
    if has_span == bool(form.calendar):
        yield forms.problem(place, "needs exactly one of start and end, and calendar")
    elif has_span:
        yield from _span(forms, place, form)
    if form.summaries and not form.calendar:
        yield forms.problem((*place, "summaries"), "are titles of events; name a calendar too")


def _span(forms: Forms, place: Place, form: FreezeForm) -> Iterator[Problem]:
    for key in ("start", "end"):
        if getattr(form, key) is None:
            what = 'is missing; a freeze has a start and an end, as in "2026-12-18T00:00"'
            yield forms.problem((*place, key), what)
    freeze = freeze_of(form)
    if freeze.start and freeze.end and freeze.end <= freeze.start:
        yield forms.problem((*place, "end"), "is not later than start, so it forbids nothing")


def _roster(forms: Forms, place: Place, form: RosterForm) -> Iterator[Problem]:
    if form.name in forms.known["calendars"]:
        what = f"{shown(form.name)} is a calendar too; give one of the two another name"
        yield forms.problem((*place, "name"), what)
    kind = PurePosixPath(form.source).suffix.lower()
    if form.source.startswith("file:") and kind not in _ROSTER_KINDS:
        what = f"{shown(form.source)} is none of {', '.join(_ROSTER_KINDS)}; the ending says which"
        yield forms.problem((*place, "source"), what)


def _duty(forms: Forms, place: Place, form: DutyForm) -> Iterator[Problem]:
    yield from forms.unknown((*place, "roster"), "rosters", form.roster)
    for at, name in enumerate(form.calendars):
        yield from forms.unknown((*place, "calendars", at), "calendars", name)
    for at, region in enumerate(form.holidays):
        if fault := region_fault(region):
            yield forms.problem((*place, "holidays", at), fault)
    if form.hours_until <= form.hours_from:
        what = "is not later than hours_from; the watched hours are within one day"
        yield forms.problem((*place, "hours_until"), what)
    if len(set(form.days_off)) == 7:
        what = "leaves no working day, so nothing could ever start"
        yield forms.problem((*place, "days_off"), what)
