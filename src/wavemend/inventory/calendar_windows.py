"""From checked forms to windows: one of zone `host` becomes one for each zone of its hosts."""

from wavemend.calendar.days import NthDay
from wavemend.calendar.windows import HOST_ZONE, Window
from wavemend.inventory.calendar_schema import WindowForm
from wavemend.inventory.forms import Forms
from wavemend.inventory.inheritance import Inheritance, zoned_window


def window_of(form: WindowForm, zone: str = "") -> Window:
    """Return the window a form declares. Raises CalendarError when it means nothing.

    `zone`: instead of the form's `host`, one zone of the hosts that use it.
    """
    nth = (NthDay(n=item.n, day=item.day, offset=item.offset) for item in form.nth)
    return Window(
        name=zoned_window(form.name, zone) if zone else form.name,
        zone=zone or form.zone,
        start=form.start,
        days=frozenset(form.days),
        duration=form.duration,
        cutoff=form.cutoff,
        nth=tuple(sorted(set(nth))),
        rrule=form.rrule,
    )


def windows_of(forms: Forms, inheritance: Inheritance) -> list[Window]:
    """Return every window; of one of zone `host`, which no host uses, there is none."""
    declared = {form.name: form for form in forms.windows.values()}
    return [
        *(window_of(form) for form in declared.values() if form.zone != HOST_ZONE),
        *(window_of(declared[name], zone) for name, zone in used_zones(forms, inheritance)),
    ]


def used_zones(forms: Forms, inheritance: Inheritance) -> list[tuple[str, str]]:
    """Return the windows of zone `host` with each zone of the hosts that use them, sorted."""
    inherited = (inheritance.of(host) for host in forms.hosts.values())
    return sorted({(each.window, each.window_zone) for each in inherited if each.window_zone})
