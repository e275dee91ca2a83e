"""The ledger's tables. SQLModel stays in this package; values go in and out of it.

Every table that a decision rests on is only ever added to, or moves forward through named states;
the audit chain holds the history of both. What was found on hosts is in `judgement_tables.py`,
what care was taken of them in `care_tables.py`.
"""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from wavemend.ledger.columns import blob, utc


class FleetRevision(SQLModel, table=True):
    """One applied fleet: the resolved document and its digest."""

    __tablename__ = "fleet_revisions"
    revision: int | None = Field(default=None, primary_key=True)
    digest: str = Field(index=True)
    applied_at: datetime = utc()
    source: str
    document: bytes = blob()


class FeedSnapshotRow(SQLModel, table=True):
    """One accepted copy of a feed."""

    __tablename__ = "feed_snapshots"
    id: int | None = Field(default=None, primary_key=True)
    feed: str = Field(index=True)
    digest: str
    source: str
    fetched_at: datetime = utc()
    data_date: str
    model: str
    entries: int
    rejects: int


class HostScan(SQLModel, table=True):
    """One look at one host: its facts, or why there are none."""

    __tablename__ = "host_scans"
    id: int | None = Field(default=None, primary_key=True)
    host: str = Field(index=True)
    tenant: str = Field(index=True)
    rollout_id: str = Field(default="", index=True)
    purpose: str
    at: datetime = utc()
    reason: str = ""
    detail: str = ""
    peer_key: str = ""
    facts_digest: str = ""
    facts: bytes = blob()
    """zlib-compressed canonical JSON; empty when the look failed."""


class RolloutRow(SQLModel, table=True):
    """One occurrence of one maintenance window for one tenant and profile."""

    __tablename__ = "rollouts"
    __table_args__ = (UniqueConstraint("key"),)
    id: str = Field(primary_key=True)
    key: str
    tenant: str = Field(index=True)
    profile: str
    window: str
    window_start: datetime = utc()
    window_end: datetime = utc()
    last_start: datetime = utc()
    requester: str
    kind: str = "patch"
    """`patch`, or `restart`: hosts that wait for a restart, in their own window."""
    state: str
    reason: str = ""
    created_at: datetime = utc()
    ended_at: datetime | None = utc(default=None, nullable=True)
    plan_digest: str = ""
    flow_run_id: str = ""
    lease_owner: str = ""
    lease_until: datetime | None = utc(default=None, nullable=True)
    fence: int = 0


class StepRow(SQLModel, table=True):
    """One phase of a rollout that is done and is not done again: prepare, close, verify, report."""

    __tablename__ = "rollout_steps"
    rollout_id: str = Field(primary_key=True, foreign_key="rollouts.id")
    step: str = Field(primary_key=True)
    at: datetime = utc()
    detail: str = ""


class PlanRow(SQLModel, table=True):
    """One frozen plan, exactly the bytes that are approved."""

    __tablename__ = "plans"
    digest: str = Field(primary_key=True)
    rollout_id: str = Field(foreign_key="rollouts.id", index=True)
    created_at: datetime = utc()
    document: bytes = blob()


class WaveRow(SQLModel, table=True):
    """When a wave of a plan was begun."""

    __tablename__ = "waves"
    rollout_id: str = Field(primary_key=True, foreign_key="rollouts.id")
    number: int = Field(primary_key=True)
    name: str
    started_at: datetime = utc()


class AttemptRow(SQLModel, table=True):
    """One host in one plan: intent, running, one terminal outcome. Never two."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("plan_digest", "host"),
        # What stands of a host is asked for whole groups, before every start.
        Index("ix_attempts_standing", "host", "outcome", "ended_at"),
        Index("ix_attempts_ended_at", "ended_at"),
    )
    id: str = Field(primary_key=True)
    rollout_id: str = Field(foreign_key="rollouts.id", index=True)
    plan_digest: str
    host: str = Field(index=True)
    wave: int
    fence: int = 0
    nonce: str = ""
    state: str
    touched: bool = False
    """True from the intent on: from here the host may have been changed."""
    intent_at: datetime | None = utc(default=None, nullable=True)
    begun_at: datetime | None = utc(default=None, nullable=True)
    ended_at: datetime | None = utc(default=None, nullable=True)
    reboots: int = 0
    lost_since: datetime | None = utc(default=None, nullable=True)
    """Since when the host does not answer while its attempt runs; empty when it answers again."""
    outcome: str = ""
    reason: str = ""
    packages: bytes = blob()
    evidence: bytes = blob()


class GateRow(SQLModel, table=True):
    """What a gate decided, and the numbers it decided on."""

    __tablename__ = "gates"
    rollout_id: str = Field(primary_key=True, foreign_key="rollouts.id")
    wave: int = Field(primary_key=True)
    passed: bool
    reason: str
    observed: int
    good: int
    errors: int
    at: datetime = utc()


class ApprovalRequestRow(SQLModel, table=True):
    """One asking for a decision over one plan."""

    __tablename__ = "approval_requests"
    id: str = Field(primary_key=True)
    rollout_id: str = Field(foreign_key="rollouts.id", index=True)
    plan_digest: str
    asking: int
    nonce: str
    asked_at: datetime = utc()
    expires_at: datetime = utc()
    flow_run_id: str = ""


class DecisionRow(SQLModel, table=True):
    """One answer to a request: counted or refused, both kept."""

    __tablename__ = "decisions"
    id: int | None = Field(default=None, primary_key=True)
    rollout_id: str = Field(foreign_key="rollouts.id", index=True)
    plan_digest: str
    request_id: str
    at: datetime = utc()
    decision: str
    identity: str
    fingerprint: str
    reason: str
    statement: str
    signature: str
    accepted: bool
    refusal: str


class SwitchRow(SQLModel, table=True):
    """A switch that stops new starts, global (empty tenant) or for one tenant."""

    __tablename__ = "switches"
    tenant: str = Field(primary_key=True)
    engaged: bool
    actor: str
    reason: str
    at: datetime = utc()


class AuditEventRow(SQLModel, table=True):
    """One link of the audit chain."""

    __tablename__ = "audit_events"
    seq: int = Field(primary_key=True)
    at: str
    actor: str
    kind: str
    subject: str
    body: str
    previous: str
    digest: str
