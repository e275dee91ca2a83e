"""The store of accepted feed states: all of a feed or nothing, and the last good copy stays.

Layout: `<cache>/<feed>/<digest>/` holds the documents, `content.sqlite` compiled from them and
`snapshot.json`; beside it `current.json` names the digest in use. A new state is written beside
the old one, flushed, and then named: a process that dies in between leaves the old state in use.

Documents are verified when adopted; the compiled file before it is used. A damaged or missing one
is compiled again from the documents by `repair`, after these were verified.
"""

import contextlib
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from pydantic import TypeAdapter, ValidationError

from wavemend.advisories import FeedSnapshot, KevEntry
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Feed
from wavemend.feeds.store.cache_lock import CacheBusy, cache_lock
from wavemend.feeds.store.compiled import Content, compile_documents
from wavemend.feeds.store.compiled_schema import CONTENT_FILE, FORMAT
from wavemend.feeds.store.snapshots_files import file_digest, flush, link, safe_name, write_whole
from wavemend.feeds.store.snapshots_history import remember
from wavemend.feeds.store.snapshots_staging import (
    CompiledFile,
    Kept,
    Manifest,
    Staging,
    Stored,
    StoredDocument,
    building,
    digests_of,
    staging,
    state_digest,
)

__all__ = [
    "FUTURE_LIMIT",
    "CacheBusy",
    "Staging",
    "Stored",
    "StoredDocument",
    "adopt",
    "cache_lock",
    "confirm",
    "keep",
    "previous_states",
    "read_current",
    "repair",
    "staging",
]

FUTURE_LIMIT = timedelta(hours=24)
"""Clocks and time zones explain a day. Accepting 2099 would make every true copy look old."""
KEPT_STATES = 3
REFRESH = "run `wavemend feeds refresh --online`, or with `--from FOLDER` instead"
_NONE_KEPT: Mapping[str, KevEntry] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """`current.json`: the state in use, when it was last confirmed, and the states before it."""

    digest: str
    checked_at: datetime
    history: tuple[str, ...] = ()


_MANIFEST = TypeAdapter(Manifest)
_POINTER = TypeAdapter(Pointer)

_verified: dict[tuple[str, int, int, int], str] = {}
"""Digests of compiled files this process has read, by path, times and size: hashing a hundred
megabytes takes a tenth of a second, and a state is never changed. The time of the inode is among
them because a program may set the other one as it likes."""
_verified_lock = threading.Lock()


def read_current(cache_dir: Path, feed: str) -> Stored | None:
    """Return the state in use, its compiled file verified; None: there is none.

    Raises FeedRejected when something is there that is not what was accepted.
    """
    stored = _read(cache_dir, feed)
    if stored is None:
        return None
    trouble = _trouble(stored)
    if trouble:
        raise FeedRejected(
            f"the stored copy of feed {feed} cannot be used: {trouble}.",
            hint=f"{REFRESH}: it is compiled again from its documents",
        )
    return stored


def _read(cache_dir: Path, feed: str) -> Stored | None:
    home = cache_dir / feed
    pointer_file = home / "current.json"
    if not pointer_file.exists():
        return None
    try:
        pointer = _POINTER.validate_json(pointer_file.read_bytes())
        stored = _read_state(home / PurePosixPath(pointer.digest).name)
    except (OSError, ValidationError, FeedRejected) as error:
        raise FeedRejected(
            f"the stored copy of feed {feed} in {home} cannot be used: {error}",
            hint=f"{REFRESH}: it is fetched again",
        ) from None
    confirmed = _in_use(stored.manifest, pointer.checked_at)
    return replace(stored, manifest=replace(stored.manifest, snapshot=confirmed))


def _in_use(manifest: Manifest, confirmed: datetime | None) -> FeedSnapshot:
    """Return what a state says of itself, with what its manifest holds elsewhere."""
    return replace(
        manifest.snapshot,
        fetched_at=confirmed,
        compiled=manifest.compiled.sha256 if manifest.compiled else "",
        kept=tuple((item.cve, item.entry) for item in manifest.kept),
    )


def _read_state(state: Path) -> Stored:
    manifest = _MANIFEST.validate_json((state / "snapshot.json").read_bytes())
    if state.name != manifest.snapshot.digest or state.name not in digests_of(manifest):
        raise FeedRejected(
            f"{state / 'snapshot.json'} is not what was accepted: its documents, or the entries "
            "that stay in force, do not give its digest."
        )
    return Stored(
        manifest=manifest, documents=_documents(state, manifest), compiled=state / CONTENT_FILE
    )


def _documents(state: Path, manifest: Manifest) -> tuple[Document, ...]:
    return tuple(
        Document(name=item.name, path=state / "documents" / safe_name(item.name))
        for item in manifest.documents
    )


def _trouble(stored: Stored) -> str:
    """Say what is wrong with a state's compiled file; empty when it is the accepted one."""
    accepted = stored.manifest.compiled
    if accepted is None or accepted.format != FORMAT:
        return "it was written by another version of wavemend"
    try:
        found = stored.compiled.stat()
    except OSError:
        return f"{stored.compiled} is missing"
    key = (str(stored.compiled), found.st_mtime_ns, found.st_ctime_ns, found.st_size)
    with _verified_lock:
        digest = _verified.get(key, "")
    if not digest and found.st_size == accepted.size:
        digest = file_digest(stored.compiled)
        with _verified_lock:
            _verified[key] = digest
    return "" if digest == accepted.sha256 else f"{stored.compiled} is not what was accepted"


def previous_states(cache_dir: Path, feed: str) -> tuple[Stored, ...]:
    """Return the states before the one in use that are still whole, the newest first."""
    home = cache_dir / feed
    found: list[Stored] = []
    with contextlib.suppress(OSError, ValidationError):
        pointer = _POINTER.validate_json((home / "current.json").read_bytes())
        for digest in pointer.history:
            with contextlib.suppress(OSError, ValidationError, FeedRejected):
                stored = _read_state(home / PurePosixPath(digest).name)
                if not _trouble(stored):
                    found.append(stored)
    return tuple(found)


def repair(cache_dir: Path, feed: Feed, *, anyhow: bool = False) -> Stored | None:
    """Compile the state in use again from its documents; None: there is none.

    For a compiled file that is damaged, missing or of another version; with `anyhow` any. Raises
    FeedRejected when the documents are not what was accepted. To be called with the cache locked.
    """
    stored = _read(cache_dir, feed.name)
    if stored is None or not (anyhow or _trouble(stored)):
        return stored
    for item, document in zip(stored.manifest.documents, stored.documents, strict=True):
        if not document.path.is_file() or file_digest(document.path) != item.sha256:
            raise FeedRejected(
                f"{document.path} is not what was accepted.",
                hint=f"{REFRESH}: it is fetched again",
            )
    fresh = stored.compiled.with_suffix(".new")
    try:
        content = compile_documents(feed, stored.documents, fresh)
        compiled = _seal(fresh)
        fresh.replace(stored.compiled)
    finally:
        fresh.unlink(missing_ok=True)
    old = stored.snapshot
    snapshot = _snapshot(feed.name, old.source, old.digest, old.fetched_at, content)
    manifest = replace(
        stored.manifest, snapshot=snapshot, compiled=compiled, schema="wavemend.feed-snapshot/2"
    )
    _write_manifest(stored.compiled.parent, manifest)
    manifest = replace(manifest, snapshot=_in_use(manifest, old.fetched_at))
    return replace(stored, manifest=manifest)


def adopt(
    cache_dir: Path,
    feed: str,
    fresh: Staging,
    content: Content,
    source: str,
    *,
    kept: Mapping[str, KevEntry] = _NONE_KEPT,
) -> FeedSnapshot:
    """Put a checked state into use, at once and completely.

    `kept` are entries of KEV that stay in force although the catalogue took them back or softened
    them. They are part of the state, and of its digest; at load the stricter value wins.
    """
    home = cache_dir / feed
    documents = tuple(sorted(fresh.stored, key=lambda item: item.name))
    tombstones = _tombstones(kept)
    digest = state_digest(documents, tombstones)
    previous, state = fresh.previous, home / digest
    if previous is not None and previous.snapshot.digest == digest:
        confirm(cache_dir, feed, digest, fresh.now, fresh)
        return replace(previous.snapshot, fetched_at=fresh.now)
    manifest = Manifest(
        snapshot=_snapshot(feed, source, digest, fresh.now, content),
        documents=documents,
        compiled=_seal(content.path),
        kept=tombstones,
    )
    for item in documents:
        flush(fresh.home / "documents" / safe_name(item.name))
    _write_manifest(fresh.home, manifest)
    _move(fresh.home, state)
    remember(home, content.data_date.date(), _documents(state, manifest))
    confirm(cache_dir, feed, digest, fresh.now)
    return _in_use(manifest, fresh.now)


def keep(cache_dir: Path, feed: str, digest: str, kept: Mapping[str, KevEntry]) -> FeedSnapshot:
    """Put a state with other tombstones into use: a person confirmed, or took back, a relaxation.

    Documents and compiled file are the same and linked. Raises FeedRejected when the state in use
    is not the one of `digest`.
    """
    home = cache_dir / feed
    stored = read_current(cache_dir, feed)
    if stored is None or stored.snapshot.digest != digest or stored.snapshot.fetched_at is None:
        raise FeedRejected(
            f"the state of feed {feed} in use is not {digest[:12]}.", hint="look at it again"
        )
    tombstones = _tombstones(kept)
    new = state_digest(stored.manifest.documents, tombstones)
    if new == digest:
        return stored.snapshot
    with building(home) as place:
        for path in (*(item.path for item in stored.documents), stored.compiled):
            target = place / path.relative_to(stored.compiled.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            link(path, target)
        snapshot = replace(stored.snapshot, digest=new)
        manifest = replace(stored.manifest, snapshot=snapshot, kept=tombstones)
        _write_manifest(place, manifest)
        _move(place, home / new)
    confirm(cache_dir, feed, new, stored.snapshot.fetched_at)
    return _in_use(manifest, stored.snapshot.fetched_at)


def confirm(
    cache_dir: Path, feed: str, digest: str, now: datetime, fresh: Staging | None = None
) -> None:
    """Name the state in use and when it was confirmed; forget states beyond the last few.

    With `fresh`, what was collected and turned out to be the same: what is needed to ask for the
    documents again (validators, times of files) is brought up to date.
    """
    home = cache_dir / feed
    if fresh is not None and fresh.previous is not None:
        _renew(home / PurePosixPath(digest).name, fresh.previous.manifest, fresh.stored)
    pointer_file = home / "current.json"
    before: tuple[str, ...] = ()
    with contextlib.suppress(OSError, ValidationError):
        old = _POINTER.validate_json(pointer_file.read_bytes())
        before = (old.digest, *old.history)
    history = tuple(dict.fromkeys(item for item in before if item != digest))
    pointer = Pointer(digest=digest, checked_at=now, history=history[: KEPT_STATES - 1])
    write_whole(pointer_file, _POINTER.dump_json(pointer, indent=1))
    for old_digest in history[KEPT_STATES - 1 :]:
        shutil.rmtree(home / PurePosixPath(old_digest).name, ignore_errors=True)


def _tombstones(kept: Mapping[str, KevEntry]) -> tuple[Kept, ...]:
    return tuple(Kept(cve=cve, entry=kept[cve]) for cve in sorted(kept))


def _move(place: Path, state: Path) -> None:
    if state.exists():
        shutil.rmtree(state)  # not in use, or it would be `previous`: left over, or damaged
    place.rename(state)


def _renew(state: Path, manifest: Manifest, stored: Sequence[StoredDocument]) -> None:
    documents = tuple(sorted(stored, key=lambda item: item.name))
    same = [(item.name, item.sha256) for item in documents]
    if documents != manifest.documents and same == [
        (item.name, item.sha256) for item in manifest.documents
    ]:
        _write_manifest(state, replace(manifest, documents=documents))


def _snapshot(
    feed: str, source: str, digest: str, fetched_at: datetime | None, content: Content
) -> FeedSnapshot:
    return FeedSnapshot(
        feed=feed,
        source=source,
        digest=digest,
        fetched_at=fetched_at,
        data_date=content.data_date,
        model=content.model,
        count=content.count,
        coverage=tuple(sorted(content.coverage.items())),
        skipped=tuple(sorted(content.skipped.items())),
        rejects=content.rejects,
        flaws=content.flaws,
        read=content.read,
    )


def _seal(path: Path) -> CompiledFile:
    """Flush a compiled file and say what it is."""
    flush(path)
    return CompiledFile(size=path.stat().st_size, sha256=file_digest(path), format=FORMAT)


def _write_manifest(state: Path, manifest: Manifest) -> None:
    # Said once: the digest stands under `compiled`, the entries under `kept`.
    bare = replace(manifest.snapshot, compiled="", kept=())
    said = replace(manifest, snapshot=bare)
    write_whole(state / "snapshot.json", _MANIFEST.dump_json(said, indent=1))
