"""How the lab gets namespaces of its own on this machine, and whether it can."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.lab.errors import machine_env, run

GUEST = Path(__file__).parent / "guest"
ROOT, ROOTLESS = "root", "rootless"


def mode_of_user() -> str:
    """Return the mode this user's labs have."""
    return ROOT if os.geteuid() == 0 else ROOTLESS


def which(command: str) -> str | None:
    """Find a command, in the sbin folders too."""
    return shutil.which(command, path=machine_env()["PATH"])


def unshare_argv(mode: str, *flags: str) -> list[str]:
    """Return the command prefix that starts something in its own mount and PID namespaces.

    Killing the prefix kills everything below it, and with the last process the kernel takes
    back mounts, interfaces and sockets: so nothing is left behind, however it ends.
    """
    users = ["--user", "--map-root-user", "--map-auto"] if mode == ROOTLESS else []
    return ["unshare", *users, *flags, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def inside(
    root: Path, argv: Sequence[str], *, bind: Path | None = None, timeout: float = 300
) -> str:
    """Run a command chrooted into a root folder; for a process that is root in its namespace."""
    script = str(GUEST / "inside.sh")
    where = [script, str(root), str(bind or "-")]
    return run([*unshare_argv(ROOT), "sh", *where, *argv], timeout=timeout)


def overlay_options(mode: str, lower: Sequence[Path], upper: Path, work: Path) -> str:
    """Return the options of an overlay mount; without fsync, since a lab host may be lost."""
    layers = ":".join(str(layer) for layer in lower)
    options = f"lowerdir={layers},upperdir={upper},workdir={work},volatile"
    return f"{options},userxattr" if mode == ROOTLESS else options


def time_offset_flags() -> list[str]:
    """Return the flags that start the uptime at zero, or none on a kernel without them."""
    if not Path("/proc/self/ns/time").exists():
        return []
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    return ["--time", "--boottime", f"-{uptime}", "--monotonic", f"-{uptime}"]
