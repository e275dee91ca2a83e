"""A feed that says what a test tells it, and a cache to adopt its states in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wavemend.advisories import FeedSnapshot, KevEntry
from wavemend.feeds import Document, Downloads, Feed, Heading, Sink
from wavemend.feeds.reading.http import HttpClient
from wavemend.feeds.store.compiled import State, compile_documents, compile_state, open_state
from wavemend.feeds.store.snapshots import adopt, read_current, staging

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def nothing(sink: Sink) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class ToldFeed:
    """Implements `Feed`; every entry it is told to say is counted by whoever tells it."""

    name: str = "told"
    say: Callable[[Sink], None] = nothing
    heading: Heading = field(default_factory=lambda: Heading(data_date=NOW))
    sources: tuple[str, ...] = ()
    quiet: timedelta = timedelta(hours=24)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch nothing: its documents come from a folder."""

    def accepts(self, name: str) -> bool:
        """Take every document."""
        return bool(name)

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Say what it was told; the documents are read, as any feed does."""
        for document in documents:
            document.path.read_bytes()
        self.say(sink)
        return self.heading


def compiled(path: Path, say: Callable[[Sink], None], model: str = "") -> State:
    """Return what a feed that says this looks like when it is compiled."""
    feed = ToldFeed(say=say, heading=Heading(data_date=NOW, model=model))
    return open_state(compile_documents(feed, (), path / "content.sqlite").path)


def adopted(
    cache: Path,
    feed: Feed,
    files: Mapping[str, bytes] | None = None,
    *,
    now: datetime = NOW,
    kept: Mapping[str, KevEntry] | None = None,
) -> FeedSnapshot:
    """Put a feed's documents into use, as a refresh does once it has judged them."""
    folder = cache.with_name(f"{cache.name}-from") / feed.name
    folder.mkdir(parents=True, exist_ok=True)
    previous = read_current(cache, feed.name)
    with staging(cache, feed.name, HttpClient(), previous, now=now) as fresh:
        for name, body in (files or {"document": b"1"}).items():
            (folder / name).write_bytes(body)
            fresh.copy(folder / name, name)
        content = compile_state(feed, fresh)
        return adopt(cache, feed.name, fresh, content, str(folder), kept=kept or {})


def one(sink: Sink) -> None:
    """Count one entry in and out."""
    sink.entry()
    sink.used()
