"""How long restore points stay after their rollout, by what the ledger says of each host."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from wavemend.ledger import attempts, rollbacks, rollouts
from wavemend.ledger.host_lines import by_host
from wavemend.ledger.scans import newest_look
from wavemend.ledger.tables import AttemptRow
from wavemend.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """How long one host's point stays: until then, or (None) until a person removes it."""

    host: str
    until: datetime | None


def stays_of(
    session: Session, rollout_id: str, hosts: Collection[str], keep: timedelta
) -> tuple[Stay, ...]:
    """Return how long the points of these hosts stay, by host; none for one that cannot be said.

    `keep` after a host was found well, or was not touched; else until a person removes the point.
    A change that waits for a restart is no success before the host was seen in its next boot, and
    none is one that the look after everything did not find any more.
    """
    # Not the rows: each carries its packages and evidence.
    changes = select(
        AttemptRow.host, AttemptRow.outcome, AttemptRow.touched, AttemptRow.ended_at
    ).where(AttemptRow.rollout_id == rollout_id)
    known = {change[0]: change for change in session.exec(changes)}
    taken_back = rollbacks.begun_of(session, rollout_id)
    not_verified = _not_verified(session, rollout_id)
    stays = []
    for host in sorted(hosts):
        _, outcome, touched, ended_at = known.get(host, (host, "", False, None))
        if ended_at is None or host in taken_back:
            stays.append(Stay(host=host, until=None))
        elif touched and outcome == Outcome.PATCHED_REBOOT_PENDING:
            stays += _after_restart(session, rollout_id, host, keep)
        else:
            well = not touched or (Outcome(outcome).is_good and host not in not_verified)
            stays.append(Stay(host=host, until=ended_at + keep if well else None))
    return tuple(stays)


def _not_verified(session: Session, rollout_id: str) -> frozenset[str]:
    """Return whom the look after everything did not find as the rollout had left them."""
    return frozenset(by_host(rollouts.detail_of(session, rollout_id, "verified")))


def _after_restart(
    session: Session, rollout_id: str, host: str, keep: timedelta
) -> tuple[Stay, ...]:
    """Return the stay of a point whose change waited for a restart; nothing while it waits."""
    mine = select(AttemptRow).where(AttemptRow.rollout_id == rollout_id, AttemptRow.host == host)
    change = session.exec(mine).one()
    later = select(AttemptRow.outcome).where(
        AttemptRow.host == host,
        col(AttemptRow.touched).is_(True),
        col(AttemptRow.intent_at) > change.intent_at,
    )
    outcomes = set(session.exec(later))
    if "" in outcomes:
        return ()
    if any(Outcome(outcome).is_bad for outcome in outcomes):
        return (Stay(host=host, until=None),)
    evidence, seen = attempts.evidence_of(change), newest_look(session, host)
    if evidence is None or seen is None or seen[1].facts is None:
        return ()
    if seen[1].facts.boot_id == evidence.boot_id_after:
        return ()
    return (Stay(host=host, until=seen[1].at + keep),)
