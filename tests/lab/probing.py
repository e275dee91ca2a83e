"""Whether hosts can run on this machine, and if not, why and what to do."""

import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.errors import LabError, run
from tests.lab.image import is_built
from tests.lab.namespaces import GUEST, ROOTLESS, mode_of_user, unshare_argv, which
from tests.lab.sources import machine_sources

# Debian's useradd hands out 65536; fewer cannot hold the accounts of a Debian system.
_MIN_SUBIDS = 65536

# What each missing command belongs to.
_NEEDED = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What this machine can do: a mode, or the reason why there can be no lab here."""

    mode: str | None
    reason: str


def probe() -> Probe:
    """Say which mode works here, or in one sentence why none does and what to do."""
    try:
        mode = mode_of_user()
        _check_machine(mode)
        _try_namespaces(mode)
    except LabError as error:
        return Probe(None, str(error))
    return Probe(mode, "real hosts can run here")


def _check_machine(mode: str) -> None:
    if not sys.platform.startswith("linux"):
        raise LabError("the lab needs Linux: run it on a Debian machine or in a Debian VM")
    for command, package in _NEEDED.items():
        if which(command) is None:
            raise LabError(f"`{command}` is missing: install the Debian package {package}")
    if mode == ROOTLESS:
        _check_rootless()
    if is_built(mode):
        return
    machine_sources()  # says what is missing in them
    if which("wget") is None:
        raise LabError("debootstrap fetches by wget: install the Debian package wget")


def _check_rootless() -> None:
    if which("newuidmap") is None:
        raise LabError("a lab without root needs newuidmap: install the Debian package uidmap")
    for name in ("subuid", "subgid"):
        if _subids(Path("/etc") / name) < _MIN_SUBIDS:
            user = getpass.getuser()
            raise LabError(
                f"{user} has no range of {_MIN_SUBIDS} ids in /etc/{name}: as root run "
                f"`usermod --add-{name}s 200000-265535 {user}` with a free range"
            )


def _subids(path: Path) -> int:
    """Count the ids this user may map, from the file that newuidmap reads."""
    if not path.exists():
        return 0
    owners = {getpass.getuser(), str(os.getuid())}
    fields = (line.split(":") for line in path.read_text().splitlines())
    return max(
        (int(parts[2]) for parts in fields if len(parts) == 3 and parts[0] in owners), default=0
    )


def _try_namespaces(mode: str) -> None:
    """Do once, in a corner, everything a host needs from the kernel."""
    with TemporaryDirectory(prefix="wavemend-lab-probe.") as folder:
        flags = ["--net", "--uts", "--ipc"]
        overlay = "userxattr" if mode == ROOTLESS else "volatile"
        script = str(GUEST / "trial.sh")
        try:
            run([*unshare_argv(mode, *flags), "sh", script, folder, overlay], timeout=30)
        except LabError as error:
            reason = str(error).strip().splitlines()[-1]
            raise LabError(
                f"this machine does not let {getpass.getuser()} make hosts ({reason}): use a VM, "
                "or a container started with --privileged"
            ) from None
