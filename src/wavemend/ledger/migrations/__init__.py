"""Forward steps of the ledger's tables; run by alembic, never taken back."""
