"""What holds between one host and others of its fleet: budgets, order, gaps. Pure.

Worked out from the fleet in force, because it holds over all rollouts together, whichever fleet
they were planned for.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from wavemend.calendar.windows import Occurrence, Window, next_occurrences, occurrence_at
from wavemend.fleet import Fleet, Group, RolloutKey, Scope
from wavemend.hosts import Host
from wavemend.membership import GroupIndex
from wavemend.policy.limits import Budget, Dependency
from wavemend.selectors import Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSet:
    """Hosts of which only so many may be out at once."""

    name: str
    hosts: tuple[str, ...]
    most_out: int
    own: frozenset[str] | None = None
    """Those of one company: others are counted in what it is told, never named. None: all are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRollout:
    """A rollout of updates that some hosts take part in, and the window that it opens in."""

    key: RolloutKey
    window: Window

    def opening_beside(self, start: datetime, last_start: datetime) -> Occurrence | None:
        """Return its opening of the same night as one that begins and has its last start then.

        The first in which something may start after that one has begun: a window that is open
        for days is not held up anew by each night's rollout.
        """
        return _opening_beside(self.window, start, last_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessors:
    """Hosts that must have ended well before another one starts, as far as they take part."""

    name: str
    """The dependency's."""
    hosts: tuple[str, ...]
    rollouts: tuple[DueRollout, ...] = ()
    """In which they take part, sorted by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """Everything that others mean for the start of one host."""

    sets: tuple[HostSet, ...] = ()
    after: tuple[Predecessors, ...] = ()
    gap: timedelta | None = None
    """Its company's, between any two groups; None: groups of several rollouts may overlap."""


NO_LIMITS = HostLimits()


class FleetLimits:
    """The limits of one fleet, prepared once: each host is asked about before every start."""

    def __init__(self, fleet: Fleet) -> None:
        self._gaps = {tenant.name: tenant.gap for tenant in fleet.tenants}
        self._tenants = {host.name: host.tenant for host in fleet.hosts}
        self.sets = host_sets(fleet)
        """Every budget with its hosts, in the order of the file."""
        self._sets: dict[str, list[HostSet]] = defaultdict(list)
        for each in self.sets:
            for seen in self._by_company(each):
                for name in seen.own or seen.hosts:
                    self._sets[name].append(seen)
        self._after = _orders(fleet)

    def _by_company(self, group: HostSet) -> Sequence[HostSet]:
        """Return a set as each company in it may see it."""
        own: dict[str, set[str]] = defaultdict(set)
        for name in group.hosts:
            own[self._tenants[name]].add(name)
        if len(own) == 1:
            return [group]
        return [replace(group, own=frozenset(names)) for names in own.values()]

    def of(self, host: str) -> HostLimits:
        """Return the limits of one host; none for one that the fleet does not know any more."""
        return HostLimits(
            sets=tuple(self._sets.get(host, ())),
            after=tuple(self._after.get(host, ())),
            gap=self._gaps.get(self._tenants.get(host, "")),
        )


def host_sets(fleet: Fleet) -> tuple[HostSet, ...]:
    """Return every budget that has hosts, with their names sorted, in the order of the file."""
    groups = [each for budget in fleet.budgets if (each := _as_group(budget, fleet))]
    members = _members(groups, fleet)
    return tuple(
        HostSet(name=budget.name, hosts=names, most_out=max(1, budget.most_out.of(len(names))))
        for budget in fleet.budgets
        if (names := tuple(host.name for host in members.get(budget.name, ())))
    )


def _as_group(budget: Budget, fleet: Fleet) -> Group | None:
    """Return the hosts of a budget as a group of its name; None when no host can be in it."""
    if not budget.group:
        return Group(
            name=budget.name,
            scope=Scope.CUSTOM,
            tenant=budget.tenant,
            hosts=budget.hosts,
            select=budget.select,
        )
    group = fleet.group(budget.group)
    tenants = {budget.tenant, group.tenant} - {""}
    if len(tenants) > 1:
        return None
    return replace(group, name=budget.name, tenant=next(iter(tenants), ""))


def _orders(fleet: Fleet) -> dict[str, list[Predecessors]]:
    """Return whom each host waits for: hosts of its own company only."""
    rules = fleet.dependencies
    firsts = _members([_selected(rule, rule.first) for rule in rules], fleet)
    thens = _members([_selected(rule, rule.then) for rule in rules], fleet)
    found: dict[str, list[Predecessors]] = defaultdict(list)
    for rule in rules:
        by_tenant: dict[str, list[Host]] = defaultdict(list)
        for host in firsts.get(rule.name, ()):
            by_tenant[host.tenant].append(host)
        before = {tenant: _before(rule, hosts, fleet) for tenant, hosts in by_tenant.items()}
        for host in thens.get(rule.name, ()):
            if host.tenant in before and not rule.first.matches(host.labels):
                found[host.name].append(before[host.tenant])
    return found


def _selected(rule: Dependency, select: Selector) -> Group:
    return Group(name=rule.name, scope=Scope.CUSTOM, tenant=rule.tenant, select=select)


def _before(rule: Dependency, hosts: Sequence[Host], fleet: Fleet) -> Predecessors:
    keys = {
        RolloutKey(tenant=host.tenant, profile=host.profile, window=host.window)
        for host in hosts
        if host.profile
    }
    return Predecessors(
        name=rule.name,
        hosts=tuple(host.name for host in hosts),
        rollouts=tuple(
            DueRollout(key=key, window=fleet.window(key.window)) for key in sorted(keys)
        ),
    )


@lru_cache(maxsize=1024)  # every host that waits asks again and again
def _opening_beside(window: Window, start: datetime, last_start: datetime) -> Occurrence | None:
    now_open = occurrence_at(window, start)
    for opening in (*([now_open] if now_open else []), *next_occurrences(window, start, 1)):
        if opening.last_start > start:
            return opening if opening.start < last_start else None
    return None


def _members(groups: Sequence[Group], fleet: Fleet) -> dict[str, list[Host]]:
    """Return the hosts of each group, sorted by name; no host is compared with every group."""
    index = GroupIndex(groups)
    found: dict[str, list[Host]] = defaultdict(list)
    for host in fleet.hosts:
        for name in index.of(host.name, host.tenant, host.labels):
            found[name].append(host)
    return found
