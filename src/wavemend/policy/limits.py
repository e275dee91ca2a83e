"""What holds between hosts, over all rollouts together: budgets, exclusion sets, order."""

from dataclasses import dataclass
from datetime import timedelta

from wavemend.policy.profiles import GateRule, Size
from wavemend.selectors import Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many hosts of a set may be out at once. An exclusion set is a budget of one.

    A host is out from its drain on until it is verified; one that ended badly stays out until it
    was seen well again, in whichever rollout.
    """

    name: str
    most_out: Size
    """A percentage is of the set's hosts, rounded down, at least one."""
    tenant: str = ""
    """Whose hosts; empty: everybody's."""
    hosts: tuple[str, ...] = ()
    group: str = ""
    select: Selector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Hosts that change before others: a database before the applications on it.

    `then` starts only when every host of `first` that takes part this night has ended well.
    """

    name: str
    first: Selector
    then: Selector
    tenant: str = ""


STRICTEST = GateRule()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyRule:
    """What a company allows for vulnerabilities that are being exploited."""

    standing: bool = False
    """True: an emergency rollout needs no signature but those of critical hosts."""
    ignores_freezes: bool = False
    ignores_duty: bool = False
    duration: timedelta = timedelta(hours=6)
    """Length of the opening that is made for it, from its start on."""
    cutoff: timedelta = timedelta(hours=1)
    soak: timedelta = timedelta(minutes=15)
    """After its pilot, instead of the profile's."""
    gap: timedelta = timedelta(0)
    gate: GateRule = STRICTEST


NO_EMERGENCY_RULE = EmergencyRule()
"""A company that declares none: every emergency rollout needs a signature."""
