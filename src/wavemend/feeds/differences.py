"""Compare two stored states of a feed: the one in use with the one before, or of an earlier day."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from wavemend.advisories import FeedSnapshot
from wavemend.errors import FeedError
from wavemend.feeds import FEEDS, Document, Feed
from wavemend.feeds.changes import (
    CountMoved,
    EpssMovement,
    KevAdded,
    KevEvent,
    count_changes,
    epss_movement,
    kev_events,
)
from wavemend.feeds.overrides import pending_relaxations
from wavemend.feeds.store.compiled import compile_documents, epss_frame, open_state
from wavemend.feeds.store.compiled_reader import State
from wavemend.feeds.store.snapshots import previous_states, read_current
from wavemend.feeds.store.snapshots_history import history
from wavemend.feeds.store.snapshots_staging import Manifest, Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedDiff:
    """What changed in one feed between two of its states."""

    feed: str
    before: FeedSnapshot
    after: FeedSnapshot
    counts: tuple[CountMoved, ...]
    kev: tuple[KevEvent, ...] = ()
    """What the catalogue itself says; `kept` is what stays in force in spite of it."""
    kept: tuple[str, ...] = ()
    epss: EpssMovement | None = None

    @property
    def newly_exploited(self) -> tuple[str, ...]:
        """CVEs that were listed in between: what must be scored again at once."""
        return tuple(event.cve for event in self.kev if isinstance(event, KevAdded))

    @property
    def sentences(self) -> tuple[str, ...]:
        """One line per change, in a fixed order; the most urgent kinds first."""
        lines = [str(event) for event in self.kev]
        lines += [f"Still in force until somebody signs for it: {line}" for line in self.kept]
        if self.epss is not None:
            lines += _epss_lines(self.epss)
        return (*lines, *(str(item) for item in self.counts))


def _epss_lines(moved: EpssMovement) -> list[str]:
    counts = f"{moved.new} new scores, {moved.lost} gone, {moved.changed} changed."
    if not moved.model_changed:
        return [*(str(item) for item in moved.crossed), f"Model {moved.model_after}: {counts}"]
    return [
        f"The model changed from {moved.model_before} to {moved.model_after}: {counts} Scores of "
        "two models are not comparable, so no CVE is said to have risen or fallen."
    ]


def compare(
    cache_dir: Path,
    feed: str,
    *,
    since: date | None = None,
    states: tuple[str, str] | None = None,
    table: Mapping[str, Callable[[], Feed]] = FEEDS,
) -> FeedDiff | None:
    """Compare a feed's state in use with an earlier one; None: there is no earlier one.

    `since`: with the newest one of that day or before. `states`: these two, by the beginning of
    their digests. Raises FeedError for a feed or state that does not exist.
    """
    if feed not in table:
        raise FeedError(f"there is no feed {feed}.", hint=f"known: {', '.join(sorted(table))}")
    current = read_current(cache_dir, feed)
    if current is None:
        return None
    kept = (current, *previous_states(cache_dir, feed))
    if states is not None:
        before, after = (_named(kept, digest, feed) for digest in states)
        return _compared(before, after)
    if since is not None and (remembered := _remembered(cache_dir, feed, since)):
        with _compiled(table[feed](), remembered) as before:
            return _compared(before, current)
    older = [item for item in kept[1:] if since is None or _day(item) <= since]
    # Nothing as old as asked for: the oldest there is says most.
    chosen = older[0] if older else kept[-1] if len(kept) > 1 else None
    return _compared(chosen, current) if chosen else None


def _compared(before: Stored, after: Stored) -> FeedDiff:
    with _opened(before) as was, _opened(after) as now:
        return FeedDiff(
            feed=after.snapshot.feed,
            before=before.snapshot,
            after=after.snapshot,
            counts=count_changes(before.snapshot, after.snapshot),
            kev=kev_events(dict(was.kev), dict(now.kev)) if now.kev_complete else (),
            kept=pending_relaxations(after),
            epss=_epss(was, now),
        )


def _epss(was: State, now: State) -> EpssMovement | None:
    if not len(now.epss):
        return None
    return epss_movement(epss_frame(was), epss_frame(now), models=(was.model, now.model))


@contextlib.contextmanager
def _opened(stored: Stored) -> Iterator[State]:
    state = open_state(stored.compiled)
    try:
        yield state
    finally:
        state.close()


def _named(states: tuple[Stored, ...], digest: str, feed: str) -> Stored:
    found = [item for item in states if item.snapshot.digest.startswith(digest)]
    if len(found) != 1 or not digest:
        names = ", ".join(f"{item.snapshot.digest[:12]} ({_day(item)})" for item in states)
        raise FeedError(
            f"{digest!r} names {len(found)} stored states of feed {feed}.", hint=f"stored: {names}"
        )
    return found[0]


def _day(stored: Stored) -> date:
    at = stored.snapshot.data_date
    return at.date() if at is not None else date.min


def _remembered(cache_dir: Path, feed: str, since: date) -> tuple[Document, ...]:
    """Return the documents of the newest remembered day up to `since`, or else of the oldest."""
    days = history(cache_dir, feed)
    if not days:
        return ()
    upto = [day for day, _ in days if day <= since]
    chosen = upto[-1] if upto else days[0][0]
    return tuple(document for day, document in days if day == chosen)


@contextlib.contextmanager
def _compiled(feed: Feed, documents: tuple[Document, ...]) -> Iterator[Stored]:
    """Compile remembered documents for as long as they are compared."""
    with tempfile.TemporaryDirectory(prefix="wavemend-") as folder:
        path = Path(folder) / "content.sqlite"
        content = compile_documents(feed, documents, path)
        snapshot = FeedSnapshot(
            feed=feed.name,
            source="history",
            digest="",
            fetched_at=None,
            data_date=content.data_date,
            model=content.model,
            count=content.count,
            coverage=tuple(sorted(content.coverage.items())),
            skipped=tuple(sorted(content.skipped.items())),
            rejects=content.rejects,
            flaws=content.flaws,
            read=content.read,
        )
        manifest = Manifest(snapshot=snapshot, documents=())
        yield Stored(manifest=manifest, documents=documents, compiled=path)
