"""Where wavemend's knowledge of vulnerabilities comes from: a Protocol and the table of feeds.

To add a feed: write `feeds/<name>.py` with a `FEED` that has these members, add a line to
`FEEDS`, and give it a saved document with the expected content in `tests/cases/feeds/<name>/`.
A feed may not read another feed. Refusing a bad copy, keeping the last good one and saying its
age is done for all of them in `refresh.py` and `snapshots.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from wavemend.advisories import Advisory, Cvss, Epss, KevEntry, Reject, Ssvc


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One stored document of a feed. The bytes stay on disk: a feed may be larger than memory."""

    name: str
    """Path inside the snapshot, `/` between the parts; findings cite it."""
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one feed said. A feed fills what it knows and leaves the rest empty."""

    data_date: datetime
    """The feed's own date, UTC-aware."""
    count: int
    """Entries in the feed, for noticing that it shrank."""
    model: str = ""
    coverage: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    rejects: tuple[Reject, ...] = ()
    epss: Mapping[str, Epss] = field(default_factory=dict)
    kev: Mapping[str, KevEntry] = field(default_factory=dict)
    kev_complete: bool = False
    """True: a CVE that is not in `kev` is not in the catalogue. Only the catalogue says so."""
    cvss: Mapping[str, tuple[Cvss, ...]] = field(default_factory=dict)
    ssvc: Mapping[str, Ssvc] = field(default_factory=dict)
    published: Mapping[str, datetime] = field(default_factory=dict)
    summaries: Mapping[str, str] = field(default_factory=dict)
    advisories: tuple[Advisory, ...] = ()


class Downloads(Protocol):
    """What a feed may do while it fetches: ask for one document at a time."""

    @property
    def now(self) -> datetime: ...

    @property
    def api_key(self) -> str:
        """The operator's key for this feed; empty when there is none."""
        ...

    def get(
        self, url: str, name: str, *, headers: Mapping[str, str] | None = None, fresh: bool = False
    ) -> Document:
        """Store what `url` answers as document `name`, or keep the stored one if it is unchanged.

        With `fresh` no validator is sent. Raises FeedUnreachable or FeedRejected.
        """
        ...

    def pause(self, seconds: float) -> None:
        """Wait, as an upstream's rate limit asks, within the total deadline."""
        ...


class Feed(Protocol):
    """One source of knowledge."""

    @property
    def name(self) -> str: ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Addresses to try in order when the operator names none; later ones are mirrors."""
        ...

    @property
    def quiet(self) -> timedelta:
        """How old a good copy's own date may be although nothing is wrong upstream."""
        ...

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch every document of the feed: all of them, or raise."""
        ...

    def accepts(self, name: str) -> bool:
        """Say whether a file of an air-gapped folder is one of this feed's documents."""
        ...

    def parse(self, documents: Sequence[Document]) -> Content:
        """Read the documents. Pure; raises FeedRejected for what is not what it claims to be."""
        ...


def _debian() -> Feed:
    from wavemend.feeds.debian import FEED

    return FEED


def _epss() -> Feed:
    from wavemend.feeds.epss import FEED

    return FEED


def _kev() -> Feed:
    from wavemend.feeds.kev import FEED

    return FEED


def _nvd() -> Feed:
    from wavemend.feeds.nvd import FEED

    return FEED


FEEDS: Mapping[str, Callable[[], Feed]] = {
    "debian": _debian,
    "epss": _epss,
    "kev": _kev,
    "nvd": _nvd,
}
"""Imported when first used: pandas alone takes a second."""
