"""Will a host restart after its updates? Foreseen while planning, so that groups can be made. Pure.

Foreseen wrongly, a host is `patched_reboot_pending` and goes with the restarts of the next
rollout, or is in their group without a restart: never a restart where none was announced.
"""

import re

from wavemend.advisories import any_restart
from wavemend.hosts import Facts, Host, Services
from wavemend.plans import PlannedHost
from wavemend.policy.profiles import RebootRule

_KNOWN_MANAGERS = frozenset({"apk", "apt", "dnf", "pacman", "zypper"})
"""Of whose packages the names below are. Of any other manager's nobody knows: they restart."""

_CORE = re.compile(
    r"(?:linux(?:-(?:image|firmware|lts|zen|hardened|virt|generic|cloud|modules).*)?"
    r"|kernel(?:-.*)?|(?:proxmox|pve)-kernel.*|raspi-firmware|firmware-.*"
    r"|(?:intel|amd64?)-(?:microcode|ucode)|microcode_ctl|ucode-(?:amd|intel)"
    r"|glibc|musl|libc6|libc-bin|systemd|systemd-sysv|udev|openrc|dbus(?:-(?:broker|daemon))?)"
)
"""What runs from the boot on and is not started anew: kernels, microcode, the C library, init and
the message bus. From the list of needs-restarting (dnf-utils), of zypper's `reboot-needed`
packages, and of Debian's packages that call notify-reboot-required."""

_LIBRARY = re.compile(r"(?:lib[^-]*[0-9].*|.*-libs?|openssl|gnutls|nss)")
"""A library that services hold open: where they are only listed, that asks for a restart."""


def will_restart(planned: PlannedHost, facts: Facts | None, host: Host) -> bool:
    """Say whether the host is expected to restart in this rollout. When in doubt, it is."""
    match RebootRule(planned.reboot):
        case RebootRule.NEVER:
            return False
        case RebootRule.ALWAYS:
            return True
        case RebootRule.IF_NEEDED:
            return _asks_for_it(planned, facts, host)


def _asks_for_it(planned: PlannedHost, facts: Facts | None, host: Host) -> bool:
    if facts is None or planned.repairs or facts.reboot_reasons:
        return True
    if (said := any_restart(package.restart for package in planned.packages)) is not None:
        # What nobody speaks of, beside what needs none, may still ask for one.
        return said or any(package.restart is None for package in planned.packages)
    if host.manager not in _KNOWN_MANAGERS:
        return True
    listed = host.options.services is Services.LIST
    return any(
        _CORE.fullmatch(package.name) or (listed and _LIBRARY.fullmatch(package.name))
        for package in planned.packages
    )
