"""An owner is called dead only with proof: seen gone from where its process could be seen."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wavemend.steps.lease import _me, owner_is_dead

ROOT = Path(__file__).parents[2]
ASK = (
    "import sys; from wavemend.steps.lease import owner_is_dead; print(owner_is_dead(sys.argv[1]))"
)
ME = "from wavemend.steps.lease import _me; print(_me())"


def python(code: str, *words: str, before: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [*before, sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    return done.stdout.strip()


def test_the_owner_names_machine_boot_and_process_namespace_in_bounds() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    space = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))

    assert re.fullmatch(rf"[^:]+:{boot}:{space}:{os.getpid()}:[0-9]+", _me())
    assert len(_me()) < 160


def test_a_process_that_ended_here_is_proven_dead_and_a_living_one_is_not() -> None:
    assert owner_is_dead(python(ME))
    assert not owner_is_dead(_me())


def test_a_later_process_with_the_same_number_does_not_stand_in_for_a_dead_one() -> None:
    head, _, born = _me().rpartition(":")

    assert owner_is_dead(f"{head}:{int(born) - 1}")


def test_of_another_boot_another_namespace_or_another_form_there_is_no_proof() -> None:
    name, boot, space, _, _ = _me().split(":")
    gone = python(ME).split(":", 3)[3]

    assert not owner_is_dead(f"{name}:{'0' * 36}:{space}:{gone}")
    assert not owner_is_dead(f"{name}:{boot}:{int(space) + 1}:{gone}")
    assert not owner_is_dead(f"elsewhere:{boot}:{space}:{gone}")
    assert not owner_is_dead(f"{name}:{gone}")  # as earlier versions wrote it
    assert not owner_is_dead(f"{name}:{boot}:{space}:{'9' * 5_000}:1")
    assert not owner_is_dead("")


@pytest.mark.skipif(os.geteuid() != 0, reason="making a PID namespace needs root")
@pytest.mark.parametrize("proc", [("--mount-proc",), ()], ids=["own /proc", "the outer /proc"])
def test_a_container_of_the_same_name_does_not_bury_an_owner_it_cannot_see(
    proc: tuple[str, ...],
) -> None:
    inside = ("unshare", "-pf", *proc)

    assert python(ASK, _me(), before=inside) == "False"
    assert not owner_is_dead(python(ME, before=inside))
