"""`wavemend fleet apply`: show what a checked fleet file changes, ask, and put it in force."""

import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wavemend.cli.here import has_ledger, here, operator
from wavemend.cli.moments import counted, judge_anew
from wavemend.cli.shown import say
from wavemend.errors import FleetError
from wavemend.fleet import Fleet
from wavemend.fleet_changes import (
    FREE_REMOVALS,
    FREE_SHARE,
    Losses,
    SectionChange,
    changes,
    is_mass_removal,
    losses,
)
from wavemend.inventory.fleet_file import read_fleet
from wavemend.inventory.merging import lines_of
from wavemend.ledger.intake import apply_fleet, current_fleet, digest_in_force
from wavemend.ledger.unfinished import unfinished_on
from wavemend.site import utc_now

SHOWN = 40
"""Entries of each section that are listed; the rest is counted."""

NAMED = 10
"""Hosts named for each way of leaving; the rest is counted."""


def apply(
    file: Path,
    *,
    yes: Annotated[bool, Parameter(negative=(), help="Do not ask; for automation.")] = False,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only show what would change.")] = False,
    remove_hosts: Annotated[
        int | None,
        Parameter(
            help="Number of hosts that go, out of the fleet, out of every profile or to another "
            f"company, where more than {FREE_REMOVALS} or {FREE_SHARE}% do."
        ),
    ] = None,
    abandon: Annotated[
        tuple[str, ...],
        Parameter(negative=(), help="A host that may go although a change on it has not ended."),
    ] = (),
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="List every difference.")
    ] = False,
) -> int:
    """Check a fleet file, show what it changes, and make it the one in force after a yes.

    A mistake changes nothing. Every host's last look is judged anew by the new fleet: waivers,
    profiles and labels may be others now.

    Parameters
    ----------
    file
        The fleet file.
    """
    fleet, notes = read_fleet(file.resolve())
    for line in lines_of(notes, verbose=False):
        say(line)
    current, busy = _in_force(fleet)
    if current is not None and current.digest == fleet.digest:
        hosts = counted(len(fleet.hosts), "host")
        say(f"{file}: {hosts}, {fleet.digest} is in force already: nothing changes.")
    elif current is not None:
        lost = losses(current, fleet)
        lines = difference_lines(changes(current, fleet), None if all_ else SHOWN)
        for line in (*lines, *loss_lines(lost)):
            say(line)
        _refuse_mass_removal(current, len(lost.leaving), remove_hosts)
        _refuse_unfinished(busy, abandon)
    if dry_run:
        say("nothing was done: --dry-run")
        return 0
    if current is not None and current.digest != fleet.digest and not yes:
        _ask()
    ledger = here().open_ledger()
    with ledger.writing() as book:
        before = current.digest if current else ""
        changed = apply_fleet(book, fleet, actor=operator(), now=utc_now(), replacing=before)
    if changed:
        say(f"{file}: {counted(len(fleet.hosts), 'host')}, {fleet.digest} is in force now.")
    for line in judge_anew(ledger):
        say(line)
    return 0


def difference_lines(found: Collection[SectionChange], most: int | None) -> Iterator[str]:
    """Yield what differs, `+` added, `-` removed, `~` changed; at most so many for a section."""
    for one in found:
        total = len(one.added) + len(one.removed) + len(one.changed)
        numbers = f"{len(one.added)} added, {len(one.removed)} removed, {len(one.changed)} changed"
        yield f"{one.section}: {numbers}"
        if one.reordered:
            yield "  their order changed, and it decides between equals"
        lines = [f"  - {name}" for name in one.removed]
        lines += [f"  + {name}" for name in one.added]
        for name, fields in one.changed:
            lines += [f"  ~ {name}: {each.field}: {each.old} -> {each.new}" for each in fields]
        yield from lines[:most]
        if most is not None and len(lines) > most:
            yield f"  and {len(lines) - most} more lines of {total}: --all shows them"


def loss_lines(lost: Losses) -> Iterator[str]:
    """Yield a line for each way in which hosts leave somebody's care, or need no approval."""
    for names, what in (
        (lost.gone, "would be out of the fleet"),
        (lost.unmanaged, "would be covered by no profile or only simulated: nobody patches them"),
        (lost.moved, "would be another company's"),
        (lost.uncritical, "would not be critical any more: changed without a signed approval"),
    ):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            named = f"{', '.join(names[:NAMED])}{more}"
            yield f"LOOK: {counted(len(names), 'host')} {what} ({named})"


def _in_force(fleet: Fleet) -> tuple[Fleet | None, dict[str, str]]:
    """Return the fleet in force, and what is under way on hosts that would go."""
    if not has_ledger():
        return None, {}
    with here().open_ledger().reading() as book:
        if not digest_in_force(book):
            return None, {}
        current = current_fleet(book)
        return current, unfinished_on(book, losses(current, fleet).leaving)


def _refuse_mass_removal(current: Fleet, gone: int, said: int | None) -> None:
    if said is not None and said != gone:
        raise FleetError(
            f"--remove-hosts {said} was said, and {counted(gone, 'host')} would go",
            hint="look at the list above; name their exact number",
        )
    if said is None and is_mass_removal(current, gone):
        total = counted(len(current.hosts), "host")
        raise FleetError(
            f"{gone} of {total} would go: out of the fleet, out of every profile, or to another "
            "company",
            hint=f"is a file cut off, a label mistyped? If they are to go: --remove-hosts {gone}",
        )


def _refuse_unfinished(busy: dict[str, str], abandon: Collection[str]) -> None:
    left = {host: what for host, what in busy.items() if host not in abandon}
    if left:
        told = "; ".join(f"{host}: {what}" for host, what in left.items())
        raise FleetError(
            f"a change goes on on hosts that would go: {told}",
            hint="wait for its end, or say `--abandon HOST` for each: nobody collects it then",
        )


def _ask() -> None:
    """Raises FleetError where nobody says yes."""
    if not sys.stdin.isatty():
        raise FleetError(
            "nobody is here to ask whether this is right, and nothing was changed",
            hint="look at it with --dry-run, then say --yes",
        )
    if input("Put this fleet in force? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise FleetError("nothing was changed", hint="`yes` puts it in force")
