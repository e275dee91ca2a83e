"""What was known of every CVE on any day of the past. Pure: columns in, columns out.

A day is a whole number as `date.toordinal` counts. Whatever has a day of its own (a score's, a
listing's) is unknown before it: a replay that looks into the future proves nothing.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int32]
Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int8]
Flags: TypeAlias = npt.NDArray[np.bool_]
Names: TypeAlias = npt.NDArray[np.object_]
Numbers: TypeAlias = npt.NDArray[np.int64]

NEVER = 4_000_000
"""A day after every date there is: the last, 9999-12-31, is day 3,652,059."""
UNANSWERED, NO, YES = 0, 1, 2
EXPLOITATION = ("", "poc", "active")
"""SSVC's words by code; `none` says no more than no answer does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpssTable:
    """One day's EPSS scores, packed: a year of them is 2 GB as plain columns."""

    day: int
    model: str
    count: int
    numbers: bytes
    """Differences of the sorted CVE numbers, 64 bits each, compressed."""
    scores: bytes

    def ids(self) -> Numbers:
        """Return the CVE numbers, sorted."""
        return np.cumsum(np.frombuffer(zlib.decompress(self.numbers), dtype=np.int64))

    def column(self, numbers: Numbers) -> Floats:
        """Return the score of each of these CVEs, NaN where the table has none."""
        mine = self.ids()
        column = np.full(len(numbers), np.nan)
        if not len(mine):
            return column
        values = np.frombuffer(zlib.decompress(self.scores), dtype=np.float64)
        places = np.minimum(np.searchsorted(mine, numbers), len(mine) - 1)
        found = mine[places] == numbers
        column[found] = values[places[found]]
        return column


def pack_table(day: date, model: str, numbers: Numbers, scores: Floats) -> EpssTable:
    """Pack one day's table; the rows may come in any order."""
    order = np.argsort(numbers, kind="stable")
    ids = numbers[order]
    return EpssTable(
        day=day.toordinal(),
        model=model,
        count=len(ids),
        numbers=zlib.compress(np.diff(ids, prepend=np.int64(0)).tobytes(), 1),
        scores=zlib.compress(scores[order].astype(np.float64).tobytes(), 1),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What was known of some CVEs on a day, sorted by CVE number. All a strategy may look at."""

    rows: Ints
    """Their places in the history."""
    names: Names
    epss: Floats
    """NaN: not scored."""
    cvss: Floats
    """NaN: not scored."""
    listed: Flags
    ransomware: Flags
    automatable: Codes
    """`UNANSWERED`, `NO` or `YES`."""
    impact_total: Codes
    exploitation: Codes
    """Index into `EXPLOITATION`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Every CVE that any document names, sorted by number, and from when what was known of it."""

    names: Names
    numbers: Numbers
    entered: Ints
    """First day on which the CVE was known to exist: published, scored or listed."""
    cvss: Floats
    cvss_from: Ints
    """The day of publication: when a score was given is in no document."""
    automatable: Codes
    impact_total: Codes
    answered_from: Ints
    """As for the score: they say what the vulnerability is, not what happens with it."""
    exploitation: Codes
    exploitation_from: Ints
    """The day of the document: the word may have been given because of the listing."""
    listed_from: Ints
    listed_until: Ints
    """The day on which a catalogue first lacks it again; `NEVER` where it stays."""
    ransomware_from: Ints
    """The day of the first catalogue that says so: the flag itself has no date."""
    labelled: Ints
    """The day of its listing by the newest catalogue; `NEVER` where that does not have it."""
    tables: tuple[EpssTable, ...]
    """By day."""
    known_until: int
    """The newest catalogue's day: whether something was exploited later is unknown."""
    sources: tuple[str, ...] = ()
    """The documents, in words, for the foot of a table."""

    def table_on(self, day: int) -> EpssTable | None:
        """Return the newest EPSS table of that day or before; None: there was none yet."""
        return max((t for t in self.tables if t.day <= day), key=lambda t: t.day, default=None)

    def known(self, rows: Ints, as_of: Ints, epss: Floats) -> Known:
        """Return what was known of these rows, of each on a day of its own.

        `epss` is the column of the table in force, for the whole history.
        """
        listed = (self.listed_from[rows] <= as_of) & (as_of < self.listed_until[rows])
        answered = self.answered_from[rows] <= as_of
        return Known(
            rows=rows,
            names=self.names[rows],
            epss=epss[rows],
            cvss=np.where(self.cvss_from[rows] <= as_of, self.cvss[rows], np.nan),
            listed=listed,
            ransomware=listed & (self.ransomware_from[rows] <= as_of),
            automatable=np.where(answered, self.automatable[rows], UNANSWERED).astype(np.int8),
            impact_total=np.where(answered, self.impact_total[rows], UNANSWERED).astype(np.int8),
            exploitation=np.where(
                self.exploitation_from[rows] <= as_of, self.exploitation[rows], 0
            ).astype(np.int8),
        )

    def changes(self, first: int, last: int) -> Mapping[int, Ints]:
        """Return by day which CVEs were known differently from that day on.

        From `first` (excluded) to `last`; what was known when a CVE entered is no change.
        """
        after = np.maximum(self.entered, first)
        columns = (
            self.cvss_from,
            self.answered_from,
            self.exploitation_from,
            self.listed_from,
            self.listed_until,
            self.ransomware_from,
        )
        found: dict[int, list[Ints]] = {}
        for column in columns:
            rows = np.flatnonzero((column > after) & (column <= last)).astype(np.int32)
            for day in np.unique(column[rows]).tolist():
                found.setdefault(day, []).append(rows[column[rows] == day])
        return {day: np.unique(np.concatenate(parts)) for day, parts in sorted(found.items())}
