"""`wavemend manager`: try a declaration on a host before a fleet relies on it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.cli.here import ledger_here
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import keep_whole, plain_table, screen
from wavemend.declarations import Action, Declaration
from wavemend.ledger.intake import current_fleet

if TYPE_CHECKING:
    from wavemend.testing.manager_contract import Checked

FAILED = 2
"""Exit status when a check failed."""

app = cyclopts.App(name="manager", help="Try declarations of managers; see examples/managers.")


@app.command
def check(
    file: Path,
    *,
    host: Annotated[str, Parameter(help="Host of the fleet in force it is tried on.")] = "",
    dry: Annotated[bool, Parameter(help="Only read the file; contact nobody.")] = False,
    apply: Annotated[
        str, Parameter(help="Also install this version for real, and take it back.")
    ] = "",
    item: Annotated[str, Parameter(help="The item for --apply, where there are several.")] = "",
    confirm: Annotated[str, Parameter(help="The host's name again; --apply needs it.")] = "",
) -> int:
    """Try a declaration on a host, check by check; exit status 2 when one fails.

    Nothing is changed without --apply. With it the host must not be critical, its window must be
    open, no calendar may forbid it, and no rollout of its company may be under way.

    Parameters
    ----------
    file
        The declaration.
    """
    from wavemend.inventory.manager_file import load_declaration

    declaration = load_declaration(file, file.stem)
    if dry or not host:
        _show(declaration)
        say(f"{file}: the file is right; --host NAME tries it")
        return 0
    found = _tried(declaration, host, apply, item, confirm)
    _print(found)
    results = [str(checked.verdict) for checked in found]
    bad, unseen = results.count("FAILED"), results.count("not seen")
    say(f"{file} on {host}: {len(found)} checks, {bad} failed, {unseen} could not be seen")
    return FAILED if bad else 0


@app.command
def schema(*, markdown: bool = False) -> None:
    """Print the JSON Schema of declarations, for editors.

    Parameters
    ----------
    markdown
        Print the reference page instead.
    """
    from wavemend.inventory.manager_docs import manager_reference, manager_schema_text

    print(manager_reference() if markdown else manager_schema_text(), end="")


def _tried(
    declaration: Declaration, name: str, version: str, item: str, confirm: str
) -> "tuple[Checked, ...]":
    from wavemend.cli.manager_check import may_change, try_change, try_out

    ledger = ledger_here()
    with ledger.reading() as book:
        fleet = current_fleet(book)
    host = fleet.host(name)
    if not version:
        return try_out(ledger, fleet, host, declaration)
    may_change(ledger, fleet, host, confirm)
    return tuple(try_change(ledger, fleet, host, declaration, item=item, version=version))


def _print(found: "Iterable[Checked]") -> None:
    table = keep_whole(plain_table("Checks", ("Check", "Result", "Seen", "What to do")), "Result")
    for checked in found:
        add_row(table, checked.name, checked.verdict, checked.said, checked.way_out)
    screen().print(table)


def _show(declaration: Declaration) -> None:
    table = plain_table(declaration.title, ("For", "Command"))
    for part, words in _commands(declaration):
        add_row(table, part, " ".join(words))
    screen().print(table)


def _commands(declaration: Declaration) -> Iterator[tuple[str, tuple[str, ...]]]:
    rehearsal = declaration.rehearse
    looks = {
        "installed": declaration.installed,
        "available": declaration.available,
        "running": declaration.running,
        "verify": declaration.verify,
        "rehearse": rehearsal.reading if rehearsal else None,
        "kept": declaration.kept,
    }
    yield from ((part, reading.run) for part, reading in looks.items() if reading)
    actions: dict[str, Action | None] = {
        "apply": declaration.apply,
        "roll back": declaration.roll_back,
        "repair": declaration.repair,
    }
    yield from ((part, step) for part, action in actions.items() if action for step in action.steps)
    yield "reboot", declaration.reboot
