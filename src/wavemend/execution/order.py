"""One host's part of a rollout, with everything that is decided about it."""

from dataclasses import dataclass

from wavemend.fleet import Tenant
from wavemend.hosts import Host
from wavemend.ledger.rollouts import Lease
from wavemend.plans import Plan, PlannedHost
from wavemend.policy.profiles import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the executor is asked to do for one host, and under which lease."""

    lease: Lease
    plan: Plan
    host: Host
    profile: Profile
    tenant: Tenant
    fleet_drift: str = ""
    """Why the fleet in force no longer says what the plan was made for; empty when it does."""

    @property
    def planned(self) -> PlannedHost:
        """The host as the plan has it."""
        return self.plan.host(self.host.name)
