"""One host's part of a rollout, with everything that is decided about it."""

from collections.abc import Callable
from dataclasses import dataclass

from wavemend.calendar.declared import TenantCalendar
from wavemend.fleet import RolloutKind, Tenant
from wavemend.fleet_limits import NO_LIMITS, HostLimits
from wavemend.hosts import Host
from wavemend.ledger.rollouts import Lease
from wavemend.plans import Plan, PlannedHost
from wavemend.policy.profiles import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What the fleet in force says of a host at one moment."""

    tenant: Tenant
    """Its company: who may approve."""
    calendar: TenantCalendar | None = None
    """What can close the window for the company; None: nothing was declared."""
    limits: HostLimits = NO_LIMITS
    """What other hosts mean for its start."""
    fleet_drift: str = ""
    """Why the fleet no longer says what the plan was made for; empty when it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the executor is asked to do for one host, and under which lease."""

    lease: Lease
    plan: Plan
    host: Host
    profile: Profile
    tenant: Tenant
    calendar: TenantCalendar | None = None
    limits: HostLimits = NO_LIMITS
    fleet_drift: str = ""
    """Why the fleet in force no longer says what the plan was made for; empty when it does."""
    ask: Callable[[], InForce] | None = None
    """Asks the fleet in force again: a host may wait for hours for its place."""

    def in_force(self) -> InForce:
        """Return what the fleet says now; what it said when the order was given, if nobody asks."""
        if self.ask is None:
            return InForce(
                tenant=self.tenant,
                calendar=self.calendar,
                limits=self.limits,
                fleet_drift=self.fleet_drift,
            )
        return self.ask()

    @property
    def planned(self) -> PlannedHost:
        """The host as the plan has it."""
        return self.plan.host(self.host.name)

    @property
    def restart_only(self) -> bool:
        """True in a rollout of restarts: nothing is installed, the host is restarted."""
        return self.kind is RolloutKind.RESTART

    @property
    def kind(self) -> RolloutKind:
        """What is done to the host."""
        if self.planned.repairs:
            return RolloutKind.REPAIR
        return RolloutKind.PATCH if self.planned.changes_packages else RolloutKind.RESTART

    @property
    def is_repair(self) -> bool:
        """True in a rollout of repairs: what is half done is finished, no version is brought in."""
        return self.kind is RolloutKind.REPAIR
