"""Put tables, catalogues and assessments together into one history. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wavemend.advisories import KevEntry, cve_order
from wavemend.effectiveness.history import (
    NEVER,
    Codes,
    EpssTable,
    Floats,
    History,
    Ints,
    Names,
    Numbers,
)
from wavemend.errors import FeedError

_NEXT_YEAR = 10**15
"""As `cve_numbers` joins a year and a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """One day's KEV catalogue."""

    day: int
    entries: Mapping[str, KevEntry]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessments:
    """What one feed says of CVEs, one row each, sorted by number."""

    feed: str
    day: int
    """The feed's own."""
    numbers: Numbers
    published: Ints
    """`NEVER`: not said."""
    cvss: Floats
    cvss_place: Ints
    """Rank of the score by the written order of choice; the lowest of all feeds counts."""
    automatable: Codes
    impact_total: Codes
    exploitation: Codes


def assemble(
    tables: Sequence[EpssTable],
    catalogues: Sequence[Catalogue],
    assessments: Sequence[Assessments],
    *,
    sources: Sequence[str] = (),
) -> History:
    """Return the history. Raises FeedError when there is no table or no catalogue.

    Of two tables or catalogues of one day the later in the list counts.
    """
    if not tables or not catalogues:
        raise FeedError(
            f"there is no {'KEV catalogue' if tables else 'EPSS table'} to replay.",
            hint="refresh the feeds for some days, or give files with --epss and --kev",
        )
    by_day = {table.day: table for table in tables}
    epss = tuple(by_day[day] for day in sorted(by_day))
    of_day = {item.day: item for item in catalogues}
    lists = [of_day[day] for day in sorted(of_day)]
    listed = sorted({cve for item in lists for cve in item.entries}, key=cve_order)
    of_listed = np.array([_number(cve) for cve in listed], dtype=np.int64)
    numbers = np.sort(of_listed)
    for ids in (*(part.numbers for part in assessments), *(part.ids() for part in epss)):
        numbers = np.union1d(numbers, ids)  # one by one: a year of tables at once is 1 GB
    columns = _Columns(numbers)
    for table in reversed(epss):
        columns.entered[np.searchsorted(numbers, table.ids())] = table.day
    for part in assessments:
        columns.assess(part)
    columns.enlist(np.searchsorted(numbers, of_listed), listed, lists)
    return columns.history(epss, lists[-1].day, tuple(sources))


def _number(cve: str) -> int:
    year, number = cve_order(cve)
    return year * _NEXT_YEAR + number


def names_of(numbers: Numbers) -> Names:
    """Return the ids of CVE numbers; the way back is `cve_numbers`."""
    found = np.empty(len(numbers), dtype=object)
    found[:] = [f"CVE-{n // _NEXT_YEAR}-{n % _NEXT_YEAR:04}" for n in numbers.tolist()]
    return found


class _Columns:
    """The columns of a history while they are filled."""

    def __init__(self, numbers: Numbers) -> None:
        size = len(numbers)
        self.numbers = numbers
        self.entered, self.cvss_from, self.answered_from, self.exploitation_from = (
            np.full(size, NEVER, dtype=np.int32) for _ in range(4)
        )
        self.cvss = np.full(size, np.nan)
        self._place: Ints = np.full(size, NEVER, dtype=np.int32)
        self.automatable, self.impact_total, self.exploitation = (
            np.zeros(size, dtype=np.int8) for _ in range(3)
        )
        self.listed_from, self.listed_until, self.ransomware_from, self.labelled = (
            np.full(size, NEVER, dtype=np.int32) for _ in range(4)
        )

    def assess(self, part: Assessments) -> None:
        """Take in a feed's assessments; of scores the better placed, of answers the first."""
        at = np.searchsorted(self.numbers, part.numbers)
        self.entered[at] = np.minimum(self.entered[at], part.published)
        known_from = np.where(part.published == NEVER, part.day, part.published)
        better = ~np.isnan(part.cvss) & (part.cvss_place < self._place[at])
        rows = at[better]
        self._place[rows], self.cvss[rows] = part.cvss_place[better], part.cvss[better]
        self.cvss_from[rows] = known_from[better]
        said = (part.automatable > 0) | (part.impact_total > 0) | (part.exploitation > 0)
        fresh = said & (self.answered_from[at] == NEVER)
        rows = at[fresh]
        self.answered_from[rows] = known_from[fresh]
        self.automatable[rows] = part.automatable[fresh]
        self.impact_total[rows] = part.impact_total[fresh]
        self.exploitation[rows] = part.exploitation[fresh]
        self.exploitation_from[rows] = np.where(part.exploitation[fresh] > 0, part.day, NEVER)

    def enlist(self, at: Numbers, listed: Sequence[str], lists: Sequence[Catalogue]) -> None:
        """Take in the catalogues, the oldest first."""
        for row, cve in zip(at.tolist(), listed, strict=True):
            entries = [(item.day, item.entries.get(cve)) for item in lists]
            there = [(day, entry) for day, entry in entries if entry is not None]
            self.listed_from[row] = min(entry.date_added.toordinal() for _, entry in there)
            after = [day for day, _ in entries if day > there[-1][0]]
            self.listed_until[row] = min(after, default=NEVER)
            said = [day for day, entry in there if entry.ransomware]
            self.ransomware_from[row] = min(said, default=NEVER)
            newest = entries[-1][1]
            self.labelled[row] = newest.date_added.toordinal() if newest else NEVER
        self.entered = np.minimum(self.entered, self.listed_from)

    def history(self, tables: tuple[EpssTable, ...], until: int, said: tuple[str, ...]) -> History:
        """Return the history. What only an assessment without a day names enters on no day."""
        return History(
            names=names_of(self.numbers),
            numbers=self.numbers,
            entered=self.entered,
            cvss=self.cvss,
            cvss_from=self.cvss_from,
            automatable=self.automatable,
            impact_total=self.impact_total,
            answered_from=self.answered_from,
            exploitation=self.exploitation,
            exploitation_from=self.exploitation_from,
            listed_from=self.listed_from,
            listed_until=self.listed_until,
            ransomware_from=self.ransomware_from,
            labelled=self.labelled,
            tables=tables,
            known_until=until,
            sources=said,
        )
