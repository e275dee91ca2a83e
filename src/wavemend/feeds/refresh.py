"""Bring every feed up to date, and say for each of them what came of it."""

import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from wavemend.errors import FeedError
from wavemend.feeds import DEFAULT_FEEDS, FEEDS, Feed
from wavemend.feeds.reading.http import HttpClient
from wavemend.feeds.renewal import Renewal
from wavemend.feeds.results import FeedResult, FeedStatus, RefreshConfig, kept_old
from wavemend.feeds.store.snapshots import CacheBusy, Stored, cache_lock, read_current

__all__ = [
    "FeedResult",
    "FeedStatus",
    "RefreshConfig",
    "feeds_to_refresh",
    "kept_old",
    "refresh",
]


def refresh(
    config: RefreshConfig,
    cache_dir: Path,
    now: datetime,
    *,
    client: HttpClient | None = None,
    table: Mapping[str, Callable[[], Feed]] = FEEDS,
) -> tuple[FeedResult, ...]:
    """Refresh each feed on its own; whatever is wrong with one does not hold up another.

    Raises FeedError for a configuration that names what does not exist. Everything else is a
    result, also that another refresh worked on the same cache for longer than we wait.
    """
    unknown = sorted({*config.feeds, *config.sources, *config.api_keys} - set(table))
    if unknown:
        raise FeedError(
            f"there is no feed {', '.join(unknown)}.",
            hint=f"known feeds: {', '.join(sorted(table))}",
        )
    if config.directory is not None and not config.directory.is_dir():
        raise FeedError(
            f"{config.directory} is not a folder.", hint="name the folder with the feeds"
        )
    asker = client or HttpClient()
    names = feeds_to_refresh(config, cache_dir, table)
    try:
        with cache_lock(cache_dir, config.lock_seconds, asker.sleep):
            whole = asker.within(config.total_seconds)
            return tuple(
                _guarded(name, table[name], config, cache_dir, now=now, client=whole)
                for name in names
            )
    except CacheBusy as error:
        return tuple(kept_old(name, _in_use(cache_dir, name), error.message) for name in names)


def feeds_to_refresh(
    config: RefreshConfig, cache_dir: Path, table: Mapping[str, Callable[[], Feed]] = FEEDS
) -> tuple[str, ...]:
    """Return the feeds a refresh works on, sorted.

    Those it was told, or else the default ones, those that were fetched before, those an address
    is given for, and those the folder has.
    """
    if config.feeds:
        return tuple(sorted(set(config.feeds)))
    places = [cache_dir / name / "current.json" for name in table]
    if config.directory is not None:
        places += [config.directory / name for name in table]
    there = {
        place.parent.name if place.name == "current.json" else place.name
        for place in places
        if place.exists()
    }
    named = {*DEFAULT_FEEDS, *there, *config.sources}
    return tuple(sorted(named & set(table)))


def _guarded(
    name: str,
    load: Callable[[], Feed],
    config: RefreshConfig,
    cache_dir: Path,
    *,
    now: datetime,
    client: HttpClient,
) -> FeedResult:
    """Turn everything that can go wrong with one feed into its line of the table."""
    work: Renewal | None = None
    try:
        work = Renewal(
            feed=load(),
            config=config,
            cache_dir=cache_dir,
            now=now,
            client=client.within(config.feed_seconds),
        )
        return work.result()
    except FeedError as error:
        reason = error.message
    except OSError as error:
        reason = f"{cache_dir / name} cannot be used: {error}."
    except Exception as error:  # noqa: BLE001 - the other feeds must not grow old because of it
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} at {Path(place.filename).name}:{place.lineno}"
        reason = f"a fault in the reader of this feed; report it ({why})."
    return work.failed(reason) if work is not None else kept_old(name, None, reason)


def _in_use(cache_dir: Path, feed: str) -> Stored | None:
    """Return the state in use for a line of the table; a damaged one is told when it is mended."""
    try:
        return read_current(cache_dir, feed)
    except FeedError:
        return None
