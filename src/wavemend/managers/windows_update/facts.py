"""From the answers of a Windows host to Facts. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, FreeSpace, Host, InstalledPackage, PendingUpdate, Repository
from wavemend.managers.reading.system import NO_INODE_LIMIT, Asked, begun_attempts
from wavemend.managers.windows_update.answers import (
    CbsPackage,
    ChocolateyList,
    Fault,
    HostAnswer,
    Policy,
    Search,
    System,
)
from wavemend.managers.windows_update.history import installed_updates, read_history
from wavemend.managers.windows_update.naming import CBS, CHOCOLATEY, PRESENT
from wavemend.managers.windows_update.pending import Ground, pending_package, pending_updates
from wavemend.versions import windows_key
from wavemend.windows.hresults import Kind, explain
from wavemend.windows.products import DEFINITIONS, component_of, release_key, servicing_build

MICROSOFT_UPDATE = "Microsoft Update"

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_MOST_BEGINS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything one look asked of a host, and when."""

    asked: Asked
    """The first question, which its clock answered."""
    host: HostAnswer
    search: Search
    chocolatey: ChocolateyList


def build_facts(host: Host, seen: Seen, kinds: Iterable[str]) -> Facts:
    """Return the facts of one look. `kinds`: the profile's `update_kinds`.

    Raises HostAnswerInvalid for an answer in form that nobody can count with.
    """
    try:
        return _facts(host, seen, kinds)
    except (ValueError, OverflowError) as error:
        raise HostAnswerInvalid(f"{host.name}: what it says cannot be: {error}") from error


def _facts(host: Host, seen: Seen, kinds: Iterable[str]) -> Facts:
    told, system = seen.host, seen.host.system
    product = release_key(system.build, system.product_type, system.display_version)
    clock = _clock(host.name, told.utc_now)
    history = read_history(
        seen.search.past,
        booted_at=(clock - timedelta(seconds=told.uptime_seconds)).strftime(_TIME),
        restart_due=bool(told.reboot_reasons) or seen.search.restart_required,
    )
    ground = Ground(product=product, build=system.build, kinds=frozenset(kinds), history=history)
    pending = pending_updates(seen.search, ground)
    updates = installed_updates(seen.search, history)
    packages = tuple(pending_package(row) for row in seen.chocolatey.outdated)
    return Facts(
        host=host.name,
        collected_at=seen.asked.now.astimezone(UTC),
        os_id="windows",
        os_version=system.build,
        codename=product,
        arch=system.architecture,
        hostname=system.computer,
        machine_id=system.machine_id,
        boot_id=system.boot_id,
        uptime_seconds=told.uptime_seconds,
        clock_skew_seconds=_skew(clock, seen.asked),
        running_kernel=system.build,
        newest_kernel=newest_build(system.build, told.packages),
        installed=_sorted((*_installed(seen, product), *updates)),
        pending=_by_name((*pending, *packages)),
        held=tuple(sorted(row.name for row in seen.chocolatey.outdated if row.pinned)),
        broken=_sorted(_broken(told.packages)),
        reboot_reasons=_reboot_reasons(told, seen.search),
        lock_holder=told.installer,
        free_space=tuple(FreeSpace(path, free, NO_INODE_LIMIT) for path, free in told.disks[:1]),
        index_errors=(*search_errors(seen.search), *seen.chocolatey.troubles),
        rivals=_rivals(told.policy),
        repositories=(_repository(told.policy, seen.search),),
        users=told.users,
        scheduled_shutdown=told.scheduled_shutdown,
        journal=begun_attempts(
            [line.removeprefix("begin ") for line in told.journal if line.startswith("begin ")]
        )[-_MOST_BEGINS:],
        simulated=host.simulated or system.simulated,
    )


def _clock(host: str, text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise HostAnswerInvalid(f"{host}: its clock says {text[:40]!r}") from None


def _skew(clock: datetime, asked: Asked) -> float:
    """Return how far the host's clock is ahead, at least; it tells whole seconds."""
    ahead = (clock - asked.now).total_seconds()
    if ahead < -1.0:
        return ahead + 1.0
    return max(0.0, ahead - asked.seconds)


def _sorted(packages: Iterable[InstalledPackage]) -> tuple[InstalledPackage, ...]:
    return tuple(sorted(packages, key=lambda p: (p.name, p.arch, p.version)))


def _by_name(updates: Iterable[PendingUpdate]) -> tuple[PendingUpdate, ...]:
    return tuple(sorted(updates, key=lambda update: (update.name, update.arch)))


def _installed(seen: Seen, product: str) -> Iterator[InstalledPackage]:
    """Yield what is installed besides the updates that the agent's history knows."""
    told = seen.host
    if product:
        yield _windows(told.system, product)
    if told.definitions:
        yield _package(DEFINITIONS, told.definitions, "")
    components = {(component_of(p.name, p.version), p.version) for p in told.products}
    for name, version in sorted(components):
        yield _package(name, version, told.system.architecture)
    for kb in sorted(_cbs_updates(told)):
        yield _package(kb, PRESENT, CBS)
    for item in seen.chocolatey.installed:
        yield _package(item.name, item.version, CHOCOLATEY)


def _windows(system: System, product: str) -> InstalledPackage:
    return InstalledPackage(
        name=product,
        version=system.build,
        arch=system.architecture,
        source=product,
        source_version=system.build,
        module="hotpatch" if system.takes_hotpatches else "",
    )


def _package(name: str, version: str, arch: str) -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch=arch, source=name, source_version=version
    )


_KB = re.compile(r"KB[0-9]{5,8}")
_KB_PACKAGE = re.compile(r"Package(?:_[0-9]+)?_for_(?P<kb>KB[0-9]{5,8})~.*")
_ROLLUP = re.compile(
    r"Package_for_RollupFix~[^~]*~[^~]*~[^~]*~(?P<build>[0-9]{4,6})\.(?P<revision>[0-9]{1,7})\..*"
)

_IN_PLACE = frozenset({"installed", "permanent"})
_COMING = frozenset({"installpending", "installrequested"})
_ELSE_WHOLE = frozenset(
    {"absent", "notpresent", "removed", "superseded", "uninstallpending", "uninstallrequested"}
    | {"resolving", "resolved", "staging", "stagerequested", "staged"}
)
"""Neither there nor half done: what waits for a restart is a reason to restart, and of what is
being laid ready, the agent's own downloads among them, nothing is in place."""


def _state(package: CbsPackage) -> str:
    return package.state.replace(" ", "").lower()


def _cbs_updates(told: HostAnswer) -> set[str]:
    """Return the KBs that servicing or the list of hotfixes knows; a newer update hides older."""
    found = {kb.upper() for kb in told.hotfixes if _KB.fullmatch(kb.upper())}
    for package in told.packages:
        named = _KB_PACKAGE.fullmatch(package.name)
        if named and _state(package) in _IN_PLACE:
            found.add(named["kb"])
    return found


def _broken(packages: Iterable[CbsPackage]) -> Iterator[InstalledPackage]:
    """Yield the packages that are half done, or in a state that nobody knows."""
    for package in packages:
        if _state(package) not in _IN_PLACE | _COMING | _ELSE_WHOLE:
            name, _, version = package.name.partition("~")
            yield InstalledPackage(
                name=name,
                version=version.rpartition("~")[2],
                arch=CBS,
                source=name,
                source_version="",
                status=package.state or "no state",
            )


def newest_build(running: str, packages: Iterable[CbsPackage]) -> str:
    """Return the build the host has, or will have after its next restart.

    A hotpatch is no cumulative package: there the build that runs is the newest one.
    """
    kernel = running.rpartition(".")[0]
    served_by = servicing_build(kernel.rpartition(".")[2])
    builds = [running]
    for package in packages:
        rollup = _ROLLUP.fullmatch(package.name)
        if (
            rollup
            and _state(package) in _IN_PLACE | _COMING
            # One of another release is left over from an upgrade.
            and servicing_build(rollup["build"]) == served_by
        ):
            builds.append(f"{kernel}.{rollup['revision']}")
    return max(builds, key=windows_key)


_REBOOTS = {
    "cbs_reboot_pending": "Windows servicing waits for a restart",
    "cbs_reboot_in_progress": "Windows servicing is in the middle of a restart",
    "cbs_packages_pending": "packages wait for a restart",
    "wu_reboot_required": "Windows Update waits for a restart",
    "update_exe_volatile": "an installer waits for a restart",
    "computer_rename": "the computer's new name waits for a restart",
    "domain_join": "joining a domain waits for a restart",
    "configmgr": "ConfigMgr waits for a restart",
}


def _reboot_reasons(told: HostAnswer, search: Search) -> tuple[str, ...]:
    reasons = [_REBOOTS.get(reason, reason) for reason in told.reboot_reasons]
    if search.restart_required:
        reasons.append(_REBOOTS["wu_reboot_required"])
    return tuple(dict.fromkeys(reasons))


def _said(fault: Fault) -> str:
    """Put a fault into words: its code's, where it has one, else its own."""
    if fault.hresult:
        return f"{fault.context}: {explain(fault.hresult)}"
    return f"{fault.context}: {fault.message[:300]}"


def search_errors(search: Search) -> tuple[str, ...]:
    """Return why nobody can say what is pending; empty when the search was whole."""
    if search.trouble:
        return (search.trouble,)
    return (_said(search.fault),) if search.fault else ()


def _repository(policy: Policy, search: Search) -> Repository:
    """Return who offers the updates, as the search found it."""
    name = f"WSUS {policy.wsus_server}" if policy.wsus_server else MICROSOFT_UPDATE
    fault = search.fault
    kind = explain(fault.hresult).kind if fault else Kind.DONE
    reachable = not search.trouble and kind not in {Kind.NETWORK, Kind.SERVER}
    notes = [_said(item) for item in ([fault] if fault else search.warnings[:3])]
    return Repository(
        name=name,
        reachable=reachable,
        # Updates are signed; what a WSUS says of them over plain HTTP is not.
        signed=not policy.wsus_server.lower().startswith("http:"),
        detail=search.trouble or "; ".join(notes),
        whole=search.is_whole,
    )


def _rivals(policy: Policy) -> tuple[str, ...]:
    found = {
        "Automatic Updates (policy AUOptions 4)": policy.installs_by_itself,
        "the ConfigMgr client": policy.configmgr,
    }
    return tuple(sorted(name for name, is_there in found.items() if is_there))
