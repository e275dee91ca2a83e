"""`wavemend explain HOST`: may it be changed now, why not, what would flip that, and what holds."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from textwrap import wrap
from zoneinfo import ZoneInfo

from wavemend.calendar.windows import zone_info
from wavemend.cli.here import here, ledger_here
from wavemend.cli.moments import moment_of
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import keep_whole, plain_table, screen
from wavemend.errors import CalendarError
from wavemend.fleet import Fleet
from wavemend.policy.explaining import explain_settings
from wavemend.site import hands_of, utc_now
from wavemend.steps.why_not import look_into
from wavemend.why_not import Change, Decision, decide

_INDENT = " " * 10
"""A sentence that needs a second line goes on below itself."""


def explain_host(fleet: Fleet, name: str, *, at: str = "") -> None:
    """Print why a host may (not) be changed at a moment, now unless one is named.

    Raises CalendarError for a moment that is over: the ledger of today does not tell of it.
    """
    now = utc_now()
    moment = moment_of(at, "--at", begins=True) or now
    if moment < now and at:
        raise CalendarError(
            f"--at {at} is over", hint="--as-of DAY explains a host as it was on a day"
        )
    hands = replace(hands_of(here(), ledger_here(), fleet), clock=lambda: moment)
    decision = decide(look_into(hands, fleet, name))
    zone = zone_info(fleet.tenant(fleet.host(name).tenant).zone)
    width = screen().width
    for line in _lines(decision, name, moment, zone):
        for part in wrap(line, width, subsequent_indent=_INDENT, break_on_hyphens=False) or [""]:
            say(part)
    _fields(fleet, name)


def _lines(decision: Decision, name: str, moment: datetime, zone: ZoneInfo) -> Iterator[str]:
    when = f"at {_both(moment, zone)}"
    if decision.allowed:
        yield f"yes: nothing keeps {name} from being changed {when}"
    elif decision.not_before is None:
        yield f"no: {name} is not changed before somebody changes what is named below"
    elif decision.not_before > moment:
        yield f"no: not before {_both(decision.not_before, zone)}"
    else:
        yield f"no: not {when}, and at once when what is named below is done"
    yield ""
    yield "Why, in the order in which a start asks:"
    for link in decision.links:
        verdict = "BLOCKS" if link.blocks else "ok"
        origin = f" [{link.origin}]" if link.origin else ""
        yield f"  {verdict:<6}  {link.rule}: {link.says}{origin}"
    if decision.ways:
        yield ""
    for number, way in enumerate(decision.ways):
        yield "What would change it:" if not number else "Or, sooner:"
        for change in way:
            yield f"  {_words(change, zone)}"


def _words(change: Change, zone: ZoneInfo) -> str:
    if change.at is not None:
        return f"wait until {_both(change.at, zone)}"
    minutes = int(change.then.total_seconds()) // 60
    return change.what + (f"; {minutes} minutes have to lie between" if minutes else "")


def _both(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment in the company's time and in UTC: `Sat 2026-11-28 22:00 Europe/Berlin`."""
    local, universal = moment.astimezone(zone), moment.astimezone(UTC)
    day = "" if local.date() == universal.date() else f"{universal:%Y-%m-%d} "
    return f"{local:%a %Y-%m-%d %H:%M} {zone.key} ({day}{universal:%H:%M}Z)"


def _fields(fleet: Fleet, name: str) -> None:
    lines = explain_settings(fleet, fleet.host(name))
    if not lines:
        return
    table = plain_table(f"{name}: what holds, and who says so", ("Field", "Value", "From"))
    for line in lines:
        add_row(table, line.field, line.value, line.source)
    say("")
    screen().print(keep_whole(table, "Field"))
    for line in lines:
        for note in line.notes:
            for part in wrap(f"{line.field}: {note}", screen().width, subsequent_indent="  "):
                say(part)
    say("")
