"""Put the accepted states of all feeds together into one view, and say how old each one is."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from wavemend.advisories import (
    Advisory,
    Cvss,
    FeedSnapshot,
    Intelligence,
    KevEntry,
    VulnerabilityView,
)
from wavemend.errors import FeedError
from wavemend.feeds import FEEDS, Content, Feed
from wavemend.feeds.snapshots import FUTURE_LIMIT, read_current

_T = TypeVar("_T")

MAX_AGE = timedelta(hours=48)
"""Default age beyond which a decision is marked stale."""


def load_intelligence(
    cache_dir: Path,
    now: datetime,
    max_age: timedelta = MAX_AGE,
    *,
    table: Mapping[str, Callable[[], Feed]] = FEEDS,
) -> Intelligence:
    """Read every feed's copy in use. A bad or missing feed raises nothing: its snapshot says so."""
    loaded = [_load(table[name](), cache_dir, now, max_age) for name in sorted(table)]
    contents = [content for _, content in loaded if content is not None]
    kev_known = any(content.kev_complete for content in contents)
    view = VulnerabilityView(
        epss=_merged([content.epss for content in contents]),
        kev=_earliest_kev(contents),
        cvss=_all_candidates(contents),
        ssvc=_merged([content.ssvc for content in contents]),
        published=_merged([content.published for content in contents]),
        summaries=_merged([content.summaries for content in contents]),
        kev_known=kev_known,
    )
    return Intelligence(
        vulnerabilities=view,
        advisories=_by_package(item for content in contents for item in content.advisories),
        snapshots=tuple(snapshot for snapshot, _ in loaded),
        kev_known=kev_known,
    )


def _load(
    feed: Feed, cache_dir: Path, now: datetime, max_age: timedelta
) -> tuple[FeedSnapshot, Content | None]:
    try:
        stored = read_current(cache_dir, feed.name)
        content = feed.parse(stored.documents) if stored else None
    except FeedError as error:
        return _missing(feed, error.message), None
    if stored is None or content is None:
        return _missing(feed, "was never fetched. Run `wavemend feeds refresh`."), None
    note = staleness(stored.snapshot, feed.quiet, now, max_age)
    return replace(stored.snapshot, stale=bool(note), note=note), content


def _missing(feed: Feed, note: str) -> FeedSnapshot:
    return FeedSnapshot(
        feed=feed.name, source="", digest="", fetched_at=None, data_date=None, stale=True, note=note
    )


def staleness(snapshot: FeedSnapshot, quiet: timedelta, now: datetime, max_age: timedelta) -> str:
    """Say why a snapshot is stale; empty when it is fresh. Pure.

    Both dates count: a server that serves yesterday's file for ever answers every refresh.
    """
    if snapshot.fetched_at is None or now - snapshot.fetched_at > max_age:
        since = f"{snapshot.fetched_at:%F %H:%MZ}" if snapshot.fetched_at else "ever"
        return f"stale: not confirmed since {since}."
    if snapshot.data_date is None or now - snapshot.data_date > max_age + quiet:
        when = f"{snapshot.data_date:%F}" if snapshot.data_date else "an unknown day"
        age = f", {(now - snapshot.data_date).days} days old" if snapshot.data_date else ""
        return f"stale: the data is of {when}{age}."
    if snapshot.data_date > now + FUTURE_LIMIT:
        return f"stale: the data is dated {snapshot.data_date:%F}, in the future."
    return ""


def _merged(parts: Iterable[Mapping[str, _T]]) -> Mapping[str, _T]:
    """Join what several feeds say; where two know a CVE, the feed first in the table's order wins.

    One feed alone is handed through as it is: EPSS is a table of its own, not a dict.
    """
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    result: dict[str, _T] = {}
    for part in filled:
        for key, value in part.items():
            result.setdefault(key, value)
    return result


def _earliest_kev(contents: Iterable[Content]) -> Mapping[str, KevEntry]:
    """Join KEV entries; where two sources differ the earlier due date governs.

    The catalogue itself is asked first for the other fields: others repeat it with a delay.
    """
    result: dict[str, KevEntry] = {}
    for content in sorted(contents, key=lambda content: not content.kev_complete):
        for cve, entry in content.kev.items():
            known = result.get(cve)
            if known is None:
                result[cve] = entry
            elif entry.due_date and (known.due_date is None or entry.due_date < known.due_date):
                result[cve] = replace(known, due_date=entry.due_date)
    return result


def _all_candidates(contents: Iterable[Content]) -> Mapping[str, tuple[Cvss, ...]]:
    result: dict[str, tuple[Cvss, ...]] = {}
    for content in contents:
        for cve, candidates in content.cvss.items():
            result[cve] = (*result.get(cve, ()), *candidates)
    return result


def _by_package(advisories: Iterable[Advisory]) -> Mapping[tuple[str, str], tuple[Advisory, ...]]:
    found: dict[tuple[str, str], list[Advisory]] = {}
    for advisory in advisories:
        found.setdefault((advisory.release, advisory.source_package), []).append(advisory)
    return {key: tuple(sorted(found[key], key=lambda item: item.id)) for key in sorted(found)}
