"""Find items in what a declared command printed. Pure.

What a device prints is bounded before it comes here, and a search through one line may take a
tenth of a second: a pattern that goes astray costs its host that look, not the worker.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import jmespath
import regex
from jmespath.exceptions import JMESPathError

from wavemend.declarations import Reading

_NAME = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9._+:~@/-]{0,199}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~^!@-]{0,199}")
"""No spaces, no quotes, nothing that a shell reads, and never a leading dash: both become words of
commands."""

_CVE = re.compile(r"\bCVE-[0-9]{4}-[0-9]{4,15}\b")

_SEARCH_SECONDS = 0.1
_LONGEST_LINE = 4_096
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One item as a device names it."""

    name: str
    version: str
    origin: str = ""
    cves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The items of one output, in its order, and what could not be read of it."""

    found: tuple[Row, ...]
    unread: tuple[str, ...] = ()


def can_be_words(name: str, version: str) -> bool:
    """Say whether a name and a version may become words of commands."""
    return bool(_NAME.fullmatch(name) and _VERSION.fullmatch(version))


def read_rows(reading: Reading, lines: Sequence[str], name: str = "") -> Rows:
    """Return the items in an output. `name`: the item that was asked for, where it was only one."""
    given = name or reading.name
    if reading.json:
        return _of_json(reading.json, "\n".join(lines), given)
    rows, unread = [], []
    for line in lines:
        fields, trouble = _fields_of(reading, line)
        if trouble or not fields:
            unread += [trouble] if trouble else []
            continue
        row = _row(fields, given)
        if row is None:
            unread.append(f"no name and version that can be a command's words: {_cut(line)}")
        else:
            rows.append(row)
    return Rows(found=tuple(rows), unread=tuple(unread))


NO_ROWS = Rows(found=())


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> "regex.Pattern[str]":
    return regex.compile(pattern)


def _fields_of(reading: Reading, line: str) -> tuple[Mapping[str, object], str]:
    """Return the groups of a line; nothing and no trouble for one that is to be skipped."""
    if len(line) > _LONGEST_LINE:
        return {}, f"a line of {len(line)} characters: {_cut(line)}"
    try:
        if found := _compiled(reading.lines).search(line, timeout=_SEARCH_SECONDS):
            return found.groupdict(), ""
        if reading.skip and _compiled(reading.skip).search(line, timeout=_SEARCH_SECONDS):
            return {}, ""
    except TimeoutError:
        return {}, f"the pattern took longer than {_SEARCH_SECONDS} s: {_cut(line)}"
    return {}, f"neither an item nor to be skipped: {_cut(line)}"


def _of_json(path: str, text: str, given: str) -> Rows:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return Rows(found=(), unread=(f"no JSON: {_cut(text)}",))
    try:
        answer = jmespath.search(path, told)
    except JMESPathError as error:
        return Rows(found=(), unread=(f"{path}: {_cut(str(error))}",))
    if answer is None:
        return Rows(found=(), unread=(f"{path} finds nothing in it",))
    items = answer if isinstance(answer, list) else [answer]
    rows, unread = [], []
    for item in items:
        row = _row(item, given) if isinstance(item, dict) else None
        if row is None:
            unread.append(f"no name and version in {_cut(json.dumps(item))}")
        else:
            rows.append(row)
    return Rows(found=tuple(rows), unread=tuple(unread))


def _row(fields: Mapping[str, object], given: str) -> Row | None:
    """Return an item, or nothing when its name or version could not be a word of a command."""
    name, version = fields.get("name") or given, fields.get("version")
    if not (isinstance(name, str) and isinstance(version, str)):
        return None
    if not can_be_words(name, version):
        return None
    return Row(
        name=name,
        version=version,
        origin=_text(fields.get("origin"))[:_LONGEST_SHOWN],
        cves=tuple(sorted(set(_CVE.findall(_text(fields.get("cves")))))),
    )


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(_text(item) for item in value)
    return value if isinstance(value, str) else ""


def _cut(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}...")


def doubles(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the names that are there more than once, sorted."""
    seen: set[str] = set()
    twice: set[str] = set()
    for row in rows:
        (twice if row.name in seen else seen).add(row.name)
    return tuple(sorted(twice))
