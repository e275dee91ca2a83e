"""`wavemend policy`: what holds for a host and who says so, and which rule decides an update."""

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.cli.here import here, ledger_here
from wavemend.cli.moments import intelligence_of
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import is_wide, keep_whole, plain_table, screen
from wavemend.errors import FleetError
from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger import permits
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.scans import newest_seen_look
from wavemend.planning.hosts import Candidate, is_simulated, judge_each
from wavemend.planning.rules import Permits, version_of
from wavemend.policy.explaining import explain_settings, resolved_for, rule_lines
from wavemend.policy.profiles import WaveKind, place
from wavemend.simulated import named
from wavemend.site import hands_of
from wavemend.steps.assess import Assessor
from wavemend.steps.freeze import judge_look_for
from wavemend.windows.titles import title_of

app = cyclopts.App(name="policy", help="What policies say of a host, and of its pending updates.")


@app.command
def show(host: str) -> int:
    """Print the value and the origin of every field that policies can set.

    Parameters
    ----------
    host
        Name of the host.
    """
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
    found = fleet.host(host)
    resolved = resolved_for(fleet, found)
    if resolved is None:
        say(_unmanaged(found))
        return 0
    console = screen()
    table = plain_table(
        f"{named(host, simulated=found.simulated)}: what holds, and who says so",
        ("Field", "Value", "From"),
    )
    lines = explain_settings(fleet, found)
    for line in lines:
        add_row(table, line.field, line.value, line.source)
    console.print(keep_whole(table, "Field"))
    for line in lines:
        for note in line.notes:
            say(f"{line.field}: {note}")
    say("Rules about single updates, in the order they are asked:")
    for text in tuple(rule_lines(resolved)) or ("none: every update that qualifies is planned",):
        say(f"  {text}")
    return 0


@app.command(name="test")
def judge(
    host: str,
    *,
    package: Annotated[str, Parameter(help="Only this package.")] = "",
) -> int:
    """Say which rule decides about each pending update of a host's last look. Nothing is changed.

    Parameters
    ----------
    host
        Name of the host.
    """
    ledger = ledger_here()
    with ledger.reading() as book:
        fleet = current_fleet(book)
        found = fleet.host(host)
        seen = newest_seen_look(book, host)
        known = intelligence_of(book, fleet)
    if not found.profile:
        say(_unmanaged(found))
        return 0
    if seen is None:
        raise FleetError(f"{host} never answered", hint="the next scan looks at it")
    look = seen[1]
    hands = hands_of(here(), ledger, fleet)
    candidate, _ = judge_look_for(hands, Assessor(fleet, known), found, look)
    with ledger.reading() as book:
        wanted = frozenset(version_of(ranked.update) for ranked in candidate.ranked)
        tried = permits.tried_versions(book, found.tenant, wanted)
    called = named(host, simulated=is_simulated(candidate))
    say(f"{called} as it was seen on {look.at:%Y-%m-%d %H:%M} UTC")
    return _judged(fleet, candidate, Permits(pilots=_pilots(fleet, found), tried=tried), package)


def _judged(fleet: Fleet, candidate: Candidate, allowed: Permits, package: str) -> int:
    rows = [
        each
        for each in judge_each(candidate, fleet.profile(candidate.host.profile), allowed)
        if package in {"", each.update.name}
    ]
    if not rows:
        say(f"{package or 'nothing'} is {'not ' if package else ''}pending there")
        return 0
    console = screen()
    more = ("Rule",) if is_wide(console) else ()
    table = keep_whole(
        plain_table("Pending updates", ("Package", "To", "Lane", "Planned", *more)), "Lane"
    )
    for each in rows:
        answer = "no" if each.reason else "yes"
        title = title_of(each.update.arch, each.update.origin)
        name = f"{each.update.name}: {title}" if title else each.update.name
        cells = (name, each.update.candidate, each.lane, answer)
        add_row(table, *cells, *((each.ruled_by,) if more else ()))
    console.print(table)
    for each in rows:
        if each.reason:
            say(f"{each.update.name}: {each.reason}")
        elif not more:
            say(f"{each.update.name}: {each.ruled_by}")
    return 0


def _pilots(fleet: Fleet, host: Host) -> frozenset[str]:
    """Return the pilots among the hosts that are changed together with this one."""
    together = tuple(
        other
        for other in fleet.hosts_of(host.tenant)
        if (other.profile, other.window) == (host.profile, host.window)
    )
    return frozenset(
        other.name
        for placement in place(fleet.profile(host.profile), together)
        if placement.wave.kind is WaveKind.PILOT
        for other in placement.hosts
    )


def _unmanaged(host: Host) -> str:
    return (
        f"{host.name} is unmanaged: no profile fits it, so no policy speaks of it, and it is never "
        "patched; give it a profile, or labels that one fits"
    )
