"""${message}."""

import sqlalchemy as sa
from alembic import op

from wavemend.ledger.tables import UtcDateTime

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move forward; a ledger is never taken back."""
    ${upgrades if upgrades else "pass"}
