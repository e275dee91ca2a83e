"""One refresh at a time works on a cache of feeds."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from wavemend.errors import FeedError

LOCK_PAUSE = 0.5
"""Seconds between two looks whether another refresh has ended."""


class CacheBusy(FeedError):
    """Another refresh works on the same cache and did not end in time."""


@contextlib.contextmanager
def cache_lock(
    cache_dir: Path, seconds: float = 0.0, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Let one refresh at a time work on a cache.

    Waits for another one up to so many seconds, then raises CacheBusy.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / ".lock").open("w") as file:
        waited = 0.0
        while not _locked(file):
            if waited >= seconds:
                raise CacheBusy(
                    f"another refresh is working on {cache_dir}"
                    f"{f' and did not end within {seconds:g} seconds' if seconds else ''}.",
                    hint="wait for it to end",
                )
            sleep(LOCK_PAUSE)
            waited += LOCK_PAUSE
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
