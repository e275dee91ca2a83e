"""Bring every feed up to date, and say for each of them what came of it."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from wavemend.advisories import FeedSnapshot, KevEntry
from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import DEFAULT_FEEDS, FEEDS, Feed
from wavemend.feeds.acceptance import Refusal, refusals
from wavemend.feeds.changes import in_force, relaxations, still_kept
from wavemend.feeds.overrides import (
    Found,
    Refused,
    Statement,
    Subject,
    find,
    forget_refused,
    note_refused,
    pending_relaxations,
    use,
)
from wavemend.feeds.reading.http import HttpClient
from wavemend.feeds.store.compiled import Content, compile_state, open_state
from wavemend.feeds.store.snapshots import (
    Staging,
    Stored,
    adopt,
    cache_lock,
    confirm,
    read_current,
    repair,
    staging,
)
from wavemend.feeds.store.snapshots_staging import state_digest


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
    feed_seconds: float = 3_600.0
    """For one feed with all its documents and pauses. NVD's first fetch: 181 pages, 6 s apart."""
    total_seconds: float = 3 * 3_600.0
    """For all of them. A feed that finds no time left keeps its copy and says so."""


def refresh(
    config: RefreshConfig,
    cache_dir: Path,
    now: datetime,
    *,
    client: HttpClient | None = None,
    table: Mapping[str, Callable[[], Feed]] = FEEDS,
) -> tuple[FeedResult, ...]:
    """Refresh each feed on its own; whatever is wrong with one does not hold up another.

    Raises FeedError for a configuration that names what does not exist, or when another refresh
    works on the same cache. Everything else is a result.
    """
    unknown = sorted({*config.feeds, *config.sources, *config.api_keys} - set(table))
    if unknown:
        raise FeedError(
            f"there is no feed {', '.join(unknown)}.",
            hint=f"known feeds: {', '.join(sorted(table))}",
        )
    if config.directory is not None and not config.directory.is_dir():
        raise FeedError(
            f"{config.directory} is not a folder.", hint="name the folder with the feeds"
        )
    with cache_lock(cache_dir):
        whole = (client or HttpClient()).within(config.total_seconds)
        return tuple(
            _guarded(name, table[name], config, cache_dir, now=now, client=whole)
            for name in feeds_to_refresh(config, cache_dir, table)
        )


def feeds_to_refresh(
    config: RefreshConfig, cache_dir: Path, table: Mapping[str, Callable[[], Feed]] = FEEDS
) -> tuple[str, ...]:
    """Return the feeds a refresh works on, sorted.

    Those it was told, or else the default ones, those that were fetched before, those an address
    is given for, and those the folder has.
    """
    if config.feeds:
        return tuple(sorted(set(config.feeds)))
    places = [cache_dir / name / "current.json" for name in table]
    if config.directory is not None:
        places += [config.directory / name for name in table]
    there = {
        place.parent.name if place.name == "current.json" else place.name
        for place in places
        if place.exists()
    }
    named = {*DEFAULT_FEEDS, *there, *config.sources}
    return tuple(sorted(named & set(table)))


def _guarded(
    name: str,
    load: Callable[[], Feed],
    config: RefreshConfig,
    cache_dir: Path,
    *,
    now: datetime,
    client: HttpClient,
) -> FeedResult:
    """Turn everything that can go wrong with one feed into its line of the table."""
    previous: Stored | None = None
    damage = ""
    try:
        feed = load()
        previous, damage = _copy_in_use(feed, cache_dir)
        with staging(
            cache_dir,
            name,
            client.within(config.feed_seconds),
            previous,
            now=now,
            api_key=config.api_keys.get(name, ""),
        ) as fresh:
            result = _Run(feed=feed, config=config, cache_dir=cache_dir, fresh=fresh).result()
    except FeedError as error:
        return kept_old(name, previous, _joined(error.message, damage and f"Also: {damage}"))
    except OSError as error:
        return kept_old(name, previous, f"{cache_dir / name} cannot be used: {error}.")
    except Exception as error:  # noqa: BLE001 - the other feeds must not grow old because of it
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} at {Path(place.filename).name}:{place.lineno}"
        return kept_old(name, previous, f"a fault in the reader of this feed; report it ({why}).")
    return replace(result, reason=_joined(result.reason, damage))


def _copy_in_use(feed: Feed, cache_dir: Path) -> tuple[Stored | None, str]:
    """Return the state in use, compiled again where that helps, and what was wrong with it."""
    try:
        return read_current(cache_dir, feed.name), ""
    except FeedRejected as error:
        damage = error.message
    try:
        return repair(cache_dir, feed), f"{damage} It was compiled again from its documents."
    except FeedRejected as error:
        return None, _joined(damage, error.message)


def kept_old(feed: str, previous: Stored | None, reason: str) -> FeedResult:
    """Say that a feed was not refreshed; what is in use, if anything is, stays."""
    return FeedResult(
        feed=feed,
        status=FeedStatus.MISSING if previous is None else FeedStatus.KEPT_OLD,
        snapshot=previous.snapshot if previous else None,
        reason=reason,
        relaxed=_taken_back(previous),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The refresh of one feed."""

    feed: Feed
    config: RefreshConfig
    cache_dir: Path
    fresh: Staging

    def result(self) -> FeedResult:
        """Fetch, judge, adopt. Raises FeedError for what leaves the old state in use."""
        source = _collect(self.feed, self.config, self.fresh)
        previous = self.fresh.previous
        if previous is not None and not self.fresh.changed:
            pending = set(_taken_back(previous))
            if not (pending and pending & self._signed(Subject.RELAXATIONS).sentences):
                return self._unchanged(previous)
        content = compile_state(self.feed, self.fresh)
        reasons = refusals(previous.snapshot if previous else None, content, self.fresh.now)
        signed: tuple[Path, Statement] | None = None
        if reasons:
            found = self._signed(Subject.CANDIDATE)
            signed = found.covering(self._digest, reasons)
            if signed is None:
                return self._refused(content, source, reasons, found.bad)
        return self._adopt(content, source, signed)

    @property
    def _digest(self) -> str:
        """One name for what came, whatever else the state will hold."""
        return state_digest(self.fresh.stored, ())

    def _signed(self, subject: Subject) -> Found:
        signers = self.config.signers_file
        return find(self.cache_dir, self.feed.name, subject, signers, self.fresh.now)

    def _unchanged(self, previous: Stored) -> FeedResult:
        digest, now = previous.snapshot.digest, self.fresh.now
        confirm(self.cache_dir, self.feed.name, digest, now, self.fresh)
        forget_refused(self.cache_dir, self.feed.name)
        return FeedResult(
            feed=self.feed.name,
            status=FeedStatus.UNCHANGED,
            snapshot=replace(previous.snapshot, fetched_at=now),
            relaxed=_taken_back(previous),
        )

    def _refused(
        self,
        content: Content,
        source: str,
        reasons: tuple[Refusal, ...],
        unsigned: tuple[str, ...],
    ) -> FeedResult:
        refused = Refused(
            feed=self.feed.name,
            digest=self._digest,
            source=source,
            data_date=content.data_date,
            count=content.count,
            refusals=reasons,
            seen_at=self.fresh.now,
        )
        note_refused(self.cache_dir, refused)
        way_out = f"If this is right, sign for it: wavemend feeds override {self.feed.name}."
        why = "; ".join(item.reason for item in reasons)
        said = (f"{source}: refused, {why}.", *unsigned, way_out if refused.overridable else "")
        return kept_old(self.feed.name, self.fresh.previous, _joined(*said))

    def _adopt(
        self, content: Content, source: str, signed: tuple[Path, Statement] | None
    ) -> FeedResult:
        previous = self.fresh.previous
        used = [signed] if signed else []
        kept: Mapping[str, KevEntry] = {}
        if content.kev_complete and previous is not None:
            kept, confirmed = self._kept(content, previous)
            used += confirmed
        snapshot = adopt(self.cache_dir, self.feed.name, self.fresh, content, source, kept=kept)
        forget_refused(self.cache_dir, self.feed.name)
        for path, _ in used:
            use(path)
        same = previous is not None and snapshot.digest == previous.snapshot.digest
        return FeedResult(
            feed=self.feed.name,
            status=FeedStatus.UNCHANGED if same else FeedStatus.REFRESHED,
            snapshot=snapshot,
            relaxed=_taken_back(read_current(self.cache_dir, self.feed.name)) if kept else (),
            overridden=tuple(said.in_words for _, said in used),
        )

    def _kept(
        self, content: Content, previous: Stored
    ) -> tuple[Mapping[str, KevEntry], list[tuple[Path, Statement]]]:
        """Return what stays in force beside the new catalogue, and the overrides that were used."""
        before = open_state(previous.compiled)
        after = open_state(content.path)
        try:
            was, now = in_force(before.kev, previous.kept), dict(after.kev)
        finally:
            before.close()
            after.close()
        taken_back = {str(event) for event in relaxations(was, now)}
        found = self._signed(Subject.RELAXATIONS) if taken_back else Found(good=(), bad=())
        used = [pair for pair in found.good if taken_back & set(pair[1].covers)]
        return still_kept(was, now, found.sentences), used


def _collect(feed: Feed, config: RefreshConfig, fresh: Staging) -> str:
    """Bring the documents from the first source that has them all, and say which it was."""
    if config.directory is not None:
        return _collect_folder(feed, config.directory / feed.name, fresh)
    chosen = config.sources.get(feed.name)
    sources = (chosen,) if chosen else feed.sources
    if not sources:
        raise FeedError(
            f"feed {feed.name} has no address of its own: name one, --source {feed.name}=URL "
            "(repositories: RELEASE=URL, as in almalinux-9=https://…)."
        )
    troubles: list[str] = []
    for source in sources:
        fresh.restart()
        try:
            feed.download(source, fresh)
        except FeedError as error:
            troubles.append(error.message)
            continue
        return source
    raise FeedRejected(" Then: ".join(troubles))


def _collect_folder(feed: Feed, folder: Path, fresh: Staging) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    taken = [pair for pair in zip(files, names, strict=True) if feed.accepts(pair[1])]
    if not taken:
        raise FeedRejected(f"{folder} holds no document of feed {feed.name}.")
    for path, name in taken:
        fresh.copy(path, name)
    return str(folder)


def _taken_back(stored: Stored | None) -> tuple[str, ...]:
    """Say what the catalogue takes back of what stays in force in this state."""
    return pending_relaxations(stored) if stored is not None and stored.kept else ()


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
