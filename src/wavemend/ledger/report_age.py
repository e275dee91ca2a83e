"""When the ledger last wrote down what the report of a rollout shows."""

from datetime import datetime

from sqlmodel import Session, col, func, select

from wavemend.ledger.rollouts import FINISHED
from wavemend.ledger.tables import AuditEventRow, RolloutRow

_NOT_SHOWN = ("rollout.lease_taken", "rollout.reported", "rollout.finished")
"""Written when a report is made, or after it; no report shows them."""

_NOR_HOW_POINTS_STAY = "restore_point."


def last_told(session: Session) -> dict[str, datetime]:
    """Return, for each finished rollout, the time of the last event that its report rests on.

    An unfinished one is brought to its end, and reported, by the run that takes it up.
    """
    newest = (
        select(func.max(AuditEventRow.seq))
        .join(RolloutRow, col(RolloutRow.id) == AuditEventRow.subject)
        .where(
            RolloutRow.state == FINISHED,
            col(AuditEventRow.kind).not_in(_NOT_SHOWN),
            ~col(AuditEventRow.kind).startswith(_NOR_HOW_POINTS_STAY, autoescape=True),
        )
        .group_by(AuditEventRow.subject)
    )
    rows = session.exec(
        select(AuditEventRow.subject, AuditEventRow.at).where(col(AuditEventRow.seq).in_(newest))
    )
    return {rollout: datetime.fromisoformat(at) for rollout, at in rows}
