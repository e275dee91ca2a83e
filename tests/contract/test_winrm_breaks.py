"""Whatever breaks during a visit over WinRM, a command runs once or not at all, an end that was not
seen is called unknown, and no shell stays open on the host."""

import math
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.contract.winrm_bench import (
    echo,
    http_peer,
    https_peer,
    no_thread_left,
    opened,
)
from tests.winrm_peer import Command, Peer, Trouble
from wavemend.errors import (
    ConnectionLost,
    HostPortClosed,
)

ENCRYPTED = pytest.mark.parametrize("make", [https_peer, http_peer], ids=["https", "http"])
WHEN = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    with no_thread_left():
        yield


def counted() -> tuple[list[str], Callable[[Command], None]]:
    """Return a runner and the list of command lines it ran."""
    ran: list[str] = []

    def run(command: Command) -> None:
        ran.append(command.line)
        echo(command)

    return ran, run


@ENCRYPTED
@WHEN
@pytest.mark.parametrize("operation", ["Authenticate", "Create"])
def test_a_break_before_the_command_is_got_over(
    operation: str, after: bool, make: Callable[..., Peer]
) -> None:
    ran, run = counted()
    with make(run, faults=[Trouble(operation, "drop", after=after)]) as peer:
        with opened(peer) as transport:
            assert transport.run(["a.exe"], deadline=10).exit_status == 7
        if operation == "Create" and after:
            # Nobody knows its id: the host ends it after three idle minutes.
            assert peer.counters().open_shells == 1
            peer.forget_shells()
    assert ran == ["a.exe"]


@ENCRYPTED
@WHEN
@pytest.mark.parametrize("operation", ["Command", "Send"])
def test_a_break_while_the_command_starts_is_unknown_and_never_repeated(
    operation: str, after: bool, make: Callable[..., Peer]
) -> None:
    ran, run = counted()
    with make(run) as peer, opened(peer) as transport:
        peer.faults.append(Trouble(operation, "drop", after=after))
        with pytest.raises(ConnectionLost, match=r"connection broke; what happened.*is unknown"):
            transport.run(["a.exe"], stdin=b"x", deadline=10)

        assert (peer.counters().open_shells, peer.counters().running_commands) == (0, 0)
        assert peer.counters().operations.get("Command", 0) <= 1
        assert transport.run(["b.exe"], deadline=10).exit_status == 7
    assert ran.count("a.exe") == (0 if operation == "Command" and not after else 1)


@ENCRYPTED
@WHEN
def test_output_lost_on_its_way_is_counted_and_the_end_is_seen_all_the_same(
    after: bool, make: Callable[..., Peer]
) -> None:
    with make() as peer, opened(peer) as transport:
        peer.faults.append(Trouble("Receive", "drop", after=after))
        result = transport.run(["a.exe"], stdin=b"words", deadline=10)

    assert result.exit_status == 7
    assert result.stdout == (b"" if after else b"words")
    assert result.dropped_bytes >= 1


@ENCRYPTED
@WHEN
@pytest.mark.parametrize("operation", ["Signal", "Delete"])
def test_a_break_in_the_clean_up_costs_nothing(
    operation: str, after: bool, make: Callable[..., Peer]
) -> None:
    with make() as peer, opened(peer) as transport:
        peer.faults.append(Trouble(operation, "drop", after=after))
        result = transport.run(["a.exe"], stdin=b"words", deadline=10)
        assert (result.exit_status, result.stdout, result.dropped_bytes) == (7, b"words", 0)


def test_an_idle_connection_that_was_dropped_is_replaced_before_anything_is_encrypted_for_it() -> (
    None
):
    ran, run = counted()
    with http_peer(run, idle_seconds=0.3) as peer, opened(peer) as transport:
        for _ in range(2):
            time.sleep(0.8)
            result = transport.run(["a.exe"], stdin=b"words", deadline=10)
            assert (result.stdout, result.dropped_bytes) == (b"words", 0)
        counters = peer.counters()
        assert (counters.decrypt_failures, counters.operations["Create"]) == (0, 1)
        assert counters.auths["ntlm"] == 3
    assert ran == ["a.exe"] * 2


@ENCRYPTED
@pytest.mark.parametrize("operation", ["Create", "Send", "Receive", "Signal"])
def test_a_message_that_the_host_cannot_read_is_sent_again_over_a_new_login(
    operation: str, make: Callable[..., Peer]
) -> None:
    ran, run = counted()
    with make(run) as peer:
        peer.faults.append(Trouble(operation, "http_400"))
        with opened(peer) as transport:
            result = transport.run(["a.exe"], stdin=b"words", deadline=10)
            assert (result.exit_status, result.stdout, result.dropped_bytes) == (7, b"words", 0)
        assert peer.counters().auths["ntlm"] == 2
    assert ran == ["a.exe"]


def test_a_connection_that_breaks_while_output_is_awaited_is_taken_up_again() -> None:
    going = threading.Event()

    def slow(command: Command) -> None:
        command.write_stdout(b"first ")
        going.set()
        command.terminated.wait(1.0)
        command.write_stdout(b"last")

    with http_peer(slow) as peer, opened(peer) as transport:

        def break_off() -> None:
            going.wait(5)
            time.sleep(0.3)
            peer.drop_all()

        breaker = threading.Thread(target=break_off)
        breaker.start()
        result = transport.run(["a.exe"], deadline=20)
        breaker.join()
        assert result.stdout.endswith(b"last")
        assert result.dropped_bytes == 1
        assert peer.counters().auths["ntlm"] == 2


def test_a_shell_that_the_host_has_ended_is_replaced() -> None:
    ran, run = counted()
    with https_peer(run) as peer, opened(peer) as transport:
        peer.forget_shells()
        assert transport.run(["a.exe"], deadline=10).exit_status == 7
    assert ran == ["a.exe"]


def test_a_program_that_is_missing_was_not_started() -> None:
    with https_peer(knows=lambda program: program == "a.exe") as peer, opened(peer) as transport:
        result = transport.run(["b.exe", "x"], deadline=10)
        assert (result.exit_status, b"b.exe" in result.stderr) == (127, True)
        assert transport.run(["a.exe"], deadline=10).exit_status == 7


@pytest.mark.parametrize("down", [1.0, math.inf], ids=["comes back", "never comes back"])
def test_a_host_that_restarts_in_mid_command_leaves_the_effect_unknown(down: float) -> None:
    with https_peer() as peer, opened(peer) as transport:

        def restart(command: Command) -> None:
            command.stdin.read()
            peer.reboot(down)

        peer.runner = restart
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match="is unknown"):
            transport.run(["shutdown.exe", "/r"], deadline=30)
        assert time.monotonic() - began < 10
        peer.runner = echo
        if down < math.inf:
            time.sleep(max(0.0, began + down + 0.5 - time.monotonic()))
            assert transport.run(["a.exe"], deadline=10).exit_status == 7
        else:
            with pytest.raises(HostPortClosed):
                transport.run(["a.exe"], deadline=10)
