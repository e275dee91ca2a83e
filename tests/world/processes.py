"""Finding the world's own processes, and nobody else's."""

import os
import signal
from pathlib import Path


def of_home(home: Path) -> dict[int, str]:
    """Return every process that carries this home in its environment: pid to command line."""
    return _carrying(f"WAVEMEND_HOME={home}".encode())


def of_flow_run(home: Path, flow_run_id: str) -> list[int]:
    """Return the process that runs a flow run of this home, and what it started."""
    ours = of_home(home)
    return sorted(set(_carrying(f"PREFECT__FLOW_RUN_ID={flow_run_id}".encode())) & set(ours))


def kill_9(pid: int) -> None:
    """End a process at once, without a word to it."""
    os.kill(pid, signal.SIGKILL)


def _carrying(mark: bytes) -> dict[int, str]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile, or is not ours to look at
            continue
        if int(folder.name) != os.getpid() and words != [b""]:
            found[int(folder.name)] = b" ".join(words).decode(errors="replace").strip()
    return found
