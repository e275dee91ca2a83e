"""Files of the store: names that stay inside, digests, links, and writes no crash can halve."""

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath

from wavemend.errors import FeedRejected
from wavemend.feeds.reading.documents import file_chunks


def link(origin: Path, target: Path) -> None:
    """Give a file a second name; a copy, with its times, where the file system cannot do that."""
    try:
        os.link(origin, target)
    except OSError:
        shutil.copy2(origin, target)


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


def write_whole(path: Path, body: bytes) -> None:
    """Write a file so that a reader, or a restart after a crash, sees the old or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(body)
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk for good."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
