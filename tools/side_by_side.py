"""Run rings of tests side by side: each waits for hosts most of its time, and has its own.

`python -m tools.side_by_side tests/live tests/orchestration`. Two at a time, in the order given:
more of them would wait for processors instead. The first ring's output is shown as it comes, the
others' when they end. Exit status: the worst of them.
"""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

AT_A_TIME = 2
_PYTEST = (sys.executable, "-m", "pytest", "-q", "--durations=10")


def main(rings: list[str]) -> int:
    """Run each ring in a process of its own; return the worst exit status."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_A_TIME) as lanes:
        first = lanes.submit(_run, rings[0])
        outputs = [Path(folder, f"{number}.log") for number, _ in enumerate(rings[1:])]
        others = [
            lanes.submit(partial(_run_into, ring, output))
            for ring, output in zip(rings[1:], outputs, strict=True)
        ]
        worst = first.result()
        for ring, output, other in zip(rings[1:], outputs, others, strict=True):
            worst = max(worst, other.result())
            sys.stdout.write(f"--- {ring}\n{output.read_text(errors='replace')}\n")
            sys.stdout.flush()
    return worst


def _run(ring: str) -> int:
    return abs(subprocess.run([*_PYTEST, ring], check=False).returncode)


def _run_into(ring: str, output: Path) -> int:
    with output.open("wb") as file:
        run = subprocess.run([*_PYTEST, ring], check=False, stdout=file, stderr=subprocess.STDOUT)
    return abs(run.returncode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
