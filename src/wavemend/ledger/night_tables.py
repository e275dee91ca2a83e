"""Tables of nights: those in which nothing ran, and those that somebody signed for."""

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from wavemend.ledger.columns import utc


class NightRow(SQLModel, table=True):
    """One opening of a window in which a rollout was due and did not run, and why."""

    __tablename__ = "nights"
    key: str = Field(primary_key=True)
    """The rollout key, as text."""
    window_start: datetime = utc(primary_key=True)
    tenant: str = Field(index=True)
    profile: str
    window: str
    window_end: datetime = utc()
    verdict: str
    """`skipped`: a calendar or its switch forbade it; `missed`: nobody started it in time."""
    reason: str
    at: datetime = utc()


class NightOverrideRow(SQLModel, table=True):
    """A signed statement that a company's rollouts may start in one night all the same."""

    __tablename__ = "night_overrides"
    id: str = Field(primary_key=True)
    tenant: str = Field(index=True)
    morning: date
    """Local date of the morning after, in the company's zone."""
    identity: str
    fingerprint: str
    reason: str
    statement: str
    signature: str
    at: datetime = utc()
