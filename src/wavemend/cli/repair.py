"""`wavemend repair`: finish what an earlier transaction left half done, after a signature."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from cyclopts import Parameter
from sqlmodel import Session

from wavemend.cli.here import ledger_here, operator
from wavemend.cli.rollouts import ask_for
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import plain_table, screen
from wavemend.errors import FleetError
from wavemend.fleet import Fleet, RolloutKey
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.scans import newest_seen_look
from wavemend.observations import Look
from wavemend.simulated import naming


def repair(
    tenant: str,
    *,
    profile: Annotated[str, Parameter(help="Only the hosts of this profile.")] = "",
    window: Annotated[str, Parameter(help="Only the hosts of this window.")] = "",
    as_: Annotated[
        str, Parameter(name="--as", help="Your name in the list of signers, for four eyes.")
    ] = "",
    preview: Annotated[bool, Parameter(negative=(), help="Only say what is half done.")] = False,
) -> int:
    """Repair a company's hosts whose package database is broken, in their window.

    Goes by the last look at each host. Shows what is half done, and asks for a rollout that brings
    no version in; nothing is done to a host before an approver has signed its plan.
    """
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
        keys = _keys(fleet, tenant, profile, window)
        looks = {key: _looks(book, fleet, key) for key in keys}
    half_done = {key: _half_done(seen) for key, seen in looks.items()}
    _show([look for key in keys for look in half_done[key]], naming(fleet.hosts))
    _say_unseen(looks, naming(fleet.hosts))
    keys = [key for key in keys if half_done[key]]
    if not keys:
        say(f"nothing is half done on the hosts of {tenant}, as they were last seen")
    elif preview:
        say("nothing was asked for; without --preview this is repaired")
    else:
        _need_approver(fleet, tenant)
        for key in keys:
            ask_for(fleet, key, as_ or operator())
    return 0


def _keys(fleet: Fleet, tenant: str, profile: str, window: str) -> list[RolloutKey]:
    """Return the repairs that were asked for. Raises FleetError where there can be none."""
    fleet.tenant(tenant)
    mine = [key for key in fleet.repairs() if key.tenant == tenant]
    keys = [k for k in mine if profile in {"", k.profile} and window in {"", k.window}]
    if not keys:
        known = ", ".join(f"{key.profile} in {key.window}" for key in mine) or "none"
        raise FleetError(f"no hosts of {tenant} match", hint=f"profiles and windows: {known}")
    return keys


def _looks(book: Session, fleet: Fleet, key: RolloutKey) -> dict[str, Look | None]:
    """Return by host the last look that saw it; None: it was never seen."""
    found = {host.name: newest_seen_look(book, host.name) for host in fleet.members(key)}
    return {name: seen[1] if seen else None for name, seen in found.items()}


def _half_done(looks: Mapping[str, Look | None]) -> list[Look]:
    return [look for look in looks.values() if look and look.facts and look.facts.defects]


def _show(half_done: Sequence[Look], called: Callable[[str], str]) -> None:
    if not half_done:
        return
    table = plain_table("Half done", ("Host", "Seen", "What"))
    for look in half_done:
        defects = look.facts.defects if look.facts else ()
        add_row(table, called(look.host), f"{look.at:%Y-%m-%d %H:%MZ}", "; ".join(defects))
    screen().print(table)


def _say_unseen(
    looks: Mapping[RolloutKey, Mapping[str, Look | None]], called: Callable[[str], str]
) -> None:
    unseen = sorted(
        called(name) for seen in looks.values() for name, look in seen.items() if look is None
    )
    if unseen:
        say(f"never seen, so nobody knows: {', '.join(unseen)}")


def _need_approver(fleet: Fleet, tenant: str) -> None:
    """Raises FleetError when a rollout would wait for a signature that nobody may give."""
    if not fleet.tenant(tenant).approvers:
        raise FleetError(
            f"nobody may approve for {tenant}, and no host is repaired without a signature",
            hint="name its `approvers` in the fleet file",
        )
