"""planned_hosts: who is in which frozen plan; indices for what is asked before every start."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move forward; a ledger is never taken back.

    Plans frozen before are not copied: they are in nobody's way once their night is over.
    """
    op.create_table(
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
