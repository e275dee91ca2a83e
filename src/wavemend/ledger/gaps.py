"""Gaps between the groups of one company, over all its rollouts: kept, and proven afterwards.

A group is a wave of one rollout. It starts with its first intent; its verified end is the last
stored end of its hosts that were touched, which comes after their second look.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.ledger.rollouts import OPEN
from wavemend.ledger.tables import AttemptRow, GateRow, RolloutRow, WaveRow
from wavemend.plans import Plan, PlannedWave
from wavemend.rollout import Hold

ASK_AGAIN = timedelta(minutes=1)
"""When nobody knows how long another group will be at work. A wait shorter than any gap, and one
task run in the UI for each."""


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
    """Say until when this wave may not start, and why; None when it may, or has started.

    Asked in the transaction of an intent: of two groups that may start, one writes the first, and
    the other one waits.
    """
    if _start_of(session, plan.rollout, wave.number):
        return None
    holds = [*_own_holds(session, plan, wave, gap or timedelta(0))]
    if gap is not None:
        holds += _others_holds(session, plan, gap, now)
    return max((hold for hold in holds if now < hold.until), key=_late, default=None)


def _late(hold: Hold) -> tuple[datetime, str]:
    return hold.until, hold.reason


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
    query = (
        select(WaveRow, RolloutRow.state)
        .join(RolloutRow, col(RolloutRow.id) == WaveRow.rollout_id)
        .where(
            RolloutRow.tenant == plan.tenant,
            RolloutRow.id != plan.rollout,
            (col(RolloutRow.state) == OPEN) | (col(RolloutRow.ended_at) > now - gap),
        )
    )
    for other, state in session.exec(query):
        ended = _end_of(session, other.rollout_id, other.number)
        name = f"{other.name} of rollout {other.rollout_id}"
        if _start_of(session, other.rollout_id, other.number) is None:
            continue  # only noted: whichever group writes the first intent goes first
        if state == OPEN and _at_work(session, other):
            yield Hold(now + ASK_AGAIN, f"{name} is at work")
        elif ended is not None:
            yield Hold(ended + gap, f"the company's gap after {name}")


def _at_work(session: Session, wave: WaveRow) -> bool:
    """True while a group that has started has a host without an outcome, tried or not."""
    planned = select(func.count()).where(
        PlannedHostRow.rollout_id == wave.rollout_id, PlannedHostRow.wave == wave.number
    )
    ended = select(func.count()).where(
        AttemptRow.rollout_id == wave.rollout_id,
        AttemptRow.wave == wave.number,
        AttemptRow.outcome != "",
    )
    return session.exec(ended).one() < session.exec(planned).one()


def _start_of(session: Session, rollout: str, wave: int) -> datetime | None:
    return session.exec(
        select(func.min(AttemptRow.intent_at)).where(
            AttemptRow.rollout_id == rollout,
            AttemptRow.wave == wave,
            col(AttemptRow.touched).is_(True),
        )
    ).one()


def _end_of(session: Session, rollout: str, wave: int) -> datetime | None:
    return session.exec(
        select(func.max(AttemptRow.ended_at)).where(
            AttemptRow.rollout_id == rollout,
            AttemptRow.wave == wave,
            col(AttemptRow.touched).is_(True),
        )
    ).one()


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

    The first group has none before it. What counts is the latest end of all groups that started
    earlier, of whichever rollout.
    """
    query = (
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
    groups: dict[tuple[str, int], _Group] = {}
    for rollout, wave, began, ended in session.exec(query):
        if began is not None:
            group = groups.get((rollout, wave), _Group(began, began))
            last = max(group.ended, ended) if group.ended and ended else None
            groups[rollout, wave] = _Group(group.began, last)
    waves = select(WaveRow).where(col(WaveRow.rollout_id).in_({key[0] for key in groups}))
    names = {(row.rollout_id, row.number): row.name for row in session.exec(waves)}
    return tuple(_between(groups, names))


@dataclass(frozen=True, slots=True)
class _Group:
    began: datetime
    ended: datetime | None


def _between(
    groups: dict[tuple[str, int], _Group], names: dict[tuple[str, int], str]
) -> Iterator[GapSeen]:
    """Yield what lies between each group and the latest end of those before it, in order."""
    last: GapSeen | None = None
    for (rollout, wave), group in groups.items():
        name = f"{names.get((rollout, wave), f'wave {wave}')} of {rollout}"
        if last is not None:
            yield replace(last, before=name, started_at=group.began)
        unended = last is not None and last.ended_at is None
        latest = (
            last is None or group.ended is None or (last.ended_at or group.ended) <= group.ended
        )
        if latest and not unended:
            last = GapSeen(after=name, ended_at=group.ended, before="", started_at=group.began)
