"""Fetching NVD: everything once, then only what changed, and never half of either.

A stored state is the pages of the whole plus the documents of the changes since. A fetch that
fails on any page leaves the state in use as it is, so the next one asks for the same changes again.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from wavemend.errors import FeedUnreachable
from wavemend.feeds import Document, Downloads
from wavemend.feeds.readers.nvd_pages import (
    BASE_PREFIX,
    WINDOW_PREFIX,
    Page,
    Window,
    announced_digest,
    plain_digest,
    read_page,
    window_of,
)
from wavemend.feeds.reading.documents import as_object, as_text, reject

PAGE_SIZE = 2_000
MOST_PAGES = 1_000
"""Five times what the whole of NVD needs in 2026: a server that never ends is not NVD."""
PAUSE_SECONDS = 6.0
"""NVD asks for it; five requests in thirty seconds are allowed without a key."""
PAUSE_WITH_KEY_SECONDS = 0.7
"""Fifty in thirty seconds with a key."""
LONGEST_WINDOW = timedelta(days=119)
"""NVD takes 120; a day less leaves no question of how it counts them."""
OVERLAP = timedelta(hours=2)
"""NVD's machines do not all know a change at once, and clocks differ."""
START_OVER_SHARE = 0.25
"""When the changes weigh a quarter of the whole, reading both costs more than fetching anew."""
MOST_WINDOWS = 24
"""A day of hourly fetches. Then one question for all of them takes their place."""
ATTEMPTS = 3
FIRST_YEAR = 2002
"""Older CVEs are in the file of 2002."""
_MODIFIED_DAYS = 8
"""The file `modified` holds that many days: so long the file of a new year may not exist yet."""

_Stamps = set[tuple[str, str]]


@dataclass(slots=True, kw_only=True)
class _Api:
    """One fetch from the API: it waits between any two requests."""

    source: str
    downloads: Downloads
    asked: int = 0
    names: list[str] = field(default_factory=list)
    """Documents of the set of pages being fetched."""

    def pages(self, window: Window | None, seen: _Stamps) -> None:
        """Fetch all pages of a question. `seen` takes each CVE of a window and its date."""
        for _ in range(ATTEMPTS):
            self.names = []
            if self._all(window, seen):
                return
            # A record that changes while its window is read leaves the window, and the one that
            # takes its place is on a page already read.
            for name in self.names:
                self.downloads.discard(name)
        reject(self.source, f"changed under our hands {ATTEMPTS} times; try again later.")

    def _all(self, window: Window | None, seen: _Stamps) -> bool:
        """Fetch page after page; False when the set became smaller while it was read."""
        start, total, count = 0, 0, 0
        while start < total or not count:
            page = self._page(window, start, seen)
            if page.total < total:
                return False
            if page.start != start or (not page.count and page.total > start):
                reject(page.name, f"does not begin at entry {start}, or holds nothing.")
            start, total, count = start + page.count, page.total, count + 1
            if count == MOST_PAGES:
                reject(self.source, f"has more than {MOST_PAGES} pages.")
        return True

    def _page(self, window: Window | None, start: int, seen: _Stamps) -> Page:
        key = self.downloads.api_key
        if self.asked:
            self.downloads.pause(PAUSE_WITH_KEY_SECONDS if key else PAUSE_SECONDS)
        self.asked += 1
        query: dict[str, str | int] = {"startIndex": start, "resultsPerPage": PAGE_SIZE}
        if window is not None:
            query["lastModStartDate"] = _api_time(window.start)
            query["lastModEndDate"] = _api_time(window.end)
        name = window.name(start) if window else f"{BASE_PREFIX}{start:08}.json"
        document = self.downloads.get(
            f"{self.source}?{urlencode(query)}",
            name,
            headers={"apiKey": key} if key else {},
            fresh=True,
        )
        self.names.append(name)
        return read_page(document, lambda _, entry: seen.add(_stamp(entry)) if window else None)


def _api_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _stamp(entry: object) -> tuple[str, str]:
    cve = as_object(as_object(entry, "entry").get("cve"), "entry: cve")
    return as_text(cve.get("id")), as_text(cve.get("lastModified"))


def fetch_api(source: str, downloads: Downloads) -> None:
    """Fetch the whole, or what changed since the copy in use; the rest of that copy is kept."""
    earlier = downloads.earlier(source)
    api = _Api(source=source, downloads=downloads)
    if downloads.since is None or not _worth_adding_to(earlier):
        api.pages(None, set())
        return
    since, kept = downloads.since, earlier
    asked_before = {window for item in earlier if (window := window_of(item.name))}
    if len(asked_before) >= MOST_WINDOWS:
        since = min(window.start for window in asked_before) + OVERLAP
        kept = tuple(item for item in earlier if window_of(item.name) is None)
    windows = windows_since(since, downloads.now)
    fresh: _Stamps = set()
    fetched: list[str] = []
    for window in windows:
        api.pages(window, fresh)
        fetched += api.names
    for document in kept:
        downloads.keep(document.name)
    # The windows overlap, so they are hardly ever empty; but they may say nothing new.
    if fresh <= _known(kept, windows[0].start):
        for name in fetched:
            downloads.discard(name)


def windows_since(since: datetime, now: datetime) -> tuple[Window, ...]:
    """Return the questions that cover everything changed since a moment, without a gap."""
    start = (since - OVERLAP).replace(microsecond=0)
    end = max(now, since).replace(microsecond=0)
    found = []
    while start < end:
        stop = min(start + LONGEST_WINDOW, end)
        found.append(Window(start=start, end=stop))
        start = stop
    return tuple(found)


def _worth_adding_to(earlier: tuple[Document, ...]) -> bool:
    sizes = {BASE_PREFIX: 0, WINDOW_PREFIX: 0}
    for document in earlier:
        for prefix in sizes:
            if document.name.startswith(prefix):
                sizes[prefix] += document.path.stat().st_size
    return sizes[WINDOW_PREFIX] < START_OVER_SHARE * sizes[BASE_PREFIX]


def _known(earlier: tuple[Document, ...], since: datetime) -> _Stamps:
    """Return what the stored changes say of the time that is asked for again."""
    known: _Stamps = set()
    for document in earlier:
        window = window_of(document.name)
        if window is not None and window.end >= since:
            read_page(document, lambda _, entry: known.add(_stamp(entry)))
    return known


def fetch_years(source: str, downloads: Downloads) -> None:
    """Fetch the files per year that changed; each `.meta` says so, and vouches for its file."""
    earlier = {document.name: document for document in downloads.earlier(source)}
    for year in range(FIRST_YEAR, downloads.now.year + 1):
        try:
            _fetch_file(source, str(year), earlier, downloads)
        except FeedUnreachable:
            first = datetime(downloads.now.year, 1, 1, tzinfo=UTC)
            new = year == downloads.now.year and year != FIRST_YEAR
            if not new or downloads.now - first >= timedelta(days=_MODIFIED_DAYS):
                raise
    _fetch_file(source, "modified", earlier, downloads)


def _fetch_file(source: str, part: str, earlier: dict[str, Document], downloads: Downloads) -> None:
    name, meta_name = f"nvdcve-2.0-{part}.json.gz", f"nvdcve-2.0-{part}.meta"
    before = announced_digest(earlier[meta_name]) if meta_name in earlier else ""
    for attempt in range(ATTEMPTS):
        if attempt:  # the file was replaced between two requests
            downloads.discard(meta_name)
            downloads.discard(name)
            downloads.pause(PAUSE_SECONDS)
        meta = downloads.get(f"{source}{meta_name}", meta_name, fresh=bool(attempt))
        announced = announced_digest(meta)
        if announced == before and name in earlier:
            downloads.keep(name)
            return
        document = downloads.get(f"{source}{name}", name, fresh=bool(attempt))
        if plain_digest(document) == announced:
            return
    reject(f"{source}{name}", f"is not the file that {meta_name} announces.")
