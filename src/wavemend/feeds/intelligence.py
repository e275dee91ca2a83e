"""Put the accepted states of all feeds together into one view, and say how old each one is.

Nothing is read when it is loaded but what each state says of itself; entries are asked for one by
one, and joined by the rules in `compiled_merge.py` when they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from wavemend.advisories import FeedSnapshot, KevEntry, Vulnerability
from wavemend.errors import FeedError
from wavemend.feeds import DEFAULT_FEEDS, FEEDS, Feed
from wavemend.feeds.floors import Remembered, altered
from wavemend.feeds.store.compiled import open_state
from wavemend.feeds.store.compiled_merge import (
    PLACES_REMEMBERED,
    Joined,
    all_candidates,
    all_exploits,
    all_statements,
    earliest_kev,
    first,
    first_text,
    in_order_of_id,
    strictest_kev,
    strictest_ssvc,
)
from wavemend.feeds.store.compiled_reader import State
from wavemend.feeds.store.snapshots import FUTURE_LIMIT, read_current
from wavemend.knowledge import Intelligence, VulnerabilityView

FETCH_HINT = "Run `wavemend feeds refresh --online`, or with `--from FOLDER` instead."
NOTHING_REMEMBERED: Mapping[str, Remembered] = MappingProxyType({})
MAX_AGE = timedelta(hours=48)
"""Default age beyond which a decision is marked stale."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One feed: what it says of itself, and its entries where there is a copy that can be used."""

    snapshot: FeedSnapshot
    state: State | None = None
    kept: Mapping[str, KevEntry] | None = None


def load_intelligence(
    cache_dir: Path,
    now: datetime,
    max_age: timedelta = MAX_AGE,
    *,
    feeds: Sequence[str] = DEFAULT_FEEDS,
    remembered: Mapping[str, Remembered] = NOTHING_REMEMBERED,
    table: Mapping[str, Callable[[], Feed]] = FEEDS,
) -> Intelligence:
    """Open these feeds' copies in use. A bad or missing feed raises nothing: its snapshot says so.

    `remembered`: what the ledger knows of accepted states. A state whose content is not the one
    it knows counts as missing.

    Raises FeedError for a feed the table does not have.
    """
    unknown = sorted(set(feeds) - set(table))
    if unknown:
        raise FeedError(
            f"there is no feed {', '.join(unknown)}.",
            hint=f"known feeds: {', '.join(sorted(table))}",
        )
    loaded = [
        _load(table[name](), cache_dir, now, max_age, remembered.get(name))
        for name in sorted(set(feeds))
    ]
    states = [item.state for item in loaded if item.state is not None]
    kev_known = any(state.kev_complete for state in states)
    return Intelligence(
        vulnerabilities=_vulnerabilities(loaded, states, kev_known=kev_known),
        advisories=Joined(
            [state.advisories for state in states], in_order_of_id, PLACES_REMEMBERED
        ),
        snapshots=tuple(item.snapshot for item in loaded),
        kev_known=kev_known,
        lifecycles=Joined(
            [state.lifecycles for state in states], all_statements, PLACES_REMEMBERED
        ),
        statements=Joined(
            [state.statements for state in states], all_statements, PLACES_REMEMBERED
        ),
        known_releases=frozenset().union(*(state.releases for state in states)),
    )


def _vulnerabilities(
    loaded: Sequence[_Loaded], states: Sequence[State], *, kev_known: bool
) -> Mapping[str, Vulnerability]:
    catalogues = sorted(states, key=lambda state: not state.kev_complete)
    listed = Joined([state.kev for state in catalogues], earliest_kev)
    kept = [item.kept for item in loaded if item.kept]
    view = VulnerabilityView(
        epss=Joined([state.epss for state in states], first),
        kev=Joined([listed, *kept], strictest_kev),
        cvss=Joined([state.cvss for state in states], all_candidates),
        ssvc=Joined([state.ssvc for state in states], strictest_ssvc),
        exploits=Joined([state.exploits for state in states], all_exploits),
        published=Joined([state.published for state in states], first),
        summaries=Joined([state.summaries for state in states], first_text),
        kev_known=kev_known,
    )
    return Joined([view], first)


def _load(
    feed: Feed,
    cache_dir: Path,
    now: datetime,
    max_age: timedelta,
    remembered: Remembered | None,
) -> _Loaded:
    try:
        stored = read_current(cache_dir, feed.name)
        if stored is not None and (trouble := altered(stored.snapshot, remembered)):
            return _Loaded(_missing(feed, f"{trouble} It is not used. {FETCH_HINT}"))
        state = open_state(stored.compiled) if stored else None
    except FeedError as error:
        return _Loaded(_missing(feed, str(error)))
    if stored is None or state is None:
        return _Loaded(_missing(feed, f"was never fetched. {FETCH_HINT}"))
    note = staleness(stored.snapshot, feed.quiet, now, max_age)
    return _Loaded(replace(stored.snapshot, stale=bool(note), note=note), state, stored.kept)


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
    if snapshot.fetched_at > now + FUTURE_LIMIT:
        # The clock was wrong then; believed, this copy would count as confirmed for years.
        return f"stale: last confirmed on {snapshot.fetched_at:%F}, which is in the future."
    if snapshot.data_date is None or now - snapshot.data_date > max_age + quiet:
        when = f"{snapshot.data_date:%F}" if snapshot.data_date else "an unknown day"
        age = f", {(now - snapshot.data_date).days} days old" if snapshot.data_date else ""
        return f"stale: the data is of {when}{age}."
    if snapshot.data_date > now + FUTURE_LIMIT:
        return f"stale: the data is dated {snapshot.data_date:%F}, in the future."
    return ""
