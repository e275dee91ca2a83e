"""The JSON forms of Microsoft's CVRF documents.

Two are in use: a month as the API gives it (`Vulnerability`, numbers for types, texts as
`{"Value": …}`), and collections split into a file per CVE with the names of the XML (`fixed_build`,
`Vendor Fix`). Both are read with the same code: names are compared without case and underscores.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from wavemend.feeds import Document
from wavemend.feeds.readers.msrc_xml import Part, Record, Remedy, Sheet, first_date, line
from wavemend.feeds.reading.archives import tar_members
from wavemend.feeds.reading.documents import (
    MIB,
    as_list,
    as_object,
    moment,
    parse_json,
    read_bytes,
    reject,
)
from wavemend.feeds.reading.streams import json_pieces

MOST_SPLIT_BYTES = 16 * MIB
MOST_TOTAL_BYTES = 4096 * MIB
MOST_INDEX_BYTES = 4 * MIB
MONTH = re.compile(r"[0-9]{4}-[A-Z][a-z]{2}(?:-[A-Z])?")
"""What a month is called: `2026-Feb`."""

_LIST = "Vulnerability"
"""The API's own name; a split file is small and writes it in lower case."""
_REMEDIES = {
    0: "Workaround",
    1: "Mitigation",
    2: "Vendor Fix",
    3: "Release Notes",
    6: "Known Issue",
}
"""As the API's documents use the numbers, which is not as CVRF's standard lists them."""
_THREATS = {0: "Impact", 1: "Exploit Status", 2: "Target Set", 3: "Severity"}


def read_json(document: Document, *, most: int) -> Iterator[Part]:
    """Yield the sheet of a document and then its vulnerabilities. Raises FeedRejected.

    The file is read twice, because JSON promises no order and products must be known first.
    """
    head: dict[str, Any] = {}
    for under, key, value in json_pieces(document, most=most, under=_LIST):
        if not under and key != "DocumentNotes":
            head[str(key)] = value
    yield from _parts(head, document.name)
    for under, _, value in json_pieces(document, most=most, under=_LIST):
        if under:
            yield _record(value, document.name)


def read_archive(document: Document) -> Iterator[tuple[str, Iterator[Part]]]:
    """Yield the name and the parts of each small file in an archive of split documents."""
    for name, body in tar_members(document, most=MOST_SPLIT_BYTES, most_total=MOST_TOTAL_BYTES):
        yield name, _parts(as_object(parse_json(body, name), name), name)


def read_index(document: Document) -> tuple[tuple[str, datetime], ...]:
    """Return the months Microsoft lists and when each was last changed."""
    where = document.name
    root = as_object(parse_json(read_bytes(document, most=MOST_INDEX_BYTES), where), where)
    months: dict[str, datetime] = {}
    for item in as_list(root.get("value"), f"{where}: value"):
        month = as_object(item, where)
        name, at = month.get("ID"), moment(month.get("CurrentReleaseDate"))
        if not isinstance(name, str) or not MONTH.fullmatch(name) or at is None:
            reject(where, f"lists {name!r:.40} without a usable name or date.")
        months[name] = at
    if not months:
        reject(where, "lists no month.")
    return tuple(sorted(months.items()))


def _parts(head: Mapping[str, Any], where: str) -> Iterator[Part]:
    names = _fields(head)
    tracking = _fields(names.get("documenttracking"))
    title = _text(names.get("documenttitle"))
    if not title:
        reject(where, "is not one of Microsoft's CVRF documents: it has no title.")
    yield Sheet(
        title=title,
        initial=moment(tracking.get("initialreleasedate")),
        current=moment(tracking.get("currentreleasedate")),
        products=MappingProxyType(dict(_named(names.get("producttree")))),
    )
    for value in _items(names.get("vulnerability"), ""):
        yield _record(value, where)


def _record(value: object, where: str) -> Record:
    found = _fields(as_object(value, f"{where}: {_LIST}"))
    threats = [_fields(item) for item in _items(found.get("threats"), "threat")]
    scores = [_fields(item) for item in _items(found.get("cvssscoresets"), "scoreset")]
    revisions = [_fields(item) for item in _items(found.get("revisionhistory"), "revision")]
    return Record(
        cve=_text(found.get("cve")),
        title=_text(found.get("title")),
        published=first_date(_text(item.get("date")) for item in revisions),
        severities=MappingProxyType(
            {
                product: _text(item.get("description"))
                for item in threats
                if _kind(item, _THREATS) == "Severity"
                for product in _products(item) or ("",)
            }
        ),
        statuses=tuple(
            _text(item.get("description"))
            for item in threats
            if _kind(item, _THREATS) == "Exploit Status"
        ),
        scores=tuple(
            sorted({(_text(item.get("vector")), _text(item.get("basescore"))) for item in scores})
        ),
        remedies=tuple(
            _remedy(_fields(item)) for item in _items(found.get("remediations"), "remediation")
        ),
    )


def _remedy(item: Mapping[str, Any]) -> Remedy:
    return Remedy(
        kind=_kind(item, _REMEDIES),
        description=_text(item.get("description")),
        products=_products(item),
        build=_text(item.get("fixedbuild")),
        subtype=_text(item.get("subtype")),
        supersedes=_text(item.get("supercedence")),
        restart=_text(item.get("restartrequired")),
    )


def _fields(value: object) -> Mapping[str, Any]:
    """Return an object's values by plain names: `base_score` and `BaseScore` are `basescore`."""
    if not isinstance(value, dict):
        return {}
    return {key.replace("_", "").lower(): inner for key, inner in value.items()}


def _items(value: object, inner: str) -> list[Any]:
    """Return a list, whether it is one, or an object around one, or one element alone."""
    if isinstance(value, dict) and inner:
        value = value.get(inner)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("Value")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return line(value) if isinstance(value, str) else ""


def _kind(item: Mapping[str, Any], numbers: Mapping[int, str]) -> str:
    kind = item.get("type")
    return numbers.get(kind, str(kind)) if isinstance(kind, int) else _text(kind)


def _products(item: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_text(product) for product in _items(item.get("productid"), ""))


def _named(tree: object) -> Iterator[tuple[str, str]]:
    """Walk the product tree: names stand at its leaves, and a few only at its root."""
    if isinstance(tree, list):
        for item in tree:
            yield from _named(item)
    elif isinstance(tree, dict):
        fields = _fields(tree)
        if "productid" in fields:
            name = _text(fields.get("value")) or _text(fields.get("text"))
            yield _text(fields["productid"]), name
            return
        for inner in fields.values():
            yield from _named(inner)
