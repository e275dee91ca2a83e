"""What `pacman -Qi` and `pacman -Si` say of packages, and how packages hang together. Pure."""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from wavemend.managers.reading.sections import Section
from wavemend.versions import VersionKey, pacman_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One package as a database describes it."""

    name: str
    version: str
    arch: str
    repository: str = ""
    """Empty for an installed one."""
    provides: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    size: int | None = None
    """Bytes installed, as pacman rounds them; None where it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """One answer: the packages in their order, and the lines that could not be read."""

    packages: tuple[Record, ...]
    unread: tuple[str, ...]
    status: int

    def by_name(self) -> Mapping[str, Record]:
        """Return the first of each name: of two repositories the one named first counts."""
        return {record.name: record for record in reversed(self.packages)}


_FIELD = re.compile(r"(?P<key>[A-Z][A-Za-z ]*?|status) *: (?P<value>.*)")
_SIZE = re.compile(r"(?P<number>[0-9]{1,12}\.[0-9]{2}) (?P<unit>B|KiB|MiB|GiB|TiB)")
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def read_records(section: Section) -> Records:
    """Read the fields of shared.sh; a package begins with its name, or its repository."""
    entries: list[dict[str, str]] = []
    unread: list[str] = []
    status = section.status
    for line in section.lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            unread.append(line)
            continue
        key, value = found["key"], found["value"].strip()
        if key == "status":
            status = int(value) if value.isdecimal() else 1
            continue
        if not entries or key in entries[-1]:
            entries.append({})
        entries[-1][key] = value
    packages = []
    for entry in entries:
        if "Name" in entry and "Version" in entry:
            packages.append(_record(entry))
        else:
            unread.append(f"a package without name or version: {entry}")
    return Records(packages=tuple(packages), unread=tuple(unread), status=status)


def _record(entry: Mapping[str, str]) -> Record:
    def words(key: str) -> tuple[str, ...]:
        return tuple(word for word in entry.get(key, "").split() if word != "None")

    size = _SIZE.fullmatch(entry.get("Installed Size", ""))
    return Record(
        name=entry["Name"],
        version=entry["Version"],
        arch=next(iter(words("Architecture")), ""),
        repository=entry.get("Repository", ""),
        provides=words("Provides"),
        depends=words("Depends On"),
        conflicts=words("Conflicts With"),
        replaces=words("Replaces"),
        size=round(float(size["number"]) * _UNITS[size["unit"]]) if size else None,
    )


_RELATION = re.compile(r"(?P<name>[^<>=]+)(?:(?P<sign><=|>=|=|<|>)(?P<version>.+))?")


def names(relation: str, package: Record) -> bool:
    """Say whether a dependency, conflict or replacement means a package, itself or by what it
    provides. A version that cannot be compared counts as meant: nothing is risked on it."""
    found = _RELATION.fullmatch(relation)
    if found is None:
        return False
    if found["name"] == package.name and _holds(package.version, found["sign"], found["version"]):
        return True
    for provided in package.provides:
        name, _, version = provided.partition("=")
        if name != found["name"]:
            continue
        # Without a version it satisfies only what asks for none.
        if not found["sign"] or (version and _holds(version, found["sign"], found["version"])):
            return True
    return False


def _holds(version: str, sign: str | None, wanted: str | None) -> bool:
    if not sign or not wanted:
        return True
    try:
        have, want = _keys(version, wanted)
    except ValueError:
        return True
    return {
        "=": have == want,
        "<": have < want,
        ">": have > want,
        "<=": have <= want,
        ">=": have >= want,
    }[sign]


def _keys(first: str, second: str) -> tuple[VersionKey, VersionKey]:
    """Where one of two has no pkgrel, it is not compared."""
    if "-" not in first or "-" not in second:
        first, second = (f"{text.partition('-')[0]}-1" for text in (first, second))
    return pacman_key(first), pacman_key(second)


class Graph:
    """Who needs whom among packages that are, or will be, side by side."""

    def __init__(self, packages: Mapping[str, Record]) -> None:
        """Note who provides what, by name."""
        self._packages = packages
        self._providers: dict[str, set[str]] = {}
        for record in packages.values():
            for provided in (record.name, *record.provides):
                self._providers.setdefault(provided.partition("=")[0], set()).add(record.name)

    def needs(self, name: str) -> set[str]:
        """Return all that a package depends on, directly or through others."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            for depend in self._packages[waiting.pop()].depends:
                found = _RELATION.fullmatch(depend)
                fresh = self._providers.get(found["name"], set()) - seen if found else set()
                seen |= fresh
                waiting += fresh
        return seen - {name}


def conflicts(package: Record, others: Iterable[Record]) -> tuple[str, ...]:
    """Return the names of the others that cannot stay beside a package, sorted."""
    return tuple(
        sorted(
            other.name
            for other in others
            if other.name != package.name
            and (
                any(names(relation, other) for relation in package.conflicts)
                or any(names(relation, package) for relation in other.conflicts)
            )
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bonds:
    """Which updates come together or not at all."""

    groups: Mapping[str, frozenset[str]]
    """By the name of each update that is not on hold: all of its group, itself included."""
    barred: Mapping[str, str]
    """By name, the held package whose new form a member of its group was built for."""


def bonds(changed: Mapping[str, Record], held: AbstractSet[str], graph: Graph) -> Bonds:
    """Return which of the changed packages belong together. Pure.

    A partial upgrade breaks where a package built for another's new form meets its old one. What
    did not change in the repositories works with both; so only two packages that both changed
    bind each other, where one needs the other. What an administrator holds may stay behind what
    it needs, as with `pacman -Syu`; but nothing comes in that needs its new form.
    """
    group = {name: {name} for name in changed if name not in held}
    barred: dict[str, str] = {}
    for name in sorted(group):
        needed = graph.needs(name) & changed.keys()
        for other in sorted(needed - held):
            if group[other] is not group[name]:
                joined = group[name] | group[other]
                for member in joined:
                    group[member] = joined
        for other in sorted(needed & held):
            barred.setdefault(name, other)
    for name, members in group.items():
        reasons = sorted(barred[member] for member in members if member in barred)
        if reasons:
            barred.setdefault(name, reasons[0])
    return Bonds(
        groups={name: frozenset(members) for name, members in group.items()}, barred=barred
    )
