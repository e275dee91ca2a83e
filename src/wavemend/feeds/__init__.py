"""Where wavemend's knowledge of vulnerabilities comes from: a Protocol and the table of feeds.

To add a feed: write `feeds/readers/<name>.py` with a `FEED` that has these members, add a line to
`FEEDS`, and give it a saved document with the expected content in `tests/cases/feeds/<name>/`.
A feed may not read another feed. Refusing a bad copy, keeping the last good one and saying its
age is done for all of them in `refresh.py` and `store/`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Protocol

from wavemend.advisories import Advisory, Cvss, Exploit, KevEntry, Lifecycle, Ssvc


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One stored document of a feed. The bytes stay on disk: a feed may be larger than memory."""

    name: str
    """Path inside the snapshot, `/` between the parts; findings cite it."""
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What a feed says about itself."""

    data_date: datetime
    """The feed's own date, UTC-aware."""
    model: str = ""
    coverage: Mapping[str, int] = field(default_factory=dict)
    """How many used entries carry which field, for noticing that one was renamed."""
    kev_complete: bool = False
    """True: a CVE no entry was given for is not in the catalogue. Only the catalogue says so."""


class Sink(Protocol):
    """Where a feed puts what it reads, as it reads it: a feed may be larger than memory.

    Every entry of a document is counted in once (`entry`) and out once (`used`, `skip` or
    `reject`); a feed whose counts do not balance is refused. What is given again for the same
    CVE and kind replaces what was given before, except advisories and life cycles, which add up.
    """

    def entry(self, count: int = 1) -> None:
        """Count entries read from a document."""
        ...

    def used(self, count: int = 1) -> None:
        """Count entries that were taken."""
        ...

    def skip(self, reason: str, count: int = 1) -> None:
        """Count entries that are not for us, by reason: another ecosystem, withdrawn."""
        ...

    def reject(self, where: str, reason: str) -> None:
        """Name one entry that cannot be used, and why. Too many refuse the feed."""
        ...

    def flaw(self, where: str, reason: str) -> None:
        """Name a part of a used entry that cannot be used; the rest of it is."""
        ...

    def epss(self, rows: Iterable[tuple[str, float, float | None]], *, day: date) -> None:
        """Take EPSS rows: CVE, probability, percentile. The model is the heading's."""
        ...

    def kev(self, cve: str, entry: KevEntry) -> None: ...

    def cvss(self, cve: str, candidates: tuple[Cvss, ...]) -> None: ...

    def ssvc(self, cve: str, answers: Ssvc) -> None: ...

    def exploits(self, cve: str, evidence: tuple[Exploit, ...]) -> None: ...

    def published(self, cve: str, at: datetime) -> None: ...

    def summary(self, cve: str, text: str) -> None: ...

    def advisory(self, advisory: Advisory) -> None: ...

    def lifecycle(self, lifecycle: Lifecycle) -> None: ...

    def forget(self, cve: str) -> None:
        """Drop everything this feed said of a CVE by CVE: a newer record replaces it whole."""
        ...


class Downloads(Protocol):
    """What a feed may do while it fetches: ask for one document at a time."""

    @property
    def now(self) -> datetime: ...

    @property
    def since(self) -> datetime | None:
        """The data date of the copy in use, for upstreams that can be asked for changes only."""
        ...

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

    def earlier(self, source: str) -> tuple[Document, ...]:
        """Return the documents of the copy in use, by name, when it came from exactly this source.

        Empty otherwise: another mirror, a folder, nothing stored.
        """
        ...

    def keep(self, name: str) -> Document:
        """Carry a document of the copy in use over as it is; not a change.

        Raises FeedRejected when there is none of that name.
        """
        ...

    def discard(self, name: str) -> None:
        """Take a document of this run out again: it says nothing new, or was only a listing.

        Raises FeedRejected when there is none of that name.
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

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read the documents into the sink, in bounded memory.

        Raises FeedRejected for what is not what it claims to be.
        """
        ...


def _feed(module: str) -> Callable[[], Feed]:
    def load() -> Feed:
        feed: Feed = import_module(f"wavemend.feeds.readers.{module}").FEED
        return feed

    return load


FEEDS: Mapping[str, Callable[[], Feed]] = {
    "almalinux": _feed("almalinux"),
    "alpine": _feed("alpine"),
    "arch": _feed("arch"),
    "cve": _feed("cve_records"),
    "debian": _feed("debian"),
    "debian-support": _feed("debian_support"),
    "debian-tracker": _feed("debian_tracker"),
    "endoflife": _feed("endoflife"),
    "epss": _feed("epss"),
    "exploitdb": _feed("exploitdb"),
    "kev": _feed("kev"),
    "metasploit": _feed("metasploit"),
    "msrc": _feed("msrc"),
    "nuclei": _feed("nuclei"),
    "nvd": _feed("nvd"),
    "rocky": _feed("rocky"),
    "rpm": _feed("updateinfo"),
    "suse": _feed("suse"),
    "ubuntu": _feed("ubuntu"),
    "ubuntu-notices": _feed("ubuntu_notices"),
}
"""Imported when first used: a refresh of one feed needs no other's libraries."""

CORE_FEEDS = frozenset({"epss", "kev"})
"""Without these no priority can be trusted, whatever the fleet consists of."""

DEFAULT_FEEDS = ("debian", "epss", "kev", "nvd")
"""What is loaded and refreshed where nobody named any: scores, and fixes for Debian hosts."""
