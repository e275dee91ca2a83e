"""The store of accepted feed states: all of a feed or nothing, and the last good copy stays.

Layout: `<cache>/<feed>/<digest>/` holds the documents and `snapshot.json`; beside it `current.json`
names the digest in use. A new state is written beside the old one, flushed, and then named: a
process that dies in between leaves the old state in use.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from wavemend.advisories import FeedSnapshot
from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import Content, Document
from wavemend.feeds.documents import file_chunks
from wavemend.feeds.http import HttpClient, Validators

LOSS_LIMIT = 0.02
"""A feed that lost more than this share of its entries, or of a field, is damaged until shown fine.
KEV lost 11 of its entries in 449 days; EPSS one in a day."""
REJECT_LIMIT = 0.02
"""More unreadable entries than this, and it is the format that changed, not an entry."""
FUTURE_LIMIT = timedelta(hours=24)
"""Clocks and time zones explain a day. Accepting 2099 would make every true copy look old."""
KEPT_STATES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """One document of an accepted state, with what is needed to ask for it again."""

    name: str
    sha256: str
    size: int
    url: str = ""
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`snapshot.json`: what was accepted, and which documents it consists of."""

    snapshot: FeedSnapshot
    documents: tuple[StoredDocument, ...]
    schema: str = "wavemend.feed-snapshot/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """`current.json`: the state in use, when it was last confirmed, and the states before it."""

    digest: str
    checked_at: datetime
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The state in use, read from disk and verified."""

    manifest: Manifest
    documents: tuple[Document, ...]

    @property
    def snapshot(self) -> FeedSnapshot:
        return self.manifest.snapshot


_MANIFEST = TypeAdapter(Manifest)
_POINTER = TypeAdapter(Pointer)


def read_current(cache_dir: Path, feed: str) -> Stored | None:
    """Return the state in use, its documents verified against their digests; None: there is none.

    Raises FeedRejected when something is there that is not what was accepted.
    """
    home = cache_dir / feed
    pointer_file = home / "current.json"
    if not pointer_file.exists():
        return None
    try:
        pointer = _POINTER.validate_json(pointer_file.read_bytes())
        state = home / PurePosixPath(pointer.digest).name
        manifest = _MANIFEST.validate_json((state / "snapshot.json").read_bytes())
        documents = tuple(
            Document(name=item.name, path=state / "documents" / safe_name(item.name))
            for item in manifest.documents
        )
        for item, document in zip(manifest.documents, documents, strict=True):
            if file_digest(document.path) != item.sha256:
                raise FeedRejected(f"{document.path} is not what was accepted.")  # noqa: TRY301
    except (OSError, ValidationError, FeedRejected) as error:
        raise FeedRejected(
            f"the stored copy of feed {feed} in {home} cannot be used: {error}",
            hint="delete that folder and run `wavemend feeds refresh`",
        ) from None
    confirmed = replace(manifest.snapshot, fetched_at=pointer.checked_at)
    return Stored(manifest=replace(manifest, snapshot=confirmed), documents=documents)


@dataclass(slots=True, kw_only=True)
class Staging:
    """A new state being put together. Implements `Downloads` for the feeds."""

    home: Path
    client: HttpClient
    now: datetime
    api_key: str = field(default="", repr=False)
    previous: Stored | None = None
    documents: list[Document] = field(default_factory=list)
    stored: list[StoredDocument] = field(default_factory=list)
    changed: bool = False

    def get(
        self, url: str, name: str, *, headers: Mapping[str, str] | None = None, fresh: bool = False
    ) -> Document:
        """Store what `url` answers, or a copy of the document in use when it is unchanged."""
        target = self._place(name)
        old = None if fresh else self._known(url, name)
        validators = Validators(etag=old.etag, last_modified=old.last_modified) if old else None
        answer = self.client.download(url, target, validators=validators, headers=headers)
        if not answer.changed and self.previous is not None:
            by_name = {document.name: document for document in self.previous.documents}
            shutil.copyfile(by_name[name].path, target)
        self.changed = self.changed or answer.changed
        return self._keep(name, target, url, answer.validators)

    def pause(self, seconds: float) -> None:
        """Wait between two requests, as the upstream's rate limit asks."""
        self.client.sleep(seconds)

    def copy(self, source: Path, name: str) -> None:
        """Take a document from an air-gapped folder."""
        target = self._place(name)
        size = source.stat().st_size
        if size > self.client.limits.max_bytes:
            raise FeedRejected(f"{source} is larger than {self.client.limits.max_bytes} bytes.")
        shutil.copyfile(source, target)
        self.changed = True
        self._keep(name, target, "", Validators())

    def _known(self, url: str, name: str) -> StoredDocument | None:
        if self.previous is None:
            return None
        found = [item for item in self.previous.manifest.documents if item.name == name]
        # Validators of another address mean nothing here: a mirror has its own.
        return found[0] if found and found[0].url == url else None

    def _place(self, name: str) -> Path:
        target = self.home / "documents" / safe_name(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _keep(self, name: str, target: Path, url: str, validators: Validators) -> Document:
        document = Document(name=name, path=target)
        self.documents.append(document)
        self.stored.append(
            StoredDocument(
                name=name,
                sha256=file_digest(target),
                size=target.stat().st_size,
                url=url,
                etag=validators.etag,
                last_modified=validators.last_modified,
            )
        )
        return document


@contextlib.contextmanager
def staging(
    cache_dir: Path,
    feed: str,
    client: HttpClient,
    previous: Stored | None,
    *,
    now: datetime,
    api_key: str = "",
) -> Iterator[Staging]:
    """Give a place for a new state; what was not adopted is removed."""
    home = cache_dir / feed
    home.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
    try:
        yield Staging(home=place, client=client, now=now, api_key=api_key, previous=previous)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def cache_lock(cache_dir: Path) -> Iterator[None]:
    """Let one refresh at a time work on a cache. Raises FeedError when another one does."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FeedError(
                f"another refresh is working on {cache_dir}.", hint="wait for it to end"
            ) from None
        yield


def refusal(previous: FeedSnapshot | None, content: Content, now: datetime) -> str:
    """Say why a parsed feed must not replace what is in use; empty when it may. Pure."""
    if content.data_date > now + FUTURE_LIMIT:
        return f"it is dated {content.data_date:%F %H:%MZ}, in the future"
    if len(content.rejects) > REJECT_LIMIT * (content.count + len(content.rejects)):
        first = content.rejects[0]
        return (
            f"{len(content.rejects)} of its entries cannot be read, the first: "
            f"{first.where}: {first.reason}"
        )
    if content.count == 0:
        return "it is empty, and an empty feed is not a world without vulnerabilities"
    if previous is None:
        return ""
    if previous.data_date is not None and content.data_date < previous.data_date:
        return (
            f"it is of {content.data_date:%F %H:%MZ}, older than the copy in use "
            f"({previous.data_date:%F %H:%MZ})"
        )
    return _loss(previous, content)


def _loss(previous: FeedSnapshot, content: Content) -> str:
    if content.count < previous.count * (1 - LOSS_LIMIT):
        return f"it shrank from {previous.count} to {content.count} entries"
    for name, before in previous.coverage:
        after = content.coverage.get(name, 0)
        if after < before * (1 - LOSS_LIMIT):
            return f"only {after} entries carry {name!r}; in the copy in use {before} do"
    return ""


def adopt(
    cache_dir: Path, feed: str, fresh: Staging, content: Content, source: str
) -> FeedSnapshot:
    """Put a checked state into use, at once and completely."""
    home = cache_dir / feed
    documents = tuple(sorted(fresh.stored, key=lambda item: item.name))
    lines = "\n".join(f"{item.sha256} {item.name}" for item in documents)
    digest = hashlib.sha256(lines.encode()).hexdigest()
    if fresh.previous is not None and fresh.previous.snapshot.digest == digest:
        confirm(cache_dir, feed, digest, fresh.now)
        return replace(fresh.previous.snapshot, fetched_at=fresh.now)
    snapshot = FeedSnapshot(
        feed=feed,
        source=source,
        digest=digest,
        fetched_at=fresh.now,
        data_date=content.data_date,
        model=content.model,
        count=content.count,
        coverage=tuple(sorted(content.coverage.items())),
        skipped=tuple(sorted(content.skipped.items())),
        rejects=content.rejects,
    )
    manifest = _MANIFEST.dump_json(Manifest(snapshot=snapshot, documents=documents), indent=1)
    _write(fresh.home / "snapshot.json", manifest)
    for item in documents:
        _flush(fresh.home / "documents" / item.name)
    state = home / digest
    if state.exists():
        shutil.rmtree(state)  # not in use, or it would be `previous`: left over, or damaged
    fresh.home.rename(state)
    confirm(cache_dir, feed, digest, fresh.now)
    return snapshot


def confirm(cache_dir: Path, feed: str, digest: str, now: datetime) -> None:
    """Name the state in use and when it was confirmed; forget states beyond the last few."""
    home = cache_dir / feed
    pointer_file = home / "current.json"
    before: tuple[str, ...] = ()
    with contextlib.suppress(OSError, ValidationError):
        old = _POINTER.validate_json(pointer_file.read_bytes())
        before = (old.digest, *old.history)
    history = tuple(dict.fromkeys(item for item in before if item != digest))
    pointer = Pointer(digest=digest, checked_at=now, history=history[: KEPT_STATES - 1])
    temporary = home / ".current.json.new"
    _write(temporary, _POINTER.dump_json(pointer, indent=1))
    temporary.replace(pointer_file)
    _flush(home)
    for old_digest in history[KEPT_STATES - 1 :]:
        shutil.rmtree(home / PurePosixPath(old_digest).name, ignore_errors=True)


def safe_name(name: str) -> PurePosixPath:
    """Return a document's name as a relative path that stays inside its snapshot."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or any(part == ".." for part in path.parts):
        raise FeedRejected(f"{name!r} is not a name for a document.")
    return path


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    for chunk in file_chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _write(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
