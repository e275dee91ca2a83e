"""Read YAML into plain data that remembers its lines. Nothing in a file is ever executed.

Refused, because it hides what a file says: duplicate keys, merge keys, tags, several documents,
alias bombs. Aliases themselves are fine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wavemend.inventory.problems import Place, Problem, shown

LARGEST_FILE = 5_000_000
"""Bytes; about 25,000 hosts. A larger file is not one that somebody wrote."""

_MOST_VALUES = 1_000_000
"""More values than a file of that size can hold without aliases that multiply themselves."""

_DEEPEST = 40
"""A fleet is six levels deep."""

FLEET_FORM = "wavemend.fleet/1"

_TAG = "tag:yaml.org,2002:"
_SECRET = re.compile(r"PRIVATE KEY|PuTTY-User-Key-File|AGE-SECRET-KEY-")
_TAB_INDENT = re.compile(r"^ *\t")


@dataclass(frozen=True, slots=True)
class Source:
    """A document as plain data, with the line of every place and what is wrong so far."""

    data: Any
    lines: Mapping[Place, int]
    problems: tuple[Problem, ...]
    readable: bool = True
    """False: the document as a whole cannot be read, `data` means nothing."""
    origins: Mapping[Place, str] = field(default_factory=dict)
    """Where entries stand that came in from other files."""
    complete: bool = True
    """False: hosts of other files are missing here."""

    def line(self, place: Place) -> int:
        """Return the line of a place, or of the nearest thing around it."""
        for length in range(len(place), 0, -1):
            if found := self.lines.get(place[:length]):
                return found
        return 1

    def problem(self, place: Place, what: str) -> Problem:
        """Return a problem at a place, named where it is really written."""
        for length in range(len(place), 1, -1):
            if origin := self.origins.get(place[:length]):
                return Problem(0, place[length:], what, origin=origin)
        return Problem(self.line(place), place, what)

    def where(self, place: Place) -> str:
        """Return where a place is written, for the middle of a sentence."""
        found = self.problem(place, "")
        return f"in {found.origin}" if found.origin else f"on line {found.line}"


def read_source(
    path: Path,
    *,
    form: str = FLEET_FORM,
    example: str = "examples/fleet.yaml",
    guard: bool = True,
) -> Source:
    """Read a file. Whatever is wrong with it comes back as problems; nothing is raised.

    `form` and `example` are named to whoever brings an empty file or another one. `guard`: a
    private key in it is a fault; False for other tools' files, whose values are never repeated.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        return _unreadable(0, f"cannot be read: {error.strerror}; check the path")
    return source_of(content, form=form, example=example, guard=guard)


def source_of(content: bytes, *, form: str, example: str, guard: bool = True) -> Source:
    """Read a document that is in memory already, as `read_source` reads a file."""
    if len(content) > LARGEST_FILE:
        return _unreadable(0, "is larger than 5 MB; split the fleet over several files")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _unreadable(line, "is not UTF-8 text; save the file as UTF-8")
    if guard and (secrets := _secrets(text)):
        # Nothing else is reported: other messages quote values, and the value is a secret.
        return Source(data=None, lines={}, problems=secrets, readable=False)
    return _compose(text, form, example)


def _secrets(text: str) -> tuple[Problem, ...]:
    what = (
        "a private key is written in this file; take it out, treat it as known to others, and name "
        "the new one by reference, e.g. key: file:/etc/wavemend/id_ed25519"
    )
    found = [n for n, line in enumerate(text.splitlines(), 1) if _SECRET.search(line)]
    return tuple(Problem(n, (), what) for n in found[:1])


def _compose(text: str, form: str, example: str) -> Source:
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = _DEEPEST
    # A reused anchor is plain YAML, the last one counts; a Python warning helps no operator.
    yaml.composer.warn_double_anchors = False
    try:
        node = yaml.compose(text)
    except RecursionError:
        return _unreadable(0, f"is nested deeper than {_DEEPEST} levels")
    except MarkedYAMLError as error:
        return _syntax_error(text, error)
    except YAMLError as error:
        return _unreadable(0, f"holds a character that YAML forbids: {_reason(error)}")
    if node is None:
        return _unreadable(1, f"is empty; see {example}")
    if not isinstance(node, MappingNode):
        return _unreadable(1, f"is not a mapping; it begins with: schema: {form}")
    reader = _Reader()
    data = reader.value(node, ())
    return Source(data=data, lines=reader.lines, problems=tuple(reader.problems))


def _syntax_error(text: str, error: MarkedYAMLError) -> Source:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    lines = text.splitlines()
    if line <= len(lines) and _TAB_INDENT.match(lines[line - 1]):
        return _unreadable(line, "a tab in the indentation; YAML takes spaces only")
    why = " ".join(str(error.problem or error.context or "cannot be read").split())
    if "maximum depth" in why:
        return _unreadable(line, f"is nested deeper than {_DEEPEST} levels")
    if "mapping values are not allowed" in why:
        return _unreadable(
            line, 'a second ":" in the line; put the value in quotes, as in "agent:"'
        )
    begun = error.context_mark.line + 1 if error.context_mark else line
    since = f", in what begins on line {begun}" if begun != line else ""
    return _unreadable(line, f"is not valid YAML: {why}{since}")


def _reason(error: YAMLError) -> str:
    return str(getattr(error, "reason", "unreadable")).splitlines()[0]


def _unreadable(line: int, what: str) -> Source:
    return Source(data=None, lines={}, problems=(Problem(line, (), what),), readable=False)


class _Reader:
    """Turns nodes into data, notes lines, and collects what it refuses."""

    def __init__(self) -> None:
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._values = 0

    def value(self, node: Node, place: Place) -> Any:
        self._values += 1
        line: int = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if self._values > _MOST_VALUES:
            if self._values == _MOST_VALUES + 1:
                self.problems.append(Problem(line, place, "aliases multiply beyond all measure"))
            return None
        if len(place) > _DEEPEST:
            self.problems.append(Problem(line, (), f"is nested deeper than {_DEEPEST} levels"))
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, place)
        if isinstance(node, SequenceNode):
            return self._sequence(node, place)
        return self._scalar(node, place)

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        self._refuse_tag(node, place, "map")
        data: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, ScalarNode) else None
            if key is None or key == "<<":
                what = "merge keys (<<) are not read; write the keys out" if key else "no plain key"
                self.problems.append(Problem(line, place, what))
                continue
            at = (*place, key)
            if key in data:
                first = first_lines[key]
                self.problems.append(
                    Problem(line, at, f"is here twice (first on line {first}); keep one of them")
                )
                continue
            first_lines[key] = self.lines[at] = line
            data[key] = self.value(value_node, at)
        return data

    def _sequence(self, node: SequenceNode, place: Place) -> list[Any]:
        self._refuse_tag(node, place, "seq")
        return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]

    def _scalar(self, node: Node, place: Place) -> str | int | float | bool | None:
        kind = str(node.tag).removeprefix(_TAG)
        text = str(node.value)
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() in {"true", "yes", "on", "y"}
            case "int" | "float":
                return _number(text)
            case "str" | "timestamp" | "merge" | "value":
                return text
            case _:
                self._refuse_tag(node, place, "str")
                return text

    def _refuse_tag(self, node: Node, place: Place, expected: str) -> None:
        if str(node.tag) != _TAG + expected:
            tag = str(node.tag).replace(_TAG, "!!")
            what = f"tags such as {shown(tag)} are not read; write plain values"
            self.problems.append(Problem(node.start_mark.line + 1, place, what))


def _number(text: str) -> int | float | str:
    for read in (lambda t: int(t, 10), lambda t: int(t, 0), float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
