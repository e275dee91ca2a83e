"""Ansible inventories and variables in YAML. Tags such as `!vault` stay unread, and are said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wavemend.inventory.problems import Place
from wavemend.inventory.sources.ansible_values import Inventory, Said
from wavemend.inventory.sources.found import Fault
from wavemend.inventory.yaml_source import Source, read_source

_PARTS = frozenset({"hosts", "children", "vars"})


def read_yaml(path: Path, shown: str) -> Inventory:
    """Return what a YAML inventory says: group → hosts, children, vars."""
    inventory = Inventory()
    source = read_source(path, guard=False)
    if not source.readable:
        inventory.faults += [
            _fault(shown, problem.line, problem.what) for problem in source.problems
        ]
        return inventory
    spoiled = _spoiled(source)
    for name, body in source.data.items():
        _group(inventory, _Reading(source, shown, spoiled), name, body, (name,))
    # What spoils a value is the value's; what spoils the shape is the file's.
    inventory.faults += [
        _fault(shown, source.line(place), what)
        for place, what in spoiled.items()
        if "vars" not in place[:-1] and not _beside_host(place)
    ]
    return inventory


def read_variables(path: Path, shown: str) -> tuple[dict[str, Said], list[Fault]]:
    """Return the variables of a file of `group_vars` or `host_vars`."""
    source = read_source(path, guard=False)
    if not source.readable:
        return {}, [_fault(shown, problem.line, problem.what) for problem in source.problems]
    reading = _Reading(source, shown, _spoiled(source))
    faults = [_fault(shown, source.line(p), what) for p, what in reading.spoiled.items() if not p]
    return reading.variables(source.data, ()), faults


class _Reading:
    def __init__(self, source: Source, shown: str, spoiled: Mapping[Place, str]) -> None:
        self.source, self.shown, self.spoiled = source, shown, spoiled

    def spot(self, place: Place) -> str:
        return f"{self.shown}:{self.source.line(place)}"

    def variables(self, values: object, place: Place) -> dict[str, Said]:
        if not isinstance(values, dict):
            return {}
        return {
            name: Said(value, self.spot((*place, name)), self._fault((*place, name)))
            for name, value in values.items()
        }

    def _fault(self, place: Place) -> str:
        within = (what for at, what in self.spoiled.items() if at[: len(place)] == place)
        return next(within, "")


def _group(inventory: Inventory, reading: _Reading, name: str, body: Any, place: Place) -> None:
    spot = reading.spot(place)
    group = inventory.group(name, spot)
    if body is None:
        return
    if not isinstance(body, dict) or set(body) - _PARTS:
        odd = sorted(map(str, set(body) - _PARTS)) if isinstance(body, dict) else ["no mapping"]
        what = f"group {name} holds {', '.join(odd)}; known: hosts, children, vars"
        inventory.faults.append(Fault(spot, what))
        return
    group.variables |= reading.variables(body.get("vars"), (*place, "vars"))
    hosts = body.get("hosts") or {}
    children = body.get("children") or {}
    if not isinstance(hosts, dict) or not isinstance(children, dict):
        inventory.faults.append(Fault(spot, f"group {name}: hosts and children are mappings"))
        return
    for pattern, said in hosts.items():
        at = (*place, "hosts", pattern)
        inventory.add(name, pattern, reading.spot(at), reading.variables(said, at))
    for child, inner in children.items():
        group.children.append(child)
        _group(inventory, reading, child, inner, (*place, "children", child))


def _spoiled(source: Source) -> dict[Place, str]:
    return {problem.place: problem.what for problem in source.problems}


def _beside_host(place: Place) -> bool:
    """True for a variable that stands beside a host: `all.hosts.web1.secret`."""
    return any(part == "hosts" for part in place[:-2])


def _fault(shown: str, line: int, what: str) -> Fault:
    return Fault(f"{shown}:{line}" if line else shown, what)
