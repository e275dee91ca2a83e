"""What a running lab tells its users, as values and as files in the state folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.lab import addresses
from tests.lab.base import LIMITED, LOGIN, MIRROR_NAME
from tests.lab.errors import LabError
from tests.lab.spec import spec_from_json

SCHEMA = "wavemend.lab/1"


@dataclass(frozen=True, slots=True)
class LabHost:
    """How to reach a host, and what it was made with."""

    name: str
    family: str
    address: str
    port: int
    host_key: str
    packages: tuple[str, ...]
    held: tuple[str, ...]
    power: str


@dataclass(frozen=True, slots=True)
class LabInfo:
    """A running lab, as written to `lab.json`."""

    mode: str
    profile: str
    user: str
    limited_user: str
    key: str
    known_hosts: str
    mirror: str
    updates: tuple[str, ...]
    hosts: tuple[LabHost, ...]

    def host(self, name: str) -> LabHost:
        """Return a host by name."""
        return next(host for host in self.hosts if host.name == name)


def read_info(state: Path) -> LabInfo:
    """Read what `up` wrote down."""
    try:
        data = json.loads((state / "lab.json").read_text())
    except OSError:
        raise LabError(f"no lab is up in {state}") from None
    hosts = tuple(
        LabHost(**{**host, "packages": tuple(host["packages"]), "held": tuple(host["held"])})
        for host in data.pop("hosts")
    )
    del data["schema"]
    return LabInfo(**{**data, "hosts": hosts, "updates": tuple(data["updates"])})


def write_info(state: Path, status: Mapping[str, Any], loopback: str | None) -> LabInfo:
    """Write `lab.json` and `known_hosts` from what runs."""
    hosts = tuple(_describe(state, entry, loopback) for entry in status["hosts"])
    info = LabInfo(
        mode=status["mode"],
        profile=status["profile"],
        user=LOGIN,
        limited_user=LIMITED,
        key=str(state / "id_ed25519"),
        known_hosts=str(state / "known_hosts"),
        mirror=f"http://{MIRROR_NAME}",
        updates=tuple(status["updates"]),
        hosts=hosts,
    )
    known = "".join(f"{addresses.ssh_name(h.address, h.port)} {h.host_key}\n" for h in hosts)
    _replace(state / "known_hosts", known)
    _replace(state / "lab.json", json.dumps({"schema": SCHEMA, **asdict(info)}, indent=2) + "\n")
    return info


def _describe(state: Path, entry: Mapping[str, Any], loopback: str | None) -> LabHost:
    name, spec = entry["name"], spec_from_json(entry["spec"])
    key = (state / "identity" / name / "ssh_host_ed25519_key.pub").read_text().split()
    address, port = addresses.public(entry["address"], entry["number"], loopback)
    host_key = " ".join(key[:2])
    return LabHost(name, spec.family, address, port, host_key, spec.packages, spec.held, spec.power)


def _replace(path: Path, text: str) -> None:
    """Write by rename: others read these files while a second `up` adds hosts."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.rename(path)
