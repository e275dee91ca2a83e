"""A command of the operator gets its words and a deadline; nobody waits for more than that."""

import time
from collections.abc import Mapping

import pytest

from tasks.operating import operate
from wavemend.operations import OUTPUT_BOUND, Operation, OperationEnd

pytestmark = pytest.mark.orchestration


def run(
    *argv: str, environment: Mapping[str, str] | None = None, seconds: float = 20
) -> OperationEnd:
    return operate(Operation(title="it", argv=argv, environment=environment or {}, seconds=seconds))


@pytest.mark.parametrize(
    "word", ["a b", "$HOME", "$(id)", "'", '"', "`id`", "*", ";id", "\\", "-n"]
)
def test_words_and_environment_arrive_as_they_are(word: str) -> None:
    script = 'printf "%s|%s" "$1" "$WAVEMEND_HOST"'
    ended = run("sh", "-c", script, "sh", word, environment={"WAVEMEND_HOST": word})

    assert (ended.exit_status, ended.output) == (0, f"{word}|{word}")


def test_the_exit_status_and_the_last_words_say_why_it_failed() -> None:
    ended = run("sh", "-c", "echo before; echo 'no such pool' >&2; exit 7")

    assert ended.exit_status == 7
    assert ended.trouble == "ended with 7: before\nno such pool"
    assert not run("no-such-program").ok


def test_a_command_that_is_late_is_ended_and_never_counts_as_done() -> None:
    began = time.monotonic()
    ended = run("sh", "-c", "trap '' TERM; echo started; sleep 60 & wait", seconds=1)

    assert ended.exit_status is None
    assert "did not end in time" in ended.trouble
    assert time.monotonic() - began < 15


def test_a_child_that_is_left_behind_is_not_waited_for() -> None:
    began = time.monotonic()
    ended = run("sh", "-c", "sleep 30 & echo done")

    assert (ended.exit_status, ended.output) == (0, "done\n")
    assert time.monotonic() - began < 10


def test_a_flood_is_drained_and_only_its_last_words_are_kept() -> None:
    ended = run("sh", "-c", "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo why; exit 4")

    assert ended.exit_status == 4
    assert len(ended.output) == OUTPUT_BOUND
    assert ended.trouble.endswith("xxx\nwhy")


@pytest.mark.parametrize("status", [124, 137])
def test_a_commands_own_exit_status_is_never_taken_for_being_late(status: int) -> None:
    ended = run("sh", "-c", f"exit {status}")

    assert (ended.exit_status, ended.late) == (status, False)


def test_what_prefect_shell_cannot_do_is_how_the_command_ended_and_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    ended = run("/bin/true")

    assert (ended.exit_status, ended.late) == (None, False)
    assert ended.trouble.startswith("could not be run: it: ")


def test_a_command_that_waits_for_an_answer_gets_none() -> None:
    assert run("sh", "-c", "read answer || echo nobody").output == "nobody\n"
