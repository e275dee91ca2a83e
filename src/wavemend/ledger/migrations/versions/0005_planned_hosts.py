"""planned_hosts: who is in which frozen plan; indices for what is asked before every start."""

import json
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from wavemend.documents import storable

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move forward; a ledger is never taken back."""
    planned = op.create_table(
        "planned_hosts",
        sa.Column("rollout_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("packages", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollouts.id"]),
        sa.PrimaryKeyConstraint("rollout_id", "host"),
    )
    op.create_index("ix_planned_hosts_host", "planned_hosts", ["host"])
    op.create_index("ix_attempts_standing", "attempts", ["host", "outcome", "ended_at"])
    op.create_index("ix_attempts_ended_at", "attempts", ["ended_at"])
    _copy_plans(planned)


def _copy_plans(planned: sa.Table) -> None:
    """Write the hosts of plans whose rollouts are not finished: they go on after the upgrade."""
    rollouts = sa.table("rollouts", sa.column("plan_digest"), sa.column("state"))
    plans = sa.table("plans", *map(sa.column, ("digest", "rollout_id", "document")))
    unfinished = (
        sa.select(plans.c.rollout_id, plans.c.document)
        .join_from(plans, rollouts, rollouts.c.plan_digest == plans.c.digest)
        .where(rollouts.c.state == "open")
    )
    for rollout, document in op.get_bind().execute(unfinished).all():
        if rows := [*_rows(rollout, document)]:
            op.bulk_insert(planned, rows)


def _rows(rollout: str, document: bytes) -> Iterator[dict[str, str | int]]:
    """Read the document as it was in this form: what a plan is today may be something else."""
    plan = json.loads(document)
    hosts = {host["name"]: host for host in plan["hosts"]}
    blank: dict[str, str | int] = {
        "rollout_id": rollout,
        "wave": 0,
        "outcome": "",
        "system": "",
        "packages": 0,
    }
    for wave in plan["waves"]:
        for name in wave["hosts"]:
            host = hosts[name]
            yield blank | {
                "host": name,
                "wave": wave["number"],
                "system": storable(host.get("system", "")),
                "packages": len(host["packages"]),
            }
    for left in plan["excluded"]:
        yield blank | {"host": left["name"], "outcome": left["outcome"]}
