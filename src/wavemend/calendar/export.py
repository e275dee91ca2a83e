"""Openings as an iCalendar file (RFC 5545), for the calendars that people have open anyway."""

from collections.abc import Iterable
from datetime import datetime

from icalendar import Calendar, Event

from wavemend.calendar.agenda import Agenda, verdict
from wavemend.calendar.durations import format_duration
from wavemend.calendar.preview import Opening


def calendar_document(agendas: Iterable[Agenda], made_at: datetime) -> bytes:
    """Return an iCalendar document: one event per opening, skipped ones as cancelled ones.

    Times are UTC, which every calendar shows in its reader's zone. An opening keeps its UID in
    each export, so that a calendar that reads the file again changes events instead of adding
    them.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//wavemend//maintenance windows//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "wavemend maintenance windows")
    for agenda in agendas:
        for opening in agenda.openings:
            calendar.add_component(_event(agenda, opening, made_at))
    return bytes(calendar.to_ical())


def _event(agenda: Agenda, opening: Opening, made_at: datetime) -> Event:
    occurrence, use = opening.occurrence, agenda.use
    event = Event()
    event.add("uid", f"{use.tenant}/{occurrence.id}")
    event.add("dtstamp", made_at)
    event.add("dtstart", occurrence.start)
    event.add("dtend", occurrence.end)
    event.add("summary", f"{agenda.title}: maintenance window {use.window}")
    event.add("status", "CANCELLED" if opening.is_skipped else "CONFIRMED")
    event.add("transp", "TRANSPARENT")  # nobody's time is taken
    event.add("categories", [use.tenant, use.window])
    event.add(
        "description",
        f"{verdict(opening, agenda.window)}\n"
        f"Profiles: {', '.join(use.profiles)}.\n"
        f"Nothing new starts in the last {format_duration(agenda.window.cutoff)}.",
    )
    return event
