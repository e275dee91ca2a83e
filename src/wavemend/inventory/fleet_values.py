"""From checked forms to the fleet's values: everything inherited filled in, sorted by name."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from wavemend.declarations import Declaration
from wavemend.fleet import (
    SCHEMA,
    Approver,
    FeedSettings,
    Fleet,
    Tenant,
)
from wavemend.hosts import Host
from wavemend.inventory.calendar_values import (
    calendar_of,
    duty_of,
    freeze_of,
    roster_of,
)
from wavemend.inventory.calendar_windows import windows_of
from wavemend.inventory.fleet_schema import (
    FeedsForm,
    HostForm,
    WaiverForm,
)
from wavemend.inventory.forms import Forms
from wavemend.inventory.inheritance import Inherited, group_of, inheritance_of
from wavemend.inventory.login_schema import LoginForm
from wavemend.inventory.policy_values import (
    budget_of,
    dependency_of,
    emergency_of,
    policy_of,
)
from wavemend.inventory.ports import plain_logins, port_of
from wavemend.inventory.profile_values import profile_of
from wavemend.logins import LoginSpec
from wavemend.policy.waivers import Waiver


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def build(forms: Forms, path: str, managers: Iterable[Declaration]) -> Fleet:
    """Return the fleet of forms in which no problem was found, with its declared managers."""
    inheritance = inheritance_of(forms)
    zones = {form.name: form.zone for form in forms.tenants.values()}
    plain = plain_logins(forms.logins)
    hosts = _sorted(
        _host(form, port_of(form, plain), inheritance.of(form), zones)
        for form in forms.hosts.values()
    )
    tenants = (
        Tenant(
            name=form.name,
            title=form.title or form.name,
            zone=form.zone,
            window=form.window,
            approvers=tuple(sorted(set(form.approvers))),
            four_eyes=form.four_eyes,
            compliance=form.compliance,
            gap=form.gap,
            duty=duty_of(form.duty),
            emergency=emergency_of(form.emergency),
        )
        for form in forms.tenants.values()
    )
    approvers = (Approver(name=form.name, title=form.title) for form in forms.approvers.values())
    fleet = Fleet(
        schema=SCHEMA,
        tenants=_sorted(tenants),
        approvers=_sorted(approvers),
        profiles=_sorted(profile_of(form) for form in forms.profiles.values()),
        windows=_sorted(windows_of(forms, inheritance)),
        groups=_sorted(group_of(form, hosts) for form in forms.groups.values()),
        logins=_sorted(_login(form) for form in forms.logins.values()),
        hosts=hosts,
        waivers=_waivers(forms),
        managers=_sorted(managers),
        policies=tuple(policy_of(form) for form in forms.policies.values()),
        budgets=_sorted(budget_of(form, hosts) for form in forms.budgets.values()),
        dependencies=_sorted(dependency_of(form) for form in forms.dependencies.values()),
        calendars=_sorted(calendar_of(form) for form in forms.calendars.values()),
        freezes=_sorted(freeze_of(form) for form in forms.freezes.values()),
        rosters=_sorted(roster_of(form) for form in forms.rosters.values()),
        feeds=_feeds(forms.feeds),
        source_path=path,
    )
    return fleet.sealed()


def _sorted(things: Iterable[N]) -> tuple[N, ...]:
    return tuple(sorted(things, key=lambda thing: thing.name))


def _waivers(forms: Forms) -> tuple[Waiver, ...]:
    zones = {form.name: form.zone for form in forms.tenants.values()}
    waivers = (_waiver(form, zones.get(form.tenant, "UTC")) for form in forms.waivers.values())
    return tuple(sorted(waivers, key=lambda waiver: waiver.id))


def _waiver(form: WaiverForm, zone: str) -> Waiver:
    after = datetime.combine(form.until, time(), ZoneInfo(zone)) + timedelta(days=1)
    return Waiver(
        id=form.name,
        tenant=form.tenant,
        owner=form.owner,
        reason=form.reason,
        until=after.astimezone(UTC),
        cve=form.cve,
        package=form.package,
        advisory=form.advisory,
        hosts=form.select,
    )


def _feeds(form: FeedsForm) -> FeedSettings:
    return FeedSettings(
        source=form.source,
        max_age_hours=form.max_age_hours,
        use=tuple(sorted(set(form.use))),
        addresses=dict(sorted(form.addresses.items())),
    )


def _host(
    form: HostForm,
    port: int,
    inherited: Inherited,
    zones: Mapping[str, str],
) -> Host:
    return Host(
        name=form.name,
        tenant=form.tenant,
        address=form.address,
        port=port,
        transport=form.transport,
        login=form.login,
        host_keys=tuple(form.host_keys),
        # Nobody said how an unmanaged host is updated, and nothing will be.
        manager=inherited.manager,
        options=inherited.options,
        mac=form.mac.lower(),
        profile=inherited.profile,
        window=inherited.resolved_window,
        zone=form.zone or zones.get(form.tenant, ""),
        labels=dict(sorted(form.labels.items())),
        critical=inherited.critical,
        exposed=form.exposed,
        simulated=form.simulated,
        own=inherited.own,
    )


def _login(form: LoginForm) -> LoginSpec:
    return LoginSpec(
        name=form.name,
        user=form.user,
        key=form.key,
        known_hosts=form.known_hosts,
        ssh_config=form.ssh_config,
        become=tuple(form.become),
        become_password=form.become_password,
        auth="" if form.auth is None else form.auth.value,
        password=form.password,
        ca=form.ca,
        certificate=form.certificate,
        certificate_key=form.certificate_key,
        plain_http=form.plain_http,
        connect_seconds=form.connect_seconds,
    )
