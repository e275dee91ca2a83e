"""`wavemend ready`: which hosts are fit for their next window, as last checked."""

from typing import Annotated

from cyclopts import Parameter

from wavemend.cli.here import ledger_here
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import is_wide, plain_table, screen
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.readiness import Checked, newest_checks
from wavemend.simulated import named

NOT_READY = 2
"""Exit status when a host is not ready, or was never checked."""


def ready(
    *, tenant: Annotated[str, Parameter(help="Only this company; all of them without it.")] = ""
) -> int:
    """Say which hosts were ready at their last check, what is wrong with the others, what to do.

    Checks run a day and half an hour before each window, and before each wave.
    """
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
        checks = {checked.readiness.host: checked for checked in newest_checks(book, tenant=tenant)}
    if tenant:
        fleet.tenant(tenant)  # a misspelt company would look ready
    hosts = [host for host in fleet.hosts if host.profile and tenant in {"", host.tenant}]
    console = screen()
    more = ("Found",) if is_wide(console) else ()
    table = plain_table("Ready?", ("Host", "Ready", "Checked", "For", *more))
    below: list[str] = []
    for host in hosts:
        told = _problems(checks.get(host.name))
        cells = (*_cells(checks.get(host.name)), *(("; ".join(told),) if more else ()))
        name = named(host.name, simulated=host.simulated)
        add_row(table, name, *cells)
        below += [f"{name}: {line}" for line in told]
    console.print(table)
    for line in () if more else below:
        say(line)
    fit = sum(_is_fit(checks.get(host.name)) for host in hosts)
    say(f"{fit} of {len(hosts)} hosts were ready when they were looked at last")
    return 0 if fit == len(hosts) else NOT_READY


def _is_fit(checked: Checked | None) -> bool:
    return checked is not None and checked.readiness.ready


def _cells(checked: Checked | None) -> tuple[str, str, str]:
    """Return ready or not, when that was seen, and for which opening."""
    if checked is None:
        return "unknown", "never", ""
    answer = "yes" if checked.readiness.ready else "NO"
    occasion = f"{checked.occasion.name} {checked.occasion.window}"
    return answer, f"{checked.at:%Y-%m-%d %H:%MZ}", occasion


def _problems(checked: Checked | None) -> list[str]:
    problems = checked.readiness.problems if checked else ()
    return [f"{found} ({found.hint})" if found.hint else str(found) for found in problems]
