"""Fixes that exist and that the host's apt would not take: pinned away, or behind Ubuntu Pro. Pure.

They are pending all the same: a host without them is not up to date.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from wavemend.hosts import InstalledPackage, PendingUpdate
from wavemend.managers.apt.parse import PolicyTable, VersionRow, read_policy
from wavemend.managers.reading.sections import Section

_NOT_AUTOMATIC = frozenset({1, 100})
"""Priorities that archives give themselves (experimental, backports): no updates of the host."""


class Installed:
    """The installed packages by the names apt uses: `libc6`, and `libc6:i386` for a foreign one."""

    def __init__(self, packages: Sequence[InstalledPackage], native: str) -> None:
        self._packages = packages
        self._native = native

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[InstalledPackage]]:
        """Made when somebody asks: most hosts hold nothing back."""
        by_name: dict[str, list[InstalledPackage]] = {}
        for package in self._packages:
            by_name.setdefault(package.name, []).append(package)
        return by_name

    def find(self, called: str) -> InstalledPackage | None:
        """Return the package that apt calls so, or None."""
        name, _, arch = called.partition(":")
        wanted = {arch} if arch else {self._native, "all"}
        for package in self._by_name.get(name, ()):
            if package.arch in wanted:
                return package
        return None


def pinned_away(lines: Sequence[str], installed: Installed) -> Iterator[PendingUpdate]:
    """Read the version tables of packages for which something newer than the candidate is known."""
    for called, table in read_policy(lines).items():
        package = installed.find(called)
        if package is None:
            continue
        for row in table.newer:
            if _by_preference(row):
                yield _update(package, row, _why(row, table))
                break


def _by_preference(row: VersionRow) -> bool:
    return not {row.priority, *(source.priority for source in row.sources)} <= _NOT_AUTOMATIC


def _why(row: VersionRow, table: PolicyTable) -> str:
    lowest = min([row.priority, *(source.priority for source in row.sources)])
    if lowest < 0:
        return f"pinned away by the host's preferences (priority {lowest})"
    return f"the host's preferences keep it at {table.candidate}"


def _update(package: InstalledPackage, row: VersionRow, why: str) -> PendingUpdate:
    return PendingUpdate(
        name=package.name,
        arch=package.arch,
        installed=package.version,
        candidate=row.version,
        origin=row.sources[0].text if row.sources else "",
        security=row.security,
        withheld=why,
    )


_UNSUBSCRIBED = {
    "pending_attach": "needs an Ubuntu Pro subscription",
    "pending_enable": "needs this service of Ubuntu Pro to be enabled",
}
"""States of `pro security-status` in which a fix cannot be had; else apt itself offers it."""


def behind_subscription(
    section: Section | None, installed: Installed
) -> tuple[tuple[PendingUpdate, ...], str]:
    """Read `pro security-status --format json`; also return why it could not be read.

    A host without that program has no section's lines, and nothing to be read.
    """
    if section is None or not (section.lines or section.status):
        return (), ""
    try:
        told: Any = json.loads("\n".join(section.lines))
        entries = told["packages"]
        updates = tuple(_subscribed(entries, installed))
    except (ValueError, RecursionError, KeyError, TypeError):
        said = "; ".join(section.errors[-2:])[:200]
        return (), f"pro security-status ended with {section.status}: {said or 'no JSON'}"
    return updates, ""


def _subscribed(
    entries: Sequence[Mapping[str, str]], installed: Installed
) -> Iterator[PendingUpdate]:
    for entry in entries:
        package = installed.find(entry["package"])
        reason = _UNSUBSCRIBED.get(entry["status"])
        if package is not None and reason is not None:
            yield PendingUpdate(
                name=package.name,
                arch=package.arch,
                installed=package.version,
                candidate=entry["version"],
                origin=f"{entry['origin']} {entry['service_name']}",
                security=True,
                withheld=f"{reason} ({entry['service_name']})",
            )
