"""Which hosts a lab has, and what is odd about each of them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError
from tests.lab.families import FAMILIES

# The last byte of an address is 10 + number, and the gateway's end of the cable is .254.
MAX_HOSTS = 200
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class HostSpec:
    """One host on day zero.

    Attributes:
        name: Host name, letters, digits and dashes.
        packages: Lab packages installed at version 1.0.
        held: Packages kept at their version, by the package manager's own way.
        power: `on` or `off` when the lab comes up.
        files: Text files written after the packages were installed, by absolute path.
        family: The package manager: `apt`, `dnf`, `zypper` or `pacman`.
        disk: Options of a tmpfs that bounds the whole disk, such as `size=60m` or
            `nr_inodes=500`; without them the disk is as large as the machine's.
        mounts: Folders that are filesystems of their own, by absolute path: options of a tmpfs
            such as `noexec` or `size=4m`. What the disk has there is copied into it at each boot.
        clock: Seconds by which the host's `date` is ahead. All clocks are the machine's: only what
            asks `date`, as scripts do, is told another time.
    """

    name: str
    packages: tuple[str, ...] = ("wm-fine",)
    held: tuple[str, ...] = ()
    power: str = "on"
    files: Mapping[str, str] = field(default_factory=dict)
    family: str = "apt"
    disk: str = ""
    mounts: Mapping[str, str] = field(default_factory=dict)
    clock: int = 0

    def __post_init__(self) -> None:
        """Refuse what could only fail later, inside a half-built host."""
        if not _NAME.fullmatch(self.name):
            raise LabError(f"'{self.name}' is not a host name: use a-z, 0-9 and dashes")
        if self.family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise LabError(f"{self.name}: no such family: {self.family} (there are: {known})")
        there = FAMILIES[self.family].packages
        if unknown := sorted(set(self.packages) - there):
            known = ", ".join(sorted(there))
            raise LabError(f"{self.name}: no such lab package: {unknown[0]} (there are: {known})")
        if self.power not in {"on", "off"}:
            raise LabError(f"{self.name}: power is 'on' or 'off', not '{self.power}'")
        paths = [*self.files, *self.mounts]
        if bad := [path for path in paths if not path.startswith("/") or ".." in path]:
            raise LabError(f"{self.name}: '{bad[0]}' is not an absolute path")

    def as_json(self) -> dict[str, Any]:
        """Return the form used in spec files and on the supervisor's socket."""
        return {**asdict(self), "files": dict(self.files), "mounts": dict(self.mounts)}


DEFAULT_HOSTS = (
    HostSpec("web1"),
    HostSpec("web2"),
    HostSpec(
        "web3",
        packages=("wm-fine", "wm-conffile"),
        files={"/etc/wm-conffile.conf": "greeting = edited by the administrator\n"},
    ),
    HostSpec("app1", packages=("wm-fine", "wm-late"), held=("zip",)),
    HostSpec("db1"),
    HostSpec("cold1", power="off"),
    HostSpec("shop1", packages=("wm-fine", "wm-slow")),
    HostSpec("shop2", packages=("wm-fine", "wm-newdep")),
    HostSpec("api1", packages=("wm-fails",)),
    HostSpec("files1", packages=("wm-fine", "wm-reboot")),
)


def default_hosts(count: int) -> tuple[HostSpec, ...]:
    """Return the first hosts of the default table; beyond it, plain ones named node11 and on."""
    if not 1 <= count <= MAX_HOSTS:
        raise LabError(f"a lab has 1 to {MAX_HOSTS} hosts, not {count}")
    more = (HostSpec(f"node{number}") for number in range(len(DEFAULT_HOSTS) + 1, count + 1))
    return (*DEFAULT_HOSTS[:count], *more)


def spec_from_json(entry: Mapping[str, Any]) -> HostSpec:
    """Read one host of a spec file; an unknown field is refused, not ignored."""
    try:
        lists = {key: tuple(entry[key]) for key in ("packages", "held") if key in entry}
        return HostSpec(**{**entry, **lists})
    except TypeError as error:
        raise LabError(f"a host of the spec cannot be read: {error}") from None


def load_spec(path: Path) -> tuple[HostSpec, ...]:
    """Read a spec file: a JSON list of hosts."""
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise LabError(f"the spec {path} cannot be read: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise LabError(f"the spec {path} must be a JSON list of hosts")
    return check_hosts([spec_from_json(entry) for entry in entries])


def check_hosts(hosts: Sequence[HostSpec]) -> tuple[HostSpec, ...]:
    """Refuse an empty lab, too many hosts, and a name used twice."""
    names = [host.name for host in hosts]
    if not 1 <= len(names) <= MAX_HOSTS:
        raise LabError(f"a lab has 1 to {MAX_HOSTS} hosts, not {len(names)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LabError(f"the host name '{twice[0]}' is used twice")
    return tuple(hosts)
