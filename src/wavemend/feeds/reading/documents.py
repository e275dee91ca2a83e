"""Reading documents that somebody else wrote: bounded, strict, and with one kind of error.

Everything here raises FeedRejected and nothing else, whatever the bytes are. The standard JSON
reader alone would let pass NaN, 1e999 and keys that occur twice, and would fail on deep nesting
with an error that is not a ValueError.
"""

import bz2
import errno
import json
import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NoReturn, Protocol

from wavemend.errors import FeedRejected
from wavemend.feeds import Document

CVE_PATTERN = r"CVE-[0-9]{4}-[0-9]{4,19}"
"""Six digits and more are in use; KEV's own schema allows 19."""
CVE_ID = re.compile(CVE_PATTERN)

MIB = 1_048_576
RATIO_LIMIT = 200
"""For gzip and zip. Real feeds compress 4 to 20 times; a bomb of 194 kB made 200 MB: 1,028."""
RATIO_FREE_BYTES = 4 * MIB
"""The ratio is judged only above this: a few repeated lines compress well and harm nobody."""
MOST_MEMBERS = 1_000_000
"""Debian's dump of 2026-06 has 59,345 files."""
LAYERS = 2
"""A .gz file that was also sent gzip-encoded. More layers than that nobody sends in earnest."""
_CHUNK = 262_144


def reject(where: str, why: str) -> NoReturn:
    """Refuse a document, naming it and the reason."""
    raise FeedRejected(
        f"{where}: {why}",
        hint="the last good copy stays in use; look at the document or at the address it came from",
    )


def is_full(error: BaseException) -> bool:
    """Say whether it is our own disk that has no room, or none for a file of that size."""
    no_room = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    return isinstance(error, OSError) and error.errno in no_room


def is_html(head: bytes) -> bool:
    """Say whether a document is a web page: a login form or a block page sent with status 200."""
    start = head[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


class _Engine(Protocol):
    """What gzip, bzip2 and xz decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Packing:
    """One way of compressing: how it is told apart, and how far it squeezes in earnest."""

    name: str
    magic: bytes
    ratio: int
    """Real documents reach 286 times with xz (MSRC's repeat whole paragraphs), 20 with gzip."""
    engine: Callable[[], _Engine]


class _Gzip:
    """zlib's own form differs: it hands back what it did not look at, the others keep it."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=31)
        self._rest = b""

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        out = self._engine.decompress(self._rest + data, max_length)
        self._rest = self._engine.unconsumed_tail
        return out


_XZ_MEMORY = 128 * MIB
PACKINGS = (
    Packing("gzip", b"\x1f\x8b", RATIO_LIMIT, _Gzip),
    Packing("bzip2", b"BZh", 1_000, bz2.BZ2Decompressor),
    Packing("xz", b"\xfd7zXZ\x00", 1_000, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
)


def packing_of(head: bytes) -> Packing | None:
    """Return how a document is compressed, by its first bytes; None: it is not."""
    return next((item for item in PACKINGS if head.startswith(item.magic)), None)


def unpacked(
    chunks: Iterator[bytes], packing: Packing, *, most: int, where: str
) -> Iterator[bytes]:
    """Yield the decompressed bytes, at most `most`, and not squeezed more than is plausible."""
    engine = packing.engine()
    taken = given = 0
    for chunk in chunks:
        taken += len(chunk)
        data = chunk
        while data or not engine.eof:
            if engine.eof:  # a further member: `cat a.gz b.gz` is a valid file
                engine = packing.engine()
            try:
                out = engine.decompress(data, _CHUNK)
            except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                reject(where, f"damaged {packing.name} data ({error}).")
            data = engine.unused_data if engine.eof else b""
            given += len(out)
            if given > most:
                reject(where, f"decompresses to more than {most} bytes.")
            if given > RATIO_FREE_BYTES and given > packing.ratio * taken:
                reject(where, f"decompresses more than {packing.ratio} times: a bomb.")
            if out:
                yield out
            elif not data:
                break
    if not engine.eof:
        reject(where, f"the {packing.name} data ends too early: the file was cut off.")


def file_chunks(path: Path) -> Iterator[bytes]:
    """Yield a file piece by piece."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def read_bytes(document: Document, *, most: int) -> bytes:
    """Return a document's content, decompressed where it is compressed, at most `most` bytes."""
    size = document.path.stat().st_size
    if size > most:
        reject(document.name, f"is larger than {most} bytes.")
    body = b"".join(file_chunks(document.path))
    for _ in range(LAYERS):
        packing = packing_of(body)
        if packing is None:
            break
        body = b"".join(unpacked(iter((body,)), packing, most=most, where=document.name))
    if is_html(body):
        reject(document.name, "is a web page, not the feed: a login or block page came instead.")
    if not body.strip():
        reject(document.name, "is empty.")
    return body


def zip_members(document: Document, *, most: int, most_total: int) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON files of a zip, each and all together bounded, in order of name."""
    total = 0
    try:
        with zipfile.ZipFile(document.path) as archive:
            members = [item for item in archive.infolist() if item.filename.endswith(".json")]
            if len(members) > MOST_MEMBERS:
                reject(document.name, f"holds more than {MOST_MEMBERS} files.")
            for item in sorted(members, key=lambda item: item.filename):
                where = f"{document.name}/{item.filename}"
                total += item.file_size
                if item.file_size > most or total > most_total:
                    reject(where, "decompresses to more than allowed.")
                squeezed = item.file_size > RATIO_LIMIT * max(item.compress_size, 1)
                if item.file_size > RATIO_FREE_BYTES and squeezed:
                    reject(where, f"decompresses more than {RATIO_LIMIT} times: a zip bomb.")
                # zipfile itself stops at the announced size and checks the checksum.
                yield where, archive.read(item)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        reject(document.name, f"is not a whole zip file: {error}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"key {twice[0]!r} occurs twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large for a number")
    return number


STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)
"""Finite numbers and unique keys only."""


MOST_VALUES = 1_000_000
"""In one document or piece. KEV of 2026 has 60,000. Thirty megabytes of `[],[],…` are ten million
values and a gigabyte of memory."""


def refuse_crowds(text: bytes | str, where: str) -> None:
    """Refuse text that holds more values than can be built in bounded memory.

    Signs inside texts are counted too, which only makes it stricter.
    """
    if isinstance(text, bytes):
        values = text.count(b",") + text.count(b"[") + text.count(b"{")
    else:
        values = text.count(",") + text.count("[") + text.count("{")
    if values > MOST_VALUES:
        reject(where, f"holds more than {MOST_VALUES} values.")


def parse_json(body: bytes, where: str) -> Any:
    """Return the value of a JSON document; finite numbers and unique keys only."""
    refuse_crowds(body, where)
    try:
        return STRICT.decode(body.decode(json.detect_encoding(body)).removeprefix("\ufeff"))
    except RecursionError:
        reject(where, "is nested too deeply to be read.")
    except ValueError as error:  # also JSONDecodeError and UnicodeDecodeError
        reject(where, f"is not valid JSON: {error}.")


def as_object(value: object, where: str) -> Mapping[str, Any]:
    """Return the value as a JSON object, or refuse the document."""
    if not isinstance(value, dict):
        reject(where, f"holds {type(value).__name__} where an object must be.")
    return value


def as_list(value: object, where: str) -> list[Any]:
    """Return the value as a JSON array, or refuse the document."""
    if not isinstance(value, list):
        reject(where, f"holds {type(value).__name__} where a list must be.")
    return value


def as_int(value: object, where: str) -> int:
    """Return the value as a whole number of at least 0, or refuse the document."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        reject(where, f"holds {value!r:.40} where a count must be.")
    return value


def as_text(value: object) -> str:
    """Return a text, or an empty one for anything else: texts explain, they never decide."""
    return value if isinstance(value, str) else ""


def moment(text: object) -> datetime | None:
    """Return an ISO 8601 time as UTC; without an offset it is UTC already. None: not a time."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(_at_most_microseconds(text))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def day(text: object) -> date | None:
    """Return an ISO 8601 date, or None."""
    if not isinstance(text, str):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _at_most_microseconds(text: str) -> str:
    """Feeds write up to nine digits of a second; Python reads three or six."""
    return re.sub(r"(\.[0-9]{1,6})[0-9]*", lambda hit: hit.group(1).ljust(7, "0"), text)


def first_words(text: str, length: int = 240) -> str:
    """Return one line of a description, for lists. Raw feed text: escape it where it is shown."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"
