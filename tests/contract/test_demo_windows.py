"""The demo's played Windows hosts are apart from each other, and no process is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo.windows import bring_up, remembered, take_down
from tests.windows_host.serve import announced
from wavemend.transports import TRANSPORTS
from wavemend.windows.calling import call

ROOT = Path(__file__).parents[2]
UP_AND_KILLED = """
import os, pathlib, signal
from examples.demo.windows import bring_up
bring_up(pathlib.Path({!r}), 1, stays={})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "windows"
    take_down(tmp_path / "windows")


def runs(folder: Path) -> bool:
    """Say whether the process that played hosts there still does."""
    try:
        words = Path(f"/proc/{(folder / 'pid').read_text()}/cmdline").read_bytes()
    except OSError:
        return False
    return str(folder).encode() in words


def ended(folder: Path) -> bool:
    ends_at = time.monotonic() + 10
    while runs(folder) and time.monotonic() < ends_at:
        time.sleep(0.05)
    return not runs(folder)


def brought_up_and_killed(folder: Path, *, stays: bool) -> None:
    """Bring a host up in a process that is killed then, before it can take anything down."""
    done = subprocess.run(
        [sys.executable, "-c", UP_AND_KILLED.format(str(folder), stays)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))},
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL


def test_hosts_answer_as_machines_of_their_own_and_are_gone_when_taken_down(folder: Path) -> None:
    lab = bring_up(folder, 3, stays=False)

    machines = set()
    for host, login in announced(folder):
        with contextlib.closing(TRANSPORTS[host.transport](host, login)) as transport:
            told = call(transport, "facts", {}, deadline=20)["os"]
            assert isinstance(told, dict)
            assert told["simulated"] is True
            machines.add((told["computer"], told["machine_id"]))
    assert len(machines) == 3
    assert lab.password.stat().st_mode & 0o077 == 0
    assert {state.os.computer for state in remembered(folder).values()} == {"WIN1", "WIN2", "WIN3"}

    take_down(folder)
    assert not runs(folder)
    take_down(folder)  # twice does no harm


def test_hosts_end_with_a_demo_that_was_killed(folder: Path) -> None:
    brought_up_and_killed(folder, stays=False)

    assert ended(folder)


def test_hosts_that_stay_for_a_human_end_when_they_are_taken_down(folder: Path) -> None:
    brought_up_and_killed(folder, stays=True)
    assert runs(folder)

    take_down(folder)
    assert ended(folder)
    assert not (folder / "pid").exists()


def test_a_process_that_took_over_the_number_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "pid").write_text(str(os.getpid()))

    take_down(folder)  # would end this very test
    assert not (folder / "pid").exists()
