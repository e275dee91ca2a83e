"""`wavemend fleet`: check a fleet file, show what it means, print its schema."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import cyclopts
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wavemend.calendar.durations import format_duration
from wavemend.cli.shown import add_row, say, spelled_lines, visible
from wavemend.fleet import Fleet, RolloutKey, Tenant
from wavemend.hosts import Host
from wavemend.inventory import INVENTORIES
from wavemend.inventory.fleet_file import read_fleet
from wavemend.inventory.merging import lines_of
from wavemend.policy.profiles import Placement, place
from wavemend.site import utc_now

app = cyclopts.App(name="fleet", help="Check and show what a fleet file declares.")


@app.command
def check(
    file: Path,
    *,
    verbose: Annotated[
        bool,
        cyclopts.Parameter(
            name=("--verbose", "-v"),
            negative=(),
            help="Also name what sources say that means nothing here.",
        ),
    ] = False,
) -> None:
    """Check a fleet file and say what it declares. Any mistake ends with exit status 10.

    Parameters
    ----------
    file
        The fleet file.
    """
    fleet, sources = read_fleet(file)
    for line in lines_of(sources, verbose=verbose):
        say(line)
    for line in (*summary(fleet), *waivers_over(fleet, utc_now()), *unread(fleet, utc_now())):
        say(line)


@app.command
def schema(*, markdown: bool = False) -> None:
    """Print the JSON Schema of fleet files, for editors.

    Parameters
    ----------
    markdown
        Print the reference page instead.
    """
    from wavemend.inventory.fleet_docs import fleet_reference, fleet_schema_text

    print(fleet_reference() if markdown else fleet_schema_text(), end="")


@app.command
def show(file: Path, *, host: Annotated[str, cyclopts.Parameter(name="--host")] = "") -> None:
    """Show every host with all it inherits, or one host in full.

    Parameters
    ----------
    file
        The fleet file.
    host
        Only this host.
    """
    fleet = INVENTORIES["file"]()(file)
    console = Console()
    console.print(host_table(fleet.host(host)) if host else fleet_table(fleet))


def summary(fleet: Fleet) -> list[str]:
    """Return what a fleet declares, line by line; the same fleet gives the same lines."""
    lines = [
        f"{fleet.source_path}: {_count(fleet.hosts, 'host')}, "
        f"{_count(fleet.tenants, 'company', 'companies')}, {fleet.digest}"
    ]
    lines += [_tenant_line(fleet, tenant) for tenant in fleet.tenants]
    lines += [
        f"unmanaged: {host.name} ({host.tenant}), no profile: reported, never patched"
        for host in fleet.unmanaged()
    ]
    for key in fleet.rollouts():
        lines += _rollout_lines(fleet, key)
    return lines


def unread(fleet: Fleet, now: datetime) -> list[str]:
    """Return a warning for each file of a calendar or roster that cannot be read now."""
    if not (fleet.calendars or fleet.rosters):
        return []
    from wavemend.calendar.reading import declared_by, unreadable_files

    return [
        f"warning: {name}: {why}; nothing starts that it could forbid"
        for name, why in unreadable_files(declared_by(fleet), now).items()
    ]


def waivers_over(fleet: Fleet, now: datetime) -> list[str]:
    """Return a warning for every waiver that has ended: it hides nothing any more."""
    return [
        f"warning: waiver {waiver.id} of {waiver.owner} ended on {waiver.until:%Y-%m-%d %H:%M} "
        "UTC: what it covered counts again; take it out or give it a new end"
        for waiver in fleet.waivers
        if waiver.until <= now
    ]


def fleet_table(fleet: Fleet) -> Table:
    """Return all hosts as a table."""
    table = Table(title=visible(f"{fleet.source_path}: {_count(fleet.hosts, 'host')}"))
    for heading in ("host", "company", "address", "profile", "window", "marks"):
        table.add_column(heading, overflow="fold")
    for host in fleet.hosts:
        cells = (
            host.name,
            host.tenant,
            f"{host.address}:{host.port}",
            host.profile or "unmanaged",
            host.window,
            _marks(host),
        )
        add_row(table, *cells)
    return table


def host_table(host: Host) -> Table:
    """Return everything about one host as a table."""
    table = Table(title=visible(host.name), show_header=False)
    for key, value in (
        ("company", host.tenant),
        ("address", f"{host.address}:{host.port}"),
        ("transport", host.transport),
        ("login", host.login),
        ("pinned keys", "\n".join(host.host_keys) or "none: the login's known_hosts decides"),
        ("profile", host.profile or "unmanaged: reported, never patched"),
        ("package manager", host.manager or "unknown"),
        ("window", host.window or "none"),
        ("labels", _labels(host)),
        ("marks", _marks(host)),
    ):
        table.add_row(key, Text(spelled_lines(value)))
    return table


def _tenant_line(fleet: Fleet, tenant: Tenant) -> str:
    hosts = fleet.hosts_of(tenant.name)
    critical = sum(host.critical for host in hosts)
    unmanaged = sum(not host.profile for host in hosts)
    approvers = ", ".join(tenant.approvers) or "nobody"
    eyes = " (four eyes)" if tenant.four_eyes else ""
    return (
        f"company {tenant.name}: {_count(hosts, 'host')}, {critical} critical, "
        f"{unmanaged} unmanaged; approves: {approvers}{eyes}"
    )


def _rollout_lines(fleet: Fleet, key: RolloutKey) -> list[str]:
    window = fleet.window(key.window)
    lines = [
        f"rollout {key}: {_count(fleet.members(key), 'host')}, from {window.start:%H:%M} "
        f"{window.zone} for {format_duration(window.duration)}"
    ]
    placements = place(fleet.profile(key.profile), fleet.members(key))
    return lines + [_wave_line(placement) for placement in placements]


def _wave_line(placement: Placement) -> str:
    names = ", ".join(host.name for host in placement.hosts) or "no hosts here, left out"
    return f"  {placement.wave.name}: {names}"


def _count(things: Iterable[object], one: str, many: str = "") -> str:
    number = sum(1 for _ in things)
    return f"{number} {one if number == 1 else many or one + 's'}"


def _labels(host: Host) -> str:
    return ", ".join(f"{key}={value}" for key, value in host.labels.items()) or "none"


def _marks(host: Host) -> str:
    marks = {"critical": host.critical, "exposed": host.exposed, "simulated": host.simulated}
    return ", ".join(mark for mark, holds in marks.items() if holds) or "none"
