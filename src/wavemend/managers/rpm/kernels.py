"""Kernels among packages, the newest of the running flavour, and what else a boot loads. Pure."""

import re
from collections.abc import Iterable, Mapping

from wavemend.hosts import InstalledPackage
from wavemend.versions import rpm_key

_KERNEL = re.compile(r"kernel[0-9.]*(?:-(?P<rest>.+))?")
"""With a number where several series are kept side by side: Amazon Linux's `kernel6.12`."""

_ORDINARY = re.compile(
    r"tools(?:-libs.*)?|headers|srpm-macros|rpm-macros|firmware.*|abi-.*|cross-.*"
)
"""`kernel-tools` and the like: installed once, and no kernel."""

_SUSE_FLAVOURS = ("default", "azure", "debug", "longterm", "preempt", "rt", "vanilla", "64kb")
_RHEL = re.compile(
    r"(?P<build>.+)\.(?P<arch>x86_64(?:_v[2-4])?|aarch64|ppc64le|s390x|i686)(?:\+(?P<flavour>.+))?"
)
_SUSE = re.compile(rf"(?P<build>.+)-(?P<flavour>{'|'.join(_SUSE_FLAVOURS)})")


def is_kernel(name: str) -> bool:
    """True for packages of a kernel's own build, of which several lie side by side."""
    found = _KERNEL.fullmatch(name)
    return bool(found) and not _ORDINARY.fullmatch((found and found["rest"]) or "")


def newest_kernel(running: str, installed: Iterable[InstalledPackage]) -> str:
    """Return the newest installed kernel of the running flavour, in `uname -r`'s own form.

    Empty without any, and where the running kernel is in no form that such a package gives
    itself (a container, a kernel of somebody's own making): then there is nothing to compare.
    """
    found = _SUSE.fullmatch(running) or _RHEL.fullmatch(running)
    if found is None:
        return ""
    suse = found.re is _SUSE
    flavour = found["flavour"] if suse else _rhel_flavour(running)
    image = re.compile(rf"kernel[0-9.]*{f'-{re.escape(flavour)}' if flavour else ''}(?:-core)?")
    images = [package for package in installed if image.fullmatch(package.name)]
    # Where several series lie side by side, the one that runs is followed.
    series = {package.name for package in images if _is_build(package.version, found["build"])}
    built = [package for package in images if not series or package.name in series]
    if not built:
        return ""
    newest = max(built, key=lambda package: rpm_key(package.version))
    if _is_build(newest.version, found["build"]):
        return running
    version = newest.version.rpartition(":")[2]
    if suse:
        return f"{version.rpartition('.')[0]}-{flavour}"
    plus = running.partition("+")[1:]
    return f"{version}.{newest.arch}{''.join(plus)}"


def _is_build(version: str, build: str) -> bool:
    """SUSE numbers rebuilds of a package behind what the kernel says of itself."""
    plain = version.rpartition(":")[2]
    return plain == build or plain.startswith(f"{build}.")


def _rhel_flavour(running: str) -> str:
    """Return `rt` of `…x86_64+rt`; older real-time and UEK kernels say it in the release only."""
    said = running.partition("+")[2]
    if said:
        return said
    if re.search(r"\.rt[0-9]+\.", running):
        return "rt"
    return "uek" if re.search(r"\.el[0-9]+[^.]*uek\.", running) else ""


_CORE = frozenset(
    {
        "dbus",
        "dbus-broker",
        "dbus-daemon",
        "glibc",
        "kernel",
        "kernel-core",
        "kernel-default",
        "kernel-rt",
        "kernel-uek",
        "linux-firmware",
        "microcode_ctl",
        "systemd",
        "ucode-amd",
        "ucode-intel",
    }
)
"""What has run since the boot and cannot be started anew: needs-restarting's list, and SUSE's."""


def replaced_since(boot: float, installed_at: Mapping[str, int]) -> tuple[str, ...]:
    """Return the core packages that came in after the boot, sorted."""
    return tuple(sorted(name for name in _CORE if installed_at.get(name, 0) > boot))
