"""Run by alembic: migrate over the connection that the ledger opened."""

from alembic import context
from sqlmodel import SQLModel

from wavemend.ledger import care_tables, judgement_tables, tables

_ = care_tables, judgement_tables, tables  # imported so that every table is known

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
