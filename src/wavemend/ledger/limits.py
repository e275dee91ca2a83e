"""Who is out, and whether that keeps another host from being started, over all rollouts together.

A host is out from its intent, which precedes its drain, until its attempt ended well, and while a
rollback of it runs. One that ended badly, its rollback too, or failed its probes before a gate,
stays out until it was proven well: by a later attempt that ended well, by a rollback that ended as
`rolled_back`, by probes that succeed at its rollout's last look, or by a person who says so
(`say_well`). A mere look proves nothing: it runs no probe. One that tonight's preflight could not
reach is out too.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from wavemend.errors import LedgerConflict
from wavemend.fleet import RolloutKind
from wavemend.fleet_limits import DueRollout, HostLimits, HostSet, Predecessors
from wavemend.ledger import audit, nights
from wavemend.ledger.answers import Refused, Wait
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.ledger.rollouts import OPEN
from wavemend.ledger.tables import AttemptRow, RolloutRow, StepRow
from wavemend.ledger.unwell_since import unwell_since
from wavemend.outcomes import Outcome
from wavemend.plans import Plan
from wavemend.rollout import AttemptState

_BAD = tuple(outcome.value for outcome in Outcome if outcome.is_bad)
_GOOD = tuple(outcome.value for outcome in Outcome if outcome.is_good)
_NOT_BACK = tuple(value for value in _BAD if value != Outcome.ROLLED_BACK)
"""Outcomes of a rollback after which nobody knows how the host is."""
_AT_ONCE = 500
"""Names in one query: far below what databases take, enough for one query in most cases."""

_NAMED = 5
"""Hosts named in a reason."""

OPENED_WITHIN = timedelta(minutes=30)
"""How long a rollout that comes first may take to be opened. The watch starts what nobody started
ten minutes after its opening began, and asks every few minutes; the rest is for a person."""


def others_verdict(
    session: Session,
    tenant: str,
    host: str,
    limits: HostLimits,
    now: datetime,
    *,
    plan: Plan | None = None,
) -> Wait | Refused | None:
    """Say what other hosts keep this one from being started now; None when nothing does.

    `plan`: the one it is to be started in; None: what nobody has opened yet is not asked about.
    """
    for before in limits.after:
        if answer := _order_verdict(session, tenant, host, before, now):
            return answer
        if plan is not None and (answer := _unopened(session, before, plan, now)):
            return answer
    return room_verdict(session, host, limits, now)


def room_verdict(
    session: Session, host: str, limits: HostLimits, now: datetime
) -> Wait | Refused | None:
    """Say which budget has no room for one more host that is out; None when all have."""
    for group in limits.sets:
        if answer := _set_verdict(session, host, group, now):
            return answer
    return None


def rollback_verdict(
    session: Session, host: str, limits: HostLimits, now: datetime
) -> Wait | Refused | None:
    """Say which budget keeps a host from being taken back now; None when none does.

    One that is at work has its place already: within its own attempt it does not wait for anybody.
    Order and gaps are those of changes: what is taken back is not kept waiting by them.
    """
    return None if at_work(session, (host,)) else room_verdict(session, host, limits, now)


def _set_verdict(
    session: Session, host: str, group: HostSet, now: datetime
) -> Wait | Refused | None:
    sick = unwell(session, group.hosts) | _unreached(session, group.hosts, now)
    if host in sick:
        # It has its place: of several that are not well each may be mended, one after the other.
        sick = set()
    if len(sick) >= group.most_out:
        # Waiting would never end: nobody is at work on them.
        return Refused(f"budget {group.name} is used up: {_some(sick, group.own)} not well")
    away = at_work(session, [name for name in group.hosts if name != host]) | sick
    if len(away) >= group.most_out:
        return Wait(f"budget {group.name}: {_some(away, group.own)} out already")
    return None


def _order_verdict(
    session: Session, tenant: str, host: str, before: Predecessors, now: datetime
) -> Wait | Refused | None:
    first = [name for name in before.hosts if name != host]
    if sick := unwell(session, first):
        return Refused(f"order {before.name}: {_some(sick)} not well")
    if busy := at_work(session, first):
        return Wait(f"order {before.name}: {_some(busy)} not done yet")
    due, idle = taking_part(session, first, now)
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
    known = {(due.key.profile, due.key.window) for due in before.rollouts}
    for rollout, profile, window in session.exec(unplanned):
        if (profile, window) in known:
            return Wait(f"order {before.name}: the rollout {rollout} has no plan yet")
    return None


def _unopened(
    session: Session, before: Predecessors, plan: Plan, now: datetime
) -> Wait | Refused | None:
    """Say which rollout of this night comes first and was not opened; None when there is none.

    One that may not start anything any more, and one of which is written that nothing runs, come
    no more. Emergencies, repairs and restarts wait for what is under way, never for a schedule.
    """
    if plan.kind != RolloutKind.PATCH:
        return None
    for due in before.rollouts:
        opening = due.opening_beside(plan.window_start, plan.last_start)
        if opening is None or now >= opening.last_start or _decided(session, due, opening.start):
            continue
        told = f"order {before.name}: the rollout {due.key} of {opening.start:%H:%M} UTC"
        # Both may have waited for the end of the same freeze: then this plan is minutes old.
        if now < max(opening.start, plan.created_at) + OPENED_WITHIN:
            return Wait(f"{told} is not opened yet")
        return Refused(f"{told} comes first, and nobody has opened it")
    return None


def _decided(session: Session, due: DueRollout, start: datetime) -> bool:
    """True when it is written what became of an opening: a rollout, or that nothing runs in it."""
    return (
        nights.was_opened(session, str(due.key), start)
        or nights.night_of(session, due.key, start) is not None
    )


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
    """Return those of these hosts whose last change left them unwell, and not seen well since."""
    found: set[str] = set()
    for some in _in_batches(hosts):
        bad = _last_ends(session, some, _BAD)
        later = [*_last_rollbacks(session, some, _NOT_BACK).items()]
        later += [(name, at) for name, (at, _) in unwell_since(session, some).items()]
        for name, ended in later:
            bad[name] = max(ended, bad.get(name, ended))
        if not bad:
            continue
        well = _last_ends(session, tuple(bad), _GOOD)
        taken_back = _last_rollbacks(session, tuple(bad), (Outcome.ROLLED_BACK,))
        said = select(StepRow.step, func.max(StepRow.at)).where(
            col(StepRow.step).in_([_step(name) for name in bad])
        )
        spoken_for = dict(session.exec(said.group_by(StepRow.step)).all())
        for name, ended in bad.items():
            proofs = (well.get(name), taken_back.get(name), spoken_for.get(_step(name)))
            if not any(proof is not None and proof >= ended for proof in proofs):
                found.add(name)
    return found


def say_well(session: Session, host: str, *, actor: str, reason: str, now: datetime) -> None:
    """Note that a person saw a host well: it uses no budget any more. Raises LedgerConflict."""
    changed = select(AttemptRow.rollout_id).where(
        AttemptRow.host == host, col(AttemptRow.outcome).in_(_BAD)
    )
    back = select(RollbackRow.rollout_id).where(
        RollbackRow.host == host, col(RollbackRow.outcome).in_(_NOT_BACK)
    )
    _, probed = unwell_since(session, (host,)).get(host, (now, None))
    rollout = (
        session.exec(changed.order_by(col(AttemptRow.ended_at).desc()).limit(1)).first()
        or session.exec(back.order_by(col(RollbackRow.ended_at).desc()).limit(1)).first()
        or probed
    )
    if rollout is None or host not in unwell(session, (host,)):
        raise LedgerConflict(f"{host} is not out: no change of it ended badly since it was well")
    session.merge(
        StepRow(rollout_id=rollout, step=_step(host), at=now, detail=f"{reason} (by {actor})")
    )
    audit.append(session, now, actor, "host.well", rollout, host=host, reason=reason)


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


def _last_rollbacks(
    session: Session, hosts: Sequence[str], outcomes: Sequence[str]
) -> dict[str, datetime]:
    query = select(RollbackRow.host, func.max(RollbackRow.ended_at)).where(
        col(RollbackRow.host).in_(hosts), col(RollbackRow.outcome).in_(outcomes)
    )
    return {
        host: ended
        for host, ended in session.exec(query.group_by(RollbackRow.host))
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


def taking_part(
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


def _some(names: Collection[str], own: Collection[str] | None = None) -> str:
    """Name some hosts, with the verb that follows; those of other companies are counted only."""
    shown = sorted(name for name in names if own is None or name in own)
    hidden = len(names) - len(shown)
    parts = [", ".join(shown[:_NAMED])] if shown else []
    if len(shown) > _NAMED:
        parts.append(f"{len(shown) - _NAMED} more")
    if hidden:
        parts.append(
            "a host of another company" if hidden == 1 else f"{hidden} hosts of other companies"
        )
    return f"{' and '.join(parts)} {'is' if len(names) == 1 else 'are'}"
