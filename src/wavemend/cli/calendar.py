"""`wavemend calendar`: what the windows of the fleet in force will do, before they do it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.calendar.agenda import (
    Agenda,
    next_openings,
    openings_until,
    verdict,
    window_uses,
)
from wavemend.calendar.almanac import Almanac, NightOverride
from wavemend.calendar.simulation import Found, Trouble
from wavemend.calendar.simulation import simulate as look_ahead
from wavemend.calendar.windows import zone_info
from wavemend.cli.here import here, ledger_here
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import plain_table, screen
from wavemend.errors import CalendarError, EnvironmentUnfit
from wavemend.fleet import Fleet
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.nights import overrides_of
from wavemend.site import almanac_of, utc_now

MOST_OPENINGS = 400
"""Of one window and company in a list: a year of nights, and more than anybody reads."""

MOST_MONTHS = 60
"""How far ahead anything is worked out: calendars are read five years ahead."""

MOST_FOUND = 200
"""Findings that are printed; the others are counted."""

NEVER_OPENS = 1
"""Exit status of a simulation in which a window never opens."""

_OVERRIDES_AHEAD = timedelta(days=400)

Company = Annotated[str, Parameter(name="--company", help="Only this company's.")]
WindowName = Annotated[str, Parameter(name="--window", help="Only this window.")]

app = cyclopts.App(
    name="calendar", help="What maintenance windows will do: preview, export, simulation."
)


@app.command
def preview(
    *,
    company: Company = "",
    window: WindowName = "",
    count: Annotated[
        int, Parameter(name=("--count", "-n"), help="How many openings of each window.")
    ] = 12,
) -> int:
    """Show the next openings of each window in its own time and in UTC, skipped ones with reasons.

    This is what then runs: the schedules that Prefect holds, and the check before every start, are
    made of the same openings and the same rules.
    """
    if not 1 <= count <= MOST_OPENINGS:
        raise CalendarError(f"--count {count} is not between 1 and {MOST_OPENINGS}")
    now = utc_now()
    fleet, almanac, overrides = calendars(now)
    uses = window_uses(fleet, tenant=company, window=window)
    for agenda in next_openings(fleet, almanac, uses, now, count, overrides=overrides):
        _show(agenda)
    _say_of_calendars(almanac)
    if not uses:
        say("no host is changed in such a window")
    return 0


@app.command
def export(
    file: Path,
    /,
    *,
    company: Company = "",
    window: WindowName = "",
    months: Annotated[int, Parameter(help="How far ahead.")] = 12,
) -> int:
    """Write the openings to an iCalendar file (.ics); skipped ones as cancelled, with reasons."""
    from wavemend.calendar.export import calendar_document

    now = utc_now()
    fleet, almanac, overrides = calendars(now)
    uses = window_uses(fleet, tenant=company, window=window)
    until = months_later(now, months)
    agendas = tuple(openings_until(fleet, almanac, uses, now, until, overrides=overrides))
    try:
        file.write_bytes(calendar_document(agendas, now))
    except OSError as error:
        raise EnvironmentUnfit(f"{file} cannot be written: {error.strerror}") from error
    _say_of_calendars(almanac)
    openings = [opening for agenda in agendas for opening in agenda.openings]
    skipped = sum(opening.is_skipped for opening in openings)
    say(f"{file}: {len(openings)} openings until {until:%Y-%m-%d}, {skipped} of them skipped")
    return 0


@app.command
def simulate(
    *,
    months: Annotated[int, Parameter(help="How far ahead.")] = 24,
    wide: Annotated[bool, Parameter(help="As wide as the table needs.", negative="")] = False,
) -> int:
    """Go over every opening of the months ahead and list what nobody meant.

    Windows that never open, months without an opening, windows that are open together for two
    hosts of an exclusion set, openings that reach into working hours, cut-offs shorter than a host
    may take, openings that a clock change moves. Exit status 1: a window never opens.
    """
    now = utc_now()
    fleet, almanac, overrides = calendars(now)
    done = look_ahead(fleet, almanac, now, months_later(now, months), overrides=overrides)
    console = screen(wide=wide)
    if done.found:
        table = plain_table("What nobody meant", ("Finding", "Window", "When", "Why"))
        for item in done.found[:MOST_FOUND]:
            place = f"{item.window} ({item.tenant})" if item.tenant else item.window
            add_row(table, item.trouble, place, _dates(item), item.reason)
        console.print(table)
    if len(done.found) > MOST_FOUND:
        say(f"and {len(done.found) - MOST_FOUND} findings more")
    _say_of_calendars(almanac)
    found = f"{len(done.found)} findings" if done.found else "nothing found"
    say(f"{done.openings} openings from {now:%Y-%m-%d} until {done.until:%Y-%m-%d}: {found}")
    return NEVER_OPENS if done.never_opens else 0


def _dates(item: Found) -> str:
    months = item.trouble is Trouble.NO_OPENING
    days = [f"{day:%Y-%m}" if months else f"{day:%Y-%m-%d}" for day in item.dates]
    more = [f"and {item.count - len(days)} more"] if item.count > len(days) else []
    return ", ".join([*days, *more])


def months_later(now: datetime, months: int) -> datetime:
    """Return the first of the month so many months later (UTC). Raises CalendarError."""
    if not 1 <= months <= MOST_MONTHS:
        raise CalendarError(f"--months {months} is not between 1 and {MOST_MONTHS}")
    years, month = divmod(now.month - 1 + months, 12)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.replace(year=now.year + years, month=month + 1)


def calendars(now: datetime) -> tuple[Fleet, Almanac, Mapping[str, Sequence[NightOverride]]]:
    """Return the fleet in force, what its calendars hold, and the nights that were signed for."""
    site = here()
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
        overrides = {
            tenant.name: overrides_of(
                book,
                fleet.calendar_of(tenant.name),
                site.signers_file,
                first=now.date() - timedelta(days=1),
                last=now.date() + _OVERRIDES_AHEAD,
            )
            for tenant in fleet.tenants
            if tenant.duty
        }
    return fleet, almanac_of(site, fleet)(), overrides


def _show(agenda: Agenda) -> None:
    use, window = agenda.use, agenda.window
    zone = zone_info(window.zone)
    console = screen()
    table = plain_table(
        f"{agenda.title} ({use.tenant}), window {use.window}: {', '.join(use.profiles)}",
        (f"Opens ({window.zone})", "Closes", "Opens (UTC)", "What becomes of it"),
    )
    for opening in agenda.openings:
        start, end = (
            moment.astimezone(zone) for moment in (opening.occurrence.start, opening.occurrence.end)
        )
        add_row(
            table,
            f"{start:%a %Y-%m-%d %H:%M}",
            f"{end:%a %H:%M}",
            f"{opening.occurrence.start:%a %Y-%m-%d %H:%M}",
            verdict(opening, window),
        )
    console.print(table)


def _say_of_calendars(almanac: Almanac) -> None:
    for name, why in sorted(almanac.unreadable.items()):
        say(f"calendar {name} cannot be read, and forbids what it could forbid: {why}")
    for name, since in sorted(almanac.stale.items()):
        say(f"calendar {name} is an old copy: {since}")
