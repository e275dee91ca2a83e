"""The refresh of one feed: what it has, what was signed for meanwhile, and what comes now."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import Feed
from wavemend.feeds.candidates import read_candidate, take_candidate
from wavemend.feeds.floors import Floor, Remembered, altered
from wavemend.feeds.judging import Ground, Judging
from wavemend.feeds.overrides import Subject, find
from wavemend.feeds.reading.http import HttpClient
from wavemend.feeds.results import FeedResult, FeedStatus, RefreshConfig, joined, kept_old
from wavemend.feeds.store.floor_file import read_floor
from wavemend.feeds.store.snapshots import Stored, read_current, repair, staging


@dataclass(slots=True, kw_only=True)
class Renewal:
    """One feed in one refresh. Keeps what is known when the rest goes wrong."""

    feed: Feed
    config: RefreshConfig
    cache_dir: Path
    now: datetime
    client: HttpClient
    ground: Ground = field(default_factory=lambda: Ground(previous=None))
    notes: tuple[str, ...] = ()
    """What was found damaged, and what could not be compared."""
    overridden: tuple[str, ...] = ()

    def result(self) -> FeedResult:
        """Bring the feed up to date. Raises FeedError for what leaves the old state in use."""
        self._look()
        taken = self._take_candidate()
        if taken is not None:
            self.overridden = taken.overridden
            # What was signed for is lower than what is remembered: that was the point.
            previous = read_current(self.cache_dir, self.feed.name)
            self.ground = Ground(previous=previous, is_noted=True)
        with self._staging() as judging:
            found = judging.result()
        if taken is not None and found.status is FeedStatus.UNCHANGED:
            found = replace(found, status=FeedStatus.REFRESHED)
        return replace(
            found,
            reason=joined(found.reason, *self.notes),
            overridden=(*self.overridden, *found.overridden),
        )

    def failed(self, reason: str) -> FeedResult:
        """Say that the feed was not refreshed, and what is in use."""
        also = joined(*self.notes)
        said = joined(reason, f"Also: {also}" if also else "")
        try:
            holds = self.ground.holds()
        except FeedError:  # it was readable a moment ago
            holds = False
        previous = self.ground.previous
        return kept_old(self.feed.name, previous, said, overridden=self.overridden, holds=holds)

    def _look(self) -> None:
        """Find the state in use, mended where that helps, and what else is remembered."""
        name = self.feed.name
        remembered = self.config.remembered.get(name)
        noted, trouble = read_floor(self.cache_dir, name)
        previous, damage = _copy_in_use(self.feed, self.cache_dir, remembered)
        known = remembered.floor if remembered else None
        digest = previous.snapshot.digest if previous else ""
        self.ground = Ground(
            previous=previous,
            floors=tuple(
                floor for floor in (noted, known) if floor is not None and floor.digest != digest
            ),
            is_noted=noted is not None and noted.digest == digest,
        )
        gap = "" if previous or noted else _gap(known, is_damaged=bool(damage or trouble))
        self.notes = tuple(note for note in (damage, trouble, gap) if note)

    def _take_candidate(self) -> FeedResult | None:
        """Adopt the refused copy that was kept, when somebody signed for it since."""
        name = self.feed.name
        candidate = read_candidate(self.cache_dir, name)
        if candidate is None:
            return None
        signers = self.config.signers_file
        found = find(self.cache_dir, name, Subject.CANDIDATE, signers, self.now)
        if candidate.digest not in {said.digest for _, said in found.good}:
            return None
        try:
            with self._staging() as judging:
                take_candidate(self.cache_dir, name, candidate, judging.fresh)
                return judging.signed_for(candidate.source)
        except FeedError as error:
            why = f"The copy that was signed for cannot be taken: {error.message}"
            self.notes = (*self.notes, why)
            return None

    @contextlib.contextmanager
    def _staging(self) -> Iterator[Judging]:
        name, previous = self.feed.name, self.ground.previous
        key = self.config.api_keys.get(name, "")
        with staging(
            self.cache_dir, name, self.client, previous, now=self.now, api_key=key
        ) as fresh:
            yield Judging(
                feed=self.feed,
                config=self.config,
                cache_dir=self.cache_dir,
                fresh=fresh,
                ground=self.ground,
            )


def _copy_in_use(
    feed: Feed, cache_dir: Path, remembered: Remembered | None
) -> tuple[Stored | None, str]:
    """Return the state in use, compiled again where that helps, and what was wrong with it."""
    try:
        stored = read_current(cache_dir, feed.name)
        wrong = altered(stored.snapshot, remembered) if stored else ""
        if not wrong:
            return stored, ""
        damage = f"T{wrong[1:]}"
    except FeedRejected as error:
        damage = error.message
    try:
        mended = repair(cache_dir, feed, anyhow=True)
    except FeedRejected as error:
        return None, joined(damage, error.message)
    return mended, f"{damage} It was compiled again from its documents."


def _gap(known: Floor | None, *, is_damaged: bool) -> str:
    """Say what nobody can compare when neither the state nor the note beside it is left."""
    if known is not None:
        return (
            "The stored copy is gone: what comes is compared with what the ledger noted of it; "
            "an entry that was taken back since then is not noticed."
        )
    if is_damaged:
        return "Nothing else remembers what was accepted: what comes is compared with nothing."
    return ""
