"""`wavemend fleet apply`: make a checked fleet file the one in force."""

from pathlib import Path

from wavemend.cli.here import here, operator
from wavemend.cli.moments import judge_anew
from wavemend.cli.shown import say
from wavemend.inventory import INVENTORIES
from wavemend.ledger.intake import apply_fleet
from wavemend.site import utc_now


def apply(file: Path) -> None:
    """Check a fleet file and make it the one in force; a mistake changes nothing.

    Every host's last look is judged anew by it: waivers, profiles and labels may be others now.

    Parameters
    ----------
    file
        The fleet file.
    """
    fleet = INVENTORIES["file"]()(file.resolve())
    ledger = here().open_ledger()
    with ledger.writing() as book:
        changed = apply_fleet(book, fleet, actor=operator(), now=utc_now())
    state = "is in force now" if changed else "is in force already"
    say(f"{file}: {len(fleet.hosts)} hosts, {fleet.digest} {state}.")
    for line in judge_anew(ledger):
        say(line)
