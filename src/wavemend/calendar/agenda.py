"""Which company uses which window, and what its calendars leave of the openings. Pure.

Preview, export and simulation are three views of this.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from wavemend.calendar.almanac import Almanac, NightOverride
from wavemend.calendar.openings import openings_between
from wavemend.calendar.preview import Opening, preview
from wavemend.calendar.windows import Window, zone_info
from wavemend.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class WindowUse:
    """Hosts of one company are changed in one window."""

    tenant: str
    window: str
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """The openings of a window for one company, skipped ones among them."""

    use: WindowUse
    title: str
    """The company's full name."""
    window: Window
    openings: tuple[Opening, ...]


def window_uses(fleet: Fleet, *, tenant: str = "", window: str = "") -> tuple[WindowUse, ...]:
    """Return who is changed when, sorted; of one company or in one window, where named.

    Raises FleetError for a company or window that the fleet does not have.
    """
    if tenant:
        fleet.tenant(tenant)
    if window:
        fleet.window(window)
    profiles: dict[tuple[str, str], set[str]] = {}
    for key in (*fleet.rollouts(), *fleet.restarts()):
        if tenant in {"", key.tenant} and window in {"", key.window}:
            profiles.setdefault((key.tenant, key.window), set()).add(key.profile)
    return tuple(
        WindowUse(tenant=who, window=when, profiles=tuple(sorted(names)))
        for (who, when), names in sorted(profiles.items())
    )


def next_openings(
    fleet: Fleet,
    almanac: Almanac,
    uses: Sequence[WindowUse],
    after: datetime,
    count: int,
    *,
    overrides: Mapping[str, Sequence[NightOverride]],
) -> Iterator[Agenda]:
    """Yield the next `count` openings of each use that start later than `after` (UTC-aware).

    `overrides`: the signed nights by company, already verified.
    """
    for use in uses:
        window = fleet.window(use.window)
        yield Agenda(
            use=use,
            title=fleet.tenant(use.tenant).title or use.tenant,
            window=window,
            openings=preview(
                window,
                fleet.calendar_of(use.tenant),
                almanac,
                after,
                count,
                overrides=overrides.get(use.tenant, ()),
            ),
        )


def openings_until(
    fleet: Fleet,
    almanac: Almanac,
    uses: Sequence[WindowUse],
    after: datetime,
    until: datetime,
    *,
    overrides: Mapping[str, Sequence[NightOverride]],
) -> Iterator[Agenda]:
    """Yield the openings of each use that start later than `after` and before `until`."""
    counts: dict[str, int] = {}
    for use in uses:
        if use.window not in counts:
            found = openings_between(fleet.window(use.window), after, until)
            counts[use.window] = sum(opening.start > after for opening in found)
        yield from next_openings(
            fleet, almanac, (use,), after, counts[use.window], overrides=overrides
        )


def verdict(opening: Opening, window: Window) -> str:
    """Say in words what becomes of an opening: it runs, begins later, or is skipped, and why."""
    zone, start = zone_info(window.zone), opening.occurrence.start
    local = start.astimezone(zone)
    moved = f" (the clock skips {window.start:%H:%M})" if local.time() != window.start else ""
    why = "; ".join(map(str, opening.bars))
    if opening.begins is None:
        return f"SKIPPED: {why}"
    said = f"runs{moved}"
    if opening.begins > start:
        said = f"begins {_local(opening.begins, zone)}: {why}"
    if opening.closes is None:
        return said
    closed = "; ".join(map(str, opening.closed_by))
    return f"{said}; from {_local(opening.closes, zone)} on: {closed}"


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %d %b %H:%M} local"
