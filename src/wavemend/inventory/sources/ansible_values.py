"""What Ansible's files say, before anything is inherited, and how its names of hosts are read."""

import ast
import re
import shlex
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wavemend.inventory.sources.found import MOST_HOSTS, Fault, Spot
from wavemend.inventory.sources.values import Misread

ALL, UNGROUPED = "all", "ungrouped"

_RANGE = re.compile(r"\[([0-9]+|[A-Za-z]):([0-9]+|[A-Za-z])(?::([0-9]+))?\]")


@dataclass(frozen=True, slots=True)
class Said:
    """A variable's value, and where it stands."""

    value: object
    spot: Spot
    fault: str = ""
    """Why the value cannot be used; it only matters where it would be."""


@dataclass(slots=True)
class Group:
    """One group of an inventory, as its files describe it."""

    spot: Spot
    hosts: dict[str, Spot] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    variables: dict[str, Said] = field(default_factory=dict)


@dataclass(slots=True)
class Inventory:
    """All groups, and the variables of single hosts, in the order of the file."""

    groups: dict[str, Group] = field(default_factory=dict)
    host_variables: dict[str, dict[str, Said]] = field(default_factory=dict)
    host_spots: dict[str, Spot] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def group(self, name: str, spot: Spot) -> Group:
        """Return a group, made where the file speaks of it first."""
        return self.groups.setdefault(name, Group(spot))

    def add(self, group: str, pattern: str, spot: Spot, said: Mapping[str, Said]) -> None:
        """Add the hosts of one line to a group, with the variables that stand beside them."""
        try:
            names, port = split_port(pattern)
            for name in expanded(names):
                self.group(group, spot).hosts.setdefault(name, spot)
                self.host_spots.setdefault(name, spot)
                own = self.host_variables.setdefault(name, {})
                own.update({"ansible_port": Said(port, spot)} if port else {})
                own.update(said)
                if len(self.host_spots) > MOST_HOSTS:
                    what = f"makes more than {MOST_HOSTS} hosts; correct the range"
                    self.faults.append(Fault(spot, what))
                    break
        except Misread as error:
            self.faults.append(Fault(spot, str(error)))


def split_port(pattern: str) -> tuple[str, int]:
    """Return a pattern of hosts and the port behind it, 0 where there is none."""
    bare = _RANGE.sub("0", pattern)
    if bare.count(":") > 1:  # an IPv6 address; with a port it stands in brackets
        found = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::([0-9]+))?", pattern)
        return (found[1], int(found[2] or 0)) if found else (pattern, 0)
    found = re.fullmatch(r"(.+):([0-9]{1,5})", pattern)
    return (found[1], int(found[2])) if found else (pattern, 0)


def expanded(pattern: str) -> Iterator[str]:
    """Yield the hosts of a pattern: `web[01:50]`, `db-[a:f]`, `n[1:9:2]`; both ends count."""
    found = _RANGE.search(pattern)
    if found is None:
        if "[" in pattern or "]" in pattern:
            raise Misread(f"{pattern!r} holds no range as web[01:50]")
        yield pattern
        return
    for word in _range(found):
        yield from expanded(pattern[: found.start()] + word + pattern[found.end() :])


def _range(found: re.Match[str]) -> Iterator[str]:
    first, last, step = found[1], found[2], int(found[3] or 1)
    if first.isdigit() != last.isdigit() or step < 1:
        raise Misread(f"{found[0]!r} is no range")
    if first.isdigit():
        width = len(first) if first.startswith("0") else 0
        if width and len(last) != width:
            raise Misread(f"{found[0]!r}: both ends need the same number of digits")
        numbers = range(int(first), int(last) + 1, step)
        words: Iterator[str] = (str(number).zfill(width) for number in numbers)
    else:
        letters = string.ascii_letters
        words = iter(letters[letters.index(first) : letters.index(last) + 1 : step])
    empty = True
    for word in words:
        empty = False
        yield word
    if empty:
        raise Misread(f"{found[0]!r} is an empty range")


def literal(text: str) -> object:
    """Return what an INI inventory's value means: a Python literal, else the text itself."""
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value


def words_of(line: str) -> list[str]:
    """Split a line of hosts as Ansible does: quotes hold words together, `#` begins a comment."""
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise Misread(f"cannot be read: {error}; close the quotes") from None
