"""Ansible inventories: hosts, groups with children, and the variables that mean something here.

Nothing is evaluated: a template where a value is needed is a fault. Precedence is Ansible's:
groups by depth, `ansible_group_priority` and name; then `group_vars/all`, other `group_vars`, the
host's own variables, `host_vars`.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from wavemend.inventory.problems import suggestion
from wavemend.inventory.sources.ansible_folders import Files
from wavemend.inventory.sources.ansible_values import ALL, UNGROUPED, Group, Inventory, Said
from wavemend.inventory.sources.found import (
    Fault,
    Found,
    FoundGroup,
    FoundHost,
    counted,
    refused,
)
from wavemend.inventory.sources.values import READ, Misread, text

OURS = "wavemend_"
"""Variables of this prefix are keys of a host in a fleet file: `wavemend_window: sat-night`."""

MEANT: Mapping[str, str] = {
    "ansible_ssh_host": "address",
    "ansible_host": "address",
    "ansible_ssh_port": "port",
    "ansible_port": "port",
    "ansible_ssh_user": "user",
    "ansible_user": "user",
    "ansible_connection": "transport",
}
"""Ansible's own variables that say something here; the later of two names wins."""

_BY_SSH = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"})
_LOCAL = frozenset({"local", "ansible.builtin.local"})


def read(path: Path, shown: str) -> Found:
    """Return the hosts and groups of an inventory, in INI or YAML, a file or a folder."""
    files = Files(path, shown)
    whole = Inventory()
    for part in files.inventories():
        _merge(whole, part)
    groups = whole.groups
    for name in (ALL, UNGROUPED):
        groups.setdefault(name, Group(shown))
    try:
        depths = _depths(groups)
    except CycleError as error:
        return refused(shown, f"groups hold each other: {' in '.join(error.args[1])}")
    variables = _Variables(files, whole, depths)
    hosts, left_out = [], []
    for name in whole.host_spots:
        host = _host(name, whole.host_spots[name], variables.of(name), whole.faults)
        if isinstance(host, Fault):
            left_out.append(host)
        else:
            hosts.append(host)
    there = {host.name for host in hosts}
    return Found(
        hosts=tuple(hosts),
        groups=tuple(_found_groups(groups, variables, there)),
        faults=(*whole.faults, *files.faults),
        left_out=(*left_out, *files.unread),
        ignored=counted(_ignored(groups, variables)),
    )


def _merge(whole: Inventory, part: Inventory) -> None:
    for name, group in part.groups.items():
        known = whole.group(name, group.spot)
        known.hosts |= group.hosts
        known.children += group.children
        known.variables |= group.variables
    for name, said in part.host_variables.items():
        whole.host_variables.setdefault(name, {}).update(said)
    for name, spot in part.host_spots.items():
        whole.host_spots.setdefault(name, spot)
    whole.faults += part.faults


def _depths(groups: Mapping[str, Group]) -> dict[str, int]:
    """Return how deep each group lies below `all`; raises CycleError."""
    parents: dict[str, set[str]] = {name: set() for name in groups}
    for name, group in groups.items():
        for child in group.children:
            parents.setdefault(child, set()).add(name)
    depths: dict[str, int] = {}
    for name in TopologicalSorter(parents).static_order():
        depths[name] = 0 if name == ALL else 1 + max((depths[p] for p in parents[name]), default=0)
    return depths


class _Variables:
    """What holds for a host after all that its groups and its own files say."""

    def __init__(self, files: Files, whole: Inventory, depths: Mapping[str, int]) -> None:
        self._files, self._whole, self._depths = files, whole, depths
        self._above: dict[str, set[str]] = {}
        for name, group in whole.groups.items():
            for child in group.children:
                self._above.setdefault(child, set()).add(name)
        self.by_group = {name: files.variables("group_vars", name) for name in whole.groups}
        self.by_host = {name: files.variables("host_vars", name) for name in whole.host_spots}
        self._groups_of: dict[str, set[str]] = {name: {ALL} for name in whole.host_spots}
        for name, group in whole.groups.items():
            around = self._with_parents(name)
            for host in group.hosts:
                self._groups_of[host] |= around

    def _with_parents(self, name: str) -> set[str]:
        found, waiting = {name}, [name]
        while waiting:
            fresh = self._above.get(waiting.pop(), set()) - found
            found |= fresh
            waiting += sorted(fresh)
        return found

    def groups_of(self, host: str) -> set[str]:
        """Return every group a host is in, by itself or by a child group."""
        return self._groups_of[host]

    def of(self, host: str) -> dict[str, Said]:
        """Return a host's variables by name."""
        names = sorted(self._groups_of[host], key=self._rank)
        found: dict[str, Said] = {}
        for name in names:
            found |= self._whole.groups[name].variables
        for name in (ALL, *(name for name in names if name != ALL)):
            found |= self.by_group[name]
        return found | self._whole.host_variables.get(host, {}) | self.by_host[host]

    def _rank(self, name: str) -> tuple[int, int, str]:
        said = {**self._whole.groups[name].variables, **self.by_group[name]}
        priority = said.get("ansible_group_priority", Said(1, "")).value
        word = str(priority)
        number = int(word) if word.isascii() and word.isdigit() else 1
        return (self._depths[name], number, name)

    def everything(self) -> Iterator[str]:
        """Yield the name of each variable once for each place that sets it."""
        for said in (
            *(group.variables for group in self._whole.groups.values()),
            *self.by_group.values(),
            *self._whole.host_variables.values(),
            *self.by_host.values(),
        ):
            yield from said


def _ignored(groups: Mapping[str, Group], variables: _Variables) -> Iterator[str]:
    held = {name for host in variables.by_host for name in variables.groups_of(host)}
    yield from (f"group {name} without hosts" for name in groups if name not in held | {UNGROUPED})
    for name in variables.everything():
        if name not in MEANT and not name.startswith(OURS):
            yield f"variable {name}"


def _host(
    name: str, spot: str, variables: Mapping[str, Said], faults: list[Fault]
) -> FoundHost | Fault:
    values: dict[str, object] = {"address": name}
    spots: dict[tuple[str, ...], str] = {}
    for variable, key in _meant(variables, faults):
        said = variables[variable]
        try:
            values[key] = text(_plain(said)) if key == "user" else READ[key](_plain(said))
        except Misread as error:
            faults.append(Fault(f"{said.spot}, {variable}", str(error)))
        spots[(key,)] = f"{said.spot}, {variable}"
    user = str(values.pop("user", ""))
    way = values.pop("transport", "ssh")
    if way in _LOCAL:
        values["transport"] = "local"
    elif way not in _BY_SSH:
        at = spots.get(("transport",), spot)
        return Fault(at, f"host {name} is reached by {way}, which is no way from here")
    return FoundHost(name=name, spot=spot, values=values, user=user, spots=spots)


def _meant(variables: Mapping[str, Said], faults: list[Fault]) -> Iterator[tuple[str, str]]:
    """Yield each variable that says something here, with its key, ours last: they win."""
    yield from ((name, key) for name, key in MEANT.items() if name in variables)
    for name in sorted(variables):
        if name.startswith(OURS):
            key = name.removeprefix(OURS)
            if key in READ:
                yield name, key
            else:
                known = [f"{OURS}{word}" for word in READ]
                fault = Fault(
                    variables[name].spot, f"{name} means nothing; {suggestion(name, known)}"
                )
                if fault not in faults:
                    faults.append(fault)


def _plain(said: Said) -> object:
    """Return a value that can be used as it stands, or raise Misread."""
    if "!vault" in said.fault or str(said.value).startswith("$ANSIBLE_VAULT"):
        raise Misread("is encrypted with Ansible Vault and stays unread; write it in plain text")
    if said.fault:
        raise Misread(said.fault)
    if any(sign in str(said.value) for sign in ("{{", "{%")):
        raise Misread("is a template, and nothing is evaluated; write the value itself")
    return said.value


def _found_groups(
    groups: Mapping[str, Group], variables: _Variables, there: set[str]
) -> Iterator[FoundGroup]:
    """Yield the groups that hold somebody, by their own hosts or their children's."""
    members: dict[str, list[str]] = {}
    for host in sorted(there):
        for name in variables.groups_of(host):
            members.setdefault(name, []).append(host)
    for name, group in groups.items():
        if name not in {ALL, UNGROUPED} and name in members:
            yield FoundGroup(name=name, spot=group.spot, hosts=tuple(members[name]))
