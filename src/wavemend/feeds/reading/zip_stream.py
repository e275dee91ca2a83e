"""Zip archives read from front to back, in the memory of one file.

`zipfile` reads the index at the end first and keeps 800 bytes per file: for the CVE list's 350,000
that is 280 MB, and a zip inside a zip must be copied to disk. The index is only counted here.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from wavemend.feeds.reading.documents import RATIO_FREE_BYTES, RATIO_LIMIT, reject

_LOCAL = struct.Struct("<2x4H3I2H")
"""After the mark: the version is passed over, then as in `_Header`."""
_FILE, _INDEX, _END, _END_64, _AFTER = (
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x07\x08",
)
_ENCRYPTED, _SIZES_AFTER = 1, 8
_STORED, _DEFLATED = 0, 8
_CHUNK = 65_536
_TAIL_BYTES = 70_000
"""The record at the very end, with the longest comment there can be."""


class _Bytes:
    """A stream of which some can be put back."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file = file
        self._where = where
        self._held = b""

    def some(self) -> bytes:
        """Return what is there; empty at the end."""
        if self._held:
            held, self._held = self._held, b""
            return held
        return self._file.read(_CHUNK)

    def exactly(self, size: int) -> bytes:
        """Return so many bytes, or refuse the document."""
        parts = bytearray()
        while len(parts) < size:
            part = self.some()
            if not part:
                reject(self._where, "is not a whole zip file: it was cut off.")
            parts += part
        self.put_back(bytes(parts[size:]))
        return bytes(parts[:size])

    def put_back(self, rest: bytes) -> None:
        """Return bytes to the front."""
        self._held = rest + self._held


class _Header(NamedTuple):
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    name_length: int
    extra_length: int


def zip_stream(
    file: BinaryIO, where: str, *, most: int, most_total: int
) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON files of a zip, in its own order, each and all together bounded.

    Raises FeedRejected for what is damaged, cut off, encrypted or too large.
    """
    data = _Bytes(file, where)
    count = total = 0
    while (mark := data.exactly(4)) == _FILE:
        header = _Header._make(_LOCAL.unpack(data.exactly(_LOCAL.size)))
        name = data.exactly(header.name_length).decode("utf-8", "replace")
        data.exactly(header.extra_length)
        place = f"{where}/{name}"
        body = _body(data, header, place, most)
        count, total = count + 1, total + len(body)
        if total > most_total:
            reject(where, f"decompresses to more than {most_total} bytes.")
        if name.endswith(".json"):
            yield place, body
    if mark not in {_INDEX, _END, _END_64}:
        reject(where, "is not a whole zip file: something else is between its files.")
    data.put_back(mark)
    _check_end(data, where, count)


def _body(data: _Bytes, header: _Header, place: str, most: int) -> bytes:
    if header.flags & _ENCRYPTED:
        reject(place, "is encrypted.")
    if header.method == _DEFLATED:
        body, packed = _inflated(data, place, most)
    elif header.method == _STORED and (place.endswith("/") or not header.flags & _SIZES_AFTER):
        if header.size > most:
            reject(place, f"is larger than {most} bytes.")
        body, packed = data.exactly(header.size), header.size
    else:
        reject(place, f"is packed in a way ({header.method}) that is not read here.")
    if len(body) > RATIO_FREE_BYTES and len(body) > RATIO_LIMIT * packed:
        reject(place, f"decompresses more than {RATIO_LIMIT} times: a zip bomb.")
    crc, size = header.crc, header.size
    if header.flags & _SIZES_AFTER:
        crc, size = _sizes_after(data, len(body))
    if zlib.crc32(body) != crc or len(body) != size:
        reject(place, "is damaged: its checksum or size is not the announced one.")
    return body


def _inflated(data: _Bytes, place: str, most: int) -> tuple[bytes, int]:
    engine = zlib.decompressobj(wbits=-15)
    body = bytearray()
    packed = 0
    while not engine.eof:
        part = engine.unconsumed_tail or data.some()
        if not part:
            reject(place, "is not a whole zip file: it was cut off.")
        try:
            body += engine.decompress(part, most + 1 - len(body))
        except zlib.error as error:
            reject(place, f"is damaged ({error}).")
        if len(body) > most:
            reject(place, f"decompresses to more than {most} bytes.")
        packed += len(part) - len(engine.unused_data) - len(engine.unconsumed_tail)
    data.put_back(engine.unused_data)
    return bytes(body), packed


def _sizes_after(data: _Bytes, size: int) -> tuple[int, int]:
    """Read what a writer that could not go back put behind a file: with or without a mark."""
    first = data.exactly(4)
    crc = data.exactly(4) if first == _AFTER else first
    _, announced = struct.unpack("<2I", data.exactly(8))
    if announced != size:  # eight bytes each: what was read is the packed size alone
        (announced,) = struct.unpack("<Q", data.exactly(8))
    return int.from_bytes(crc, "little"), announced


def _check_end(data: _Bytes, where: str, count: int) -> None:
    """Refuse an archive whose last record is missing or knows of other files."""
    tail = b""
    while part := data.some():
        tail = (tail + part)[-_TAIL_BYTES:]
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        reject(where, "is not a whole zip file: it was cut off.")
    (announced,) = struct.unpack_from("<H", tail, end + 10)
    large = tail.rfind(_END_64, 0, end)
    if announced == 0xFFFF and 0 <= large <= len(tail) - 40:
        (announced,) = struct.unpack_from("<Q", tail, large + 32)
    if announced != count:
        reject(where, f"says it has {announced} files and has {count}.")
