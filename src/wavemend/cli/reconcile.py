"""`wavemend reconcile`: take over what hosts remember and this ledger has forgotten."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from cyclopts import Parameter

from wavemend.cli.here import here, ledger_here, operator
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import plain_table, screen
from wavemend.ledger.intake import current_fleet
from wavemend.simulated import naming
from wavemend.site import hands_of
from wavemend.steps.reconcile import Reconciled, reconcile_host

AT_ONCE = 16

TROUBLE = 2
"""Exit status when a host could not be asked, or is not believed."""


def reconcile(
    *,
    reason: Annotated[str, Parameter(help="Why: which backup was restored, and when.")],
    host: Annotated[str, Parameter(help="Only this host; all of them without it.")] = "",
) -> int:
    """Read the hosts' own journals and write down what this ledger does not know of.

    Needed after an older copy of the ledger was restored: hosts with unknown changes are not
    patched until then. Nothing is changed on hosts. Run it where the hosts can be reached.
    """
    site, ledger = here(), ledger_here()
    with ledger.reading() as book:
        fleet = current_fleet(book)
    hosts = (fleet.host(host),) if host else tuple(h for h in fleet.hosts if h.profile)
    hands, who = hands_of(site, ledger, fleet), operator()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(
            pool.map(lambda one: reconcile_host(hands, one, actor=who, reason=reason), hosts)
        )
    _show(found, naming(fleet.hosts))
    return TROUBLE if any(one.trouble for one in found) else 0


def _show(found: list[Reconciled], called: Callable[[str], str]) -> None:
    console = screen()
    table = plain_table("Journals", ("Host", "Begun", "Learned", "Damaged"))
    for one in found:
        add_row(table, called(one.host), str(one.begun), str(len(one.learned)), str(one.damaged))
    console.print(table)
    for one in found:
        if one.trouble:
            say(f"{called(one.host)}: {one.trouble}")
        for stranger in one.learned:
            begun = f"{stranger.begun_at:%Y-%m-%d %H:%MZ}" if stranger.begun_at else "unknown"
            end = "not ended" if stranger.exit_status is None else f"exit {stranger.exit_status}"
            say(f"{called(one.host)}: {stranger.attempt_id} begun {begun}, {end}")
    say(f"{sum(len(one.learned) for one in found)} changes learned from {len(found)} hosts")
