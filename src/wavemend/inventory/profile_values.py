"""From the checked form of a profile to its value."""

from datetime import timedelta

from wavemend.hosts import Conffiles, ManagerOptions, Services
from wavemend.inventory.profile_schema import (
    WINDOWS_UPDATE,
    HookForm,
    ProbeForm,
    ProfileForm,
    WaveForm,
)
from wavemend.policy.care import (
    HostHook,
    Place,
    Presence,
    Probe,
    ProbeKind,
    RebootManners,
    RestorePointRule,
    RollBack,
    Unready,
    When,
)
from wavemend.policy.profiles import (
    CRITICAL_WAVE,
    GateRule,
    Profile,
    RebootRule,
    Updates,
    WaveKind,
    WaveRule,
)

_WINDOWS_BACK_WITHIN = timedelta(minutes=60)
"""A cumulative update goes on being installed while its host shuts down and starts."""


def profile_of(form: ProfileForm) -> Profile:
    """Return the profile a form declares."""
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
        probes=tuple(_probe(probe) for probe in form.probes),
        hooks=tuple(_hook(hook) for hook in form.hooks),
        restore_point=_restore_point(form),
        roll_back=RollBack(form.roll_back),
        reboots=_reboots(form),
        separate_reboots=form.separate_reboots,
        unready=Unready(form.unready),
        options=options_of(form),
        new_packages=form.new_packages,
        power_on=tuple(form.power_on),
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


def options_of(form: ProfileForm) -> ManagerOptions:
    """Return how the package manager of a profile's hosts is driven."""
    return ManagerOptions(
        conffiles=Conffiles(form.conffiles),
        services=Services(form.services),
        sources=tuple(sorted(set(form.sources))),
        update_kinds=tuple(sorted(set(form.update_kinds))),
    )


def _probe(form: ProbeForm) -> Probe:
    kind = ProbeKind.COMMAND
    if form.service:
        kind = ProbeKind.SERVICE
    elif form.port:
        kind = ProbeKind.PORT
    elif form.url:
        kind = ProbeKind.URL
    return Probe(
        name=form.name,
        kind=kind,
        argv=tuple(form.argv),
        service=form.service,
        port=form.port,
        url=form.url,
    )


def _hook(form: HookForm) -> HostHook:
    return HostHook(
        name=form.name,
        when=When(form.when),
        on=Place(form.run_on),
        argv=tuple(form.argv),
        deadline=form.deadline,
    )


def _restore_point(profile: ProfileForm) -> RestorePointRule:
    form = profile.restore_point
    is_windows = profile.manager == WINDOWS_UPDATE and "kind" not in form.model_fields_set
    return RestorePointRule(
        kind="windows" if is_windows else form.kind,
        required=form.required,
        of=form.of,
        keep=form.keep,
        create=tuple(form.create),
        find=tuple(form.find),
        remove=tuple(form.remove),
        restore=tuple(form.restore),
    )


def back_within_of(profile: ProfileForm) -> timedelta:
    """Return how long a profile's hosts may take to come back from a restart."""
    form = profile.reboots
    is_windows = profile.manager == WINDOWS_UPDATE and "back_within" not in form.model_fields_set
    return _WINDOWS_BACK_WITHIN if is_windows else form.back_within


def _reboots(profile: ProfileForm) -> RebootManners:
    form = profile.reboots
    return RebootManners(
        users=Presence(form.users),
        inhibitors=Presence(form.inhibitors),
        back_within=back_within_of(profile),
        stable_for=form.stable_for,
        window=form.window,
    )
