"""What has to be done by when: the earliest due date of each host's open findings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from wavemend.advisories import AdvisoryStatus
from wavemend.ledger.judgement_tables import JudgedHostRow, OpenFindingRow
from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.ledger.tables import RolloutRow
from wavemend.scoring import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one host needs."""

    due: datetime | None
    """Earliest date (UTC) of what can be installed; None: nothing has one."""
    findings: int
    """Open ones that can be closed by an update, waived ones apart."""


def demand_of(session: Session) -> Mapping[str, Demand]:
    """Return the demand of every host ever judged, by name; those with nothing to do, too."""
    judged = session.exec(select(JudgedHostRow.host).order_by(JudgedHostRow.host)).all()
    query = (
        select(OpenFindingRow.host, func.min(OpenFindingRow.due), func.count())
        .where(
            col(OpenFindingRow.waived).is_(False),
            OpenFindingRow.status == AdvisoryStatus.FIXED.value,
            OpenFindingRow.lane != Lane.IGNORED.value,
        )
        .group_by(OpenFindingRow.host)
    )
    found = {
        host: Demand(due=due, findings=count) for host, due, count in session.exec(query).all()
    }
    return {name: found.get(name, Demand(due=None, findings=0)) for name in judged}


def systems_of(session: Session) -> Mapping[str, str]:
    """Return the operating system of each host ever planned, `debian 12`, by its newest plan."""
    query = (
        select(PlannedHostRow.host, PlannedHostRow.system)
        .join(RolloutRow, col(RolloutRow.id) == PlannedHostRow.rollout_id)
        .where(PlannedHostRow.system != "")
        .order_by(col(RolloutRow.created_at))
    )
    return dict(session.exec(query).all())
