"""The question: which hosts must be changed by when, and in which nights that can be. Values only.

Hosts that nothing distinguishes are one `Task` with a count, so a thousand hosts are a few dozen
numbers. A night is one opening of one rollout key. Durations are whole minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wavemend.errors import CalendarError


class RuleKind(StrEnum):
    """What can stand in the way of a due date."""

    WINDOW = "window"
    """A window is open no longer than it is."""
    FREEZE = "freeze"
    DUTY = "duty"
    PAUSES = "pauses"
    """Soak and gap between the waves of one rollout."""
    GAP = "gap"
    """Least time between groups of a company, one group at a time."""
    BUDGET = "budget"
    DUE = "due"
    """The due dates of a company."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Rule:
    """One rule that was written down by somebody, and could be changed by somebody."""

    kind: RuleKind
    name: str
    """Of the window, freeze, company, budget or rollout key."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """One wave of a rollout key, in the order of the tuple that holds it."""

    name: str
    concurrency: int
    pause: int = 0
    """Minutes of soak and gap between its end and the next wave's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Hosts that nothing distinguishes here, and when their work must be done."""

    name: str
    key: str
    """The rollout key, as text."""
    wave: str
    hosts: tuple[str, ...]
    minutes: int
    """For one host, p95, restart included."""
    due: datetime | None = None
    """Earliest due date of the hosts' findings, UTC; None: no date has to be met."""
    budgets: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many hosts it stands for."""
        return len(self.hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One opening of the window of one rollout key."""

    key: str
    tenant: str
    window: str
    start: datetime
    end: datetime
    closed_by: tuple[Rule, ...] = ()
    """Freezes and duty rules that forbid it; each alone is enough."""

    @property
    def minutes(self) -> int:
        """Whole minutes from start to end."""
        return int((self.end - self.start).total_seconds()) // 60

    def __str__(self) -> str:
        return f"{self.window}@{self.start:%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Everything the answer depends on."""

    nights: tuple[Night, ...]
    waves: Mapping[str, tuple[Wave, ...]]
    """By rollout key."""
    tasks: tuple[Task, ...]
    gaps: Mapping[str, int] = field(default_factory=dict)
    """Minutes by company; companies without one keep no common gap."""
    budgets: Mapping[str, int] = field(default_factory=dict)
    """How many hosts may be out at once, by name."""
    tenants: Mapping[str, str] = field(default_factory=dict)
    """Company by rollout key."""

    def __post_init__(self) -> None:
        for task in self.tasks:
            names = [wave.name for wave in self.waves.get(task.key, ())]
            if task.wave not in names:
                raise CalendarError(f"{task.name}: {task.key} has no wave {task.wave}")
            if not task.hosts or task.minutes < 1:
                raise CalendarError(f"{task.name}: a task has hosts, and takes a minute at least")
            if missing := [name for name in task.budgets if name not in self.budgets]:
                raise CalendarError(f"{task.name}: there is no budget {missing[0]}")

    def rules(self) -> tuple[Rule, ...]:
        """Return every rule that takes part, sorted: those a conflict is looked for in."""
        found = {rule for night in self.nights for rule in night.closed_by}
        found |= {Rule(kind=RuleKind.WINDOW, name=night.window) for night in self.nights}
        found |= {Rule(kind=RuleKind.GAP, name=tenant) for tenant in self.gaps}
        found |= {Rule(kind=RuleKind.BUDGET, name=name) for name in self.budgets}
        for key, waves in self.waves.items():
            if any(wave.pause for wave in waves):
                found.add(Rule(kind=RuleKind.PAUSES, name=key))
        for task in self.tasks:
            if task.due is not None:
                found.add(Rule(kind=RuleKind.DUE, name=self.tenants.get(task.key, task.key)))
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """How many hosts of a task are changed in one night."""

    task: str
    night: Night
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One change of one kind after which every due date can be met."""

    cost: int
    """Half hours of longer windows count 1, a signed night 3, a frozen night 8, a host that is
    done late 2; the fewer the better."""
    sentence: str
    proven: bool = True
    """False: the search for a cheaper one of its kind was cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """The answer. Exactly one of `schedule` and `conflict` is filled unless `undecided`."""

    feasible: bool
    schedule: tuple[Placed, ...] = ()
    conflict: tuple[Rule, ...] = ()
    """They cannot hold together, and without any one of them the others can."""
    repairs: tuple[Repair, ...] = ()
    """At most two, the cheapest first; each alone is enough."""
    undecided: str = ""
    """Why there is no answer: the solver ran out of time."""
