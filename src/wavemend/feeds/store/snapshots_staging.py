"""A new feed state being put together, document by document, beside the one in use."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wavemend.advisories import FeedSnapshot, KevEntry
from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.reading.documents import is_full
from wavemend.feeds.store.snapshots_files import file_digest, link, safe_name

if TYPE_CHECKING:  # who only reads the copies in use needs no HTTP, and its start is shorter
    from wavemend.feeds.reading.http import HttpClient, Validators


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """One document of an accepted state, with what is needed to ask for it again."""

    name: str
    sha256: str
    size: int
    url: str = ""
    etag: str = ""
    last_modified: str = ""
    mtime_ns: int = 0
    """Of the file in an air-gapped folder it was taken from; 0: it came from an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledFile:
    """The compiled content of a state, as it was when the state was accepted."""

    size: int
    sha256: str
    format: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An entry of KEV that stays in force although the catalogue took it back or softened it."""

    cve: str
    entry: KevEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`snapshot.json`: what was accepted, which documents it consists of, and what came of them."""

    snapshot: FeedSnapshot
    documents: tuple[StoredDocument, ...]
    compiled: CompiledFile | None = None
    """None: written by a version that kept documents only; it is compiled at the next refresh."""
    kept: tuple[Kept, ...] = ()
    schema: str = "wavemend.feed-snapshot/2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The state in use: what its manifest says, and where its files are."""

    manifest: Manifest
    documents: tuple[Document, ...]
    compiled: Path

    @property
    def snapshot(self) -> FeedSnapshot:
        return self.manifest.snapshot

    @property
    def kept(self) -> Mapping[str, KevEntry]:
        """Tombstones of KEV, by CVE."""
        return {item.cve: item.entry for item in self.manifest.kept}


class KeptDamaged(FeedRejected):
    """A document taken over from the state in use is not what was accepted: fetch all anew."""


@dataclass(slots=True, kw_only=True)
class Staging:
    """A new state being put together. Implements `Downloads` for the feeds.

    What is unchanged since the state in use is linked from there: neither read nor copied. A stored
    document's time of change is upstream's (of the folder's file, Last-Modified, else `now`).
    """

    home: Path
    client: "HttpClient"
    now: datetime
    api_key: str = field(default="", repr=False)
    previous: Stored | None = None
    documents: list[Document] = field(default_factory=list)
    stored: list[StoredDocument] = field(default_factory=list)
    fetched: set[str] = field(default_factory=set)
    """Names of documents that came anew; the others are the ones in use."""
    received: int = 0
    """Bytes that came anew for this state."""
    is_anew: bool = False
    """True: nothing is taken over from the state in use."""

    @property
    def since(self) -> datetime | None:
        """The data date of the copy in use."""
        return self.previous.snapshot.data_date if self.previous else None

    @property
    def changed(self) -> bool:
        """True when these are not the documents in use: one more, one less, or another content."""
        before = self.previous.manifest.documents if self.previous else ()
        return {(item.name, item.sha256) for item in self.stored} != {
            (item.name, item.sha256) for item in before
        }

    def restart(self) -> None:
        """Forget what was collected from a source that failed half way."""
        self.documents.clear()
        self.stored.clear()
        self.fetched.clear()
        self.received = 0
        shutil.rmtree(self.home / "documents", ignore_errors=True)

    def begin_anew(self) -> None:
        """Collect everything again and take nothing over: the documents in use are damaged."""
        self.is_anew = True
        self.restart()

    def get(
        self, url: str, name: str, *, headers: Mapping[str, str] | None = None, fresh: bool = False
    ) -> Document:
        """Store what `url` answers, or link the document in use when it is unchanged."""
        from wavemend.feeds.reading.http import Validators

        known = self._known(name)
        # Validators of another address mean nothing here: a mirror has its own.
        old = known if known and known.url == url and not fresh else None
        validators = Validators(etag=old.etag, last_modified=old.last_modified) if old else None
        target = self._place(name)
        answer = self.client.download(
            url, target, validators=validators, headers=headers, taken=self.received
        )
        self.received += answer.size
        if not answer.changed and old is not None:
            return self._link(old)
        written = _written(answer.validators.last_modified) or self.now
        os.utime(target, (written.timestamp(), written.timestamp()))
        return self._keep(name, url=url, validators=answer.validators)

    def earlier(self, source: str) -> tuple[Document, ...]:
        """Return the documents in use, by name, when they came from exactly this source."""
        if self.is_anew or self.previous is None or self.previous.snapshot.source != source:
            return ()
        return tuple(sorted(self.previous.documents, key=lambda item: item.name))

    def keep(self, name: str) -> Document:
        """Carry a document of the state in use over as it is."""
        known = self._known(name)
        if known is None:
            raise FeedRejected(f"the copy in use has no document {name!r}.")
        return self._link(known)

    def discard(self, name: str) -> None:
        """Take a document of this run out again, as if it had never been asked for."""
        if name not in {item.name for item in self.stored}:
            raise FeedRejected(f"no document {name!r} was collected.")
        self._forget(name)
        self.fetched.discard(name)
        self._place(name)

    def pause(self, seconds: float) -> None:
        """Wait between two requests, as the upstream's rate limit asks."""
        self.client.sleep(seconds)

    def copy(self, source: Path, name: str) -> None:
        """Take a document from an air-gapped folder; the same size and time mean unchanged."""
        found, limits = source.stat(), self.client.limits
        if found.st_size > limits.max_bytes:
            raise FeedRejected(f"{source} is larger than {limits.max_bytes} bytes.")
        known = self._known(name)
        if known and (known.size, known.mtime_ns) == (found.st_size, found.st_mtime_ns):
            self._link(known)
            return
        self.received += found.st_size
        if self.received > limits.max_feed_bytes:
            raise FeedRejected(
                f"the documents in {source.parent} have more than {limits.max_feed_bytes} bytes "
                "together, the limit of one feed."
            )
        target = self._place(name)
        shutil.copyfile(source, target)
        os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))
        self._keep(name, mtime_ns=found.st_mtime_ns)

    def take(self, stored: StoredDocument, origin: Path) -> None:
        """Take a document that was collected before. Raises FeedRejected when it was changed."""
        target = self._place(stored.name)
        link(origin, target)
        if file_digest(target) != stored.sha256:
            raise FeedRejected(f"{origin} is not what was collected.")
        self.fetched.add(stored.name)
        self._note(stored, target)

    def verify_kept(self) -> None:
        """Raise KeptDamaged when a document taken from the state in use is not what it was."""
        for item in self.stored:
            path = self.home / "documents" / safe_name(item.name)
            if item.name not in self.fetched and file_digest(path) != item.sha256:
                raise KeptDamaged(f"{item.name} of the copy in use is not what was accepted.")

    def _known(self, name: str) -> StoredDocument | None:
        documents = self.previous.manifest.documents if self.previous else ()
        if self.is_anew:
            return None
        return next((item for item in documents if item.name == name), None)

    def _place(self, name: str) -> Path:
        target = self.home / "documents" / safe_name(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # never write into a file the state in use shares
        return target

    def _link(self, known: StoredDocument) -> Document:
        self.fetched.discard(known.name)
        if self.previous is None:
            raise AssertionError("unreachable: what is known is known from the state in use")
        target = self._place(known.name)
        origin = next(item for item in self.previous.documents if item.name == known.name)
        link(origin.path, target)
        return self._note(known, target)

    def _keep(
        self,
        name: str,
        *,
        url: str = "",
        validators: "Validators | None" = None,
        mtime_ns: int = 0,
    ) -> Document:
        target = self.home / "documents" / safe_name(name)
        self.fetched.add(name)
        stored = StoredDocument(
            name=name,
            sha256=file_digest(target),
            size=target.stat().st_size,
            url=url,
            etag=validators.etag if validators else "",
            last_modified=validators.last_modified if validators else "",
            mtime_ns=mtime_ns,
        )
        return self._note(stored, target)

    def _note(self, stored: StoredDocument, path: Path) -> Document:
        document = Document(name=stored.name, path=path)
        self._forget(stored.name)  # asked for twice: the later answer is the one on the disk
        self.documents.append(document)
        self.stored.append(stored)
        return document

    def _forget(self, name: str) -> None:
        self.documents = [item for item in self.documents if item.name != name]
        self.stored = [item for item in self.stored if item.name != name]


def _written(last_modified: str) -> datetime | None:
    """Return when the server says a document was written: some have no other date of their own."""
    try:
        found = parsedate_to_datetime(last_modified)
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@contextlib.contextmanager
def staging(
    cache_dir: Path,
    feed: str,
    client: "HttpClient",
    previous: Stored | None,
    *,
    now: datetime,
    api_key: str = "",
) -> Iterator[Staging]:
    """Give a place for a new state; what was not adopted is removed."""
    with building(cache_dir / feed) as place:
        yield Staging(home=place, client=client, now=now, api_key=api_key, previous=previous)


@contextlib.contextmanager
def building(home: Path) -> Iterator[Path]:
    """Give a folder to build a state in; what is still there at the end is removed.

    What an earlier process left when it died is removed too: only the holder of the cache's lock
    builds states. Raises FeedError for what the file system refuses meanwhile.
    """
    place: Path | None = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        for left in sorted(home.glob(".new-*")):
            shutil.rmtree(left, ignore_errors=True)
        place = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
        yield place
    except OSError as error:
        raise FeedError(
            f"a new state of feed {home.name} cannot be stored in {home}: "
            f"{'there is no room left, ' if is_full(error) else ''}{error}.",
            hint="is the disk full, or the folder not ours? The last good copy stays in use",
        ) from None
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def state_digest(documents: Sequence[StoredDocument], kept: Sequence[Kept]) -> str:
    """Return the SHA-256 over what a state consists of: its documents, and what it keeps."""
    lines = [f"{item.sha256} {item.name}" for item in documents]
    for item in kept:
        entry = item.entry
        lines.append(f"kept {item.cve} {entry.date_added} {entry.due_date} {entry.ransomware}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def digests_of(manifest: Manifest) -> set[str]:
    """Return the digests a manifest may have. Version 0.1 took the lines in the order of names."""
    found = {state_digest(manifest.documents, manifest.kept)}
    if not manifest.kept:
        lines = "\n".join(f"{item.sha256} {item.name}" for item in manifest.documents)
        found.add(hashlib.sha256(lines.encode()).hexdigest())
    return found
