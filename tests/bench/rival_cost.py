"""Run a command and print what it cost with everything it started, as JSON: CPU, wall, memory.

`python -m tests.bench.rival_cost COMMAND ...`, a process of its own: what the system counts for
ended children is theirs alone. Daemons that the command leaves behind, as ssh's shared
connections, are adopted, ended and counted as well.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.2


def main(argv: list[str]) -> int:
    """Run the command, with its output on stderr, and print the figures."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    peak = _Peak()
    started = time.monotonic()
    status = subprocess.run(argv, stdout=sys.stderr, check=False).returncode
    wall = time.monotonic() - started
    memory = peak.stop()
    _end_what_is_left()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {"cpu": used.ru_utime + used.ru_stime, "wall": wall, "mib": memory / 1024}
    print(json.dumps(figures))
    return status


class _Peak:
    """The highest proportional memory of all descendants together, in KiB, sampled."""

    def __init__(self) -> None:
        self._highest = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self._highest = max(self._highest, sum(map(_proportional, _descendants(os.getpid()))))

    def stop(self) -> int:
        """End the sampling and return the figure."""
        self._done.set()
        self._thread.join()
        return self._highest


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}/task")
        with contextlib.suppress(OSError):  # one that ends meanwhile takes its files along
            words = [(task / "children").read_text().split() for task in folder.iterdir()]
            pids = [int(word) for thread in words for word in thread]
            found += pids
            waiting += pids
    return found


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _end_what_is_left() -> None:
    for pid in _descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
