"""A command of the operator costs the worker no more than its deadline and its last words."""

import os
import resource
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from wavemend.operations import (
    OUTPUT_BOUND,
    Operation,
    OperationEnd,
    as_program,
    read_end,
    run_here,
)


def run(
    *argv: str, environment: Mapping[str, str] | None = None, seconds: float = 20
) -> OperationEnd:
    return run_here(
        Operation(title="it", argv=argv, environment=environment or {}, seconds=seconds)
    )


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_words_and_environment_arrive_as_they_are_and_nobody_answers_a_question() -> None:
    script = 'read answer || printf "%s|%s" "$1" "$WAVEMEND_HOST"'
    ended = run("sh", "-c", script, "sh", "$(id)", environment={"WAVEMEND_HOST": "a 'b"})

    assert (ended.exit_status, ended.output, ended.trouble) == (0, "$(id)|a 'b", "")


def test_a_flood_is_read_to_its_end_and_costs_its_last_words_only() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = run("sh", "-c", "head -c 200000000 /dev/zero | tr '\\0' x; echo; echo why; exit 4")

    assert ended.trouble.endswith("xxx\nwhy")
    assert (ended.exit_status, len(ended.output)) == (4, OUTPUT_BOUND)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048  # KiB


def test_what_is_late_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began = time.monotonic()
    script = f"sh -c 'trap \"\" TERM; echo $$ >{note}; sleep 60 & wait; wait' & echo begun; wait"
    ended = run("sh", "-c", script, seconds=1)

    assert (ended.late, ended.exit_status) == (True, None)
    assert ended.trouble == "did not end in time: begun"
    assert time.monotonic() - began < 10
    time.sleep(0.2)
    assert not is_running(int(note.read_text()))


def test_a_silent_command_that_closed_its_output_still_has_a_deadline() -> None:
    began = time.monotonic()

    assert run("sh", "-c", "exec >&- 2>&-; sleep 60", seconds=1).late
    assert time.monotonic() - began < 5


def test_a_child_that_is_left_behind_is_not_waited_for_and_goes_on(tmp_path: Path) -> None:
    began = time.monotonic()
    ended = run("sh", "-c", f"(sleep 6; touch {tmp_path / 'done'}) & echo done")

    assert (ended.exit_status, ended.output) == (0, "done\n")
    assert time.monotonic() - began < 5.9
    while not (tmp_path / "done").exists():
        assert time.monotonic() - began < 60
        time.sleep(0.1)


@pytest.mark.parametrize("status", [124, 125, 126, 127, 137, 143])
def test_a_commands_own_exit_status_is_never_taken_for_being_late(status: int) -> None:
    ended = run("sh", "-c", f"exit {status}")

    assert (ended.exit_status, ended.trouble) == (status, f"ended with {status}")


def test_a_signal_and_a_program_that_does_not_exist_are_told_as_what_they_are() -> None:
    assert run("sh", "-c", "kill -9 $$").trouble == "was ended by signal 9"
    missing = run("/no/such/program")
    assert (missing.exit_status, missing.late) == (None, False)
    assert missing.trouble == "could not be run: /no/such/program: No such file or directory"
    assert run("sh", "a\0b").trouble.startswith("could not be run: sh: ")


def test_as_a_program_of_its_own_it_says_the_same_in_one_line(tmp_path: Path) -> None:
    operation = Operation(title="it", argv=("sh", "-c", "printf 'a\\n\\377\\n'; exit 124"))
    odd = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": "/no"}
    done = subprocess.run(
        as_program(operation), cwd="/", env=odd, capture_output=True, text=True, check=True
    )

    assert read_end(done.stdout) == run_here(operation)
    for line in ("", "null", '{"exit_status": 0}', '{"a": 1}'):
        with pytest.raises(ValueError, match=r".*"):
            read_end(line)


def test_the_program_takes_its_command_along_when_it_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    argv = ("sh", "-c", f"echo $$ >{note}; exec sleep 60")
    program = subprocess.Popen(as_program(Operation(title="it", argv=argv)))
    until = time.monotonic() + 10
    while not (note.exists() and note.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    program.terminate()

    assert program.wait(10) == 143
    assert not is_running(int(note.read_text()))
