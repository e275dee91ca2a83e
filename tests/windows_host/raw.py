"""Commands that are no scripts, for tests of the transport and of hooks."""

from collections.abc import Callable

from tests.windows_host.machine import Machine


def _hostname(machine: Machine) -> bytes:
    return f"{machine.state.os.computer}\r\n".encode()


def _ipconfig(machine: Machine) -> bytes:
    return (
        "\r\nWindows IP Configuration\r\n\r\n"
        f"   Host Name . . . . . . . . . . . . : {machine.state.os.computer}\r\n"
        "   Primary Dns Suffix  . . . . . . . : \r\n"
        "   Node Type . . . . . . . . . . . . : Hybrid\r\n"
    ).encode()


RAW: dict[str, Callable[[Machine], bytes]] = {"hostname": _hostname, "ipconfig /all": _ipconfig}
"""By their whole command line."""
