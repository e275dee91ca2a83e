"""One whole comparison: every order of work over the same days, with what it cannot tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise

import numpy as np

from wavemend.effectiveness.history import History
from wavemend.effectiveness.measures import Curve, Measured, Pair, compare, curve, measure
from wavemend.effectiveness.replay import Horizon, Played, horizon_of, play
from wavemend.effectiveness.strategies import OURS, strategies

YEAR = 365
"""Days in which the default capacity closes the whole population."""
LONG_GAP = 45
"""Days between two EPSS tables beyond which it is said: a stored history has one a month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a history. Days are those of `date.toordinal`; None: as far as it goes."""

    first: int | None = None
    last: int | None = None
    capacities: tuple[Fraction, ...] = ()
    """CVEs a day; empty: so many that the whole population takes a year."""
    scored: bool = False
    """Only CVEs with a CVSS score, so that no order lacks what it goes by."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The answer."""

    label: str
    """What counts as exploited; without it no figure here means anything."""
    first: date
    last: date
    population: int
    at_stake: str
    """What the population consists of, in words."""
    left_out: int
    positives: int
    foreseeable: int
    """Positives that were known to exist before they were listed: no order can cover more."""
    capacities: tuple[Fraction, ...]
    measured: tuple[Measured, ...]
    """By capacity, then strategy."""
    pairs: tuple[Pair, ...]
    """Our orders against each other one, with the first capacity."""
    curves: tuple[Curve, ...]
    """With the first capacity."""
    limits: tuple[str, ...]
    sources: tuple[str, ...]
    seed: int


def simulate(history: History, question: Question) -> Simulation:
    """Play the history once per strategy and capacity. Raises FeedError for days without data."""
    first = history.tables[0].day if question.first is None else question.first
    last = history.known_until if question.last is None else question.last
    horizon = horizon_of(history, first, last, scored=question.scored)
    capacities = question.capacities or (Fraction(horizon.size, YEAR),)
    compared = strategies(question.seed, len(history.names))
    played = play(history, horizon, compared, capacities)
    by_capacity = sorted(played, key=lambda item: capacities.index(item.capacity))
    main = [item for item in by_capacity if item.capacity == capacities[0]]
    begin, end = date.fromordinal(first), date.fromordinal(last)
    rows = horizon.positives
    return Simulation(
        label=f"listed in CISA KEV after {begin} and up to {end}",
        first=begin,
        last=end,
        population=horizon.size,
        at_stake="CVEs with a CVSS score" if question.scored else "CVEs",
        left_out=horizon.left_out,
        positives=len(rows),
        foreseeable=int((history.entered[rows] < history.labelled[rows]).sum()),
        capacities=capacities,
        measured=tuple(measure(history, horizon, item, seed=question.seed) for item in by_capacity),
        pairs=_pairs(horizon, main),
        curves=tuple(curve(history, horizon, item) for item in main),
        limits=limits_of(history, horizon),
        sources=history.sources,
        seed=question.seed,
    )


def _pairs(horizon: Horizon, played: Sequence[Played]) -> tuple[Pair, ...]:
    return tuple(
        compare(horizon, one, other)
        for one in played
        if one.strategy in OURS
        for other in played
        if other.strategy not in OURS
    )


def limits_of(history: History, horizon: Horizon) -> tuple[str, ...]:
    """Say what the figures cannot tell, each in a sentence with its number."""
    rows = horizon.positives
    known = history.entered[rows] < history.labelled[rows]
    unscored = horizon.population & np.isnan(history.cvss)
    unanswered = horizon.population & (history.answered_from > horizon.last)
    said = [
        f"{int(known.sum()):,} of the {len(rows):,} exploited CVEs were known before they were "
        "listed; no order can cover more.",
        f"Left out, because they were listed on the first day already: {horizon.left_out:,}.",
        f"{int(unscored.sum()):,} of {horizon.size:,} CVEs have no CVSS score "
        f"({int(unscored[rows].sum())} of the exploited ones): CVSS first puts them behind, our "
        "order takes them as the worst.",
        f"{int(unanswered.sum()):,} of {horizon.size:,} CVEs have no SSVC answers: our order "
        "takes them as the worst.",
        "CVSS scores and SSVC answers are used from a CVE's publication on, as the documents give "
        "them now: when they were given is not known.",
        "Every CVE costs the same and has a fix on the day it becomes known; what is closed on "
        "the day it is listed has no risk-days; what is open on the last day is cut off there.",
        "A listing in KEV says that CISA knows of exploitation, not when that began.",
    ]
    gap = _longest_gap(history, horizon)
    if gap is not None:
        start, end = gap
        said.append(
            f"No EPSS table between {date.fromordinal(start)} and {date.fromordinal(end)}, "
            f"{end - start} days: CVEs without a date of publication enter with the next table, "
            "and scores are that old."
        )
    return tuple(said)


def _longest_gap(history: History, horizon: Horizon) -> tuple[int, int] | None:
    days = [
        *(table.day for table in history.tables if table.day <= horizon.last),
        horizon.last,
    ]
    inside = [pair for pair in pairwise(days) if pair[1] > horizon.first]
    longest = max(inside, key=lambda pair: pair[1] - pair[0], default=None)
    return longest if longest and longest[1] - longest[0] > LONG_GAP else None
