"""Restore points after the change: how long each stays, removing what is due, finding orphans."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

from sqlmodel import Session

from wavemend.errors import PlanError
from wavemend.execution.hands import Hands
from wavemend.execution.restore_points import asking, snapshotter
from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger import restore_points, rollbacks
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.ledger.intake import current_fleet, fleet_of
from wavemend.ledger.point_stays import stays_of
from wavemend.ledger.restore_points import NOTHING_MADE
from wavemend.ledger.rollouts import get_rollout, read_plan, stopped
from wavemend.plans import Plan
from wavemend.policy.care import RestorePointRule
from wavemend.snapshots import Found, Listing
from wavemend.snapshots.listed import going_words

ACTOR = "tidy"
"""Who moves points on, in the audit chain."""

HOSTS_AT_ONCE = 16
"""Hosts whose points are listed at the same time."""

POINTS_AT_ONCE = 50
"""Points that are decided in one transaction: it takes a fraction of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """What became of one point whose time was over. `trouble`: why it may still be there."""

    host: str
    name: str
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """A point that is and should not be, or is not and should be; or nobody could say."""

    host: str
    name: str
    what: str


def decide_stays(hands: Hands) -> int:
    """Write down how long the points of finished rollouts stay; return how many were decided.

    A rollout at a time, and a few points in each transaction: leases are renewed in between.
    """
    with hands.ledger.reading() as book:
        undecided = restore_points.undecided_points(book)
    decided = 0
    for rollout, group in groupby(undecided, key=lambda point: point.rollout_id):
        points = {point.host: point for point in group}
        with hands.ledger.reading() as book:
            keep = _rule_of_rollout(book, rollout).keep
            stays = stays_of(book, rollout, points, keep)
        for at in range(0, len(stays), POINTS_AT_ONCE):
            with hands.ledger.writing() as book:
                for stay in stays[at : at + POINTS_AT_ONCE]:
                    restore_points.decide_stay(
                        book, points[stay.host], stay.until, actor=ACTOR, now=hands.clock()
                    )
        decided += len(stays)
    return decided


def due_points(hands: Hands) -> tuple[RestorePointRow, ...]:
    """Return the points whose time is over; none that the kill switch keeps.

    Whoever stops everything may want to take hosts back next.
    """
    if hands.local_stop():
        return ()
    with hands.ledger.reading() as book:
        due = restore_points.due_points(book, hands.clock())
        return tuple(
            point for point in due if not stopped(book, get_rollout(book, point.rollout_id).tenant)
        )


def remove_point(hands: Hands, point: RestorePointRow, *, actor: str, reason: str = "") -> Tidied:
    """Remove one point and write down that it is gone, after it is not listed any more.

    One that cannot be removed stays due: the next run tries again, and the orphan report names it.
    One that is in use, is about to be, or by now is to stay, is left alone.
    """
    if actor == ACTOR and (stop := hands.local_stop()):
        return Tidied(host=point.host, name=point.name, trouble=f"stopped: {stop}")
    with hands.ledger.writing() as book:
        trouble = rollbacks.waits_for_boot(book, point.host) or restore_points.begin_removal(
            book, point, actor=actor, only_due=actor == ACTOR, now=hands.clock()
        )
    if trouble:
        return Tidied(host=point.host, name=point.name, trouble=trouble)
    with hands.ledger.reading() as book:
        fleet = current_fleet(book)
        rule = _rule_of_rollout(book, point.rollout_id)
        host = _host_of(book, fleet, point)
    with asking(hands, host) as ask:
        try:
            trouble = snapshotter(rule).remove(ask, host, point.name)
        except PlanError as error:
            trouble = str(error)
    if trouble:
        trouble += _left(fleet, point.host)
    with hands.ledger.writing() as book:
        restore_points.end_removal(
            book, point, trouble=trouble, actor=actor, now=hands.clock(), reason=reason
        )
    return Tidied(host=point.host, name=point.name, trouble=trouble)


def forget_point(hands: Hands, point: RestorePointRow, *, actor: str, reason: str) -> str:
    """Believe an operator that a point is gone with its host; return why not, or nothing.

    Only where the host has left the fleet: any other is asked.
    """
    with hands.ledger.writing() as book:
        if _has(current_fleet(book), point.host):
            return "its host is in the fleet: --remove asks it, and finds what is gone"
        return restore_points.forget(book, point, actor=actor, reason=reason, now=hands.clock())


def _has(fleet: Fleet, name: str) -> bool:
    return any(host.name == name for host in fleet.hosts)


def _left(fleet: Fleet, host: str) -> str:
    """Return what is said besides of a host that has left the fleet; nothing of others."""
    if _has(fleet, host):
        return ""
    return "; its host has left the fleet: if gone for good, `wavemend restore-points --forget`"


def odd_points(hands: Hands, fleet: Fleet) -> tuple[Odd, ...]:
    """List every point of ours on all hosts and backends, and compare with the ledger.

    A host is asked by the profile it has now, and by those its standing points were made by.
    Nothing is removed: what another installation made looks the same.
    """
    with hands.ledger.reading() as book:
        rows = restore_points.standing_points(book)
        asked = _to_ask(book, fleet, rows)
    with ThreadPoolExecutor(max_workers=HOSTS_AT_ONCE) as pool:
        listings = list(pool.map(lambda each: _listed(hands, *each), asked))
    known = {row.name for row in rows}
    seen: dict[str, tuple[str, Found]] = {}
    odd = []
    for (host, _), listing in zip(asked, listings, strict=True):
        if listing.trouble:
            what = f"cannot be listed: {listing.trouble}{_left(fleet, host.name)}"
            odd.append(Odd(host=host.name, name="", what=what))
        for found in listing.found:
            seen.setdefault(found.name, (host.name, found))
    unseen = {found.host for found in odd}
    for name, (where, found) in sorted(seen.items()):
        if name not in known:
            what = "the ledger has no such point, or has it as removed"
            odd.append(Odd(host=where, name=name, what=what))
        elif found.going:
            odd.append(Odd(host=where, name=name, what=going_words(found)))
    for row in rows:
        if row.proven and row.name not in seen and row.host not in unseen:
            what = f"{row.state}, and is not listed any more{_left(fleet, row.host)}"
            odd.append(Odd(host=row.host, name=row.name, what=what))
    return tuple(sorted(odd, key=lambda found: (found.host, found.name)))


def _to_ask(
    book: Session, fleet: Fleet, rows: Sequence[RestorePointRow]
) -> list[tuple[Host, RestorePointRule]]:
    """Return each host with each way its points are listed, once, by host."""
    asked = {
        (host.name, _way_to_list(fleet.profile(host.profile).restore_point)): host
        for host in fleet.hosts
        if host.profile
    }
    for row in rows:
        rule = _way_to_list(_rule_of_rollout(book, row.rollout_id))
        asked.setdefault((row.host, rule), _host_of(book, fleet, row))
    ordered = sorted(asked.items(), key=lambda item: (item[0][0], repr(item[0][1])))
    return [(host, rule) for (_, rule), host in ordered if rule.kind != NOTHING_MADE]


def _way_to_list(rule: RestorePointRule) -> RestorePointRule:
    """Return what a list depends on: rules that differ in the rest list the same points."""
    return RestorePointRule(kind=rule.kind, of=rule.of, find=rule.find)


def _listed(hands: Hands, host: Host, rule: RestorePointRule) -> Listing:
    with asking(hands, host) as ask:
        try:
            return snapshotter(rule).listed(ask, host)
        except PlanError as error:
            return Listing(trouble=str(error))


def _fleet_of_rollout(book: Session, rollout_id: str) -> tuple[Plan, Fleet]:
    plan = read_plan(book, rollout_id)
    if plan is None:
        raise PlanError(f"rollout {rollout_id} has restore points and no plan")
    return plan, fleet_of(book, plan.fleet_digest)


def _rule_of_rollout(book: Session, rollout_id: str) -> RestorePointRule:
    """Return the rule its points were made by: that of the fleet its plan was made for."""
    plan, fleet = _fleet_of_rollout(book, rollout_id)
    return fleet.profile(plan.profile).restore_point


def _host_of(book: Session, in_force: Fleet, point: RestorePointRow) -> Host:
    """Return a point's host as it is reached now; one that has left the fleet as it was then."""
    if _has(in_force, point.host):
        return in_force.host(point.host)
    _, fleet = _fleet_of_rollout(book, point.rollout_id)
    return fleet.host(point.host)
