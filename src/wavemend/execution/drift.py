"""What was approved is what runs: compare the host, as it is now, with the plan. Pure."""

from collections.abc import Iterable
from datetime import datetime

from wavemend.calendar.windows import occurrence_at
from wavemend.errors import FleetError
from wavemend.fleet import Fleet, RolloutKind
from wavemend.hosts import Facts, InstalledPackage
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.packages import Target, Transaction
from wavemend.plans import Plan, PlannedHost

_BY_WINDOW = frozenset({RolloutKind.PATCH, RolloutKind.REPAIR})
"""Rollouts of the hosts of one window; the others take those of all windows. See `members`."""


def fleet_drift(plan: Plan, host: str, in_force: Fleet) -> str:
    """Say what the fleet in force says otherwise of a planned host; empty when nothing.

    One that was moved is another rollout's: the calendars, the people and the stop that this one
    asks are not the host's any more.
    """
    try:
        declared = in_force.host(host)
    except FleetError:
        return "the host is no longer in the fleet"
    if declared.tenant != plan.tenant:
        return "the host belongs to another company by now"
    if not declared.profile:
        return "the host has no profile any more"
    if declared.profile != plan.profile:
        return f"the host has the profile {declared.profile} by now, not {plan.profile}"
    if plan.kind in _BY_WINDOW and declared.window != plan.window:
        return f"the host is changed in the window {declared.window} by now, not in {plan.window}"
    if declared.critical and not plan.host(host).critical:
        return "the host was made critical after the plan was frozen: it needs a new plan"
    return ""


def window_drift(plan: Plan, in_force: Fleet, now: datetime) -> str:
    """Say that nothing may start now by the fleet in force, whose window is another one by now.

    The plan's own is asked besides: what was approved for one night is not taken to another. An
    emergency has no window of the fleet.
    """
    if plan.kind == RolloutKind.EMERGENCY or in_force.digest == plan.fleet_digest:
        return ""
    try:
        opening = occurrence_at(in_force.window(plan.window), now)
    except FleetError:
        return f"the window {plan.window} is no longer in the fleet"
    if opening is None or now >= opening.last_start:
        return f"by the fleet in force nothing may start now in the window {plan.window}"
    return ""


def host_drift(planned: PlannedHost, facts: Facts, peer_key: str) -> str:
    """Say how the host differs from the one that was planned for; empty when it does not."""
    if planned.machine_id and facts.machine_id != planned.machine_id:
        return f"another machine answers: machine-id {facts.machine_id or 'missing'}"
    if planned.host_key and peer_key != planned.host_key:
        return "another host key than the planned one answers"
    held = set(facts.held)
    for package in planned.packages:
        now = facts.version_of(package.name, package.arch)
        if now not in {package.installed, package.target}:
            was = package.installed or "not installed"
            return f"{package.name} is {now or 'not installed'}, planned from {was}"
        if package.name in held and now != package.target:
            return f"{package.name} was put on hold after the plan was made"
    return ""


def missing_targets(planned: PlannedHost, facts: Facts) -> tuple[Target, ...]:
    """Return the targets that are not installed yet, in the plan's order."""
    return tuple(
        package.as_target()
        for package in planned.packages
        if facts.version_of(package.name, package.arch) != package.target
    )


def transaction_drift(targets: tuple[Target, ...], transaction: Transaction) -> str:
    """Say what the package manager would do beyond the plan; empty when it is exactly the plan."""
    if transaction.refusal:
        return f"the package manager would refuse: {transaction.refusal}"
    if transaction.removals:
        return f"it would remove {', '.join(sorted(transaction.removals))}"
    wanted, offered = set(targets), set(transaction.installs)
    if extra := sorted(offered - wanted):
        return f"it would also install {', '.join(f'{t.name}={t.version}' for t in extra)}"
    if missing := sorted(wanted - offered):
        return f"it would not install {', '.join(f'{t.name}={t.version}' for t in missing)}"
    return ""


def untouched_results(planned: PlannedHost, facts: Facts | None) -> tuple[PackageResult, ...]:
    """Return what became of each package of a host on which nothing was done."""
    held = set(facts.held) if facts else set()
    results = [
        PackageResult(
            name=package.name,
            arch=package.arch,
            before=package.installed,
            target=package.target,
            after=facts.version_of(package.name, package.arch) if facts else package.installed,
            outcome=_untouched_outcome(package.name in held),
            detail="nothing was started",
        )
        for package in planned.packages
    ]
    return tuple(sorted([*results, *left_out_results(planned)], key=lambda r: (r.name, r.arch)))


def unseen_results(planned: PlannedHost) -> tuple[PackageResult, ...]:
    """Return what is known of each package of a host that was not seen after its change.

    Unknown counts as failed.
    """
    results = [
        PackageResult(
            name=package.name,
            arch=package.arch,
            before=package.installed,
            target=package.target,
            after="",
            outcome=PackageOutcome.FAILED,
            detail="not seen after the change",
        )
        for package in planned.packages
    ]
    return tuple(sorted([*results, *left_out_results(planned)], key=lambda r: (r.name, r.arch)))


def repaired_results(before: Facts | None, after: Facts) -> tuple[PackageResult, ...]:
    """Return what became of each package that was half done, and of each other one that changed.

    A repair brings no version in: one that changed all the same is to be seen. Without a look
    before it, only what is half done still is known.
    """
    seen = before or after
    old, new = _by_package((*seen.installed, *seen.broken)), _by_package(after.installed)
    half, left = _by_package(seen.broken), _by_package(after.broken)
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    return tuple(
        _repaired(key, old.get(key, ()), half.get(key, ()), new.get(key, ()), left.get(key, ()))
        for key in sorted(half.keys() | left.keys() | changed)
    )


_Packages = tuple[InstalledPackage, ...]


def _repaired(
    key: tuple[str, str], old: _Packages, half: _Packages, new: _Packages, left: _Packages
) -> PackageResult:
    was, now = (", ".join(package.version for package in found) for found in (old, new))
    if left:
        detail = f"half done still ({left[0].status})"
    elif not new:
        detail = "gone after the repair"
    elif {package.version for package in new} - {package.version for package in old}:
        detail = "the repair changed its version"
    else:
        detail = f"was half done ({half[0].status})" if half else "its other version is gone"
    return PackageResult(
        name=key[0],
        arch=key[1],
        before=was,
        target=was,
        after=now,
        outcome=PackageOutcome.INSTALLED if new and not left else PackageOutcome.FAILED,
        detail=detail,
    )


def _by_package(packages: Iterable[InstalledPackage]) -> dict[tuple[str, str], _Packages]:
    """Return what is there of each package: some are installed beside each other."""
    found: dict[tuple[str, str], _Packages] = {}
    for package in sorted(packages, key=lambda each: (each.name, each.arch, each.version)):
        key = package.name, package.arch
        found[key] = (*found.get(key, ()), package)
    return found


def left_out_results(planned: PlannedHost) -> tuple[PackageResult, ...]:
    """Return the pending updates that the plan left out, with the reason: none is dropped."""
    return tuple(
        PackageResult(
            name=left.name,
            arch=left.arch,
            before=left.installed,
            target=left.candidate,
            after=left.installed,
            outcome=left.outcome,
            detail=left.reason,
        )
        for left in planned.left_out
    )


def _untouched_outcome(held: bool) -> PackageOutcome:
    return PackageOutcome.HELD if held else PackageOutcome.NOT_ATTEMPTED
