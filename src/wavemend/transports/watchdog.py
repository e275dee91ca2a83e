"""Deadlines of many commands, watched by one thread of the process instead of one for each.

Without a lock: an exception may come from outside at any moment (a time-out, a cancellation), and
a lock that it keeps from being given back would stop every command of the process. Each step on
what the threads share is one that Python does not interrupt.
"""

import itertools
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watchdog:
    """Calls what a block names when the block has not ended within its time."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._watched: dict[int, tuple[float, Callable[[], None]]] = {}
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._next = math.inf
        """When the thread looks again by itself."""
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, seconds: float, act: Callable[[], None]) -> Iterator[None]:
        """Call `act` once, in a thread of its own, if the block takes longer than `seconds`.

        The call may still run when the block ends: what it does must bear that.
        """
        number, due = next(self._numbers), time.monotonic() + seconds
        try:
            self._watched[number] = due, act
            if self._thread is None or not self._thread.is_alive():
                self._start()
            # After the entry: either the thread's look at them finds it, or this is seen.
            if due < self._next:
                self._news.put(None)
            yield
        finally:
            self._watched.pop(number, None)

    def _start(self) -> None:
        # Two that start at the same time do no harm: an entry is taken out by one of them.
        thread = threading.Thread(target=self._run, name="wavemend-watchdog", daemon=True)
        thread.start()
        self._thread = thread

    def _run(self) -> None:
        while True:
            self._next = math.inf
            now = time.monotonic()
            for number, (due, _) in self._watched.copy().items():
                if due <= now:
                    self._fire(number)
            self._next = min((due for due, _ in self._watched.copy().values()), default=math.inf)
            left = None if self._next == math.inf else max(0.0, self._next - time.monotonic())
            try:
                self._news.get(timeout=left)
            except queue.Empty:
                continue

    def _fire(self, number: int) -> None:
        if taken := self._watched.pop(number, None):
            # Not here: one that takes long would keep the others past their deadlines.
            threading.Thread(target=taken[1], name="wavemend-deadline", daemon=True).start()


WATCHDOG = Watchdog()


def _begin_anew() -> None:
    """In a forked child, which has neither the thread nor the blocks that it watched."""
    WATCHDOG.__init__()  # type: ignore[misc]  # exactly that


os.register_at_fork(after_in_child=_begin_anew)
