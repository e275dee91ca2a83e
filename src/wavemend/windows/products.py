"""What a Windows is called by Microsoft's bulletins: told by its build, and client or server. Pure.

Clients and servers share builds (26100 is Windows 11 24H2 and Server 2025) and never share fixes:
the product type decides. The caption is not asked, it is in the host's display language.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

DEFINITIONS = "microsoft-defender-definitions"
"""Signatures of Microsoft Defender, as a product of the host."""

CLIENT = 1
"""`Win32_OperatingSystem.ProductType`; 2 is a domain controller, 3 any other server."""
_SERVERS = frozenset({2, 3})

_CLIENTS: Mapping[str, str] = MappingProxyType(
    {
        "6.1.7601": "windows-7",
        "6.2.9200": "windows-8",
        "6.3.9600": "windows-8.1",
        "10.0.10240": "windows-10-1507",
        "10.0.10586": "windows-10-1511",
        "10.0.14393": "windows-10-1607",
        "10.0.15063": "windows-10-1703",
        "10.0.16299": "windows-10-1709",
        "10.0.17134": "windows-10-1803",
        "10.0.17763": "windows-10-1809",
        "10.0.18362": "windows-10-1903",
        "10.0.18363": "windows-10-1909",
        "10.0.19041": "windows-10-2004",
        "10.0.19042": "windows-10-20h2",
        "10.0.19043": "windows-10-21h1",
        "10.0.19044": "windows-10-21h2",
        "10.0.19045": "windows-10-22h2",
        "10.0.22000": "windows-11-21h2",
        "10.0.22621": "windows-11-22h2",
        "10.0.22631": "windows-11-23h2",
        "10.0.26100": "windows-11-24h2",
        "10.0.26200": "windows-11-25h2",
        "10.0.28000": "windows-11-26h1",
    }
)
_OF_SERVERS: Mapping[str, str] = MappingProxyType(
    {
        "6.0.6002": "windows-server-2008",
        "6.0.6003": "windows-server-2008",
        "6.1.7601": "windows-server-2008-r2",
        "6.2.9200": "windows-server-2012",
        "6.3.9600": "windows-server-2012-r2",
        "10.0.14393": "windows-server-2016",
        "10.0.16299": "windows-server-1709",
        "10.0.17134": "windows-server-1803",
        "10.0.17763": "windows-server-2019",
        "10.0.18362": "windows-server-1903",
        "10.0.18363": "windows-server-1909",
        "10.0.19041": "windows-server-2004",
        "10.0.19042": "windows-server-20h2",
        "10.0.20348": "windows-server-2022",
        "10.0.25398": "windows-server-23h2",
        "10.0.26100": "windows-server-2025",
    }
)
"""Names as `feeds/readers/msrc_xml.product_of` makes them of Microsoft's own."""

_SERVED_BY: Mapping[str, str] = MappingProxyType(
    {
        "18363": "18362",
        "19042": "19041",
        "19043": "19041",
        "19044": "19041",
        "19045": "19041",
        "22631": "22621",
        "26200": "26100",
    }
)
"""Releases that only switch features on: their packages carry the build they are made of."""

_WINDOWS = re.compile(
    r"windows-(?:server-(?:20[0-9]{2}(?:-r2)?|[0-9]{4}|[0-9]{2}h[12])"
    r"|[0-9.]+(?:-[0-9a-z]+)?|vista|rt(?:-8\.1)?)"
)
_ELSEWHERE = ("-on-linux", "-on-mac-os", "-for-mac", "-for-android", "-for-ios")
_RUNTIMES = frozenset(
    {"Microsoft.NETCore.App", "Microsoft.AspNetCore.App", "Microsoft.WindowsDesktop.App"}
)
_RUNTIME_VERSION = re.compile(r"[0-9]+\.[0-9]+(?=\.)")
_FIRST_WINDOWS_11 = 22_000
_DISPLAY_VERSION = re.compile(r"[0-9]{2}H[12]")


def release_key(build: str, product_type: int, display_version: str = "") -> str:
    """Return the release key of a Windows: `windows-server-2022`; empty where it is not known.

    `build`: `10.0.20348.4171`. `display_version`: the registry's, `24H2`; it names clients that
    are newer than this table. A server's year cannot be told from it: such a host is of unknown
    release, which is said, and is never taken for another one.
    """
    numbers = build.split(".")
    base = ".".join(numbers[:3])
    if product_type in _SERVERS:
        return _OF_SERVERS.get(base, "")
    if product_type != CLIENT:
        return ""
    if known := _CLIENTS.get(base):
        return known
    is_newer = numbers[:2] == ["10", "0"] and _number(numbers[2:3]) > _FIRST_WINDOWS_11
    if is_newer and _DISPLAY_VERSION.fullmatch(display_version.upper()):
        return f"windows-11-{display_version.lower()}"
    return ""


def servicing_build(number: str) -> str:
    """Return the build number in the packages of a release: `19041` for `19045`; mostly its own.

    The revision is the same in both: package 19041.6456 makes 10.0.19045.6456.
    """
    return _SERVED_BY.get(number, number)


def is_windows(release: str) -> bool:
    """Say whether a release key is a Windows, not another product of Microsoft's."""
    return _WINDOWS.fullmatch(release) is not None


def is_beside(release: str) -> bool:
    """Say whether a release key may be another product of Microsoft's that runs on a Windows."""
    return not is_windows(release) and not release.endswith(_ELSEWHERE)


def component_of(name: str, version: str) -> str:
    """Return what the bulletins call a component that a host lists; its own name for any other.

    `Microsoft.NETCore.App` 8.0.24 is .NET 8.0: `net-8.0-installed-on-windows`. A .NET Framework
    keeps its name, of which nothing is said: the version it registers does not change with its
    updates, so what it lacks is told by the update that is offered.
    """
    hit = _RUNTIME_VERSION.match(version)
    return f"net-{hit[0]}-installed-on-windows" if hit and name in _RUNTIMES else name


def _number(parts: list[str]) -> int:
    return int(parts[0]) if parts and parts[0].isdecimal() else 0
