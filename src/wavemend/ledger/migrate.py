"""Bring the tables to this version's form: alembic, from the first table on.

Alembic is loaded only where there is something to migrate: it is a fifth of a command's start.
"""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from wavemend.errors import LedgerError

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0006"
"""The last file in `migrations/versions`."""

_SCRIPTS = Path(__file__).parent / "migrations"


def config(connection: Connection | None = None) -> "Config":
    """Return alembic's configuration for this package; there is no alembic.ini."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS))
    if connection is not None:
        made.attributes["connection"] = connection
    return made


_ALEMBIC = Lock()
"""What Alembic works on is the process's: two ledgers made at once would be made in each other."""


def is_current(connection: Connection) -> bool:
    """True when the tables have this version's form already."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return bool(current == NEWEST)


def upgrade(connection: Connection, shown: str) -> None:
    """Migrate to the newest form, inside the caller's transaction, and commit it.

    Refuses a database that is newer than this, or foreign.
    """
    from alembic import command
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config())
    current = MigrationContext.configure(connection).get_current_revision()
    if current == script.get_current_head():
        return
    known = {revision.revision for revision in script.walk_revisions()}
    if current is not None and current not in known:
        raise LedgerError(
            f"the ledger {shown} was written by a newer wavemend (revision {current})",
            hint="upgrade this installation; a ledger is never taken back",
        )
    if current is None and inspect(connection).get_table_names():
        raise LedgerError(
            f"the database {shown} holds tables that are not wavemend's",
            hint="give wavemend a database of its own",
        )
    with _ALEMBIC:
        command.upgrade(config(connection), "head")
    connection.commit()
