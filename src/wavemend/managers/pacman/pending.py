"""Which updates are pending, what they bring, and what would have to go for them. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from wavemend.hosts import PendingUpdate
from wavemend.managers.pacman.records import (
    Bonds,
    Graph,
    Record,
    bonds,
    conflicts,
    names,
    read_records,
)
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of
from wavemend.packages import Target

_UPGRADABLE = re.compile(
    r"(?P<name>\S+) (?P<old>\S+) -> (?P<new>\S+)(?P<ignored> \[ignored\])?", re.ASCII
)
_WHOLE = re.compile(r"(?P<repository>[^ :]+) (?P<name>\S+) (?P<version>\S+) [0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """One line of `pacman -Qu`."""

    name: str
    old: str
    new: str
    held: bool


def read_upgradable(section: Section) -> tuple[tuple[Newer, ...], tuple[str, ...]]:
    """Return what is newer, holds included, and the lines that could not be read."""
    rows, unread = [], []
    for line in section.lines:
        if found := _UPGRADABLE.fullmatch(line):
            held = bool(found["ignored"])
            rows.append(Newer(name=found["name"], old=found["old"], new=found["new"], held=held))
        else:
            unread.append(f"upgradable: {line}")
    return tuple(rows), tuple(unread)


def bonds_of(
    newer: Iterable[Newer], installed: Mapping[str, Record], offered: Mapping[str, Record]
) -> Bonds:
    """Return which of the newer packages come together, over all that stays as it is."""
    rows = tuple(newer)
    held = {row.name for row in rows if row.held}
    changed = {row.name: offered[row.name] for row in rows if row.name in offered}
    coming = {name: record for name, record in offered.items() if name not in held}
    return bonds(changed, held, Graph({**installed, **coming}))


def pending_updates(
    sections: Mapping[str, Section], installed: Mapping[str, Record]
) -> tuple[tuple[PendingUpdate, ...], tuple[str, ...]]:
    """Return the updates of installed packages, and the lines that could not be read.

    Three answers are laid over each other: `upgradable` is what is newer, holds included; `whole`
    what a whole upgrade would install, new packages included; `offered` describes all of them.
    """
    offered = read_records(sections["offered"]).by_name() if "offered" in sections else {}
    newer, unread = read_upgradable(sections["upgradable"])
    lost = [row for row in newer if row.name not in offered or offered[row.name].version != row.new]
    rows = [row for row in newer if row not in lost]
    words = [f"{row.name} {row.new} is upgradable, and nothing describes it" for row in lost]
    found = (_WHOLE.fullmatch(line) for line in lines_of(sections, "whole"))
    entering = {item["name"] for item in found if item and item["name"] not in installed}
    fresh = {name: offered[name] for name in entering if name in offered}
    scene = _Scene(installed, offered, fresh, bonds_of(rows, installed, offered))
    updates = [scene.update(row) for row in rows]
    updates += _replacements(installed, fresh.values())
    updates.sort(key=lambda update: (update.name, update.candidate))
    return tuple(updates), (*unread, *words)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is there, what is offered, which of it would be new, and what binds the updates."""

    installed: Mapping[str, Record]
    offered: Mapping[str, Record]
    fresh: Mapping[str, Record]
    bonds: Bonds

    def update(self, row: Newer) -> PendingUpdate:
        """Return one update with its whole group: what the group brings, and what must go."""
        record = self.offered[row.name]
        group = self.bonds.groups.get(row.name, frozenset({row.name}))
        members = {name: self.offered[name] for name in group}
        graph = Graph({**self.fresh, **members})
        new = {name for member in members for name in graph.needs(member) & self.fresh.keys()}
        arriving = (*members.values(), *(self.fresh[name] for name in new))
        removes, along = self._in_the_way(arriving)
        barrier = self.bonds.barred.get(row.name, "")
        beside = {*(item.name for item in arriving), *along} - {row.name}
        return PendingUpdate(
            name=row.name,
            arch=record.arch,
            installed=row.old,
            candidate=row.new,
            origin=record.repository,
            held=row.held,
            kept_back=bool(new or removes) and not row.held,
            withheld=f"it needs the new {barrier}, which is on hold" if barrier else "",
            brings=tuple(sorted(_target(self.offered[name]) for name in beside)),
            removes=tuple(sorted(removes)),
        )

    def _in_the_way(self, arriving: Collection[Record]) -> tuple[set[str], set[str]]:
        """Return what would have to go, and what only has to come along in its newer form."""
        names_of = {item.name for item in arriving}
        staying = [record for record in self.installed.values() if record.name not in names_of]
        removes: set[str] = set()
        along: set[str] = set()
        for item in arriving:
            for name in conflicts(item, staying):
                newer = self.offered.get(name) if name in self.bonds.groups else None
                ends = newer is not None and not conflicts(item, [newer])
                (along if ends else removes).add(name)
        return removes, along - removes


def _replacements(
    installed: Mapping[str, Record], entering: Iterable[Record]
) -> list[PendingUpdate]:
    """Return the updates that put a package of another name in the place of an installed one."""
    return [
        PendingUpdate(
            name=old.name,
            arch=old.arch,
            installed=old.version,
            candidate=record.version,
            origin=f"{record.repository}: replaced by {record.name}",
            kept_back=True,
            brings=(_target(record),),
            removes=(old.name,),
        )
        for record in entering
        for old in installed.values()
        if any(names(relation, old) for relation in record.replaces)
    ]


def _target(record: Record) -> Target:
    return Target(name=record.name, arch=record.arch, version=record.version)
