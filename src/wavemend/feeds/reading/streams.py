"""JSON documents larger than memory, read piece by piece and as strictly as small ones.

Not ijson: it keeps the last of two equal keys without a word, and a key that occurs twice is how
a damaged or forged document shows.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from wavemend.feeds import Document
from wavemend.feeds.reading.archives import open_stream
from wavemend.feeds.reading.documents import MIB, STRICT, refuse_crowds, reject

PIECE_LIMIT = 32 * MIB
"""Characters of one piece. A kernel CVE of NVD takes 100 kB; Debian's tracker 3 MB for `linux`."""
_CHUNK = 262_144
_SPACE = re.compile(r"[ \t\r\n]*")


def json_pieces(
    document: Document, *, most: int, under: str = ""
) -> Iterator[tuple[str, str | int, Any]]:
    """Yield a JSON document piece by piece.

    A list gives ("", index, value), an object ("", key, value) for each pair. With `under`, the
    value of that key is not built but taken apart: (under, index or key, element). Raises
    FeedRejected for anything that is not one whole, strict JSON document of that form.
    """
    with open_stream(document, most=most) as file:
        text = _Text(file, document.name)
        try:
            if text.take() == "[":
                yield from text.elements("")
            elif text.last == "{":
                yield from _pairs(text, under)
            else:
                text.fail("is neither a list nor an object")
            text.end()
        except RecursionError:
            reject(document.name, "is nested too deeply to be read.")


def _pairs(text: "_Text", under: str) -> Iterator[tuple[str, str | int, Any]]:
    for key in text.keys():  # noqa: SIM118 - not a mapping
        if not under or key != under:
            yield "", key, text.value()
        elif text.peek() == "[":
            text.take()
            yield from text.elements(under)
        elif text.peek() == "{":
            text.take()
            for inner in text.keys():  # noqa: SIM118
                yield under, inner, text.value()
        else:
            yield "", key, text.value()


class _Text:
    """A window on the text that moves forward; one piece must fit into it."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file = file
        self._where = where
        # A byte order mark is passed over, as by every reader of real feeds.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._buffer = ""
        self._at = 0
        self._ended = False
        self.last = ""

    def fail(self, why: str) -> NoReturn:
        """Refuse the document."""
        reject(self._where, f"is not valid JSON: {why}.")

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def take(self) -> str:
        """Return the next character that is no space and move past it."""
        self.last = self.peek()
        self._at += 1
        return self.last

    def end(self) -> None:
        """Refuse the document when anything follows."""
        if self.peek():
            self.fail("something follows its end")

    def keys(self) -> Iterator[str]:
        """Yield the keys of an object; after each one the caller reads its value."""
        seen: set[str] = set()
        if self.peek() == "}":
            self.take()
            return
        while True:
            key = self.value() if self.peek() == '"' else None
            if not isinstance(key, str) or self.take() != ":":
                self.fail("an object without a key or a colon")
            if key in seen:
                self.fail(f"key {key!r:.60} occurs twice in one object")
            seen.add(key)
            yield key
            if self.take() == "}":
                return
            if self.last != ",":
                self.fail("an object that is cut off or lacks a comma")

    def elements(self, name: str) -> Iterator[tuple[str, int, Any]]:
        """Yield the elements of a list."""
        if self.peek() == "]":
            self.take()
            return
        index = 0
        while True:
            yield name, index, self.value()
            index += 1
            if self.take() == "]":
                return
            if self.last != ",":
                self.fail("a list that is cut off or lacks a comma")

    def value(self) -> Any:
        """Return the next value, reading on until it is whole."""
        self.peek()
        while True:
            try:
                found, end = STRICT.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    self.fail(f"{error.msg} in a document that ends there or is damaged")
                continue
            except ValueError as error:
                self.fail(str(error))
            # A number at the very end may go on in the next piece of the file.
            if end == len(self._buffer) and self._more():
                continue
            self._at = end
            return found

    def _more(self) -> bool:
        """Read on. The part behind is dropped; the window at least doubles, so that a large
        piece is tried a few times and not once per chunk."""
        if self._ended:
            return False
        kept = self._buffer[self._at :]
        if len(kept) > PIECE_LIMIT:
            self.fail(f"a piece larger than {PIECE_LIMIT} characters, or damage before it")
        refuse_crowds(kept, self._where)
        size = max(_CHUNK, len(kept))
        data = self._file.read(size)
        try:
            fresh = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            self.fail(str(error))
        self._ended = not data
        self._buffer, self._at = kept + fresh, 0
        return bool(data)
