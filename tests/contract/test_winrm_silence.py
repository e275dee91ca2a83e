"""A host that is silent, full or says no over WinRM is waited for as long as said, and named."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.contract.winrm_bench import (
    host_on,
    https_peer,
    login_for,
    no_thread_left,
    opened,
)
from tests.winrm_peer import Trouble
from wavemend.errors import (
    ConnectionLost,
    DeadlinePassed,
    HostAnswerInvalid,
    HostSilent,
    HostUnreachable,
    LoginRefused,
    TransportError,
)
from wavemend.transports.winrm import connect


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    with no_thread_left():
        yield


@pytest.mark.parametrize(
    ("operation", "told"),
    [("Command", DeadlinePassed), ("Send", DeadlinePassed), ("Receive", DeadlinePassed)],
)
def test_a_host_that_falls_silent_in_a_command_is_waited_for_until_the_deadline(
    operation: str, told: type[TransportError]
) -> None:
    with https_peer() as peer, opened(peer) as transport:
        peer.faults.append(Trouble(operation, "stall", after=True))
        began = time.monotonic()
        with pytest.raises(told, match="unknown"):
            transport.run(["a.exe"], deadline=1)
        assert 0.9 < time.monotonic() - began < 8
        assert peer.counters().open_shells == 0


def test_a_host_that_says_nothing_new_at_once_is_not_asked_all_the_time() -> None:
    with https_peer() as peer, opened(peer) as transport:
        peer.faults.append(Trouble("Receive", "operation_timeout", times=9999))
        with pytest.raises(DeadlinePassed):
            transport.run(["a.exe"], deadline=1)
        assert 1 <= sum(peer.counters().injected.values()) <= 6


@pytest.mark.parametrize("operation", ["Connect", "Authenticate", "Create"])
def test_a_host_that_falls_silent_while_connecting_is_silent(operation: str) -> None:
    with https_peer(faults=[Trouble(operation, "stall")]) as peer:
        began = time.monotonic()
        with pytest.raises(HostSilent):
            connect(host_on(peer), login_for(peer, connect_seconds=1.0))
        assert 0.9 < time.monotonic() - began < 6


def test_a_host_that_falls_silent_in_the_clean_up_does_not_hide_the_result() -> None:
    with https_peer() as peer, opened(peer) as transport:
        peer.faults.append(Trouble("Signal", "stall"))
        assert transport.run(["a.exe"], deadline=60).exit_status == 7
        assert peer.counters().open_shells == 0


def test_a_full_quota_is_waited_for_within_the_time_and_then_named() -> None:
    with https_peer(quota=1) as peer:
        first = connect(host_on(peer), login_for(peer))
        with pytest.raises(TransportError, match=r"maximum number.*MaxShellsPerUser"):
            connect(host_on(peer), login_for(peer, connect_seconds=1.2))
        release = threading.Timer(0.7, first.close)
        release.start()
        with opened(peer) as second:
            assert second.run(["a.exe"], deadline=10).exit_status == 7
        release.join()


def test_input_that_the_host_gives_up_taking_leaves_the_effect_unknown() -> None:
    with https_peer() as peer, opened(peer) as transport:
        peer.faults.append(Trouble("Send", "operation_timeout", times=99))
        with pytest.raises(ConnectionLost, match="does not take its input: the host gave up"):
            transport.run(["a.exe"], stdin=b"x", deadline=30)
        assert peer.counters().open_shells == 0


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("access_denied", LoginRefused),
        ("schema", HostAnswerInvalid),
        ("http_500", HostAnswerInvalid),
        ("shutdown_in_progress", HostUnreachable),
        ("http_503", HostUnreachable),
        ("operation_timeout", HostSilent),
    ],
)
def test_a_host_that_gives_no_shell_says_why(key: str, told: type[TransportError]) -> None:
    with https_peer(faults=[Trouble("Create", key, times=99)]) as peer:
        with pytest.raises(told):
            connect(host_on(peer), login_for(peer))
        tries = 3 if told in {HostUnreachable, HostSilent} else 1
        assert (
            peer.counters().injected == {key: tries}
            or sum(peer.counters().injected.values()) == tries
        )


@pytest.mark.parametrize("key", ["shutdown_in_progress", "operation_timeout", "http_400"])
def test_a_start_that_the_host_does_not_confirm_is_unknown(key: str) -> None:
    with https_peer() as peer, opened(peer) as transport:
        peer.faults.append(Trouble("Command", key, after=True))
        with pytest.raises(ConnectionLost, match="unknown"):
            transport.run(["a.exe"], deadline=10)
        assert peer.counters().operations.get("Command", 0) <= 1
