"""Pages of NVD's CVE API 2.0: what a document of NVD is, and whether a set of them is whole.

A file of a year is one page that holds everything. Documents of the API are named by us:
`page-<first entry>.json` for the whole, `window-<from>-<to>-<first entry>.json` for changes.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wavemend.feeds import Document
from wavemend.feeds.reading.archives import open_stream
from wavemend.feeds.reading.documents import MIB, as_int, moment, read_bytes, reject
from wavemend.feeds.reading.streams import json_pieces

MOST_BYTES = 1024 * MIB
"""Decompressed, per document: a year of kernel CVEs at 100 kB each is the largest seen."""
BASE_PREFIX = "page-"
WINDOW_PREFIX = "window-"
_STAMP = "%Y%m%dT%H%M%SZ"
_WINDOW = re.compile(r"(?:.*/)?window-([0-9]{8}T[0-9]{6}Z)-([0-9]{8}T[0-9]{6}Z)-[0-9]{8}\.json")
_META_SHA256 = re.compile(r"^sha256:([0-9A-Fa-f]{64})\s*$", re.MULTILINE)
_META_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The records changed between two moments (UTC), as one question to the API."""

    start: datetime
    end: datetime

    def name(self, first: int) -> str:
        """Return the name of the document that begins at this entry."""
        return f"{WINDOW_PREFIX}{self.start:{_STAMP}}-{self.end:{_STAMP}}-{first:08}.json"


def window_of(name: str) -> Window | None:
    """Return the window that a document's name states; None: it is no such document."""
    found = _WINDOW.fullmatch(name)
    if found is None:
        return None
    try:
        start, end = (_moment(text) for text in found.groups())
    except ValueError:
        return None
    return Window(start=start, end=end)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The head of one document."""

    name: str
    start: int
    count: int
    total: int
    at: datetime
    """When NVD wrote it."""

    @property
    def whole(self) -> bool:
        """True when nothing of the set is on another page."""
        return self.start == 0 and self.count == self.total


def read_page(document: Document, take: Callable[[int, object], None]) -> Page:
    """Hand each entry of a document to `take`, by number, and return the head.

    Raises FeedRejected when it is not one whole page of NVD's CVE API 2.0.
    """
    name = document.name
    head: dict[str, object] = {}
    count = -1
    for part, key, value in json_pieces(document, most=MOST_BYTES, under="vulnerabilities"):
        if part:
            if not isinstance(key, int):
                reject(name, "holds an object where the list of vulnerabilities must be.")
            count = key
            take(key, value)
            continue
        head[str(key)] = value
    return _head(name, head, count + 1)


def _head(name: str, head: dict[str, object], count: int) -> Page:
    if head.get("format") != "NVD_CVE" or head.get("version") != "2.0":
        reject(name, "is not in the form of NVD's CVE API 2.0.")
    at = moment(head.get("timestamp"))
    if at is None:
        reject(name, "does not say when it was written.")
    return Page(
        name=name,
        start=as_int(head.get("startIndex"), f"{name}: startIndex"),
        count=count,
        total=as_int(head.get("totalResults"), f"{name}: totalResults"),
        at=at,
    )


def known_until(pages: Sequence[Page]) -> datetime:
    """Return until when the documents say everything, after a look at whether any is missing.

    Reading all pages takes long, and a record may change after its page was read: so the first
    page's time counts for the whole, and for changes never more than was asked for.
    """
    sets: dict[Window | None, list[Page]] = {}
    moments: list[datetime] = []
    for page in pages:
        window = window_of(page.name)
        if window is None and page.whole:
            moments.append(page.at)
        else:
            sets.setdefault(window, []).append(page)
    for window, parts in sets.items():
        _check_complete(parts)
        first = min(page.at for page in parts)
        moments.append(min(first, window.end) if window else first)
    return max(moments)


def _check_complete(pages: Iterable[Page]) -> None:
    """Refuse a set of pages with a hole in it: half of NVD looks like half the vulnerabilities."""
    parts = sorted(pages, key=lambda page: page.start)
    reached = 0
    for page in parts:
        if page.start != reached:
            reject(page.name, f"begins at entry {page.start}; the pages before end at {reached}.")
        reached += page.count
    # The total may rise while pages are fetched; the last page says what to reach.
    if reached < max(page.total for page in parts):
        reject(parts[-1].name, f"the pages end at entry {reached} of {parts[-1].total}.")


def announced_digest(document: Document) -> str:
    """Return the SHA-256 that a `.meta` document announces, in small letters."""
    text = read_bytes(document, most=_META_BYTES).decode("ascii", "replace")
    found = _META_SHA256.search(text)
    if found is None:
        reject(document.name, "does not announce a SHA-256 as NVD's .meta files do.")
    return found[1].lower()


def plain_digest(document: Document) -> str:
    """Return the SHA-256 of a document's decompressed bytes, which is what `.meta` announces."""
    digest = hashlib.sha256()
    with open_stream(document, most=MOST_BYTES) as stream:
        while piece := stream.read(MIB):
            digest.update(piece)
    return digest.hexdigest()
