"""The refused copy of a feed, kept so that what is signed for is what is taken.

A feed moves on: the next release with the same loss is another copy with another digest, and a
signature under the first would fit nothing any more. So the documents of the last refused copy
stay in `<cache>/<feed>/candidate/` until it is taken, replaced by the next one, or no question.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from wavemend.feeds.store.snapshots_files import safe_name, write_whole
from wavemend.feeds.store.snapshots_staging import Staging, StoredDocument, state_digest

_CONTENT = "candidate.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A refused copy."""

    source: str
    documents: tuple[StoredDocument, ...]

    @property
    def digest(self) -> str:
        """What is signed: one name for its documents."""
        return state_digest(self.documents, ())


_CANDIDATE = TypeAdapter(Candidate)


def keep_candidate(cache_dir: Path, feed: str, fresh: Staging, source: str) -> None:
    """Keep what was collected, in place of an earlier candidate. Takes the staging's files."""
    home, building = _home(cache_dir, feed), fresh.home / "candidate"
    building.mkdir()
    (fresh.home / "documents").rename(building / "documents")
    candidate = Candidate(
        source=source, documents=tuple(sorted(fresh.stored, key=lambda item: item.name))
    )
    write_whole(building / _CONTENT, _CANDIDATE.dump_json(candidate, indent=1))
    forget_candidate(cache_dir, feed)
    building.rename(home)


def read_candidate(cache_dir: Path, feed: str) -> Candidate | None:
    """Return the kept copy; None: there is none, or none that can be read."""
    try:
        return _CANDIDATE.validate_json((_home(cache_dir, feed) / _CONTENT).read_bytes())
    except (OSError, ValidationError):
        return None


def take_candidate(cache_dir: Path, feed: str, candidate: Candidate, fresh: Staging) -> None:
    """Lay the kept documents into a new state. Raises FeedRejected when they were changed."""
    for item in candidate.documents:
        fresh.take(item, _home(cache_dir, feed) / "documents" / safe_name(item.name))


def forget_candidate(cache_dir: Path, feed: str) -> None:
    """Remove the kept copy."""
    shutil.rmtree(_home(cache_dir, feed), ignore_errors=True)


def _home(cache_dir: Path, feed: str) -> Path:
    return cache_dir / feed / "candidate"
