"""Switching a host on: wake-on-LAN, or the operator's own command."""

import socket
from collections.abc import Mapping

from wavemend.errors import FleetError
from wavemend.execution.hands import Hands
from wavemend.hosts import Host
from wavemend.operations import Operation
from wavemend.policy.profiles import Profile

WAKE_PORT = 9
EVERYBODY = "255.255.255.255"

POWER_ON_SECONDS = 120.0
"""A hypervisor's or a service processor's own command answers well within that."""


def magic_packet(mac: str) -> bytes:
    """Return the wake-on-LAN frame of a hardware address: six 0xFF, then it sixteen times."""
    try:
        address = bytes.fromhex(mac.replace(":", ""))
    except ValueError as error:
        raise FleetError(f"{mac!r} is no hardware address") from error
    if len(address) != 6:
        raise FleetError(f"{mac!r} is no hardware address", hint="six pairs of hex digits")
    return b"\xff" * 6 + address * 16


def wake(mac: str, *, to: str = EVERYBODY, port: int = WAKE_PORT) -> None:
    """Send the frame to everybody in this worker's network. Raises OSError when it cannot."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(magic_packet(mac), (to, port))


def can_be_switched_on(host: Host, profile: Profile) -> bool:
    """True when the fleet says how."""
    return bool(profile.power_on or host.mac)


def switch_on(hands: Hands, host: Host, profile: Profile) -> str:
    """Ask for the host to be switched on; return why that could not be asked, or nothing.

    Whether it really comes up is found out by looking, not here.
    """
    if profile.power_on:
        operation = Operation(
            title=f"power on {host.name}",
            argv=profile.power_on,
            environment=environment_of(host),
            seconds=POWER_ON_SECONDS,
        )
        ended = hands.operate(operation)
        return f"the power-on command {ended.trouble}" if not ended.ok else ""
    try:
        wake(host.mac)
    except OSError as error:
        return f"the wake-on-LAN packet could not be sent: {error.strerror}"
    return ""


def environment_of(host: Host) -> Mapping[str, str]:
    """Return what the operator's commands are told about a host."""
    return {
        "WAVEMEND_HOST": host.name,
        "WAVEMEND_ADDRESS": host.address,
        "WAVEMEND_PORT": str(host.port),
        "WAVEMEND_TENANT": host.tenant,
        "WAVEMEND_MAC": host.mac,
    }
