"""What no single entry can know: references, inheritance, and selections that hold nobody."""

from collections.abc import Iterator

from wavemend.inventory.calendar_checks import check_calendars
from wavemend.inventory.fleet_schema import GroupForm, HostForm
from wavemend.inventory.forms import SECTIONS, Forms
from wavemend.inventory.inheritance import Inheritance, inheritance_of
from wavemend.inventory.login_checks import check_logins
from wavemend.inventory.policy_checks import check_policies
from wavemend.inventory.ports import plain_logins, port_of
from wavemend.inventory.problems import Place, Problem
from wavemend.inventory.profile_checks import check_profiles
from wavemend.inventory.wave_checks import check_waves, empty_waves
from wavemend.policy.care import RestorePointRule

_WINDOWS = ("windows_update",)
"""Managers of Windows hosts; all others speak to a POSIX shell."""


def check(forms: Forms) -> Iterator[Problem]:
    """Yield every problem that shows only when the entries are seen together."""
    yield from _doubles(forms)
    yield from _tenants(forms)
    yield from check_profiles(forms)
    yield from check_waves(forms)
    inheritance = inheritance_of(forms)
    yield from check_calendars(forms, inheritance)
    yield from check_logins(forms)
    yield from _hosts(forms, inheritance)
    yield from _groups(forms)
    yield from _waivers(forms)
    yield from check_policies(forms, inheritance)
    if forms.source.data.get("hosts", []) == [] and not forms.source.data.get("sources"):
        what = "is empty, and empty is not everything; write at least one entry"
        yield forms.problem(("hosts",), what)
    if forms.all_hosts_read:
        yield from _empty_selections(forms, inheritance)


def _doubles(forms: Forms) -> Iterator[Problem]:
    for section in SECTIONS:
        first: dict[str, int] = {}
        for number, name in forms.names[section]:
            if name in first:
                where = forms.source.where((section, first[name], "name"))
                what = f'"{name}" is here twice (first {where}); names are unique'
                yield forms.problem((section, number, "name"), what)
            first.setdefault(name, number)


def _tenants(forms: Forms) -> Iterator[Problem]:
    for number, tenant in forms.tenants.items():
        place: Place = ("tenants", number)
        yield from forms.unknown((*place, "window"), "windows", tenant.window)
        for at, name in enumerate(tenant.approvers):
            yield from forms.unknown((*place, "approvers", at), "approvers", name)


def _hosts(forms: Forms, inheritance: Inheritance) -> Iterator[Problem]:
    approved = {tenant.name: bool(tenant.approvers) for tenant in forms.tenants.values()}
    machines: dict[tuple[str, ...], int] = {}
    domains: dict[tuple[str, str], str] = {}
    for number, host in forms.hosts.items():
        place: Place = ("hosts", number)
        yield from _host_references(forms, place, host)
        inherited = inheritance.of(host)
        if inherited.fault:
            yield forms.problem(place, inherited.fault)
        if host.transport != "local" and not host.address:
            what = "is missing; write the host's name or IP address"
            yield forms.problem((*place, "address"), what)
        if inherited.critical and not approved.get(host.tenant, True):
            what = (
                f"nobody may approve for {host.tenant}, so this host could never change; "
                "add approvers to the company"
            )
            yield forms.problem((*place, "critical"), what)
        if inherited.manager and (inherited.manager in _WINDOWS) != (host.transport == "winrm"):
            what = f"its profile's manager {inherited.manager} does not go with it"
            way_out = "Windows hosts need transport: winrm and manager: windows_update"
            yield forms.problem((*place, "transport"), f"{what}; {way_out}")
        yield from _same_machine(forms, machines, number, host)
        if profile := inheritance.profiles.get(inherited.profile):
            yield from _same_domain(forms, domains, number, host, profile.restore_point)


def _host_references(forms: Forms, place: Place, host: HostForm) -> Iterator[Problem]:
    yield from forms.unknown((*place, "tenant"), "tenants", host.tenant)
    yield from forms.unknown((*place, "profile"), "profiles", host.profile)
    yield from forms.unknown((*place, "window"), "windows", host.window)
    yield from forms.unknown((*place, "login"), "logins", host.login)


def _same_machine(
    forms: Forms, machines: dict[tuple[str, ...], int], number: int, host: HostForm
) -> Iterator[Problem]:
    """Two names for one machine would be changed at the same time, past every budget.

    Private addresses repeat between companies, and behind different logins' jump hosts.
    """
    if host.simulated or (host.transport != "local" and not host.address):
        return
    key: tuple[str, ...] = ("local",)
    if host.transport != "local":
        port = port_of(host, plain_logins(forms.logins))
        key = (host.tenant, host.transport, host.login, host.address, str(port))
    if key in machines:
        other = forms.hosts[machines[key]].name
        what = f"is the same machine as {other}; take one of the two out"
        yield forms.problem(("hosts", number, "address"), what)
    machines.setdefault(key, number)


def _same_domain(
    forms: Forms,
    domains: dict[tuple[str, str], str],
    number: int,
    host: HostForm,
    rule: RestorePointRule,
) -> Iterator[Problem]:
    """One host's rollback would revert the other's machine: a domain is one host's alone.

    Names repeat between companies, whose workers may ask hypervisors of their own.
    """
    if rule.kind != "libvirt":
        return
    domain = (rule.of or "{host}").replace("{host}", host.name)
    other = domains.setdefault((host.tenant, domain), host.name)
    if other != host.name:
        what = f'"{domain}" would be the virtual machine of its restore point, and is that of'
        way_out = "write {host} into restore_point.of of its profile"
        yield forms.problem(("hosts", number), f"{what} {other}; {way_out}")


def _groups(forms: Forms) -> Iterator[Problem]:
    tenant_of = {host.name: host.tenant for host in forms.hosts.values()}
    for number, group in forms.groups.items():
        place: Place = ("groups", number)
        yield from _group_scope(forms, place, group)
        for at, name in enumerate(group.hosts or ()):
            yield from forms.unknown((*place, "hosts", at), "hosts", name)
            if group.tenant and tenant_of.get(name, group.tenant) != group.tenant:
                what = f'"{name}" belongs to {tenant_of[name]}, not to {group.tenant}'
                yield forms.problem((*place, "hosts", at), what)


def _group_scope(forms: Forms, place: Place, group: GroupForm) -> Iterator[Problem]:
    yield from forms.unknown((*place, "tenant"), "tenants", group.tenant)
    if group.scope == "company" and not group.tenant:
        yield forms.problem((*place, "tenant"), "is missing; scope company is one company's")
    if group.scope == "global" and group.tenant:
        what = "scope global reaches all companies; take tenant out, or write scope: company"
        yield forms.problem((*place, "tenant"), what)
    if group.scope == "custom" and group.hosts is None:
        what = "a custom group is hand-picked; name its hosts, or write scope: global or company"
        yield forms.problem((*place, "hosts"), what)
    if (group.hosts != ()) == (group.select is not None):
        what = "needs exactly one of hosts and select, because empty is not everything"
        yield forms.problem(place, what)


def _waivers(forms: Forms) -> Iterator[Problem]:
    for number, waiver in forms.waivers.items():
        place: Place = ("waivers", number)
        yield from forms.unknown((*place, "tenant"), "tenants", waiver.tenant)
        if waiver.scope == "company" and not waiver.tenant:
            what = "is missing; scope company is one company's, scope: global is everybody's"
            yield forms.problem((*place, "tenant"), what)
        if waiver.scope == "global" and waiver.tenant:
            what = "scope global reaches all companies; take tenant out, or write scope: company"
            yield forms.problem((*place, "tenant"), what)
        if not (waiver.cve or waiver.package or waiver.advisory):
            what = "needs a cve, a package or an advisory, because empty is not everything"
            yield forms.problem(place, what)


def _empty_selections(forms: Forms, inheritance: Inheritance) -> Iterator[Problem]:
    hosts = list(forms.hosts.values())
    inherited = [(inheritance.of(host), host.labels) for host in hosts]
    covered = [(found.profile, found.critical, labels) for found, labels in inherited]
    yield from empty_waves(forms, covered)
    for number, group in forms.groups.items():
        mine = [host for host in hosts if group.tenant in {"", host.tenant}]
        place: Place = ("groups", number)
        if group.select and not any(group.select.matches(host.labels) for host in mine):
            what = f'"{group.select}" matches none of {len(mine)} hosts; correct it or label one'
            yield forms.problem((*place, "select"), what)
        elif group.hosts is None and not mine:
            yield forms.problem((*place, "hosts"), f"{group.tenant} has no hosts")
    for number, waiver in forms.waivers.items():
        mine = [host for host in hosts if waiver.tenant in {"", host.tenant}]
        if waiver.select and mine and not any(waiver.select.matches(host.labels) for host in mine):
            what = f'"{waiver.select}" matches none of {len(mine)} hosts; correct it or label one'
            yield forms.problem(("waivers", number, "select"), what)
