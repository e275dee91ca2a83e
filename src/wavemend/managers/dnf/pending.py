"""Which updates are pending, and why some of them would not come with a plain upgrade. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wavemend.hosts import PendingUpdate
from wavemend.managers.dnf.tables import (
    Advised,
    Listed,
    Table,
    displaced,
    read_advisories,
    read_listing,
    read_table,
)
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of
from wavemend.managers.rpm.installed import Database
from wavemend.packages import Target
from wavemend.versions import rpm_key

Key = tuple[str, str]
"""Name and architecture of a package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """The pending updates of a host, and the lines that could not be read."""

    updates: tuple[PendingUpdate, ...]
    unread: tuple[str, ...]


def pending_updates(sections: Mapping[str, Section], database: Database) -> Offers:
    """Lay the answers over each other.

    `updates` is what the host's own settings let through, `updates-unlocked` what there would be
    without locks, excludes and priorities: the difference is held. `upgrade` is what a plain
    upgrade would do, `plain` the same with every new package left away; what is in neither is kept
    back, and is asked for on its own: `alone <package>`.
    """
    listed = read_listing(lines_of(sections, "updates"))
    unlocked = read_listing(lines_of(sections, "updates-unlocked"))
    upgrade = _table(sections, "upgrade")
    plain = _table(sections, "plain") if "plain" in sections else upgrade
    known, unread = _advisories(sections)
    offered = {_key(row.package): row for row in (*unlocked.updates, *listed.updates)}
    free = {_key(row.package) for row in listed.updates}
    taken = {row.package for row in plain.incoming if not displaced(row)}
    updates = [
        _update(
            offered[key],
            database,
            known.get(key, ()),
            held=key not in free,
            taken=offered[key].package in taken,
            alone=sections.get(f"alone {_nevra(offered[key].package)}"),
        )
        for key in sorted(offered)
    ]
    updates += _successors(upgrade, database, offered)
    return Offers(
        updates=tuple(sorted(updates, key=lambda update: (update.name, update.arch))),
        unread=(*listed.unread, *unlocked.unread, *unread, *upgrade.unread, *plain.unread),
    )


def _update(
    row: Listed,
    database: Database,
    advised: Sequence[Advised],
    *,
    held: bool,
    taken: bool,
    alone: Section | None,
) -> PendingUpdate:
    package = row.package
    table = read_table(alone.lines if alone else ())
    kept_back = not held and not taken
    installed = database.replaced_by(package)
    fixes = [item for item in advised if _on_the_way(item.package, installed, package.version)]
    cves = {item.name for item in fixes if item.name.startswith("CVE-")}
    brings = {other.package for other in table.incoming} - {package}
    return PendingUpdate(
        name=package.name,
        arch=package.arch,
        installed=installed,
        candidate=package.version,
        origin=row.repository,
        security=any(item.security for item in fixes),
        held=held,
        kept_back=kept_back,
        withheld=_why_not(alone) if kept_back and alone and not table.complete else "",
        brings=tuple(sorted(brings)),
        removes=table.removed,
        cves=tuple(sorted(cves)),
        advisories=tuple(sorted({item.name for item in fixes} - cves)),
    )


def _why_not(alone: Section) -> str:
    """Return the solver's own words about an update that cannot be had at all."""
    said = " ".join(" ".join((*alone.lines, *alone.errors)).split())
    found = re.search(r"(?:nothing provides|conflicting requests|package \S+ ).{0,200}", said)
    return f"it cannot be resolved: {found[0] if found else said[:200]}"


def _successors(
    upgrade: Table, database: Database, offered: Mapping[Key, Listed]
) -> list[PendingUpdate]:
    """Return the packages of other names that would take the place of installed ones."""
    return [
        PendingUpdate(
            name=row.package.name,
            arch=row.package.arch,
            installed="",
            candidate=row.package.version,
            origin="",
            kept_back=True,
            removes=displaced(row),
        )
        for row in upgrade.incoming
        if displaced(row)
        and row.package.name not in database.names
        and _key(row.package) not in offered
    ]


def _advisories(
    sections: Mapping[str, Section],
) -> tuple[Mapping[Key, Sequence[Advised]], tuple[str, ...]]:
    """Return what advisories and CVEs say of packages, by name and architecture."""
    table: dict[Key, list[Advised]] = {}
    unread: list[str] = []
    for name in ("advisories", "cves"):
        rows, odd = read_advisories(lines_of(sections, name))
        unread += odd
        for row in rows:
            table.setdefault(_key(row.package), []).append(row)
    return table, tuple(unread)


def _on_the_way(fixed: Target, installed: str, candidate: str) -> bool:
    """True when the update passes over that build: its fixes come with it."""
    try:
        above = not installed or rpm_key(installed) < rpm_key(fixed.version)
        return above and rpm_key(fixed.version) <= rpm_key(candidate)
    except ValueError:
        return False


def _table(sections: Mapping[str, Section], name: str) -> Table:
    return read_table(lines_of(sections, name))


def _key(package: Target) -> Key:
    return package.name, package.arch


def _nevra(package: Target) -> str:
    return f"{package.name}-{package.version}.{package.arch}"
