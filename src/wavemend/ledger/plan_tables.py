"""The hosts of frozen plans as rows, for what is asked over all rollouts together."""

from sqlmodel import Field, SQLModel


class PlannedHostRow(SQLModel, table=True):
    """One host of one frozen plan, left out or not: copied, so that it is found by its name."""

    __tablename__ = "planned_hosts"
    rollout_id: str = Field(primary_key=True, foreign_key="rollouts.id")
    host: str = Field(primary_key=True, index=True)
    wave: int
    """0: it was left out of the plan."""
    outcome: str = ""
    """What it was left out with; empty for a host of a wave."""
    system: str
    """Id and version of its operating system, `debian 12`."""
    packages: int
    """How many are to be installed; 0 for a restart or a repair."""
