"""`wavemend limits`: who is out, which gaps were kept, how long changes take."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.calendar.durations import format_duration
from wavemend.calendar.estimates import PATCH_PRIOR, REBOOT_PRIOR
from wavemend.cli.here import here, ledger_here, operator
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import keep_whole, plain_table, screen
from wavemend.fleet_limits import FleetLimits
from wavemend.ledger import limits
from wavemend.ledger.durations import learned_durations
from wavemend.ledger.gaps import gaps_seen
from wavemend.ledger.intake import current_fleet
from wavemend.simulated import named, naming
from wavemend.site import utc_now

app = cyclopts.App(name="limits", help="What keeps hosts apart: budgets, gaps, durations.")


@app.command
def show() -> int:
    """List every budget with the hosts that use it now: at work, or not well."""
    with ledger_here().reading() as book:
        mine = current_fleet(book).hosts
    own, called = {host.name for host in mine}, naming(mine)
    # A budget holds over all companies: in the view of one the others' hosts are counted, not named
    with here().open_ledger().reading() as book:
        known = [each for each in FleetLimits(current_fleet(book)).sets if own & set(each.hosts)]
        names = {name for each in known for name in each.hosts}
        busy, sick = limits.at_work(book, names), limits.unwell(book, names)
    table = plain_table("Budgets", ("Budget", "Hosts", "Most out", "At work", "Not well"))
    for each in known:
        members = set(each.hosts)
        counts = (str(len(each.hosts)), str(each.most_out))
        out = (_told(members & hosts, own, called) for hosts in (busy, sick))
        add_row(table, each.name, *counts, *out)
    screen().print(keep_whole(table, "Budget"))
    if sick & own:
        say("`wavemend limits well HOST --reason …` gives a place back, once somebody saw it well")
    return 0


def _told(hosts: set[str], own: set[str], called: Callable[[str], str]) -> str:
    others = len(hosts - own)
    parts = [*map(called, sorted(hosts & own))] + (
        [f"{others} of other companies"] if others else []
    )
    return ", ".join(parts)


@app.command
def well(host: str, *, reason: str) -> int:
    """Say that a host is well again whose last change ended badly: it uses no budget any more."""
    with ledger_here().writing() as book:
        its = current_fleet(book).host(host)
        limits.say_well(book, host, actor=operator(), reason=reason, now=utc_now())
    say(f"{named(host, simulated=its.simulated)} uses no budget any more")
    return 0


@app.command
def gaps(
    tenant: str,
    *,
    days: Annotated[int, Parameter(help="How far back to look.")] = 7,
) -> int:
    """Prove by stored times what lay between a company's groups. Exit 2: one was too short."""
    now = utc_now()
    with ledger_here().reading() as book:
        gap = current_fleet(book).tenant(tenant).gap or timedelta(0)
        found = gaps_seen(book, tenant, now - timedelta(days=days), now)
    table = plain_table("Gaps", ("Ended", "Group", "Next began", "Next group", "Between"))
    for each in found:
        ended = f"{each.ended_at:%Y-%m-%d %H:%M:%S}Z" if each.ended_at else "not yet"
        length = each.length
        between = "they overlapped" if length is None or length < timedelta(0) else str(length)
        began = f"{each.started_at:%Y-%m-%d %H:%M:%S}Z"
        add_row(table, ended, each.after, began, each.before, between)
    screen().print(table)
    short = sum(not each.keeps(gap) for each in found)
    say(f"{len(found)} gaps, of which {short} are shorter than {format_duration(gap)}")
    return 2 if short else 0


@app.command
def durations() -> int:
    """List how long changes took, by system, size and restart."""
    with ledger_here().reading() as book:
        known = learned_durations(book).known
    table = plain_table("Durations", ("System", "Packages", "Restart", "Seen", "Half", "95 of 100"))
    for kind, each in known.items():
        told = (kind.system or "unknown", str(kind.size), "yes" if kind.reboot else "no")
        add_row(table, *told, str(each.seen), _minutes(each.p50), _minutes(each.p95))
    screen().print(table)
    say(
        f"of what was not seen yet: half end within {_minutes(PATCH_PRIOR.p50)}, 95 of 100 within "
        f"{_minutes(PATCH_PRIOR.p95)}; with a restart {_minutes(REBOOT_PRIOR.p50)} and "
        f"{_minutes(REBOOT_PRIOR.p95)} more"
    )
    return 0


def _minutes(seconds: float) -> str:
    return format_duration(timedelta(seconds=int(seconds)))
