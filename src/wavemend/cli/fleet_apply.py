"""`wavemend fleet apply`: make a checked fleet file the one in force."""

from pathlib import Path

from wavemend.cli.here import here, operator
from wavemend.cli.shown import say
from wavemend.inventory import INVENTORIES
from wavemend.ledger.intake import apply_fleet
from wavemend.site import utc_now


def apply(file: Path) -> None:
    """Check a fleet file and make it the one in force; a mistake changes nothing.

    Parameters
    ----------
    file
        The fleet file.
    """
    fleet = INVENTORIES["file"]()(file.resolve())
    with here().open_ledger().writing() as book:
        changed = apply_fleet(book, fleet, actor=operator(), now=utc_now())
    state = "is in force now" if changed else "is in force already"
    say(f"{file}: {len(fleet.hosts)} hosts, {fleet.digest} {state}")
