"""Control groups: what systemd needs to be a host's PID 1, where this machine has them to give."""

import contextlib
import hashlib
import os
import subprocess
import time
from pathlib import Path

# A group can be removed once the kernel has buried its last process.
_REMOVE_SECONDS = 5.0


def own_group() -> Path | None:
    """Return this process's cgroup2 folder, or None where there is none."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    where = next((words[1] for words in mounts if words[2] == "cgroup2"), None)
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    group = next((line[3:] for line in lines if line.startswith("0::")), None)
    if where is None or group is None:
        return None
    return Path(where) / group.lstrip("/")


def lab_group(state: Path) -> Path | None:
    """Return the folder of a lab's groups, or None where a process cannot be moved into one."""
    parent = own_group()
    if parent is None:
        return None
    group = parent / f"wavemend-lab-{hashlib.sha256(str(state).encode()).hexdigest()[:8]}"
    remove(group)
    try:
        group.mkdir()
        _move_a_process(group / "trial")
    except OSError:
        remove(group)
        return None
    return group


def _move_a_process(group: Path) -> None:
    group.mkdir()
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            (group / "cgroup.procs").write_text(str(process.pid))
        finally:
            process.kill()
    remove(group)


def remove(group: Path) -> None:
    """Remove a group and all below it; what is still in use is left."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while group.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        time.sleep(0.01)
