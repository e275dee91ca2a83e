"""Which kernel runs, which is the newest of its flavour, and what else asks for a reboot. Pure."""

import re
from collections.abc import Iterable, Sequence

from wavemend.hosts import InstalledPackage
from wavemend.versions import deb_key

_IMAGES = ("linux-image-", "proxmox-kernel-", "pve-kernel-")
_IMAGE = re.compile(
    r"(?:linux-image(?:-unsigned)?|proxmox-kernel|pve-kernel)-(?P<release>[0-9]\S*?)(?:-signed)?"
)


def flavour_of(release: str) -> str:
    """Return a kernel release without its numbers: `6.1.0-37-cloud-amd64` gives `cloud-amd64`."""
    parts = release.split("-")
    while parts and parts[0][:1].isdigit():
        parts.pop(0)
    return "-".join(parts)


def newest_kernel(running: str, installed: Iterable[InstalledPackage]) -> str:
    """Return the newest installed, whole kernel of the running flavour; empty without any.

    A rescue or cloud kernel beside it is another flavour, and never makes a reboot due.
    """
    flavour = flavour_of(running)
    releases = {
        found["release"]
        for package in installed
        if package.name.startswith(_IMAGES)
        and (found := _IMAGE.fullmatch(package.name))
        and flavour_of(found["release"]) == flavour
    }
    return max(releases, key=lambda release: _order(release, flavour), default="")


def _order(release: str, flavour: str) -> tuple[bool, object, str]:
    # Compared as Debian versions, not as text: 6.1.0-9 is older than 6.1.0-37.
    try:
        return True, deb_key(release.removesuffix(f"-{flavour}") if flavour else release), release
    except ValueError:  # a package of somebody's own naming: below every kernel that says its place
        return False, (), release


def reboot_reasons(
    running: str,
    build: str,
    installed: Sequence[InstalledPackage],
    flag: Sequence[str],
    needrestart: Sequence[str],
) -> tuple[str, ...]:
    """Return every sign that the host runs something older than what is installed.

    `build` is /proc/version, `flag` the lines of /run/reboot-required.pkgs after a first line that
    says the flag exists, `needrestart` what `needrestart -b` printed.
    """
    reasons = []
    if flag:
        packages = ", ".join(sorted(set(flag[1:])))
        reasons.append(f"/run/reboot-required{': ' if packages else ''}{packages}")
    newest = newest_kernel(running, installed)
    if newest and newest != running:
        reasons.append(f"kernel {running} runs, {newest} is installed")
    elif rebuilt := _rebuilt(running, build, installed):
        reasons.append(rebuilt)
    known = len(reasons) > bool(flag)
    return (*reasons, *_needrestart(needrestart, newest, has_kernel_reason=known))


def _rebuilt(running: str, build: str, installed: Iterable[InstalledPackage]) -> str:
    """Find an update of the running kernel's own package: same release, newer build."""
    found = re.search(r" Debian (?P<version>[0-9]\S*) \(", build)
    if not found:
        return ""
    for package in installed:
        if package.name == f"linux-image-{running}" and package.version != found["version"]:
            built = f"kernel {running} runs as built in {found['version']}"
            return f"{built}, {package.version} is installed"
    return ""


def _needrestart(lines: Sequence[str], newest: str, *, has_kernel_reason: bool) -> tuple[str, ...]:
    values: dict[str, list[str]] = {}
    for line in lines:
        key, colon, value = line.partition(": ")
        if colon and key.startswith("NEEDRESTART-"):
            values.setdefault(key.removeprefix("NEEDRESTART-"), []).append(value.strip())
    reasons = []
    current, expected = (values.get(key, ["?"])[-1] for key in ("KCUR", "KEXP"))
    # needrestart compares across flavours. Where the running one has a kernel of its own, a reboot
    # starts that one again, and needrestart would go on asking.
    foreign = bool(newest) and "KEXP" in values and flavour_of(expected) != flavour_of(newest)
    # 2: a compatible newer kernel waits; 3: a newer version does (needrestart's batch mode).
    if not (has_kernel_reason or foreign) and values.get("KSTA", [""])[-1] in {"2", "3"}:
        reasons.append(f"needrestart: kernel {current} runs, {expected} is expected")
    if services := sorted(set(values.get("SVC", ()))):
        reasons.append(f"services still run replaced files: {', '.join(services)}")
    return tuple(reasons)
