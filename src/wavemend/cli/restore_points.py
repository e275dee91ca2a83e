"""`wavemend restore-points`: what stands, what is due, what nobody knows of."""

from typing import Annotated

from cyclopts import Parameter

from wavemend.cli.here import here, ledger_here, operator
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import plain_table, screen
from wavemend.cli.view import refuse_everybody
from wavemend.errors import LedgerError
from wavemend.execution.hands import Hands
from wavemend.ledger import restore_points
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.restore_points import NOTHING_MADE, STANDING, PointState
from wavemend.simulated import naming
from wavemend.site import hands_of
from wavemend.steps.restore_points import forget_point, odd_points, remove_point


def points(
    *,
    orphans: Annotated[
        bool, Parameter(help="Ask every host and backend, and show what should not be there.")
    ] = False,
    remove: Annotated[str, Parameter(help="Remove this host's point; needs --rollout.")] = "",
    forget: Annotated[
        str,
        Parameter(
            help="Note that this host's point is gone with the host, which has left the fleet; "
            "needs --rollout and --reason."
        ),
    ] = "",
    rollout: Annotated[str, Parameter(help="Rollout whose point is meant.")] = "",
    reason: Annotated[str, Parameter(help="Why, in one sentence; it is recorded.")] = "",
) -> int:
    """Show the restore points that stand; exit status 1 when --orphans finds something."""
    if orphans:
        refuse_everybody("restore-points --orphans")
    ledger = ledger_here()
    with ledger.reading() as book:
        fleet = current_fleet(book)
        standing = restore_points.standing_points(book)
    hands, called = hands_of(here(), ledger, fleet), naming(fleet.hosts)
    if remove:
        return _remove(hands, rollout, remove, reason)
    if forget:
        return _forget(hands, rollout, forget, reason)
    if orphans:
        odd = odd_points(hands, fleet)
        for each in odd:
            say(f"{called(each.host)}: {each.name or 'restore points'}: {each.what}")
        say(f"{len(odd)} to look at; nothing was removed")
        return 1 if odd else 0
    table = plain_table("Restore points", ("Host", "Rollout", "Kind", "Name", "Stays until"))
    there = {host.name for host in fleet.hosts}
    for row in standing:
        left = "" if row.host in there else "; its host has left the fleet"
        stays = f"{_stays(row)}{left}"
        add_row(table, called(row.host), row.rollout_id, row.kind, row.name, stays)
    screen().print(table)
    return 0


def _stays(row: RestorePointRow) -> str:
    if row.state == PointState.KEPT:
        return "a person removes it"
    if row.state == PointState.REMOVING:
        return "it is being removed"
    if row.remove_after is None:  # its rollout goes on, or its host waits for a restart
        return "not decided"
    return f"{row.remove_after:%Y-%m-%d %H:%MZ}"


def _standing(hands: Hands, rollout: str, host: str) -> RestorePointRow:
    """Return the point that is meant. Raises LedgerError when none such stands."""
    with hands.ledger.reading() as book:
        point = restore_points.point_of(book, rollout, host)
    if point is None or point.state not in STANDING or point.kind == NOTHING_MADE:
        raise LedgerError(
            f"rollout {rollout or '(none named)'} has no restore point of {host} that stands",
            hint="`wavemend restore-points` shows those that do",
        )
    return point


def _forget(hands: Hands, rollout: str, host: str, reason: str) -> int:
    point = _standing(hands, rollout, host)
    if not reason.strip():
        raise LedgerError(
            f"{point.name} is not forgotten without a reason",
            hint='say what became of its host: --reason "its disks were shredded"',
        )
    if trouble := forget_point(hands, point, actor=operator(), reason=reason):
        raise LedgerError(f"{point.name} is not forgotten: {trouble}")
    say(f"{point.name} of {host} is noted as gone; it will not be asked about any more")
    return 0


def _remove(hands: Hands, rollout: str, host: str, reason: str) -> int:
    point = _standing(hands, rollout, host)
    done = remove_point(hands, point, actor=operator(), reason=reason or "removed by hand")
    if done.trouble:
        raise LedgerError(f"{done.name} may still be there: {done.trouble}")
    say(f"{done.name} of {host} is removed, and not listed any more")
    return 0
