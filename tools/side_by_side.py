"""Run rings of tests side by side: each waits for hosts most of its time, and has its own.

`python -m tools.side_by_side tests/orchestration tests/live`. The first ring's output is shown as
it comes, the others' when they end. Exit status: the worst of them.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

_PYTEST = (sys.executable, "-m", "pytest", "-q", "--durations=10")


def main(rings: list[str]) -> int:
    """Run each ring in a process of its own; return the worst exit status."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, f"{number}.log") for number, _ in enumerate(rings[1:])]
        others = []
        for ring, output in zip(rings[1:], outputs, strict=True):
            with output.open("wb") as file:
                others.append(
                    subprocess.Popen([*_PYTEST, ring], stdout=file, stderr=subprocess.STDOUT)
                )
        worst = subprocess.run([*_PYTEST, rings[0]], check=False).returncode
        for ring, output, other in zip(rings[1:], outputs, others, strict=True):
            status = other.wait()
            sys.stdout.write(f"--- {ring}\n{output.read_text(errors='replace')}\n")
            worst = max(worst, abs(status))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
