"""When another round of the same change helps. Pure.

One more try after a restart heals much of what fails; a third one heals nothing. An update that
succeeded and is offered again is no case for another round: it is a loop.
"""

from collections.abc import Sequence

from wavemend.hosts import Facts
from wavemend.managers import NextRound
from wavemend.managers.windows_update.naming import CHOCOLATEY
from wavemend.managers.windows_update.report import Item, ItemState, Report, read_report
from wavemend.packages import JobEnd, Target
from wavemend.rounds import MAX_ROUNDS
from wavemend.windows.hresults import Action, explain

_BLOCKED = 4
"""Exit status of a worker that left updates for after a restart."""
_UNTOLD = Item(state=ItemState.SKIPPED, reason="reboot_first", hresult="")
"""What such a worker said of an update where its log is lost."""

_AGAIN = frozenset({Action.RETRY, Action.WAIT, Action.RESTART_AND_RETRY})
_NOT_BEGUN = frozenset({"not_offered", "reboot_first", "stopped"})
"""Reasons that another round may take away: what was not offered is offered now."""


def next_round(
    targets: Sequence[Target], after: Facts, end: JobEnd, *, rounds: int, restarted: bool
) -> NextRound:
    """Return the targets that another round would bring in, and whether a restart comes first."""
    if rounds >= MAX_ROUNDS or after.index_errors:
        return NextRound()
    offered = {(update.arch, update.candidate) for update in after.pending if not update.withheld}
    left = tuple(
        target
        for target in sorted(targets)
        if after.version_of(target.name, target.arch) != target.version
        and ((target.arch, target.version) in offered or target.arch == CHOCOLATEY)
    )
    report = read_report(end.log)
    if end.exit_status is None:
        return _interrupted(left, report, restarted=restarted)
    blocked = end.exit_status == _BLOCKED
    items = {target: report.of(target) or (_UNTOLD if blocked else None) for target in left}
    again = {t: item for t, item in items.items() if item and _helps(t, item, rounds)}
    if not again:
        return NextRound()
    if rounds > 1 and report.began_nothing and all(map(_needs_restart, again.values())):
        reasons = "; ".join(after.reboot_reasons) or "the host does not say what"
        return NextRound(reason=f"what asks for a restart stays after one: {reasons}"[:300])
    target, item = next(iter(again.items()))
    return NextRound(
        targets=tuple(again),
        reboot_first=not restarted and any(map(_needs_restart, again.values())),
        reason=f"{target.name}: {item.words}"[:300],
    )


def _interrupted(left: Sequence[Target], report: Report, *, restarted: bool) -> NextRound:
    """Go on after a restart that came in the middle of the job; without one nobody knows why."""
    items = {target: report.of(target) for target in left}
    again = tuple(
        target
        for target, item in items.items()
        if restarted and (item is None or item.state is not ItemState.SUCCEEDED)
    )
    if not again:
        return NextRound()
    return NextRound(targets=again, reason="a restart came in the middle of the job")


def _helps(target: Target, item: Item, rounds: int) -> bool:
    """Say whether to try an update again: one that was not begun for its turn, or once.

    What fails of Chocolatey's packages is not worth a restart of the host.
    """
    if item.state is ItemState.SKIPPED:
        return item.reason in _NOT_BEGUN
    if item.state is ItemState.SUCCEEDED or target.arch == CHOCOLATEY or rounds > 1:
        return False
    return bool(item.hresult) and explain(item.hresult).action in _AGAIN


def _needs_restart(item: Item) -> bool:
    if item.state is ItemState.SKIPPED:
        return item.reason == "reboot_first"
    return explain(item.hresult).action is Action.RESTART_AND_RETRY
