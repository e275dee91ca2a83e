"""Compressed documents and tar archives, read as streams: bounded, and never written to disk."""

import io
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from wavemend.errors import FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.reading.documents import (
    LAYERS,
    MOST_MEMBERS,
    file_chunks,
    is_html,
    packing_of,
    reject,
    unpacked,
)

_HEAD = 512
_HEADER_LIMIT = 65_536


class _Pieces(io.RawIOBase):
    """A stream over pieces of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer with what is there; 0 at the end."""
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def open_stream(document: Document, *, most: int) -> BinaryIO:
    """Return a document's bytes, decompressed while they are read, at most `most`.

    Reading raises FeedRejected for what is damaged, too large, empty or a web page.
    """
    return io.BufferedReader(_Pieces(_plain(document, most)))


def _plain(document: Document, most: int) -> Iterator[bytes]:
    pieces = file_chunks(document.path)
    for _ in range(LAYERS):
        head, pieces = _peek(pieces)
        packing = packing_of(head)
        if packing is None:
            break
        pieces = unpacked(pieces, packing, most=most, where=document.name)
    head, pieces = _peek(pieces)
    if is_html(head):
        reject(document.name, "is a web page, not the feed: a login or block page came instead.")
    if not head.strip():
        reject(document.name, "is empty.")
    given = 0
    for piece in pieces:
        given += len(piece)
        if given > most:
            reject(document.name, f"is larger than {most} bytes.")
        yield piece


def _peek(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, and all pieces again."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _HEAD:
            break
    head = b"".join(held)

    def again() -> Iterator[bytes]:
        yield from held
        yield from pieces

    return head, again()


class _Entry(tarfile.TarInfo):
    """An entry whose long name or extended header cannot fill the memory: tarfile reads it whole.

    Of `@LongLink` entries of 1 GiB that compress 150 times the ratio limit sees nothing.
    """

    def _proc_gnulong(self, archive: tarfile.TarFile) -> Any:
        self._refuse_long()
        return super()._proc_gnulong(archive)  # type: ignore[misc]

    def _proc_pax(self, archive: tarfile.TarFile) -> Any:
        self._refuse_long()
        return super()._proc_pax(archive)  # type: ignore[misc]

    def _refuse_long(self) -> None:
        if self.size > _HEADER_LIMIT:
            reject("tar archive", f"holds a name or header of {self.size} bytes.")


def open_tar(document: Document, *, most: int) -> tarfile.TarFile:
    """Open a tar archive as a stream, decompressed as it is read, at most `most` bytes."""
    return tarfile.open(fileobj=open_stream(document, most=most), mode="r|", tarinfo=_Entry)


def tar_members(
    document: Document, *, most: int, most_total: int, endings: tuple[str, ...] = (".json",)
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a tar archive that end so, in the archive's order, each bounded.

    Links, devices and folders are passed over: nothing is ever unpacked to disk.
    """
    try:
        with open_tar(document, most=most_total) as archive:
            for number, item in enumerate(archive):
                if number > MOST_MEMBERS:
                    reject(document.name, f"holds more than {MOST_MEMBERS} files.")
                if not item.isfile() or not item.name.endswith(endings):
                    continue
                where = f"{document.name}/{item.name}"
                if item.size > most:
                    reject(where, f"is larger than {most} bytes.")
                file = archive.extractfile(item)
                body = file.read() if file is not None else b""
                if len(body) != item.size:
                    reject(where, "ends too early: the archive was cut off.")
                yield where, body
                # Or the archive keeps a record of every file. typeshed does not know it.
                archive.members.clear()  # type: ignore[attr-defined]
    except FeedRejected:
        raise
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        reject(document.name, f"is not a whole tar archive: {error}.")
