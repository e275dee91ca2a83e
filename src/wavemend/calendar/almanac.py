"""What all calendars hold at one moment, and whether they allow a start. Pure.

Preview, schedule, simulation and executor ask `bars`, so what was shown is what runs. The window
itself is asked of `windows.py`; what an almanac knows is everything that closes an open window.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class BarKind(StrEnum):
    """Why nothing may start although the window is open."""

    FREEZE = "freeze"
    DAY_OFF = "day_off"
    """The morning after is a day off."""
    NOBODY_ON_DUTY = "nobody_on_duty"
    UNKNOWN = "unknown"
    """A calendar or roster that could forbid it cannot be read, or is too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One thing that forbids a start now."""

    kind: BarKind
    reason: str
    """A sentence that names the freeze, the day or the roster."""
    until: datetime | None = None
    """When it ends by itself (UTC); None: not within this opening, or nobody can say."""
    overridable: bool = False
    """True: a signed override of this night lifts it (duty and days off; freezes never)."""

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A time in which something holds; the end itself is outside. UTC."""

    start: datetime
    end: datetime
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Shift:
    """One person at work. UTC; the end itself is outside."""

    start: datetime
    end: datetime
    person: str
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NightOverride:
    """A signed statement that a company's rollouts may start in one night all the same."""

    tenant: str
    morning: date
    """Local date of the morning after, in the company's zone."""
    identity: str
    reason: str
    signed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Almanac:
    """The content of all calendars and rosters of a fleet, read at one moment."""

    read_at: datetime
    freezes: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    """Spans by the name of the declared freeze, sorted."""
    days_off: Mapping[str, Mapping[date, str]] = field(default_factory=dict)
    """By company: local dates that are no working days, and why (weekends apart)."""
    shifts: Mapping[str, tuple[Shift, ...]] = field(default_factory=dict)
    """By roster, sorted."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Calendar or roster name, and why what it holds is not known."""
    stale: Mapping[str, str] = field(default_factory=dict)
    """Calendar or roster name, and since when its copy was not renewed; still believed."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each document that was read: what a decision rested on."""
