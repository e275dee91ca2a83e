"""Play the past again: every day a team closes so many CVEs, in the order of what was known then.

From one EPSS table to the next every order is made once. A day on which something else becomes
known (a listing above all) orders only what the day's work could reach, so that a year of days
over 360,000 CVEs takes seconds and not hours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from wavemend.effectiveness.history import NEVER, Flags, Floats, History, Ints
from wavemend.effectiveness.strategies import Strategy
from wavemend.errors import FeedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Horizon:
    """The days that are played, and the CVEs that are at stake in them."""

    first: int
    last: int
    population: Flags
    """Known to exist by the last day, and not listed as exploited by the first."""
    positives: Ints
    """Rows of the population that were listed after the first day and up to the last."""
    left_out: int
    """Listed already on the first day: every order that reads the catalogue does these first."""

    @property
    def size(self) -> int:
        """How many CVEs are at stake."""
        return int(self.population.sum())

    @property
    def days(self) -> int:
        """How many days are played."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """What one strategy did with one capacity."""

    strategy: str
    capacity: Fraction
    """CVEs a day."""
    closed: Ints
    """The day each CVE of the history was closed; `NEVER` where it stayed open."""
    sequence: Ints
    """The CVEs in the order of being closed."""
    weighted_days: Floats
    """Of each positive: its exploit probability summed over the days it was listed and open."""
    open_probability: float
    """The exploit probabilities of all open CVEs, summed over all days; unscored not counted."""


def horizon_of(history: History, first: int, last: int, *, scored: bool = False) -> Horizon:
    """Return what is at stake between two days; with `scored`, only what has a CVSS score.

    Raises FeedError when nothing can be learned.
    """
    if history.table_on(first) is None:
        raise FeedError(
            "no EPSS table is as old as the first day of the replay.",
            hint="start on the day of the oldest table, or give an older one with --epss",
        )
    if not first < last <= history.known_until:
        raise FeedError(
            "the replay must end after it starts, and not after the newest KEV catalogue: what "
            "was exploited later is not known.",
            hint="move --start or --end, or give a newer catalogue with --kev",
        )
    known = history.entered <= last
    listed = np.minimum(history.listed_from, history.labelled) <= first
    if scored:
        known &= ~np.isnan(history.cvss)
    population = known & ~listed
    positives = population & (history.labelled > first) & (history.labelled <= last)
    return Horizon(
        first=first,
        last=last,
        population=population,
        positives=np.flatnonzero(positives).astype(np.int32),
        left_out=int((known & listed).sum()),
    )


class _Team:
    """One strategy at one capacity: what it closed, and what is waiting."""

    def __init__(self, name: str, capacity: Fraction, history: History, horizon: Horizon) -> None:
        self.name = name
        self.capacity = capacity
        self.closed: Ints = np.full(len(history.names), NEVER, dtype=np.int32)
        self.batches: list[Ints] = []
        self.done = 0
        self.weighted: Floats = np.zeros(len(horizon.positives))
        self.open_probability = 0.0
        self._horizon = horizon
        self._queue: Ints = np.empty(0, dtype=np.int32)
        """Places in the current order, ascending, of what is known, open and unchanged."""
        self._changed: Ints = np.empty(0, dtype=np.int32)
        """Rows of which more is known than when the order was made."""

    def work(self, part: "_Part", order: Ints, rank: Ints, strategy: Strategy) -> None:
        """Work through the days of one part with the order that was made on its first."""
        waiting = (self.closed[order] == NEVER) & (part.history.entered[order] <= part.first)
        self._queue = np.flatnonzero(waiting).astype(np.int32)
        self._changed = np.empty(0, dtype=np.int32)
        for day in range(part.first, part.last + 1):
            self._learn(part, rank, day)
            quota = int(self.capacity * (day - self._horizon.first + 1)) - self.done
            if len(self._changed):
                rows = self._choose(part, order, strategy, day, quota)
            else:
                rows, self._queue = order[self._queue[:quota]], self._queue[quota:]
            # An idle day is lost: nobody closes tomorrow's CVEs in advance, or twice as many.
            self.done += quota
            self.closed[rows] = day
            self.batches.append(rows)

    def _learn(self, part: "_Part", rank: Ints, day: int) -> None:
        """Take in what entered on this day, and what became known of what is open."""
        new = part.entering.get(day)
        if new is not None:
            places = np.sort(rank[new])
            self._queue = np.insert(self._queue, np.searchsorted(self._queue, places), places)
        changed = part.changes.get(day)
        if changed is None:
            return
        rows = changed[self.closed[changed] == NEVER]
        self._queue = self._queue[~np.isin(self._queue, rank[rows])]
        self._changed = np.union1d(self._changed, rows).astype(np.int32)

    def _choose(self, part: "_Part", order: Ints, strategy: Strategy, day: int, quota: int) -> Ints:
        """Return today's work where something changed since the order was made.

        The first of the queue and the changed ones are all that today's work can reach.
        """
        head = self._queue[:quota]
        rows = np.sort(np.concatenate((order[head], self._changed)))
        as_of = np.full(len(rows), day, dtype=np.int32)
        chosen = rows[strategy(part.history.known(rows, as_of, part.epss))[:quota]]
        left = head[~np.isin(order[head], chosen)]
        self._queue = np.concatenate((left, self._queue[quota:]))
        self._changed = self._changed[~np.isin(self._changed, chosen)]
        return chosen

    def count(self, part: "_Part") -> None:
        """Add up the probabilities of what was open in a part."""
        history, until = part.history, part.last + 1
        population = self._horizon.population
        opened = np.maximum(history.entered, part.first)
        days = np.clip(np.minimum(self.closed, until) - opened, 0, None)
        chance = np.where(population, np.nan_to_num(part.epss), 0.0)
        self.open_probability += float(days @ chance)
        rows = self._horizon.positives
        since = np.maximum(history.labelled[rows], part.first)
        listed = np.clip(np.minimum(self.closed[rows], until) - since, 0, None)
        # It is exploited; a probability that nobody gave counts as the worst, never as none.
        self.weighted += listed * np.nan_to_num(part.epss[rows], nan=1.0)

    def played(self) -> Played:
        """Return the result."""
        return Played(
            strategy=self.name,
            capacity=self.capacity,
            closed=self.closed,
            sequence=np.concatenate(self.batches),
            weighted_days=self.weighted,
            open_probability=self.open_probability,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """Days under one EPSS table."""

    history: History
    first: int
    last: int
    epss: Floats
    entering: Mapping[int, Ints]
    """By day, what enters after the first."""
    changes: Mapping[int, Ints]


def play(
    history: History,
    horizon: Horizon,
    compared: Mapping[str, Strategy],
    capacities: Sequence[Fraction],
) -> tuple[Played, ...]:
    """Return what every strategy does with every capacity, in their order."""
    teams = [
        _Team(name, capacity, history, horizon) for name in compared for capacity in capacities
    ]
    for part in _parts(history, horizon):
        for name, strategy in compared.items():
            mine = [team for team in teams if team.name == name]
            order = _order(part, horizon, strategy, mine)
            rank = np.full(len(history.names), -1, dtype=np.int32)
            rank[order] = np.arange(len(order), dtype=np.int32)
            for team in mine:
                team.work(part, order, rank, strategy)
                team.count(part)
    return tuple(team.played() for team in teams)


def _order(part: _Part, horizon: Horizon, strategy: Strategy, teams: Sequence[_Team]) -> Ints:
    """Return what any of the teams may have to do in a part, most urgent first."""
    is_open = np.any([team.closed == NEVER for team in teams], axis=0)
    at_stake = horizon.population & is_open & (part.history.entered <= part.last)
    rows = np.flatnonzero(at_stake).astype(np.int32)
    as_of = np.maximum(part.history.entered[rows], part.first)
    return rows[strategy(part.history.known(rows, as_of, part.epss))]


def _parts(history: History, horizon: Horizon) -> Iterator[_Part]:
    days = [table.day for table in history.tables if horizon.first < table.day <= horizon.last]
    starts = [horizon.first, *sorted(days)]
    for first, following in zip(starts, [*starts[1:], horizon.last + 1], strict=True):
        table = history.table_on(first)
        last = following - 1
        later = horizon.population & (history.entered > first) & (history.entered <= last)
        yield _Part(
            history=history,
            first=first,
            last=last,
            epss=np.full(len(history.names), np.nan)
            if table is None
            else table.column(history.numbers),
            entering=_by_day(np.flatnonzero(later).astype(np.int32), history.entered),
            changes={
                day: rows[horizon.population[rows]]
                for day, rows in history.changes(first, last).items()
            },
        )


def _by_day(rows: Ints, days: Ints) -> Mapping[int, Ints]:
    order = rows[np.argsort(days[rows], kind="stable")]
    found, starts = np.unique(days[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True)) if len(rows) else {}
