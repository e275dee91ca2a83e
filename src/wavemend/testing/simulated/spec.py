"""Which simulated hosts there are, in the same form as the lab of real hosts."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wavemend.errors import EnvironmentUnfit
from wavemend.testing.simulated.catalogue import DAY_ZERO

MOST_HOSTS = 200
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class HostSpec:
    """One host on day zero; the fields are those of `tests/lab/spec.py`."""

    name: str
    packages: tuple[str, ...] = ("wm-fine",)
    """Lab packages installed at version 1.0; `wm-fine` and `wm-fine=1.0` mean the same."""
    held: tuple[str, ...] = ()
    power: str = "on"
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        if not NAME.fullmatch(self.name):
            raise EnvironmentUnfit(f"{self.name!r} is not a host name: use a-z, 0-9 and dashes")
        names = {package.removesuffix("=1.0") for package in self.packages}
        if unknown := sorted(names - DAY_ZERO):
            raise EnvironmentUnfit(
                f"{self.name}: no such lab package at version 1.0: {unknown[0]}",
                hint=f"there are: {', '.join(sorted(DAY_ZERO))}",
            )
        if self.power not in {"on", "off"}:
            raise EnvironmentUnfit(f"{self.name}: power is 'on' or 'off', not {self.power!r}")
        if bad := [path for path in self.files if not path.startswith("/") or ".." in path]:
            raise EnvironmentUnfit(f"{self.name}: {bad[0]!r} is not an absolute path")

    @property
    def package_names(self) -> tuple[str, ...]:
        """The lab packages without their version."""
        return tuple(package.removesuffix("=1.0") for package in self.packages)


EDITED = {"/etc/wm-conffile.conf": "greeting = edited by the administrator\n"}

DEFAULT_HOSTS = (
    HostSpec("web1"),
    HostSpec("web2"),
    HostSpec("web3", packages=("wm-fine", "wm-conffile"), files=EDITED),
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
    if not 1 <= count <= MOST_HOSTS:
        raise EnvironmentUnfit(f"1 to {MOST_HOSTS} hosts can be simulated, not {count}")
    more = (HostSpec(f"node{number}") for number in range(len(DEFAULT_HOSTS) + 1, count + 1))
    return (*DEFAULT_HOSTS[:count], *more)


def load_spec(path: Path) -> tuple[HostSpec, ...]:
    """Read a spec file: `{"hosts": [...]}` or the list alone."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise EnvironmentUnfit(f"the spec {path} cannot be read: {error}") from error
    entries = data.get("hosts") if isinstance(data, dict) else data
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise EnvironmentUnfit(f"the spec {path} must hold a list of hosts")
    return check_hosts(_read(entry) for entry in entries)


def _read(entry: dict[str, Any]) -> HostSpec:
    fields = dict(entry)
    for name in {"packages", "held"} & set(fields):
        fields[name] = tuple(fields[name])
    try:
        return HostSpec(**fields)
    except TypeError as error:
        raise EnvironmentUnfit(f"a host of the spec cannot be read: {error}") from error


def check_hosts(hosts: Iterable[HostSpec]) -> tuple[HostSpec, ...]:
    """Refuse an empty lab, too many hosts, and a name used twice."""
    found = tuple(hosts)
    names = [host.name for host in found]
    if not 1 <= len(names) <= MOST_HOSTS:
        raise EnvironmentUnfit(f"1 to {MOST_HOSTS} hosts can be simulated, not {len(names)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EnvironmentUnfit(f"the host name {twice[0]!r} is used twice")
    return found
