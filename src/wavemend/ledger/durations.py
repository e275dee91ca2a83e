"""How long changes took, from the ledger: the newest ones, by system, size and restart."""

from collections import defaultdict

from sqlmodel import Session, col, select

from wavemend.calendar.estimates import ChangeKind, Durations, estimate, size_class
from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.ledger.tables import AttemptRow
from wavemend.outcomes import Outcome

NEWEST = 2000
"""Attempts that are learned from: months of a small fleet, a night of a large one. The oldest are
forgotten, because hosts and packages change."""

_WHOLE = tuple(
    outcome.value
    for outcome in (
        Outcome.PATCHED,
        Outcome.PATCHED_REBOOT_PENDING,
        Outcome.FAILED,
        Outcome.ROLLED_BACK,
    )
)
"""Ends of changes that ran their course. One that was given up on says how long we waited."""


def learned_durations(session: Session) -> Durations:
    """Return what the newest finished attempts of all hosts say."""
    query = (
        select(PlannedHostRow, AttemptRow.reboots, AttemptRow.intent_at, AttemptRow.ended_at)
        .join(
            AttemptRow,
            (col(PlannedHostRow.rollout_id) == AttemptRow.rollout_id)
            & (col(PlannedHostRow.host) == AttemptRow.host),
        )
        .where(
            col(AttemptRow.begun_at).is_not(None),
            col(AttemptRow.outcome).in_(_WHOLE),
        )
        .order_by(col(AttemptRow.ended_at).desc())
        .limit(NEWEST)
    )
    seen: dict[ChangeKind, list[float]] = defaultdict(list)
    for host, reboots, intent_at, ended_at in session.exec(query):
        if intent_at is not None and ended_at is not None:
            size = size_class(host.packages)
            kind = ChangeKind(system=host.system, size=size, reboot=reboots > 0)
            seen[kind].append((ended_at - intent_at).total_seconds())
    return Durations(known={kind: estimate(kind, seen[kind]) for kind in sorted(seen)})
