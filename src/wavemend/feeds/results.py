"""What a refresh is told, and what it says of each feed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from wavemend.advisories import FeedSnapshot
from wavemend.feeds.floors import Remembered
from wavemend.feeds.overrides import pending_relaxations
from wavemend.feeds.store.snapshots_staging import Stored


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
    """Why the old copy was kept, the feed is missing, or what was damaged and is mended."""
    relaxed: tuple[str, ...] = ()
    """What the catalogue takes back (an entry removed, a date moved later) and nobody signed for:
    the stricter entries stay in force until somebody does."""
    overridden: tuple[str, ...] = ()
    """What was taken in this refresh because somebody signed for it, and who."""
    holds: bool = True
    """False: the state in use is lower than what was accepted before, and nobody signed for it."""

    @property
    def accepted(self) -> FeedSnapshot | None:
        """Return the state in use where the ledger may note it as accepted."""
        return self.snapshot if self.holds else None


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
    """Only these; empty: see `feeds_to_refresh`."""
    signers_file: Path | None = None
    """Who may sign overrides; None: none counts."""
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    """By feed: what the ledger knows of accepted states. Without it only the cache is asked."""
    lock_seconds: float = 600.0
    """How long to wait for another refresh of the same cache. One of all feeds takes minutes."""
    feed_seconds: float = 3_600.0
    """For one feed with all its documents and pauses. NVD's first fetch: 181 pages, 6 s apart."""
    total_seconds: float = 3 * 3_600.0
    """For all of them. A feed that finds no time left keeps its copy and says so."""


def kept_old(
    feed: str,
    previous: Stored | None,
    reason: str,
    *,
    overridden: tuple[str, ...] = (),
    holds: bool = True,
) -> FeedResult:
    """Say that a feed was not refreshed; what is in use, if anything is, stays."""
    return FeedResult(
        feed=feed,
        status=FeedStatus.MISSING if previous is None else FeedStatus.KEPT_OLD,
        snapshot=previous.snapshot if previous else None,
        reason=reason,
        relaxed=taken_back(previous),
        overridden=overridden,
        holds=holds,
    )


def taken_back(stored: Stored | None) -> tuple[str, ...]:
    """Say what the catalogue takes back of what stays in force in this state."""
    return pending_relaxations(stored) if stored is not None and stored.kept else ()


def joined(*parts: str) -> str:
    """Put sentences together; empty ones leave no gap."""
    return " ".join(part for part in parts if part)
