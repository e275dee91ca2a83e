"""Is a restart due, may it be done now, and was what came back the host that was meant? Pure."""

from datetime import datetime

from wavemend.execution.order import Order
from wavemend.hosts import Facts
from wavemend.policy.care import Presence
from wavemend.policy.profiles import RebootRule

UPTIME_SLACK = 10.0
"""Seconds: a host's uptime and our stopwatch are read one network round trip apart."""

_NAMED = 5
"""Users or inhibitors named in a reason."""


def is_due(order: Order, facts: Facts, *, first: bool = False) -> bool:
    """Say whether the plan restarts this host, as it was just seen.

    `first`: what is left to do begins with a restart, whatever the host's own reasons say.
    """
    match RebootRule(order.planned.reboot):
        case RebootRule.NEVER:
            return False
        case RebootRule.IF_NEEDED:
            return first or bool(facts.reboot_reasons)
        case RebootRule.ALWAYS:
            return True


def deferral(order: Order, facts: Facts, now: datetime) -> str:
    """Say why a restart that is due is not done now; empty when nothing speaks against it."""
    manners = order.profile.reboots
    if manners.window and not order.restart_only:
        return f"restarts happen in the window {manners.window}"
    if facts.boot_faults:
        return f"it might not come up again: {'; '.join(facts.boot_faults)}"
    if reason := in_use(order, facts):
        return reason
    needed = manners.back_within + manners.stable_for
    if now + needed > order.plan.window_end:
        minutes = int(needed.total_seconds() // 60)
        return (
            f"window: it may take {minutes} minutes, and the window ends at "
            f"{order.plan.window_end:%H:%M} UTC"
        )
    return ""


def in_use(order: Order, facts: Facts) -> str:
    """Say who or what on the host a restart would strike now; empty when nobody and nothing."""
    manners = order.profile.reboots
    if facts.lock_holder:
        return f"the package manager is in use by {facts.lock_holder}"
    if facts.scheduled_shutdown:
        return f"{facts.scheduled_shutdown} on the host already"
    if manners.users is Presence.DEFER and facts.users:
        return f"logged in: {_some(facts.users)}"
    if manners.inhibitors is Presence.DEFER and facts.inhibitors:
        return f"asked not to be shut down by {_some(facts.inhibitors)}"
    return ""


def unproven_boot(facts: Facts, since_told: float | None) -> str:
    """Say why another boot id is no restart of ours; empty when it is one, or nobody can say.

    `since_told`: seconds since the host was told; None: an earlier process told it.
    """
    if since_told is None or facts.uptime_seconds <= since_told + UPTIME_SLACK:
        return ""
    return (
        f"its boot id changed, but it has been up for {facts.uptime_seconds:.0f} s and was told "
        f"to restart {since_told:.0f} s ago"
    )


def wrong_kernel(facts: Facts) -> str:
    """Say that a host came back with another kernel than its newest; empty when it did not."""
    if not facts.newest_kernel or facts.running_kernel == facts.newest_kernel:
        return ""
    what = "build" if facts.os_id == "windows" else "kernel"
    return (
        f"it came back with the {what} {facts.running_kernel}, and {facts.newest_kernel} is "
        "installed"
    )


def new_boot_faults(before: Facts | None, after: Facts) -> tuple[str, ...]:
    """Return what the change broke of the way this host boots."""
    known = before.boot_faults if before else ()
    return tuple(fault for fault in after.boot_faults if fault not in known)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
