"""host_machines: which machine answered under which name."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move forward; a ledger is never taken back."""
    op.create_table(
        "host_machines",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("machine", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("host"),
    )
    op.create_index("ix_host_machines_machine", "host_machines", ["machine"])
