"""Counting what a feed gave: everything as a number, the first of it in words."""

from dataclasses import dataclass, field
from typing import Any

from wavemend.advisories import Reject
from wavemend.feeds.store.compiled_schema import clean

Row = tuple[Any, ...]

MOST_TEXTS = 2_000
"""Rejects, and flaws, that are kept with their text; all are counted. Two in a hundred of the
largest feed's entries would be 7,000: by then it is refused, and nobody reads more than a few."""
_REMEMBERED = 50_000
"""Assessments, terms and records that are recognised when they come again. Forgetting one costs
a few bytes in the file, nothing else."""


@dataclass(slots=True)
class Said:
    """Rejects or flaws: the first ones in words, all of them as a number."""

    count: int = 0
    texts: list[Reject] = field(default_factory=list)

    def add(self, where: str, reason: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.texts) < MOST_TEXTS:
            self.texts.append(Reject(where=clean(where), reason=clean(reason)))

    @property
    def listed(self) -> tuple[Reject, ...]:
        """The texts, with a last line that says how many more there are."""
        more = self.count - len(self.texts)
        rest = (Reject(where="", reason=f"{more} more are counted and not listed"),) if more else ()
        return (*self.texts, *rest)


class Numbers:
    """Numbers for rows that come again and again; bounded, the oldest is forgotten first."""

    __slots__ = ("_known", "_next")

    def __init__(self) -> None:
        self._known: dict[Row, int] = {}
        self._next = 1

    def of(self, row: Row) -> tuple[int, bool]:
        """Return the number of a row and whether it is new."""
        number = self._known.get(row)
        if number is not None:
            return number, False
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        number, self._next = self._next, self._next + 1
        self._known[row] = number
        return number, True
