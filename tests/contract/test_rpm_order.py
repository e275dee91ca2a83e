"""Our order of RPM versions is that of the rpm installed here, on versions nobody ever wrote."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavemend.versions import rpm_key

PYTHON = Path("/usr/bin/python3")
"""Not ours: rpm's bindings belong to the distribution's own Python."""
COMPARE = """
import rpm, sys
print("ready", flush=True)
def parts(evr):
    epoch, colon, rest = evr.partition(":")
    version, _, release = (rest if colon else evr).partition("-")
    return (epoch if colon else "0", version, release)
for line in sys.stdin:
    first, second = line.split()
    print(rpm.labelCompare(parts(first), parts(second)), flush=True)
"""
NUMBERS = ("0", "00", "1", "01", "9", "10")
LETTERS = ("a", "b", "aa", "A", "Z", "rc", "el9", "git2024", "module+el8.9.0+1")
SIGNS = (".", "_", "+", "~", "^", "..", "~~", "^^", "._")
PART = st.lists(st.sampled_from((*NUMBERS, *LETTERS, *SIGNS)), min_size=1, max_size=7).map("".join)
EPOCH = st.sampled_from(["", "0:", "1:", "9:", "10:"])
EVR = st.builds("{}{}-{}".format, EPOCH, PART, PART)
Rpm = Callable[[str, str], int]


@pytest.fixture(scope="module")
def rpm() -> Iterator[Rpm]:
    """One process that compares as rpm does: starting one per pair would take minutes."""
    if not PYTHON.exists():
        pytest.skip(f"{PYTHON} is not there, and rpm's bindings are for it")
    with subprocess.Popen(
        [PYTHON, "-c", COMPARE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answered = process.stdin, process.stdout
        if answered.readline() != "ready\n":
            pytest.skip("rpm's own Python bindings (package python3-rpm) are not installed")

        def compare(first: str, second: str) -> int:
            asked.write(f"{first} {second}\n")
            asked.flush()
            return int(answered.readline())

        yield compare
        asked.close()


@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=EVR, second=EVR)
def test_random_versions_compare_as_rpm_compares_them(rpm: Rpm, first: str, second: str) -> None:
    ours = (rpm_key(first) > rpm_key(second)) - (rpm_key(first) < rpm_key(second))

    assert ours == rpm(first, second)
