"""Copy the hosts of a plan into rows when it is frozen, so that they can be asked for by name."""

from collections.abc import Iterator

from sqlalchemy import insert
from sqlmodel import Session

from wavemend.documents import storable
from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.plans import Plan


def copy_hosts(session: Session, plan: Plan) -> None:
    """Write a row for each host of a plan, the excluded ones too."""
    if rows := [*_rows(plan)]:
        session.execute(insert(PlannedHostRow), rows)


def _rows(plan: Plan) -> Iterator[dict[str, str | int]]:
    for wave in plan.waves:
        for name in wave.hosts:
            host = plan.host(name)
            yield _row(
                plan, name, wave=wave.number, system=host.system, packages=len(host.packages)
            )
    for left in plan.excluded:
        yield _row(plan, left.name, outcome=left.outcome)


def _row(
    plan: Plan, host: str, *, wave: int = 0, outcome: str = "", system: str = "", packages: int = 0
) -> dict[str, str | int]:
    return {
        "rollout_id": plan.rollout,
        "host": host,
        "wave": wave,
        "outcome": str(outcome),
        "system": storable(system),
        "packages": packages,
    }
