"""The ledger's tables. SQLModel stays in this package; values go in and out of it.

Every table that a decision rests on is only ever added to, or moves forward through named states;
the audit chain holds the history of both."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Index, LargeBinary, TypeDecorator, UniqueConstraint
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """UTC-aware on both sides; SQLite keeps no zone, so it is taken off and put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone was to be stored: {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _utc(**options: Any) -> Any:
    return Field(sa_type=UtcDateTime, **options)


def _blob() -> Any:
    return Field(sa_type=LargeBinary)


class FleetRevision(SQLModel, table=True):
    """One applied fleet: the resolved document and its digest."""

    __tablename__ = "fleet_revisions"
    revision: int | None = Field(default=None, primary_key=True)
    digest: str = Field(index=True)
    applied_at: datetime = _utc()
    source: str
    document: bytes = _blob()


class FeedSnapshotRow(SQLModel, table=True):
    """One accepted copy of a feed."""

    __tablename__ = "feed_snapshots"
    id: int | None = Field(default=None, primary_key=True)
    feed: str = Field(index=True)
    digest: str
    source: str
    fetched_at: datetime = _utc()
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
    at: datetime = _utc()
    reason: str = ""
    detail: str = ""
    peer_key: str = ""
    facts_digest: str = ""
    facts: bytes = _blob()
    """zlib-compressed canonical JSON; empty when the look failed."""


class AssessmentRow(SQLModel, table=True):
    """One look at a host, judged by what was known at one moment. Never changed, never removed."""

    __tablename__ = "assessments"
    __table_args__ = (Index("ix_assessments_host_scan_id", "host", "scan_id"),)
    id: int | None = Field(default=None, primary_key=True)
    scan_id: int = Field(foreign_key="host_scans.id", index=True)
    tenant: str
    host: str
    scanned_at: datetime = _utc()
    assessed_at: datetime = _utc()
    intelligence: str
    findings: int
    unjudged: int
    """Installed packages that could not be compared with what the vendor says."""
    document: bytes = _blob()
    """zlib-compressed canonical JSON of the `Assessment`."""


class FirstSightingRow(SQLModel, table=True):
    """When a finding was seen first on a host, the clock of its due date, and the earliest date."""

    __tablename__ = "first_sightings"
    host: str = Field(primary_key=True)
    finding_id: str = Field(primary_key=True, index=True)
    at: datetime = _utc()
    due: datetime | None = _utc(default=None, nullable=True)
    """The earliest date it was ever given under `due_basis`."""
    due_reason: str | None = None
    due_basis: str | None = None
    """What the operator controls of a date, in words; another basis begins anew."""


class JudgedHostRow(SQLModel, table=True):
    """The newest judgement of a host without its findings: what `open_findings` rests on."""

    __tablename__ = "judged_hosts"
    host: str = Field(primary_key=True)
    tenant: str
    scan_id: int
    scanned_at: datetime = _utc()
    assessed_at: datetime = _utc()
    intelligence: str
    fleet: str
    packages: int
    judged: int
    kept: int
    """Findings that stand as an earlier judgement left them: this one could not speak of them."""
    feeds: bytes = _blob()
    """Canonical JSON: the newest state of each feed that the findings rest on."""


class AnnouncementRow(SQLModel, table=True):
    """One exploited CVE in one package on one host: told once."""

    __tablename__ = "announcements"
    host: str = Field(primary_key=True)
    tenant: str = Field(primary_key=True)
    cve: str = Field(primary_key=True)
    package: str = Field(primary_key=True)
    threat: str
    fixed: str
    at: datetime = _utc()
    state: str = Field(index=True)
    sent_at: datetime | None = _utc(default=None, nullable=True)


class OpenFindingRow(SQLModel, table=True):
    """One line of the newest assessment of a host: an index over the documents, made anew."""

    __tablename__ = "open_findings"
    __table_args__ = (Index("ix_open_findings_order_key_host", "order_key", "host"),)
    host: str = Field(primary_key=True)
    finding_id: str = Field(primary_key=True, index=True)
    tenant: str = Field(index=True)
    cve: str = Field(index=True)
    advisory: str = Field(index=True)
    package: str = Field(index=True)
    lane: str
    due: datetime | None = _utc(default=None, nullable=True)
    installed: str
    fixed: str
    update_class: str
    status: str
    cvss: float | None = None
    epss: float | None = None
    kev: bool
    zero_day: bool
    waived: bool
    because: str
    feed: str
    known_at: datetime | None = _utc(default=None, nullable=True)  # its feed's copy that said it
    order_key: str  # the order as text that sorts the same
    due_rule: str = ""
    waiver_id: str = ""
    waived_until: datetime | None = _utc(default=None, nullable=True)
    first_seen: datetime | None = _utc(default=None, nullable=True)
    judged_at: datetime | None = _utc(default=None, nullable=True)


class RolloutRow(SQLModel, table=True):
    """One occurrence of one maintenance window for one tenant and profile."""

    __tablename__ = "rollouts"
    __table_args__ = (UniqueConstraint("key"),)
    id: str = Field(primary_key=True)
    key: str
    tenant: str = Field(index=True)
    profile: str
    window: str
    window_start: datetime = _utc()
    window_end: datetime = _utc()
    last_start: datetime = _utc()
    requester: str
    state: str
    reason: str = ""
    created_at: datetime = _utc()
    ended_at: datetime | None = _utc(default=None, nullable=True)
    plan_digest: str = ""
    flow_run_id: str = ""
    lease_owner: str = ""
    lease_until: datetime | None = _utc(default=None, nullable=True)
    fence: int = 0


class StepRow(SQLModel, table=True):
    """One phase of a rollout that is done and is not done again: prepare, close, verify, report."""

    __tablename__ = "rollout_steps"
    rollout_id: str = Field(primary_key=True, foreign_key="rollouts.id")
    step: str = Field(primary_key=True)
    at: datetime = _utc()
    detail: str = ""


class PlanRow(SQLModel, table=True):
    """One frozen plan, exactly the bytes that are approved."""

    __tablename__ = "plans"
    digest: str = Field(primary_key=True)
    rollout_id: str = Field(foreign_key="rollouts.id", index=True)
    created_at: datetime = _utc()
    document: bytes = _blob()


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
    at: datetime = _utc()


class WaveRow(SQLModel, table=True):
    """When a wave of a plan was begun."""

    __tablename__ = "waves"
    rollout_id: str = Field(primary_key=True, foreign_key="rollouts.id")
    number: int = Field(primary_key=True)
    name: str
    started_at: datetime = _utc()


class AttemptRow(SQLModel, table=True):
    """One host in one plan: intent, running, one terminal outcome. Never two."""

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("plan_digest", "host"),)
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
    intent_at: datetime | None = _utc(default=None, nullable=True)
    begun_at: datetime | None = _utc(default=None, nullable=True)
    ended_at: datetime | None = _utc(default=None, nullable=True)
    reboots: int = 0
    outcome: str = ""
    reason: str = ""
    packages: bytes = _blob()
    evidence: bytes = _blob()


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
    at: datetime = _utc()


class ApprovalRequestRow(SQLModel, table=True):
    """One asking for a decision over one plan."""

    __tablename__ = "approval_requests"
    id: str = Field(primary_key=True)
    rollout_id: str = Field(foreign_key="rollouts.id", index=True)
    plan_digest: str
    asking: int
    nonce: str
    asked_at: datetime = _utc()
    expires_at: datetime = _utc()
    flow_run_id: str = ""


class DecisionRow(SQLModel, table=True):
    """One answer to a request: counted or refused, both kept."""

    __tablename__ = "decisions"
    id: int | None = Field(default=None, primary_key=True)
    rollout_id: str = Field(foreign_key="rollouts.id", index=True)
    plan_digest: str
    request_id: str
    at: datetime = _utc()
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
    at: datetime = _utc()


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
