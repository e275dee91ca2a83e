"""One company's part of a fleet: what its people may see of what was declared. Pure.

Kept is the company itself, what it uses, and what holds for everybody. What is kept and speaks of
others is cut down to the company's own hosts; what then speaks of nobody is left out.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Protocol, TypeVar

from wavemend.fleet import Fleet, Group, Tenant, group_members
from wavemend.hosts import Host
from wavemend.policy.limits import Budget, Dependency
from wavemend.policy.profiles import Profile
from wavemend.policy.settings import Policy
from wavemend.policy.waivers import Waiver

UNNAMED = "(not shown)"
"""In place of a person who answers for something global and is not this company's."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


def view_of(fleet: Fleet, tenant: str) -> Fleet:
    """Return the fleet as one company sees it, with the digest of the whole one.

    Of a fleet of before it was a customer, it sees nobody.
    """
    own = next((one for one in fleet.tenants if one.name == tenant), None)
    if own is None:
        own = Tenant(name=tenant, title=tenant, zone="UTC")
        fleet = replace(fleet, tenants=(), hosts=())
    hosts = fleet.hosts_of(tenant)
    groups = tuple(_groups(fleet.groups, tenant, hosts))
    group_names = {group.name for group in groups}
    profiles = _named(fleet.profiles, {host.profile for host in hosts})
    policies = tuple(_policies(fleet.policies, tenant, group_names, hosts))
    freezes = tuple(one for one in fleet.freezes if one.tenant in {"", tenant})
    used = {one.calendar for one in freezes} | set(own.duty.calendars if own.duty else ())
    return replace(
        fleet,
        tenants=(own,) if fleet.tenants else (),
        approvers=_named(fleet.approvers, own.approvers),
        profiles=profiles,
        windows=_named(fleet.windows, _windows(own, hosts, profiles, policies)),
        groups=groups,
        logins=_named(fleet.logins, {host.login for host in hosts}),
        hosts=hosts,
        waivers=tuple(_waivers(fleet.waivers, own)),
        managers=_named(fleet.managers, {host.manager for host in hosts}),
        policies=policies,
        budgets=tuple(_budgets(fleet.budgets, tenant, hosts, group_names)),
        dependencies=tuple(_dependencies(fleet.dependencies, tenant, hosts)),
        calendars=_named(fleet.calendars, used),
        freezes=freezes,
        rosters=_named(fleet.rosters, {own.duty.roster} if own.duty else ()),
    )


def _named(things: Iterable[_N], names: Collection[str]) -> tuple[_N, ...]:
    return tuple(thing for thing in things if thing.name in names)


def _windows(
    own: Tenant, hosts: Iterable[Host], profiles: Iterable[Profile], policies: Iterable[Policy]
) -> set[str]:
    return {
        own.window,
        *(host.window for host in hosts),
        *(profile.window for profile in profiles),
        *(profile.reboots.window for profile in profiles),
        *(policy.window or "" for policy in policies),
    }


def _groups(groups: Iterable[Group], tenant: str, hosts: tuple[Host, ...]) -> Iterable[Group]:
    names = {host.name for host in hosts}
    for group in groups:
        if group.tenant in {"", tenant} and group_members(group, hosts):
            yield replace(group, hosts=tuple(name for name in group.hosts if name in names))


def _policies(
    policies: Iterable[Policy], tenant: str, groups: Collection[str], hosts: Iterable[Host]
) -> Iterable[Policy]:
    names = {host.name for host in hosts}
    for policy in policies:
        of_group = not policy.group or policy.group in groups
        of_host = not policy.host or policy.host in names
        if policy.tenant in {"", tenant} and of_group and of_host:
            yield policy


def _waivers(waivers: Iterable[Waiver], own: Tenant) -> Iterable[Waiver]:
    for waiver in waivers:
        if waiver.tenant == own.name or (not waiver.tenant and waiver.owner in own.approvers):
            yield waiver
        elif not waiver.tenant:
            yield replace(waiver, owner=UNNAMED)


def _budgets(
    budgets: Iterable[Budget], tenant: str, hosts: tuple[Host, ...], groups: Collection[str]
) -> Iterable[Budget]:
    names = {host.name for host in hosts}
    for budget in budgets:
        own = tuple(name for name in budget.hosts if name in names)
        selected = budget.select and any(budget.select.matches(host.labels) for host in hosts)
        concerns = own or budget.group in groups or selected
        if budget.tenant in {"", tenant} and concerns:
            yield replace(budget, hosts=own)


def _dependencies(
    dependencies: Iterable[Dependency], tenant: str, hosts: tuple[Host, ...]
) -> Iterable[Dependency]:
    for one in dependencies:
        both = (one.first, one.then)
        concerns = any(side.matches(host.labels) for side in both for host in hosts)
        if one.tenant in {"", tenant} and concerns:
            yield one
