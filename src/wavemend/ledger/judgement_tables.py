"""Tables of what was found on hosts, and of what was known and told about it."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from wavemend.ledger.columns import blob, utc


class AssessmentRow(SQLModel, table=True):
    """One look at a host, judged by what was known at one moment. Never changed, never removed."""

    __tablename__ = "assessments"
    __table_args__ = (Index("ix_assessments_host_scan_id", "host", "scan_id"),)
    id: int | None = Field(default=None, primary_key=True)
    scan_id: int = Field(foreign_key="host_scans.id", index=True)
    tenant: str
    host: str
    scanned_at: datetime = utc()
    assessed_at: datetime = utc()
    intelligence: str
    findings: int
    unjudged: int
    """Installed packages that could not be compared with what the vendor says."""
    document: bytes = blob()
    """zlib-compressed canonical JSON of the `Assessment`."""


class FirstSightingRow(SQLModel, table=True):
    """When a finding was seen first on a host, the clock of its due date, and the earliest date."""

    __tablename__ = "first_sightings"
    host: str = Field(primary_key=True)
    finding_id: str = Field(primary_key=True, index=True)
    at: datetime = utc()
    due: datetime | None = utc(default=None, nullable=True)
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
    scanned_at: datetime = utc()
    assessed_at: datetime = utc()
    intelligence: str
    fleet: str
    packages: int
    judged: int
    kept: int
    """Findings that stand as an earlier judgement left them: this one could not speak of them."""
    feeds: bytes = blob()
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
    at: datetime = utc()
    state: str = Field(index=True)
    sent_at: datetime | None = utc(default=None, nullable=True)


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
    due: datetime | None = utc(default=None, nullable=True)
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
    known_at: datetime | None = utc(default=None, nullable=True)  # its feed's copy that said it
    order_key: str  # the order as text that sorts the same
    due_rule: str = ""
    waiver_id: str = ""
    waived_until: datetime | None = utc(default=None, nullable=True)
    first_seen: datetime | None = utc(default=None, nullable=True)
    judged_at: datetime | None = utc(default=None, nullable=True)
