"""Commands that are no scripts: of tests of the transport and of hooks, and of the self-test."""

import subprocess
from collections.abc import Callable

from tests.windows_host.machine import Machine
from wavemend.windows.selftest import DISM_ARGV, PROBE_ARGV, WHOAMI_ARGV

_EVERYONE = ("Everyone", "Well-known group", "S-1-1-0", "Mandatory group, Enabled by default")
_ADMINISTRATORS = ("BUILTIN\\Administrators", "Alias", "S-1-5-32-544", "Enabled group, Group owner")
_DENIED = (*_ADMINISTRATORS[:3], "Group used for deny only")
_HIGH = ("Mandatory Label\\High Mandatory Level", "Label", "S-1-16-12288", "")
_MEDIUM = ("Mandatory Label\\Medium Mandatory Level", "Label", "S-1-16-8192", "")
_GROUPS = {
    "full": (_EVERYONE, _ADMINISTRATORS, _HIGH),
    "filtered": (_EVERYONE, _DENIED, _MEDIUM),
    "user": (_EVERYONE, _MEDIUM),
}


def _hostname(machine: Machine) -> bytes:
    return f"{machine.state.os.computer}\r\n".encode()


def _ipconfig(machine: Machine) -> bytes:
    return (
        "\r\nWindows IP Configuration\r\n\r\n"
        f"   Host Name . . . . . . . . . . . . : {machine.state.os.computer}\r\n"
        "   Primary Dns Suffix  . . . . . . . : \r\n"
        "   Node Type . . . . . . . . . . . . : Hybrid\r\n"
    ).encode()


def _whoami(machine: Machine) -> bytes:
    groups = _GROUPS[machine.state.winrm.token]
    return "".join(",".join(f'"{cell}"' for cell in row) + "\r\n" for row in groups).encode()


def _probe(machine: Machine) -> bytes:
    winrm = machine.state.winrm
    major, minor = winrm.powershell.split(".")
    return f"{major}\r\n{minor}\r\n{winrm.language_mode}\r\n".encode()


def _dism(machine: Machine) -> bytes:
    names = {"InstallPending": "Install Pending", "UninstallPending": "Uninstall Pending"}
    rows = [
        f"{item.name} | {names.get(item.state, item.state)} | Security Update | 9/9/2025 3:12 AM"
        for item in machine.state.packages
    ]
    head = "Package Identity | State | Release Type | Install Time"
    lines = [
        *("", "Deployment Image Servicing and Management tool", "Version: 10.0.20348.4171", ""),
        *("Image Version: 10.0.20348.4171", "", "Packages listing:", ""),
        *("-- | -- | -- | --", head, "-- | -- | -- | --", *rows, ""),
        *("The operation completed successfully.", ""),
    ]
    return "\r\n".join(lines).encode()


PROBE = subprocess.list2cmdline(PROBE_ARGV)

RAW: dict[str, Callable[[Machine], bytes]] = {
    "hostname": _hostname,
    "ipconfig /all": _ipconfig,
    subprocess.list2cmdline(WHOAMI_ARGV): _whoami,
    subprocess.list2cmdline(DISM_ARGV): _dism,
    PROBE: _probe,
}
"""By their whole command line."""
