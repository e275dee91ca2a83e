"""What every task of a run works with: the site, the ledger, the fleet in force, the hands."""

from dataclasses import replace
from datetime import timedelta
from threading import Lock

from blocks.site import WavemendSite
from tasks.operating import operate
from wavemend.calendar.almanac import Almanac
from wavemend.calendar.declared import TenantCalendar
from wavemend.errors import FleetError
from wavemend.execution.hands import Hands
from wavemend.feeds import DEFAULT_FEEDS
from wavemend.feeds.intelligence import load_intelligence
from wavemend.fleet import Fleet, RolloutKind, Tenant
from wavemend.fleet_limits import FleetLimits, HostLimits
from wavemend.ledger.intake import current_fleet, digest_in_force, fleet_of, remembered_states
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger
from wavemend.plans import Plan
from wavemend.policy.emergencies import calendar_for
from wavemend.site import Site, almanac_of, hands_of
from wavemend.steps.assess import Assessor


class Workbench:
    """Opened once per process; tasks of one run share it.

    No dataclass on purpose: Prefect walks into those for every task run, fleet and all.
    """

    __slots__ = ("_assessor", "_lock", "fleet", "hands", "site")

    def __init__(self, site: Site, fleet: Fleet, hands: Hands) -> None:
        self.site = site
        self.fleet = fleet
        self.hands = hands
        self._assessor: Assessor | None = None
        self._lock = Lock()

    def assessor(self) -> Assessor:
        """Return what judges hosts, made once per process: all hosts are judged by the same."""
        with self._lock:
            if self._assessor is None:
                self._assessor = self.new_assessor()
            return self._assessor

    def new_assessor(self) -> Assessor:
        """Return what judges hosts by the feeds as they are at this moment.

        A stored copy that is not the one the ledger knows is not used: its feed counts as missing.
        """
        feeds = self.fleet.feeds
        with self.hands.ledger.reading() as book:
            remembered = remembered_states(book, feeds.use or DEFAULT_FEEDS)
        known = load_intelligence(
            self.site.feed_cache,
            self.hands.clock(),
            timedelta(hours=feeds.max_age_hours),
            feeds=feeds.use or DEFAULT_FEEDS,
            remembered=remembered,
        )
        return Assessor(self.fleet, known)


class Running:
    """A rollout that this process holds the lease of, with its frozen plan.

    Hosts, logins and profiles are those of the fleet the plan was made for, even if another one
    was applied since. Who may approve is asked of the fleet in force: a name taken out counts
    no more, and of a company taken out nobody does. A host taken out, moved to another rollout,
    or made critical since, is not started.
    """

    __slots__ = ("_almanac", "_in_force", "_limits", "_lock", "bench", "lease", "plan")

    def __init__(self, bench: Workbench, lease: Lease, plan: Plan) -> None:
        ledger = bench.hands.ledger
        with ledger.reading() as book:
            planned = fleet_of(book, plan.fleet_digest)
            self._in_force = current_fleet(book)
        self._limits = FleetLimits(self._in_force)
        self._almanac = almanac_of(bench.site, self._in_force)
        self._lock = Lock()
        hands = replace(operating_hands(bench.site, ledger, planned), almanac=self.almanac)
        self.bench = Workbench(bench.site, planned, hands)
        self.lease = lease
        self.plan = plan

    def in_force(self) -> Fleet:
        """Return the fleet in force at this moment; read again only when another was applied."""
        with self._lock, self.bench.hands.ledger.reading() as book:
            if digest_in_force(book) != self._in_force.digest:
                self._in_force = current_fleet(book)
                self._limits = FleetLimits(self._in_force)
                self._almanac = almanac_of(self.bench.site, self._in_force)
            return self._in_force

    def almanac(self) -> Almanac:
        """Return what the calendars in force hold: a freeze may name another one by now."""
        self.in_force()
        return self._almanac()

    def limits(self, host: str) -> HostLimits:
        """Return what other hosts mean for the start of one, by the fleet last in force."""
        return self._limits.of(host)

    @property
    def tenant(self) -> Tenant:
        """The company as it is in force."""
        return _tenant_of(self.plan.tenant, self.bench.fleet, self.in_force())

    @property
    def calendar(self) -> TenantCalendar:
        """What can close the window for the company, as it is in force."""
        try:
            calendar = self.in_force().calendar_of(self.plan.tenant)
        except FleetError:  # taken out: nobody may sign for it any more
            planned = self.bench.fleet.calendar_of(self.plan.tenant)
            return replace(planned, approvers=())
        if self.plan.kind == RolloutKind.EMERGENCY:
            return calendar_for(calendar, self.tenant.emergency)
        return calendar


def _tenant_of(name: str, planned: Fleet, in_force: Fleet) -> Tenant:
    """Return the company as it is in force; one that was taken out, without any approver.

    Its unfinished rollout is still to be closed, verified and reported.
    """
    try:
        return in_force.tenant(name)
    except FleetError:
        return replace(planned.tenant(name), approvers=())


def operating_hands(site: Site, ledger: Ledger, fleet: Fleet) -> Hands:
    """Return the means of a worker: the operator's commands run through prefect-shell."""
    return replace(hands_of(site, ledger, fleet), operate=operate)


def open_workbench(site: str) -> Workbench:
    """Open the installation behind a `Wavemend Site` block of that name."""
    block = WavemendSite.load(site)
    if not isinstance(block, WavemendSite):  # `load` is asynchronous inside an event loop
        raise TypeError("the site block is loaded in synchronous code only")
    place = block.to_core()
    ledger = place.open_ledger()
    ledger.check()
    with ledger.reading() as book:
        fleet = current_fleet(book)
    return Workbench(place, fleet, operating_hands(place, ledger, fleet))
