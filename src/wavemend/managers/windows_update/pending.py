"""Which updates are pending, and what keeps some of them away. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from wavemend.hosts import PendingUpdate
from wavemend.managers.windows_update.answers import Offered, Outdated, Search
from wavemend.managers.windows_update.history import LOOPS, History
from wavemend.managers.windows_update.naming import (
    CHOCOLATEY,
    UpdateKind,
    builds_of,
    is_security,
    kinds_of,
    update_name,
    version_of,
)

LOOP = "update loop"
"""How the reason begins, wherever an update is said to succeed and be rolled back."""

_TITLE = 300
"""Characters of a title that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The host that updates are offered to, and what its profile takes."""

    product: str
    """Release key; empty: unknown."""
    build: str
    kinds: Collection[str]
    history: History


def pending_updates(search: Search, ground: Ground) -> tuple[PendingUpdate, ...]:
    """Return every update that is offered, sorted; none is left out, some are withheld."""
    kept = {update.update_id: _kept_out(update, ground) for update in search.offered}
    replaced = {
        older: _name(update)
        for update in search.offered
        if not kept[update.update_id]
        for older in update.supersedes
        if older != update.update_id
    }
    found = (
        _pending(update, ground, kept[update.update_id] or _replaced(update, replaced))
        for update in search.offered
    )
    return tuple(sorted(found, key=lambda update: (update.name, update.arch)))


def _name(update: Offered) -> str:
    return update_name(update.kbs, update.title, update.update_id)


def _replaced(update: Offered, replaced: Mapping[str, str]) -> str:
    newer = replaced.get(update.update_id)
    return f"superseded by {newer}, which is offered too" if newer else ""


def _kept_out(update: Offered, ground: Ground) -> str:
    """Say why an update is not taken; empty when it is."""
    if missing := [kind for kind in kinds_of(update) if kind not in ground.kinds]:
        return f"{' and '.join(missing)} are not among the profile's update_kinds"
    if update.can_request_input:
        return "it may ask somebody something while it is installed: install it by hand"
    if ground.history.waits_for_restart(update):
        return "it is installed already and takes effect with a restart"
    loops = ground.history.loops(update)
    if len(loops) >= LOOPS:
        days = " and ".join(day.partition("T")[0] for day in loops[-LOOPS:])
        return (
            f"{LOOP}: installed on {days} by the host's own history, rolled back at the next boot "
            "and offered again: look at CBS.log and install it by hand"
        )
    return ""


def _pending(update: Offered, ground: Ground, withheld: str) -> PendingUpdate:
    return PendingUpdate(
        name=_name(update),
        arch=update.update_id,
        installed="",
        candidate=version_of(update.revision),
        origin=update.title[:_TITLE],
        security=is_security(update),
        withheld=withheld,
        cves=update.cves,
        advisories=update.kbs,
        builds=builds_of(update, ground.product, ground.build),
        restart=_restart(update),
    )


def _restart(update: Offered) -> bool | None:
    """Say whether the host must restart for it; None: perhaps."""
    if UpdateKind.DEFINITIONS in kinds_of(update):
        return False
    return {"never": False, "always": True}.get(update.reboot_behavior)


def pending_package(row: Outdated) -> PendingUpdate:
    """Return an update of a Chocolatey package."""
    return PendingUpdate(
        name=row.name,
        arch=CHOCOLATEY,
        installed=row.installed,
        candidate=row.available,
        origin="Chocolatey",
        held=row.pinned,
    )
