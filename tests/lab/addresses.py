"""Where the hosts are reached from the ordinary namespace, without treading on anybody."""

import ipaddress
import json
import os
import socket
import time

from tests.lab.errors import LabError, run
from tests.lab.namespaces import ROOT

_DOOR_PORT = 2222
_FIRST_SUBNET = 77
# How long the kernel may take to remove the interface of a network namespace that ended.
_UNPLUG_SECONDS = 15.0


def free_subnet(mode: str) -> str:
    """Return the first three bytes of a /24 that this machine does not use."""
    if chosen := os.environ.get("WAVEMEND_LAB_SUBNET"):
        return ".".join(chosen.partition("/")[0].split(".")[:3])
    if mode != ROOT:
        return f"10.213.{_FIRST_SUBNET}"  # seen by nobody outside the lab
    routes = json.loads(run(["ip", "-json", "route"]) or "[]")
    names = (route["dst"] for route in routes if route["dst"] != "default")
    used = [ipaddress.ip_network(name, strict=False) for name in names]
    for byte in range(_FIRST_SUBNET, 255):
        subnet = f"10.213.{byte}"
        if not any(ipaddress.ip_network(f"{subnet}.0/24").overlaps(each) for each in used):
            return subnet
    raise LabError("no free network in 10.213.0.0/16: set WAVEMEND_LAB_SUBNET to a free /24")


def uplink_name(subnet: str) -> str:
    """Return the name of the ordinary namespace's end of the cable to a lab."""
    return f"wml{subnet.replace('.', '-')}"  # 14 characters at most; the kernel allows 15


def wait_unplugged(subnet: str) -> None:
    """Wait until the kernel has taken back the cable of a lab that ended."""
    deadline = time.monotonic() + _UNPLUG_SECONDS
    names = [name for _, name in socket.if_nameindex()]
    while uplink_name(subnet) in names and time.monotonic() < deadline:
        time.sleep(0.02)
        names = [name for _, name in socket.if_nameindex()]


def reserve_loopback() -> socket.socket:
    """Return a socket that keeps one 127.77.N.0/24 for a lab as long as it is open."""
    for byte in range(256):
        marker = socket.socket()
        try:
            marker.bind((f"127.77.{byte}.254", _DOOR_PORT))
        except OSError:
            marker.close()
        else:
            return marker
    raise LabError("all of 127.77.0.0/16 is in use: take down labs that are no longer needed")


def loopback_of(marker: socket.socket | None) -> str | None:
    """Return the first three bytes of the addresses that a marker keeps."""
    if marker is None:
        return None
    return str(marker.getsockname()[0]).rpartition(".")[0]


def bind_door(loopback: str, number: int) -> socket.socket:
    """Bind a host's port in the ordinary namespace, to be handed to the supervisor."""
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind((f"{loopback}.{number}", _DOOR_PORT))
    return door


def public(address: str, number: int, loopback: str | None) -> tuple[str, int]:
    """Return the address and port at which the ordinary namespace finds a host."""
    return (address, 22) if loopback is None else (f"{loopback}.{number}", _DOOR_PORT)


def ssh_name(address: str, port: int) -> str:
    """Return a host's name as known_hosts spells it."""
    return address if port == 22 else f"[{address}]:{port}"
