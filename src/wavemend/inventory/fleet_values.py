"""From checked forms to the fleet's values: everything inherited filled in, sorted by name."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from wavemend.fleet import (
    SCHEMA,
    Approver,
    FeedSettings,
    Fleet,
    Group,
    LoginSpec,
    Scope,
    Tenant,
)
from wavemend.hosts import Host
from wavemend.inventory.fleet_checks import window_of
from wavemend.inventory.fleet_schema import (
    FeedsForm,
    GroupForm,
    HostForm,
    LoginForm,
    ProfileForm,
    WaiverForm,
    WaveForm,
)
from wavemend.inventory.forms import Forms
from wavemend.inventory.inheritance import Inherited, inheritance_of
from wavemend.policy.profiles import (
    CRITICAL_WAVE,
    GateRule,
    Probe,
    Profile,
    RebootRule,
    Updates,
    WaveKind,
    WaveRule,
)
from wavemend.policy.waivers import Waiver


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def build(forms: Forms, path: str) -> Fleet:
    """Return the fleet of forms in which no problem was found."""
    inheritance = inheritance_of(forms)
    hosts = _sorted(_host(form, inheritance.of(form)) for form in forms.hosts.values())
    tenants = (
        Tenant(
            name=form.name,
            title=form.title or form.name,
            zone=form.zone,
            window=form.window,
            approvers=tuple(sorted(set(form.approvers))),
            four_eyes=form.four_eyes,
            compliance=form.compliance,
        )
        for form in forms.tenants.values()
    )
    approvers = (Approver(name=form.name, title=form.title) for form in forms.approvers.values())
    fleet = Fleet(
        schema=SCHEMA,
        tenants=_sorted(tenants),
        approvers=_sorted(approvers),
        profiles=_sorted(_profile(form) for form in forms.profiles.values()),
        windows=_sorted(window_of(form) for form in forms.windows.values()),
        groups=_sorted(_group(form, hosts) for form in forms.groups.values()),
        logins=_sorted(_login(form) for form in forms.logins.values()),
        hosts=hosts,
        waivers=_waivers(forms),
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


def _host(form: HostForm, inherited: Inherited) -> Host:
    return Host(
        name=form.name,
        tenant=form.tenant,
        address=form.address,
        port=form.port,
        transport=form.transport,
        login=form.login,
        host_keys=tuple(form.host_keys),
        # Nobody said how an unmanaged host is updated, and nothing will be.
        manager=inherited.manager,
        profile=inherited.profile,
        window=inherited.window,
        labels=dict(sorted(form.labels.items())),
        critical=form.critical,
        exposed=form.exposed,
        simulated=form.simulated,
    )


def _profile(form: ProfileForm) -> Profile:
    waves = tuple(_wave(wave) for wave in form.waves)
    if all(wave.kind is not WaveKind.CRITICAL for wave in waves):
        waves = (*waves, CRITICAL_WAVE)
    return Profile(
        name=form.name,
        device=form.device,
        os=form.os,
        manager=form.manager,
        updates=Updates(form.updates),
        reboot=RebootRule(form.reboot),
        waves=waves,
        host_deadline=form.host_deadline,
        window=form.window,
        before_hooks=tuple(tuple(argv) for argv in form.before_hooks),
        after_hooks=tuple(tuple(argv) for argv in form.after_hooks),
        probes=tuple(Probe(name=probe.name, argv=tuple(probe.argv)) for probe in form.probes),
        require_restore_point=form.require_restore_point,
        critical_fixes=tuple(sorted(set(form.critical_fixes))),
    )


def _wave(form: WaveForm) -> WaveRule:
    return WaveRule(
        name=form.name,
        kind=WaveKind(form.kind),
        select=form.select,
        size=form.size,
        concurrency=form.concurrency,
        gap=form.gap,
        gate=GateRule(
            max_errors=form.gate.max_errors,
            min_success_percent=form.gate.min_success_percent,
            min_observed=form.gate.min_observed,
            soak=form.gate.soak,
        ),
    )


def _group(form: GroupForm, hosts: Iterable[Host]) -> Group:
    names = form.hosts
    if names is None:
        names = tuple(host.name for host in hosts if form.tenant in {"", host.tenant})
    return Group(
        name=form.name,
        scope=Scope(form.scope),
        tenant=form.tenant,
        hosts=tuple(sorted(set(names))),
        select=form.select,
    )


def _login(form: LoginForm) -> LoginSpec:
    return LoginSpec(
        name=form.name,
        user=form.user,
        key=form.key,
        known_hosts=form.known_hosts,
        ssh_config=form.ssh_config,
        become=tuple(form.become),
        connect_seconds=form.connect_seconds,
    )
