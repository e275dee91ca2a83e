"""Policies: what holds for a host, field by field, from everybody's down to its own.

Four levels: global, company, custom group, host. The nearest level that says something about a
field wins; a level that locks a field has the last word over every nearer one. Rules about single
updates follow the same order; on one level `reject` beats every other answer.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from wavemend.policy.profiles import RebootRule, Updates
from wavemend.selectors import Selector


class Level(StrEnum):
    """Where a policy speaks, from the farthest to the nearest."""

    GLOBAL = "global"
    COMPANY = "company"
    CUSTOM = "custom"
    HOST = "host"


class Importance(StrEnum):
    """How much depends on a host: what matters less goes first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class RuleAction(StrEnum):
    """What becomes of an update that a rule matches."""

    AUTO = "auto"
    """Planned for every host."""
    AFTER_PILOT = "after_pilot"
    """Planned for pilots; for others once a pilot of the company ended well with this version, in
    an earlier rollout or in an earlier wave of the same one."""
    MANUAL = "manual"
    """Left out until a rollout names it."""
    REJECT = "reject"
    """Left out."""


class UpdateClass(StrEnum):
    """What an update is for."""

    SECURITY = "security"
    FUNCTIONAL = "functional"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRule:
    """One rule about single updates; every condition given must hold. First match wins."""

    name: str
    action: RuleAction
    classes: tuple[UpdateClass, ...] = ()
    lanes: tuple[str, ...] = ()
    cvss_at_least: float | None = None
    """Highest base score of its CVEs. An update without any score does not match."""
    epss_at_least: float | None = None
    kev: bool | None = None
    """True: only with a CVE known to be exploited; False: only without one."""
    packages: tuple[str, ...] = ()
    """Glob patterns of package names."""
    severities: tuple[str, ...] = ()
    """The vendor's own words, lower case."""
    products: tuple[str, ...] = ()
    """Glob patterns of the repository's origin, or of the operating system's id."""
    younger_than: timedelta | None = None
    """Since its fix was published, or first seen by us: whichever is known and earlier."""
    select: Selector | None = None
    """Only on hosts with these labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one level says. Fields left at None say nothing."""

    name: str
    level: Level
    tenant: str = ""
    """Level company."""
    group: str = ""
    """Level custom."""
    host: str = ""
    """Level host."""
    updates: Updates | None = None
    reboot: RebootRule | None = None
    new_packages: bool | None = None
    window: str | None = None
    critical: bool | None = None
    conffiles: str | None = None
    services: str | None = None
    importance: Importance | None = None
    defer: timedelta | None = None
    """Updates younger than this wait, unless their lane is emergency or expedited."""
    lock: tuple[str, ...] = ()
    """Names of fields, or `rules`, about which no nearer level has a say. Sorted."""
    rules: tuple[UpdateRule, ...] = ()


FIELDS = (
    "conffiles",
    "critical",
    "defer",
    "importance",
    "new_packages",
    "reboot",
    "services",
    "updates",
    "window",
)
"""The fields a policy can set and lock, sorted; beside them `rules` can be locked."""
