"""`repomd.xml`, the table of contents of an RPM repository, and its XML read within bounds.

Everything else of a repository is believed only when it has the size and the checksum that
`repomd.xml` names: a mirror in the middle of a sync, or somebody's cache, shows here.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import iterparse

from wavemend.feeds import Document
from wavemend.feeds.reading.archives import open_stream
from wavemend.feeds.reading.documents import MIB, reject
from wavemend.feeds.reading.nevra import stamp

MOST_REPOMD_BYTES = MIB
"""Real ones have 2 to 20 kB."""
MOST_ELEMENT_BYTES = 32 * MIB
"""One advisory: the largest kernel ones take 1 MB. It is what must fit into memory at a time."""
MOST_DEPTH = 32
"""Elements inside elements; updateinfo has 6."""
_ZSTD = b"\x28\xb5\x2f\xfd"
_HEX = re.compile(r"[0-9a-f]+")
_WIDTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Hexadecimal digits. MD5 and SHA-1, `sha` in old repositories, prove nothing any more."""
_READ = frozenset({"updateinfo", "modules"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a repository, as `repomd.xml` names it."""

    href: str
    """Path below the repository's root."""
    checksum_kind: str
    checksum: str
    size: int | None
    """Bytes as stored; None where it is not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a repository says it holds."""

    made: datetime | None
    """When it was last built: its revision, or the newest time of its parts."""
    parts: Mapping[str, Part]
    """By type: `updateinfo`, `modules`; only those we read."""


def local_name(element: Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def text_of(element: Element, name: str) -> str:
    """Return the text of the first child of that name, or an empty text."""
    for child in element:
        if local_name(child) == name:
            return (child.text or "").strip()
    return ""


class _Window:
    """A file that refuses to be read further when one element takes too much of it."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file = file
        self._where = where
        self.since_element = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.since_element += len(data)
        if self.since_element > MOST_ELEMENT_BYTES:
            reject(self._where, f"holds an element of more than {MOST_ELEMENT_BYTES} bytes.")
        return data


def elements(document: Document, *, root: str, name: str, most: int) -> Iterator[Element]:
    """Yield the elements of that name below the root, one at a time; each is gone after its turn.

    Raises FeedRejected for damaged, too large or too deep XML, for another root, and for any
    document type or entity declaration: no real repository has one.
    """
    with open_stream(document, most=most) as file:
        _refuse_zstd(document)
        window = _Window(file, document.name)
        try:
            yield from _walk(window, document.name, root, name)
        except (ParseError, ValueError, LookupError) as error:  # defusedxml's are ValueErrors
            why = f"{type(error).__name__}: {error}"
            reject(document.name, f"is not the XML it should be ({why:.200}).")


def _walk(window: _Window, where: str, root: str, name: str) -> Iterator[Element]:
    top: Element | None = None
    depth = 0
    for event, element in iterparse(window, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            depth += 1
            if depth > MOST_DEPTH:
                reject(where, f"nests elements more than {MOST_DEPTH} deep.")
            if top is None:
                top = element
                if local_name(element) != root:
                    reject(where, f"is {local_name(element)!r:.60}, where {root!r} must be.")
            continue
        depth -= 1
        if top is not None and depth == 1 and local_name(element) == name:
            yield element
            top.clear()
            window.since_element = 0


def _refuse_zstd(document: Document) -> None:
    with document.path.open("rb") as file:
        if file.read(4) == _ZSTD:
            reject(document.name, "is compressed with zstd, which cannot be read here; " + _INSTEAD)


_INSTEAD = (
    "name a mirror that offers gz or xz, or unpack it and correct repomd.xml in a folder of yours."
)


def read_repomd(document: Document) -> Contents:
    """Read a table of contents. Raises FeedRejected when it is not one or cannot be relied on."""
    parts: dict[str, Part] = {}
    times: list[datetime] = []
    for data in elements(document, root="repomd", name="data", most=MOST_REPOMD_BYTES):
        made = stamp(text_of(data, "timestamp"))
        times += [made] if made is not None else []
        kind = data.get("type", "")
        if kind not in _READ:
            continue
        if kind in parts:
            reject(document.name, f"names {kind} twice.")
        parts[kind] = _part(data, f"{document.name}: {kind}")
    revision = _revision(document)
    return Contents(made=revision or max(times, default=None), parts=parts)


def _revision(document: Document) -> datetime | None:
    for element in elements(document, root="repomd", name="revision", most=MOST_REPOMD_BYTES):
        text = (element.text or "").strip()
        # A repository may count its revisions 1, 2, 3 as well: those are no times.
        if text.isdecimal() and int(text) > _YEAR_2000:
            return stamp(text)
    return None


_YEAR_2000 = 946_684_800


def _part(data: Element, where: str) -> Part:
    location = next((child for child in data if local_name(child) == "location"), None)
    checksum = next((child for child in data if local_name(child) == "checksum"), None)
    href = location.get("href", "") if location is not None else ""
    path = PurePosixPath(href)
    if not href or path.is_absolute() or ".." in path.parts or ":" in href or "?" in href:
        reject(where, f"has no place inside the repository: {href!r:.120}.")
    if href.endswith(".zst"):
        reject(where, "is compressed with zstd, which cannot be read here; " + _INSTEAD)
    kind = checksum.get("type", "") if checksum is not None else ""
    value = ((checksum.text or "") if checksum is not None else "").strip().lower()
    if len(value) != _WIDTHS.get(kind) or not _HEX.fullmatch(value):
        reject(where, f"has no checksum that can be relied on: {kind!r:.20} {value!r:.80}.")
    size = text_of(data, "size")
    return Part(
        href=href,
        checksum_kind=kind,
        checksum=value,
        size=int(size) if size.isascii() and size.isdecimal() else None,
    )


def mismatch(document: Document, part: Part) -> str:
    """Return why a file is not the one `repomd.xml` names; an empty text: it is."""
    size = document.path.stat().st_size
    if part.size is not None and size != part.size:
        return f"has {size} bytes where repomd.xml says {part.size}"
    with document.path.open("rb") as file:
        found = hashlib.file_digest(file, part.checksum_kind).hexdigest()
    if found != part.checksum:
        return f"has {part.checksum_kind} {found[:16]}… where repomd.xml says {part.checksum[:16]}…"
    return ""
