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
from dataclasses import dataclass, field

ACT_SECONDS = 10.0
"""How long a block that ends waits for an act that has begun: one that hangs must not hold it."""

LONGEST_WAIT = 3600.0
"""What a lock can wait for is bounded; a look too many costs nothing."""

NO_MEMORY_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class _Block:
    due: float
    act: Callable[[], None]
    acted: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        try:
            self.act()
        finally:
            self.acted.set()


class Watchdog:
    """Calls what a block names when the block has not ended within its time."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._watched: dict[int, _Block] = {}
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._next = math.inf
        """When the thread looks again by itself."""
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, seconds: float, act: Callable[[], None]) -> Iterator[None]:
        """Call `act` once, in another thread, if the block takes longer than `seconds`.

        A call that has begun is waited for: what follows the block is not meant by it. It must not
        raise.
        """
        number, block = next(self._numbers), _Block(time.monotonic() + seconds, act)
        watched = self._watched  # a child forked in the block has another, without this one
        try:
            watched[number] = block
            if self._thread is None or not self._thread.is_alive():
                self._start()
            # After the entry: either the thread's look at them finds it, or this is seen.
            if block.due < self._next:
                self._news.put(None)
            yield
        finally:
            if watched.pop(number, None) is None:
                block.acted.wait(ACT_SECONDS)

    def _start(self) -> None:
        # Two that start at the same time do no harm: an entry is taken out by one of them.
        thread = threading.Thread(target=self._run, name="wavemend-watchdog", daemon=True)
        thread.start()
        self._thread = thread

    def _run(self) -> None:
        while True:
            try:
                self._news.get(timeout=self._look())
            except queue.Empty:
                continue
            except MemoryError:  # the deadlines stand all the same
                time.sleep(NO_MEMORY_PAUSE)

    def _look(self) -> float:
        """Act where it is time; return for how many seconds there is nothing to do."""
        self._next = math.inf
        now = time.monotonic()
        for number, block in self._watched.copy().items():
            if block.due <= now:
                self._fire(number)
        due = min((block.due for block in self._watched.copy().values()), default=math.inf)
        self._next = due
        return min(max(0.0, due - time.monotonic()), LONGEST_WAIT)

    def _fire(self, number: int) -> None:
        if block := self._watched.pop(number, None):
            try:
                # Not here: one that takes long would keep the others past their deadlines.
                threading.Thread(target=block.end, name="wavemend-deadline", daemon=True).start()
            except (RuntimeError, MemoryError):  # no thread to be had: better here than never
                block.end()


WATCHDOG = Watchdog()


def _begin_anew() -> None:
    """In a forked child, which has neither the thread nor the blocks that it watched."""
    WATCHDOG.__init__()  # type: ignore[misc]  # exactly that


os.register_at_fork(after_in_child=_begin_anew)
