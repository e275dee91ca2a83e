"""Run by alembic: migrate over the connection that the ledger opened."""

from alembic import context
from sqlmodel import SQLModel

from wavemend.ledger import care_tables, judgement_tables, night_tables, plan_tables, tables

# Imported so that every table is known.
_ = care_tables, judgement_tables, night_tables, plan_tables, tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
