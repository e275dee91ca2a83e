"""What is wrong with a fleet file: one problem, one line, one place, one way out."""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wavemend.errors import FleetError

Place = tuple[str | int, ...]
"""Where in the document, e.g. `("hosts", 3, "port")`."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of the file. Lines count from 1; 0: the file as a whole, or another file."""

    line: int
    place: Place
    what: str
    origin: str = ""
    """Where it stands in another file: `hosts.csv:4, column port`; `place` goes on from there."""

    def __str__(self) -> str:
        return f"{dotted(self.place)}: {self.what}" if self.place else self.what


def dotted(place: Place) -> str:
    """Return a place as people write it, e.g. `hosts[3].labels.ring`; list items count from 0."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: object) -> str:
    """Return a value in quotes, cut short, on one line whatever it holds."""
    text = str(value)
    return json.dumps(text if len(text) <= 60 else f"{text[:57]}...", ensure_ascii=False)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the way out for a mistyped name: the nearest known one, or all of them if few."""
    names = sorted(set(known))
    if near := difflib.get_close_matches(word, names, n=1):
        return f"did you mean {shown(near[0])}?"
    if not names:
        return "none is declared"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"known: {', '.join(names[:12])}{more}"


def raise_if_any(path: str, problems: Sequence[Problem]) -> None:
    """Raise one FleetError with a line `path:line: place: what` for every problem, if any."""
    if not problems:
        return
    ordered = sorted(
        set(problems), key=lambda problem: (problem.origin, problem.line, str(problem))
    )
    raise FleetError("\n".join(f"{_head(path, problem)}: {problem}" for problem in ordered))


def _head(path: str, problem: Problem) -> str:
    return problem.origin or (f"{path}:{problem.line}" if problem.line else path)
