"""Ansible inventories in INI form: groups in brackets, `:children`, `:vars`, hosts with variables.

Form: Ansible's documentation of the inventory plugin `ini`.
"""

import re

from wavemend.inventory.sources.ansible_values import (
    UNGROUPED,
    Inventory,
    Said,
    literal,
    words_of,
)
from wavemend.inventory.sources.found import Fault
from wavemend.inventory.sources.values import Misread

_SECTION = re.compile(r"\[([^\[\]:\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_KINDS = ("hosts", "children", "vars")


def read_ini(text: str, shown: str) -> Inventory:
    """Return what an INI inventory says; faults name the line."""
    inventory = Inventory()
    group, kind = UNGROUPED, "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line, spot = raw.strip(), f"{shown}:{number}"
        if not line or line[0] in "#;":
            continue
        if section := _SECTION.fullmatch(line):
            group, kind = section[1], section[2] or "hosts"
            inventory.group(group, spot)
            if kind not in _KINDS:
                what = f"[{group}:{kind}] is no section; known: {', '.join(_KINDS)}"
                inventory.faults.append(Fault(spot, what))
            continue
        try:
            _line(inventory, group, kind, line, spot)
        except Misread as error:
            inventory.faults.append(Fault(spot, str(error)))
    return inventory


def _line(inventory: Inventory, group: str, kind: str, line: str, spot: str) -> None:
    if kind == "children":
        (child, *more) = words_of(line) or [""]
        if more:
            raise Misread("names more than one group; one on each line")
        inventory.group(group, spot).children.append(child)
        inventory.group(child, spot)
    elif kind == "vars":
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise Misread("is no name=value")
        inventory.group(group, spot).variables[name] = Said(literal(value), spot)
    elif words := words_of(line):
        inventory.add(group, words[0], spot, _beside(words[1:], spot))


def _beside(words: list[str], spot: str) -> dict[str, Said]:
    said: dict[str, Said] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Misread(f"{word!r} is no name=value")
        said[name] = Said(literal(value), spot)
    return said
