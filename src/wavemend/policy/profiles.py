"""Profiles: which updates qualify, how hosts reboot, and in which waves they change.

Values only. Everything written after a wave (gate, soak, gap) comes after that wave and before
the next one.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from wavemend.errors import FleetError
from wavemend.hosts import DEFAULT_OPTIONS, Host, ManagerOptions
from wavemend.policy.care import (
    HostHook,
    Probe,
    RebootManners,
    RestorePointRule,
    RollBack,
    Unready,
)
from wavemend.selectors import Selector


class RebootRule(StrEnum):
    """Whether hosts of a profile restart after their updates."""

    NEVER = "never"
    IF_NEEDED = "if_needed"
    ALWAYS = "always"


class Updates(StrEnum):
    """Which pending updates qualify."""

    SECURITY = "security"
    ALL = "all"


class WaveKind(StrEnum):
    """The three kinds of waves, in the only order they come in."""

    PILOT = "pilot"
    BROAD = "broad"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """What must have been observed in a wave before the next one may start.

    The defaults are the strictest rule there is: nothing bad, everything good.
    """

    max_errors: int = 0
    """The rollout halts at error `max_errors + 1`; unreachable hosts count as errors."""
    min_success_percent: int = 100
    """Of the hosts observed, 0 to 100."""
    min_observed: int = 1
    """Fewer observed hosts than this prove nothing, so the gate does not open."""
    soak: timedelta = timedelta(0)
    """Quiet time after the wave's last host, before the gate decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many hosts a wave takes: a number, or a percentage of the hosts not yet placed."""

    value: int
    percent: bool

    def of(self, remaining: int) -> int:
        """Return how many of `remaining` hosts are taken: rounded down, at least 1 of any."""
        if not self.percent:
            return min(self.value, remaining)
        return min(remaining, max(1, remaining * self.value // 100))

    @property
    def takes_all(self) -> bool:
        """True when nothing is left over, however many hosts remain."""
        return self.percent and self.value >= 100

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRule:
    """One ordered part of every rollout of a profile.

    A wave takes what its selector matches, or as many as its size says, never both; with neither
    it takes every host not yet placed. Critical hosts go to the critical wave and to no other.
    """

    name: str
    kind: WaveKind
    select: Selector | None = None
    size: Size | None = None
    concurrency: int = 1
    """Hosts being changed at the same time."""
    gap: timedelta = timedelta(0)
    """Least time between the verified end of this wave and the start of the next one."""
    gate: GateRule = GateRule()

    @property
    def takes_rest(self) -> bool:
        """True when no host can be left over after this wave."""
        return self.select is None and (self.size is None or self.size.takes_all)


CRITICAL_WAVE = WaveRule(name="critical", kind=WaveKind.CRITICAL)
"""Used where a profile declares none: one host at a time, stop at the first error."""


_PACKAGE_VERSIONS, _CAREFUL = RestorePointRule(), RebootManners()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What holds for one device type and operating system."""

    name: str
    device: str
    """Matches the label `device` of hosts that name no profile."""
    os: str
    """Matches the label `os` of hosts that name no profile."""
    manager: str
    updates: Updates
    reboot: RebootRule
    waves: tuple[WaveRule, ...]
    """Pilots, then broad waves, of which the last takes the rest, then exactly one critical."""
    host_deadline: timedelta
    """Longest time one host's change may take, reboot included."""
    window: str = ""
    """For hosts whose own entry and whose tenant name none."""
    before_hooks: tuple[tuple[str, ...], ...] = ()
    """Commands run on the worker before the first wave. A failure stops the rollout."""
    after_hooks: tuple[tuple[str, ...], ...] = ()
    """Commands run on the worker after the last wave."""
    probes: tuple[Probe, ...] = ()
    hooks: tuple[HostHook, ...] = ()
    """Commands around the change of each host, in this order."""
    restore_point: RestorePointRule = _PACKAGE_VERSIONS
    roll_back: RollBack = RollBack.NEVER
    reboots: RebootManners = _CAREFUL
    separate_reboots: bool = True
    """Broad and critical waves change the hosts that are not to restart first, and restart none
    of them."""
    unready: Unready = Unready.GO_ON
    options: ManagerOptions = DEFAULT_OPTIONS
    new_packages: bool = True
    """An update that needs packages new to its host (a kernel does) brings them along."""
    power_on: tuple[str, ...] = ()
    """Run on the worker for a host that is off at preflight; empty: nothing is."""
    critical_fixes: tuple[str, ...] = ()
    """Packages or advisories whose functional fixes the operator calls critical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One wave and the hosts it takes, sorted by name; it may take none."""

    wave: WaveRule
    hosts: tuple[Host, ...]


def place(profile: Profile, hosts: tuple[Host, ...]) -> tuple[Placement, ...]:
    """Return which host goes to which wave: each exactly once, the same for the same fleet.

    Raises FleetError when hosts would be left over, which no loaded profile does.
    """
    ordered = sorted(hosts, key=lambda host: host.name)
    critical = [host for host in ordered if host.critical]
    left = [host for host in ordered if not host.critical]
    placements: list[Placement] = []
    for wave in profile.waves:
        if wave.kind is WaveKind.CRITICAL:
            taken, critical = critical, []
        else:
            taken = _taken_by(wave, left)
            names = {host.name for host in taken}
            left = [host for host in left if host.name not in names]
        placements.append(Placement(wave=wave, hosts=tuple(taken)))
    if left or critical:
        names = {host.name for host in (*left, *critical)}
        raise FleetError(
            f"profile {profile.name} has no wave for {', '.join(sorted(names))}",
            hint="the last broad wave must take the rest, and a critical wave must follow it",
        )
    return tuple(placements)


def _taken_by(wave: WaveRule, left: list[Host]) -> list[Host]:
    if wave.select is not None:
        return [host for host in left if wave.select.matches(host.labels)]
    return left[: wave.size.of(len(left))] if wave.size is not None else left
