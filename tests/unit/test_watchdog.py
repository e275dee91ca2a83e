"""One thread watches the deadlines of all commands of a process."""

import os
import threading
import time

import pytest

from wavemend.transports.watchdog import WATCHDOG, Watchdog

SOON = 0.05
LONG = 60.0
PATIENCE = 20.0
"""Bounds a wait for what is sure to come; no test takes so long."""


def watchers() -> int:
    return sum(thread.name == "wavemend-watchdog" for thread in threading.enumerate())


def test_a_block_past_its_time_is_acted_on_once() -> None:
    calls: list[str] = []
    acted = threading.Event()

    def act() -> None:
        calls.append(threading.current_thread().name)
        acted.set()

    with Watchdog().watch(SOON, act):
        assert acted.wait(PATIENCE)
        time.sleep(4 * SOON)
    assert calls == ["wavemend-deadline"]


def test_a_block_that_ends_in_time_is_left_alone() -> None:
    dog, calls = Watchdog(), list[int]()
    with dog.watch(SOON, lambda: calls.append(1)):
        pass
    with pytest.raises(KeyError), dog.watch(SOON, lambda: calls.append(2)):
        raise KeyError
    later = threading.Event()
    with dog.watch(4 * SOON, later.set):
        assert later.wait(PATIENCE)
    assert calls == []


def test_an_earlier_deadline_that_comes_later_is_kept() -> None:
    dog, first, second = Watchdog(), threading.Event(), threading.Event()
    with dog.watch(LONG, first.set):
        time.sleep(2 * SOON)  # the thread waits for the long one by now
        with dog.watch(SOON, second.set):
            assert second.wait(PATIENCE)
    assert not first.is_set()


def test_one_that_takes_long_does_not_keep_the_others() -> None:
    dog, release, other = Watchdog(), threading.Event(), threading.Event()

    def slow() -> None:
        release.wait(PATIENCE)

    with dog.watch(SOON, slow), dog.watch(2 * SOON, other.set):
        assert other.wait(PATIENCE / 2)
        release.set()


def test_a_thousand_blocks_need_one_thread() -> None:
    dog, before = Watchdog(), watchers()
    for _ in range(1000):
        with dog.watch(LONG, lambda: None):
            pass
    assert watchers() == before + 1


def test_an_interrupted_block_leaves_nothing_behind() -> None:
    dog, calls = Watchdog(), list[int]()
    with pytest.raises(KeyboardInterrupt), dog.watch(2 * SOON, lambda: calls.append(1)):
        raise KeyboardInterrupt
    time.sleep(4 * SOON)
    assert calls == []


def test_a_forked_child_watches_for_itself_and_not_for_its_parent() -> None:
    reading, writing = os.pipe()

    def act() -> None:  # on a connection of the parent's, which both processes hold
        os.write(writing, f"{os.getpid()} ".encode())

    with WATCHDOG.watch(3 * SOON, act):
        child = os.fork()
        if not child:
            acted = threading.Event()
            with WATCHDOG.watch(SOON, acted.set):
                seen = acted.wait(PATIENCE)
                time.sleep(6 * SOON)
            os._exit(0 if seen else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.read(reading, 100).decode().split() == [str(os.getpid())]


def test_what_follows_a_block_is_not_acted_on() -> None:
    """A connection may be used for the next command: that one is not to be cut."""
    dog, begun, acted = Watchdog(), threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        time.sleep(4 * SOON)
        acted.set()

    with dog.watch(SOON, act):
        assert begun.wait(PATIENCE)
    assert acted.is_set()


def test_a_deadline_is_kept_where_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    dog, first, second = Watchdog(), threading.Event(), threading.Event()
    with dog.watch(LONG, first.set):  # its thread runs by now
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if thread.name == "wavemend-deadline":
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with dog.watch(SOON, first.set):
            assert first.wait(PATIENCE / 10)
        with dog.watch(SOON, second.set):
            assert second.wait(PATIENCE / 10)


class _Scarce(dict[int, object]):
    """Entries that cannot be looked at, now and then: there is no memory."""

    refusals = 3

    def copy(self) -> dict[int, object]:
        if self and self.refusals:
            self.refusals -= 1
            raise MemoryError
        return super().copy()


def test_a_deadline_is_kept_where_memory_is_scarce() -> None:
    dog, acted = Watchdog(), threading.Event()
    dog._watched = _Scarce()  # type: ignore[assignment]
    with dog.watch(SOON, acted.set):
        assert acted.wait(PATIENCE / 10)


def test_a_deadline_beyond_what_a_lock_can_wait_for_stops_nothing() -> None:
    dog, acted = Watchdog(), threading.Event()
    with dog.watch(1e12, lambda: None):
        time.sleep(SOON)
        with dog.watch(SOON, acted.set):
            assert acted.wait(PATIENCE / 10)
    assert dog._thread is not None
    assert dog._thread.is_alive()


def test_a_child_forked_in_a_block_leaves_its_own_alone_when_that_ends() -> None:
    WATCHDOG.__init__()  # type: ignore[misc]  # counts from the beginning, as the child does
    acted, started = threading.Event(), time.monotonic()
    own = WATCHDOG.watch(4 * SOON, acted.set)
    with WATCHDOG.watch(LONG, lambda: None):
        child = os.fork()
        if not child:
            own.__enter__()
    if not child:
        os._exit(0 if acted.wait(PATIENCE / 10) and time.monotonic() - started < 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
