"""Gaps between the groups of one company, over all its rollouts: kept, and proven afterwards.

A group is a wave of one rollout. It starts with its first intent; its verified end is the last
stored end of its hosts that were touched, which comes after their second look. A group that has
changed nobody for a whole gap, because its other hosts wait for another rollout's, gives its turn
away and asks again. Rollbacks are held up by no gap, but groups start only a gap after one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.ledger.rollouts import OPEN, get_rollout
from wavemend.ledger.tables import AttemptRow, GateRow, RolloutRow, WaveRow
from wavemend.outcomes import Outcome
from wavemend.plans import Plan, PlannedWave
from wavemend.rollout import Hold

ASK_AGAIN = timedelta(minutes=1)
"""When nobody knows how long another group will be at work. A wait shorter than any gap, and one
task run in the UI for each."""

REST = timedelta(minutes=5)
"""How long a group keeps its turn between two of its hosts, where the gap is shorter: a worker
that is restarted, or waits for a place, comes back within it."""

OVERDUE = timedelta(hours=2)
"""How long after its window's end (a rollback: after its intent) a change without an end holds
the gap: what may be started ends inside the window. Else one that nobody collects would stop its
company for ever. Its host keeps its place in all budgets."""


def company_hold(session: Session, plan: Plan, gap: timedelta | None, now: datetime) -> Hold | None:
    """Say until when another group of the company keeps this rollout's next one back, and why."""
    if gap is None:
        return None
    passed = frozenset(
        session.exec(
            select(GateRow.wave).where(
                GateRow.rollout_id == plan.rollout, col(GateRow.passed).is_(True)
            )
        )
    )
    wave = next((wave for wave in plan.waves if wave.number not in passed), None)
    return group_hold(session, plan, wave, gap, now) if wave else None


def group_hold(
    session: Session, plan: Plan, wave: PlannedWave, gap: timedelta | None, now: datetime
) -> Hold | None:
    """Say until when this wave may not start, and why; None when it may, or goes on.

    Asked in the transaction of an intent: of two groups that may start, one writes the first, and
    the other one waits.
    """
    if _has_turn(session, plan.rollout, wave.number, gap, now):
        return None
    holds = [*_own_holds(session, plan, wave, gap or timedelta(0))]
    if gap is not None:
        holds += _others_holds(session, plan, gap, now)
        holds += _rollback_holds(session, plan.tenant, gap, now)
    return max((hold for hold in holds if now < hold.until), key=_late, default=None)


def _late(hold: Hold) -> tuple[datetime, str]:
    return hold.until, hold.reason


def _has_turn(
    session: Session, rollout: str, wave: int, gap: timedelta | None, now: datetime
) -> bool:
    """True for a group that has started, and has not rested so long that another one may start."""
    query = select(func.count(), _unended(), func.max(AttemptRow.ended_at)).where(
        AttemptRow.rollout_id == rollout,
        AttemptRow.wave == wave,
        col(AttemptRow.touched).is_(True),
    )
    started, running, ended = session.exec(query).one()
    if not started or gap is None or running or ended is None:
        return bool(started)
    return now < ended + max(gap, REST)


def _unended() -> ColumnElement[int]:
    return func.count() - func.count(col(AttemptRow.ended_at))


def _own_holds(session: Session, plan: Plan, wave: PlannedWave, least: timedelta) -> Iterator[Hold]:
    query = select(AttemptRow.wave, func.max(AttemptRow.ended_at)).where(
        AttemptRow.rollout_id == plan.rollout, col(AttemptRow.wave) < wave.number
    )
    ends = dict(session.exec(query.group_by(col(AttemptRow.wave))).all())
    for earlier in plan.waves:
        ended = ends.get(earlier.number)
        if ended is not None:
            gap = max(least, timedelta(seconds=earlier.gap_seconds))
            yield Hold(ended + gap, f"the gap after {earlier.name} of this rollout")


def _others_holds(session: Session, plan: Plan, gap: timedelta, now: datetime) -> Iterator[Hold]:
    # A group that is only noted has no row here: whichever writes the first intent goes first.
    query = (
        select(AttemptRow.rollout_id, AttemptRow.wave, _unended(), func.max(AttemptRow.ended_at))
        .join(RolloutRow, col(RolloutRow.id) == AttemptRow.rollout_id)
        .where(
            RolloutRow.tenant == plan.tenant,
            RolloutRow.id != plan.rollout,
            (col(RolloutRow.state) == OPEN) | (col(RolloutRow.ended_at) > now - gap),
            col(AttemptRow.touched).is_(True),
        )
        .group_by(col(AttemptRow.rollout_id), col(AttemptRow.wave))
    )
    for rollout, wave, running, ended in session.exec(query):
        row, named = get_rollout(session, rollout), session.get(WaveRow, (rollout, wave))
        name = f"{named.name if named else f'wave {wave}'} of rollout {rollout}"
        holding = row.state == OPEN and now < row.window_end + OVERDUE
        if running and holding:
            yield _at_work(name, row.window_end, now)
        elif ended is not None and holding and _has_untried(session, rollout, wave):
            yield Hold(ended + max(gap, REST), f"{name} is at work and has hosts left")
        elif ended is not None:
            yield Hold(ended + gap, f"the company's gap after {name}")


def _rollback_holds(session: Session, tenant: str, gap: timedelta, now: datetime) -> Iterator[Hold]:
    query = (
        select(
            RollbackRow.host, RollbackRow.rollout_id, RollbackRow.intent_at, RollbackRow.ended_at
        )
        .join(RolloutRow, col(RolloutRow.id) == RollbackRow.rollout_id)
        .where(
            RolloutRow.tenant == tenant,
            # One that was refused has changed nothing.
            RollbackRow.outcome != Outcome.BLOCKED,
            col(RollbackRow.ended_at).is_(None) | (col(RollbackRow.ended_at) > now - gap),
        )
    )
    for host, rollout, began, ended in session.exec(query):
        name = f"the rollback of {host} in rollout {rollout}"
        if ended is not None:
            yield Hold(ended + gap, f"the company's gap after {name}")
        elif now < began + OVERDUE:
            yield _at_work(name, began, now)


def _at_work(name: str, due: datetime, now: datetime) -> Hold:
    """Return the hold of what has not ended and was due then."""
    late = f"; it holds others back until {due + OVERDUE:%H:%M} UTC at the latest"
    return Hold(now + ASK_AGAIN, f"{name} is at work{late if now >= due else ''}", known=False)


def _has_untried(session: Session, rollout: str, wave: int) -> bool:
    """True while a group has a host without an outcome, touched or not."""
    planned = select(func.count()).where(
        PlannedHostRow.rollout_id == rollout, PlannedHostRow.wave == wave
    )
    ended = select(func.count()).where(
        AttemptRow.rollout_id == rollout, AttemptRow.wave == wave, AttemptRow.outcome != ""
    )
    return session.exec(ended).one() < session.exec(planned).one()


@dataclass(frozen=True, slots=True, kw_only=True)
class GapSeen:
    """What lay between the verified end of one group of a company and the start of the next."""

    after: str
    """`wave of rollout`."""
    ended_at: datetime | None
    """None: it had not ended when the next one started, nor since."""
    before: str
    started_at: datetime

    @property
    def length(self) -> timedelta | None:
        """Negative where the groups overlapped; None: the earlier one has not ended."""
        return None if self.ended_at is None else self.started_at - self.ended_at

    def keeps(self, gap: timedelta) -> bool:
        """True when the stored times prove that so long a gap was kept."""
        return self.length is not None and self.length >= gap


def gaps_seen(
    session: Session, tenant: str, since: datetime, until: datetime
) -> tuple[GapSeen, ...]:
    """Return the gap before each group of a company that started in that time, by stored times.

    The first group has none before it. What counts is the latest end of all groups and rollbacks
    that started earlier, of whichever rollout. A group that went on after another one had started
    is looked at again.
    """
    changes = (
        select(AttemptRow.rollout_id, AttemptRow.wave, AttemptRow.intent_at, AttemptRow.ended_at)
        .join(RolloutRow, col(RolloutRow.id) == AttemptRow.rollout_id)
        .where(
            RolloutRow.tenant == tenant,
            col(AttemptRow.touched).is_(True),
            col(AttemptRow.intent_at) >= since,
            col(AttemptRow.intent_at) < until,
        )
        .order_by(col(AttemptRow.intent_at), col(AttemptRow.rollout_id), col(AttemptRow.wave))
    )
    began = [_Change(*row) for row in session.exec(changes)]
    waves = select(WaveRow).where(col(WaveRow.rollout_id).in_({each.rollout for each in began}))
    names = {(row.rollout_id, row.number): row.name for row in session.exec(waves)}
    seen = [*_stretches(began, names), *_rollbacks(session, tenant, since, until)]
    return tuple(_between(sorted(seen, key=lambda each: (each.began, each.name))))


@dataclass(frozen=True, slots=True)
class _Change:
    rollout: str
    wave: int
    began: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Changes of one group with no other group's between them, or one rollback."""

    name: str
    began: datetime
    ended: datetime | None
    is_group: bool = True


def _stretches(changes: Iterable[_Change], names: dict[tuple[str, int], str]) -> Iterator[_Stretch]:
    for (rollout, wave), found in groupby(changes, lambda each: (each.rollout, each.wave)):
        members = [*found]
        ends = [each.ended for each in members if each.ended]
        yield _Stretch(
            name=f"{names.get((rollout, wave), f'wave {wave}')} of {rollout}",
            began=members[0].began,
            ended=max(ends) if len(ends) == len(members) else None,
        )


def _rollbacks(
    session: Session, tenant: str, since: datetime, until: datetime
) -> Iterator[_Stretch]:
    query = (
        select(
            RollbackRow.host, RollbackRow.rollout_id, RollbackRow.intent_at, RollbackRow.ended_at
        )
        .join(RolloutRow, col(RolloutRow.id) == RollbackRow.rollout_id)
        .where(
            RolloutRow.tenant == tenant,
            RollbackRow.outcome != Outcome.BLOCKED,
            col(RollbackRow.intent_at) >= since,
            col(RollbackRow.intent_at) < until,
        )
    )
    for host, rollout, began, ended in session.exec(query):
        name = f"rollback of {host} in {rollout}"
        yield _Stretch(name=name, began=began, ended=ended, is_group=False)


def _between(stretches: Iterable[_Stretch]) -> Iterator[GapSeen]:
    """Yield what lies between each group and the latest end of what began before it, in order."""
    last: _Stretch | None = None
    for each in stretches:
        if last is not None and each.is_group:
            yield GapSeen(
                after=last.name, ended_at=last.ended, before=each.name, started_at=each.began
            )
        if last is None or (last.ended and (each.ended is None or last.ended <= each.ended)):
            last = each
