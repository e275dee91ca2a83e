"""What is wrong with profiles beside their waves: managers, windows, probes, restore points."""

from collections.abc import Iterator

from wavemend.inventory.forms import Forms
from wavemend.inventory.problems import Place, Problem, shown, suggestion
from wavemend.inventory.profile_schema import (
    WINDOWS_UPDATE,
    ProbeForm,
    ProfileForm,
    RestorePointForm,
)
from wavemend.inventory.profile_values import back_within_of
from wavemend.manager_names import MANAGER_NAMES
from wavemend.policy.care import RESTORE_POINT_KINDS

_COMMANDS = ("create", "find", "remove", "restore")

_ON_LINUX = frozenset({"btrfs", "lvm", "package_versions", "snapper", "zfs"})
"""Restore points that no Windows host can have."""


def check_profiles(forms: Forms) -> Iterator[Problem]:
    """Yield every problem of the profiles, waves apart."""
    for number, manager in forms.managers.items():
        if manager.name in MANAGER_NAMES:
            what = f"{shown(manager.name)} is a built-in manager; give yours another name"
            yield forms.problem(("managers", number, "name"), what)
    for number, profile in forms.profiles.items():
        place: Place = ("profiles", number)
        yield from forms.unknown((*place, "window"), "windows", profile.window)
        reboots = (*place, "reboots", "window")
        yield from forms.unknown(reboots, "windows", profile.reboots.window)
        yield from _manager(forms, place, profile)
        if profile.manager == WINDOWS_UPDATE:
            yield from _of_windows(forms, place, profile)
        else:
            yield from _not_of_windows(forms, place, profile)
        for at, probe in enumerate(profile.probes):
            yield from _probe(forms, (*place, "probes", at), probe)
        yield from _restore_point(forms, (*place, "restore_point"), profile.restore_point)


def _manager(forms: Forms, place: Place, profile: ProfileForm) -> Iterator[Problem]:
    known = {*MANAGER_NAMES, *forms.known["managers"]}
    if profile.manager not in known:
        way_out = suggestion(profile.manager, known)
        what = f"no manager is called {shown(profile.manager)}; {way_out}"
        yield forms.problem((*place, "manager"), what)


def _of_windows(forms: Forms, place: Place, profile: ProfileForm) -> Iterator[Problem]:
    """What a Windows host does not have."""
    for at, source in enumerate(profile.sources):
        if source != "chocolatey":
            what = f"{source} is not for windows_update; there it is chocolatey"
            yield forms.problem((*place, "sources", at), what)
    point = profile.restore_point
    if point.kind in _ON_LINUX and "kind" in point.model_fields_set:
        what = f"kind {shown(point.kind)} is not for windows_update; leave it out, or see `windows`"
        yield forms.problem((*place, "restore_point", "kind"), what)
    needed = back_within_of(profile)
    if profile.reboot != "never" and profile.host_deadline < needed:
        minutes = int(needed.total_seconds() // 60)
        what = (
            f"is shorter than reboots.back_within, {minutes} minutes: a restart alone may take it"
        )
        yield forms.problem((*place, "host_deadline"), what)


def _not_of_windows(forms: Forms, place: Place, profile: ProfileForm) -> Iterator[Problem]:
    """What only a Windows host has."""
    for at, source in enumerate(profile.sources):
        if source == "chocolatey":
            what = f"chocolatey is only for windows_update, not for {profile.manager}"
            yield forms.problem((*place, "sources", at), what)
    if profile.update_kinds:
        what = f"are only for windows_update, not for {profile.manager}"
        yield forms.problem((*place, "update_kinds"), what)
    if profile.restore_point.kind == "windows":
        what = f"kind 'windows' is only for windows_update, not for {profile.manager}"
        yield forms.problem((*place, "restore_point", "kind"), what)


def _probe(forms: Forms, place: Place, probe: ProbeForm) -> Iterator[Problem]:
    given = [bool(probe.argv), bool(probe.service), bool(probe.port), bool(probe.url)]
    if sum(given) != 1:
        yield forms.problem(place, "needs exactly one of argv, service, port and url")
    if probe.url and not probe.url.startswith(("http://", "https://")):
        yield forms.problem((*place, "url"), "must begin with http:// or https://")


def _restore_point(forms: Forms, place: Place, form: RestorePointForm) -> Iterator[Problem]:
    if form.kind not in RESTORE_POINT_KINDS:
        way_out = suggestion(form.kind, RESTORE_POINT_KINDS)
        what = f"no kind of restore point is called {shown(form.kind)}; {way_out}"
        yield forms.problem((*place, "kind"), what)
        return
    given = [name for name in _COMMANDS if getattr(form, name)]
    if form.kind == "commands" and len(given) < len(_COMMANDS):
        missing = ", ".join(name for name in _COMMANDS if name not in given)
        what = f"kind commands needs all four of its commands; missing: {missing}"
        yield forms.problem(place, what)
    if form.kind != "commands" and given:
        what = f"kind {shown(form.kind)} runs no commands of yours; write kind: commands"
        yield forms.problem((*place, given[0]), what)
