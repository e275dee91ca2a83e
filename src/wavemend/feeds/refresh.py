"""Bring every feed up to date, and say for each of them what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from wavemend.advisories import FeedSnapshot, KevEntry, cve_order
from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import FEEDS, Content, Feed
from wavemend.feeds.http import HttpClient
from wavemend.feeds.snapshots import (
    Staging,
    Stored,
    adopt,
    cache_lock,
    confirm,
    read_current,
    refusal,
    staging,
)


class FeedStatus(StrEnum):
    """What became of one feed in one refresh."""

    REFRESHED = "refreshed"
    UNCHANGED = "unchanged"
    KEPT_OLD = "kept_old"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedResult:
    """One line per feed of the table, always."""

    feed: str
    status: FeedStatus
    snapshot: FeedSnapshot | None
    """The state in use after the refresh; None: there is none."""
    reason: str = ""
    """Why the old copy was kept or the feed is missing; empty otherwise."""
    relaxed: tuple[str, ...] = ()
    """What the new copy takes back (an entry removed, a date moved later): for a person to see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshConfig:
    """Where the feeds come from: either the network, or a folder with the same documents."""

    directory: Path | None = None
    """Air-gapped: a folder with one subfolder per feed, named as the feed."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Address per feed; a feed that is not named uses its own and their mirrors."""
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By feed. Only NVD knows one: ten times the rate."""
    feeds: tuple[str, ...] = ()
    """Only these; empty: all."""


def refresh(
    config: RefreshConfig,
    cache_dir: Path,
    now: datetime,
    *,
    client: HttpClient | None = None,
    table: Mapping[str, Callable[[], Feed]] = FEEDS,
) -> tuple[FeedResult, ...]:
    """Refresh each feed of the table on its own; one bad feed does not hold up another.

    Raises FeedError for a configuration that names what does not exist, or when another refresh
    works on the same cache. Everything else is a result.
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
    names = sorted(config.feeds or table)
    with cache_lock(cache_dir):
        worker = client or HttpClient()
        return tuple(_one(table[name](), config, cache_dir, now, worker) for name in names)


def _one(
    feed: Feed, config: RefreshConfig, cache_dir: Path, now: datetime, client: HttpClient
) -> FeedResult:
    previous: Stored | None = None
    damage = ""
    try:
        previous = read_current(cache_dir, feed.name)
    except FeedRejected as error:
        damage = error.message
    try:
        key = config.api_keys.get(feed.name, "")
        with staging(cache_dir, feed.name, client, previous, now=now, api_key=key) as fresh:
            source = _collect(feed, config, fresh)
            if previous is not None and not fresh.changed:
                return _unchanged(cache_dir, feed, previous, now)
            return _judge(feed, fresh, source, cache_dir)
    except FeedError as error:
        return _kept(feed, previous, f"{error.message}{f' Also: {damage}' if damage else ''}")


def _collect(feed: Feed, config: RefreshConfig, fresh: Staging) -> str:
    if config.directory is not None:
        folder = config.directory / feed.name
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in files]
        taken = [pair for pair in zip(files, names, strict=True) if feed.accepts(pair[1])]
        if not taken:
            raise FeedRejected(f"{folder} holds no document of feed {feed.name}.")
        for path, name in taken:
            fresh.copy(path, name)
        return str(folder)
    chosen = config.sources.get(feed.name)
    sources = (chosen,) if chosen else feed.sources
    troubles: list[str] = []
    for source in sources:
        fresh.documents.clear()
        fresh.stored.clear()
        fresh.changed = False
        try:
            feed.download(source, fresh)
        except FeedError as error:
            troubles.append(error.message)
            continue
        return source
    raise FeedRejected(" Then: ".join(troubles))


def _judge(feed: Feed, fresh: Staging, source: str, cache_dir: Path) -> FeedResult:
    previous = fresh.previous
    content = feed.parse(tuple(fresh.documents))
    why_not = refusal(previous.snapshot if previous else None, content, fresh.now)
    if why_not:
        return _kept(
            feed,
            previous,
            f"{source}: refused, {why_not}. If this is right, delete {cache_dir / feed.name} "
            "and refresh again.",
        )
    relaxed = _relaxed(feed, previous, content) if content.kev_complete else ()
    before = previous.snapshot.digest if previous else ""
    snapshot = adopt(cache_dir, feed.name, fresh, content, source)
    same = snapshot.digest == before
    status = FeedStatus.UNCHANGED if same else FeedStatus.REFRESHED
    return FeedResult(feed=feed.name, status=status, snapshot=snapshot, relaxed=relaxed)


def _unchanged(cache_dir: Path, feed: Feed, previous: Stored, now: datetime) -> FeedResult:
    confirm(cache_dir, feed.name, previous.snapshot.digest, now)
    snapshot = replace(previous.snapshot, fetched_at=now)
    return FeedResult(feed=feed.name, status=FeedStatus.UNCHANGED, snapshot=snapshot)


def _kept(feed: Feed, previous: Stored | None, reason: str) -> FeedResult:
    return FeedResult(
        feed=feed.name,
        status=FeedStatus.MISSING if previous is None else FeedStatus.KEPT_OLD,
        snapshot=previous.snapshot if previous else None,
        reason=reason,
    )


def _relaxed(feed: Feed, previous: Stored | None, content: Content) -> tuple[str, ...]:
    """Name what a new KEV catalogue takes back; such a step is upstream's right and ours to see."""
    if previous is None:
        return ()
    said = []
    old = feed.parse(previous.documents).kev
    for cve in sorted(old, key=cve_order):
        sentence = _softer(cve, old[cve], content.kev.get(cve))
        if sentence:
            said.append(sentence)
    return tuple(said)


def _softer(cve: str, before: KevEntry, after: KevEntry | None) -> str:
    if after is None:
        return f"{cve} is no longer in the catalogue."
    if before.due_date and (after.due_date is None or after.due_date > before.due_date):
        return f"{cve}: due date moved from {before.due_date} to {after.due_date or 'none'}."
    if before.ransomware and not after.ransomware:
        return f"{cve} is no longer said to be used by ransomware."
    return ""
