"""Tables of the care taken of hosts: readiness, hooks, restore points, rollbacks, journals."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from wavemend.ledger.columns import blob, utc


class RestorePointRow(SQLModel, table=True):
    """A restore point proven to exist before the change, and what it can honestly restore."""

    __tablename__ = "restore_points"
    rollout_id: str = Field(primary_key=True, foreign_key="rollouts.id")
    host: str = Field(primary_key=True)
    kind: str
    name: str
    proven: bool
    restores: str
    detail: str
    at: datetime = utc()
    reference: str = ""
    """What its own tool calls it, where that is not its name."""
    state: str = "made"
    """`made`, `kept` (until a person removes it), `removed`, `gone` (it was not there any more)."""
    remove_after: datetime | None = utc(default=None, nullable=True)
    removed_at: datetime | None = utc(default=None, nullable=True)


class AttemptStepRow(SQLModel, table=True):
    """One part of one attempt that is done and is not done again: a hook, a listing back."""

    __tablename__ = "attempt_steps"
    attempt_id: str = Field(primary_key=True, foreign_key="attempts.id")
    step: str = Field(primary_key=True)
    at: datetime = utc()
    ok: bool = True
    detail: str = ""


class RollbackRow(SQLModel, table=True):
    """One host taken back to what it was before one attempt: intent, running, one outcome."""

    __tablename__ = "rollbacks"
    id: str = Field(primary_key=True)
    rollout_id: str = Field(foreign_key="rollouts.id", index=True)
    attempt_id: str = Field(foreign_key="attempts.id", index=True)
    host: str = Field(index=True)
    kind: str
    """Kind of the restore point that was used."""
    requested_by: str
    reason: str
    automatic: bool = False
    fence: int = 0
    nonce: str = ""
    state: str
    intent_at: datetime = utc()
    begun_at: datetime | None = utc(default=None, nullable=True)
    ended_at: datetime | None = utc(default=None, nullable=True)
    outcome: str = ""
    """`rolled_back`, or what an attempt ends with: failed, unreachable, needs_human, blocked."""
    detail: str = ""
    packages: bytes = blob()
    evidence: bytes = blob()


class ReadinessRow(SQLModel, table=True):
    """What one check before a window saw of one host."""

    __tablename__ = "readiness"
    id: int | None = Field(default=None, primary_key=True)
    tenant: str = Field(index=True)
    profile: str
    window: str
    window_start: datetime = utc()
    occasion: str
    """`T-24h`, `T-30m`, or `wave <name>`."""
    host: str = Field(index=True)
    at: datetime = utc()
    ready: bool
    problems: bytes = blob()
    """Canonical JSON of the problems, each with its check, a reason and a way out."""


class JournalEntryRow(SQLModel, table=True):
    """One begin of a host's own journal that the ledger did not know of when it was read."""

    __tablename__ = "journal_entries"
    host: str = Field(primary_key=True)
    attempt_id: str = Field(primary_key=True)
    fence: int = Field(sa_type=BigInteger)
    begun_at: datetime | None = utc(default=None, nullable=True)
    ended_at: datetime | None = utc(default=None, nullable=True)
    exit_status: int | None = None
    read_at: datetime = utc()
    note: str = ""


class FenceFloorRow(SQLModel, table=True):
    """The highest fence that hosts have shown: leases begin above it."""

    __tablename__ = "fence_floor"
    id: int = Field(default=1, primary_key=True)
    fence: int = Field(sa_type=BigInteger)
    at: datetime = utc()


class HostMachineRow(SQLModel, table=True):
    """The machine that answered under a host's name when it was looked at last."""

    __tablename__ = "host_machines"
    host: str = Field(primary_key=True)
    machine: str = Field(index=True)
    """SHA-256 of what tells it from others, its boot included; empty: it could not be told."""
