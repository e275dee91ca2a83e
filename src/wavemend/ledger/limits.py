"""Who is out, and whether that keeps another host from being started, over all rollouts together.

A host is out from its intent, which precedes its drain, until its attempt ended well, and while a
rollback of it runs. One that ended badly stays out until it was proven well: by a later attempt
that ended well, by a rollback that ended as `rolled_back`, or by a person who says so
(`say_well`). A mere look proves nothing: it runs no probe. One that tonight's preflight could not
reach is out too.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from sqlmodel import Session, col, func, select

from wavemend.errors import LedgerConflict
from wavemend.fleet_limits import HostLimits, HostSet, Predecessors
from wavemend.ledger import audit
from wavemend.ledger.answers import Refused, Wait
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.ledger.rollouts import OPEN
from wavemend.ledger.tables import AttemptRow, RolloutRow, StepRow
from wavemend.outcomes import Outcome
from wavemend.rollout import AttemptState

_BAD = tuple(outcome.value for outcome in Outcome if outcome.is_bad)
_GOOD = tuple(outcome.value for outcome in Outcome if outcome.is_good)
_AT_ONCE = 500
"""Names in one query: far below what databases take, enough for one query in most cases."""

_NAMED = 5
"""Hosts named in a reason."""


def others_verdict(
    session: Session, tenant: str, host: str, limits: HostLimits, now: datetime
) -> Wait | Refused | None:
    """Say what other hosts keep this one from being started now; None when nothing does."""
    for before in limits.after:
        if answer := _order_verdict(session, tenant, host, before, now):
            return answer
    for group in limits.sets:
        if answer := _set_verdict(session, host, group, now):
            return answer
    return None


def _set_verdict(
    session: Session, host: str, group: HostSet, now: datetime
) -> Wait | Refused | None:
    others = [name for name in group.hosts if name != host]
    sick = unwell(session, others) | _unreached(session, others, now)
    if len(sick) >= group.most_out:
        # Waiting would never end: nobody is at work on them.
        return Refused(f"budget {group.name} is used up: {_some(sick)} not well")
    away = at_work(session, others) | sick
    if len(away) >= group.most_out:
        return Wait(f"budget {group.name}: {_some(away)} out already")
    return None


def _order_verdict(
    session: Session, tenant: str, host: str, before: Predecessors, now: datetime
) -> Wait | Refused | None:
    first = [name for name in before.hosts if name != host]
    if sick := unwell(session, first):
        return Refused(f"order {before.name}: {_some(sick)} not well")
    if busy := at_work(session, first):
        return Wait(f"order {before.name}: {_some(busy)} not done yet")
    due, idle = _taking_part(session, first, now)
    if idle:
        return Refused(f"order {before.name}: {_some(idle)} not changed tonight")
    if due:
        return Wait(f"order {before.name}: {_some(due)} not done yet")
    unplanned = select(RolloutRow.id, RolloutRow.profile, RolloutRow.window).where(
        RolloutRow.tenant == tenant,
        RolloutRow.state == OPEN,
        RolloutRow.plan_digest == "",
        col(RolloutRow.window_start) <= now,
        col(RolloutRow.window_end) > now,
    )
    for rollout, profile, window in session.exec(unplanned):
        if (profile, window) in before.rollouts:
            return Wait(f"order {before.name}: the rollout {rollout} has no plan yet")
    return None


def at_work(session: Session, hosts: Collection[str]) -> set[str]:
    """Return those of these hosts that are being changed, or taken back, right now."""
    found: set[str] = set()
    for some in _in_batches(hosts):
        # No outcome is the same as not ended, and there is an index on it.
        found.update(
            session.exec(
                select(AttemptRow.host).where(
                    col(AttemptRow.host).in_(some), AttemptRow.outcome == ""
                )
            )
        )
        found.update(
            session.exec(
                select(RollbackRow.host).where(
                    col(RollbackRow.host).in_(some), RollbackRow.state != AttemptState.ENDED
                )
            )
        )
    return found


def unwell(session: Session, hosts: Collection[str]) -> set[str]:
    """Return those of these hosts whose last change ended badly, and that nobody saw well since."""
    found: set[str] = set()
    for some in _in_batches(hosts):
        bad = _last_ends(session, some, _BAD)
        if not bad:
            continue
        well = _last_ends(session, tuple(bad), _GOOD)
        back = select(RollbackRow.host, func.max(RollbackRow.ended_at)).where(
            col(RollbackRow.host).in_(tuple(bad)), RollbackRow.outcome == Outcome.ROLLED_BACK
        )
        said = select(StepRow.step, func.max(StepRow.at)).where(
            col(StepRow.step).in_([_step(name) for name in bad])
        )
        taken_back = dict(session.exec(back.group_by(RollbackRow.host)).all())
        spoken_for = dict(session.exec(said.group_by(StepRow.step)).all())
        for name, ended in bad.items():
            proofs = (well.get(name), taken_back.get(name), spoken_for.get(_step(name)))
            if not any(proof is not None and proof >= ended for proof in proofs):
                found.add(name)
    return found


def say_well(session: Session, host: str, *, actor: str, reason: str, now: datetime) -> None:
    """Note that a person saw a host well: it uses no budget any more. Raises LedgerConflict."""
    query = select(AttemptRow).where(AttemptRow.host == host, col(AttemptRow.outcome).in_(_BAD))
    row = session.exec(query.order_by(col(AttemptRow.ended_at).desc()).limit(1)).first()
    if row is None or host not in unwell(session, (host,)):
        raise LedgerConflict(f"{host} is not out: no change of it ended badly since it was well")
    session.merge(
        StepRow(
            rollout_id=row.rollout_id, step=_step(host), at=now, detail=f"{reason} (by {actor})"
        )
    )
    audit.append(session, now, actor, "host.well", row.rollout_id, host=host, reason=reason)


def _last_ends(
    session: Session, hosts: Sequence[str], outcomes: Sequence[str]
) -> dict[str, datetime]:
    query = select(AttemptRow.host, func.max(AttemptRow.ended_at)).where(
        col(AttemptRow.host).in_(hosts), col(AttemptRow.outcome).in_(outcomes)
    )
    return {
        host: ended
        for host, ended in session.exec(query.group_by(AttemptRow.host))
        if ended is not None
    }


def _unreached(session: Session, hosts: Collection[str], now: datetime) -> set[str]:
    """Return those of these hosts that the preflight of a rollout of this night did not reach."""
    found: set[str] = set()
    for some in _in_batches(hosts):
        query = (
            select(PlannedHostRow.host)
            .join(RolloutRow, col(RolloutRow.id) == PlannedHostRow.rollout_id)
            .where(
                col(PlannedHostRow.host).in_(some),
                PlannedHostRow.outcome == Outcome.UNREACHABLE,
                col(RolloutRow.window_end) > now,
            )
        )
        found.update(session.exec(query))
    return found


def _taking_part(
    session: Session, hosts: Collection[str], now: datetime
) -> tuple[set[str], set[str]]:
    """Return who of these hosts is still to be changed this night, and who ended unchanged.

    Only rollouts that are not finished count: what one has finished is no reason to wait.
    """
    due: set[str] = set()
    idle: set[str] = set()
    for some in _in_batches(hosts):
        query = (
            select(PlannedHostRow.host, AttemptRow.outcome)
            .join(RolloutRow, col(RolloutRow.id) == PlannedHostRow.rollout_id)
            .outerjoin(
                AttemptRow,
                (col(AttemptRow.rollout_id) == PlannedHostRow.rollout_id)
                & (col(AttemptRow.host) == PlannedHostRow.host),
            )
            .where(
                col(PlannedHostRow.host).in_(some),
                PlannedHostRow.wave > 0,
                RolloutRow.state == OPEN,
                col(RolloutRow.window_end) > now,
            )
        )
        for host, outcome in session.exec(query):
            if not outcome:
                due.add(host)
            elif not Outcome(outcome).is_good:
                idle.add(host)
    return due, idle


def _in_batches(hosts: Collection[str]) -> Iterator[tuple[str, ...]]:
    ordered = sorted(hosts)
    return (tuple(ordered[at : at + _AT_ONCE]) for at in range(0, len(ordered), _AT_ONCE))


def _step(host: str) -> str:
    return f"well {host}"


def _some(names: Collection[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    verb = "is" if len(names) == 1 else "are"
    return f"{', '.join(sorted(names)[:_NAMED])}{more} {verb}"
