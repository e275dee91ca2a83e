"""What an order of work achieved: effort, coverage, efficiency and risk-days, with their doubt.

All shares are of one label set, which is named beside them: efficiency above all means nothing
without it, for a catalogue of 1,600 CVEs and telemetry of 12,000 a month differ tenfold.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from wavemend.effectiveness.history import NEVER, Floats, History
from wavemend.effectiveness.replay import Horizon, Played

EFFORTS = (0.01, 0.05, 0.10, 0.20)
"""Shares of the population after which the orders are compared."""
_Z = 1.959963984540054
"""Two-sided 95 %."""
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its 95 % interval."""

    part: int
    whole: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share; None: there is nothing to share."""
        return self.part / self.whole if self.whole else None


def wilson(part: int, whole: int) -> Share:
    """Return a share with Wilson's interval, which holds for few cases and near 0 and 1 too."""
    if not whole:
        return Share(part=part, whole=whole, low=0.0, high=1.0)
    share, square = part / whole, _Z**2
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    reach = _Z * math.sqrt(share * (1 - share) / whole + square / (4 * whole**2))
    reach /= 1 + square / whole
    # In the last bit a bound at 0 or 1 misses it, and would not hold the share itself.
    low, high = min(share, max(0.0, middle - reach)), max(share, min(1.0, middle + reach))
    return Share(part=part, whole=whole, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtEffort:
    """What was reached when a share of the population was closed."""

    effort: float
    closed: int
    day: int | None
    """On which day of the replay, from 1; None: the replay ended before."""
    coverage: Share
    """Exploited CVEs closed before they were listed, of all of them."""
    efficiency: Share
    """CVEs that are listed in the horizon, before or after being closed, of all closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Days summed over the exploited CVEs, with a bootstrap interval over these CVEs."""

    total: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One strategy with one capacity."""

    strategy: str
    capacity: Fraction
    population: int
    positives: int
    closed: int
    before: int
    """Exploited CVEs closed before they were listed."""
    after: int
    """Closed on the day they were listed, or later."""
    never: int
    """Open on the last day; their risk-days are cut off there."""
    at: tuple[AtEffort, ...]
    coverage: Share
    efficiency: Share
    risk_days: Days
    """From being listed to being closed."""
    known_risk_days: Days
    """Those of the CVEs that were known before they were listed: what an order can do about."""
    weighted_days: Days
    """As `risk_days`, each day weighted with the EPSS of that day; unscored counts as 1."""
    open_probability: float
    """EPSS of all open CVEs, exploited or not, summed over all days."""

    @property
    def effort(self) -> float:
        """Share of the population that was closed."""
        return self.closed / self.population if self.population else 0.0


def measure(history: History, horizon: Horizon, played: Played, *, seed: int) -> Measured:
    """Return the figures of one replay; `seed` draws the resamples of the bootstrap."""
    rows = horizon.positives
    closed, listed = played.closed[rows], history.labelled[rows]
    before = closed < listed
    never = closed == NEVER
    days = np.clip(np.minimum(closed, horizon.last + 1) - listed, 0, None).astype(np.float64)
    known = history.entered[rows] < listed
    done = len(played.sequence)
    return Measured(
        strategy=played.strategy,
        capacity=played.capacity,
        population=horizon.size,
        positives=len(rows),
        closed=done,
        before=int(before.sum()),
        after=int((~before & ~never).sum()),
        never=int(never.sum()),
        at=tuple(_at(history, horizon, played, effort) for effort in EFFORTS),
        coverage=wilson(int(before.sum()), len(rows)),
        efficiency=wilson(int((~never).sum()), done),
        risk_days=_summed(days, seed),
        known_risk_days=_summed(days * known, seed),
        weighted_days=_summed(played.weighted_days, seed),
        open_probability=played.open_probability,
    )


def _at(history: History, horizon: Horizon, played: Played, effort: float) -> AtEffort:
    count = math.ceil(effort * horizon.size)
    first = played.sequence[:count]
    mine = first[np.isin(first, horizon.positives)]
    before = int((played.closed[mine] < history.labelled[mine]).sum())
    reached = len(first) == count and count > 0
    return AtEffort(
        effort=effort,
        closed=len(first),
        day=int(played.closed[first[-1]]) - horizon.first + 1 if reached else None,
        coverage=wilson(before, len(horizon.positives)),
        efficiency=wilson(len(mine), len(first)),
    )


def _summed(days: Floats, seed: int) -> Days:
    total = float(days.sum())
    if len(days) < 2:
        return Days(total=total, low=total, high=total)
    drawn = np.random.default_rng(seed).integers(0, len(days), (_RESAMPLES, len(days)))
    low, high = np.quantile(days[drawn].sum(axis=1), [0.025, 0.975])
    return Days(total=total, low=float(low), high=float(high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two strategies on the same exploited CVEs: the interval of neither says which is better."""

    strategy: str
    other: str
    earlier: int
    later: int
    same: int
    chance: float
    """How likely so uneven a split is when neither is better (sign test, two-sided)."""


def compare(horizon: Horizon, one: Played, other: Played) -> Pair:
    """Count which strategy closed each exploited CVE earlier; open ones on the day after the last.

    Both must have the same capacity.
    """
    end = horizon.last + 1
    mine = np.minimum(one.closed[horizon.positives], end)
    theirs = np.minimum(other.closed[horizon.positives], end)
    earlier, later = int((mine < theirs).sum()), int((mine > theirs).sum())
    return Pair(
        strategy=one.strategy,
        other=other.strategy,
        earlier=earlier,
        later=later,
        same=len(horizon.positives) - earlier - later,
        chance=sign_test(earlier, later),
    )


def sign_test(one: int, other: int) -> float:
    """Return the two-sided probability of a split at least so uneven of a fair coin's throws."""
    throws = one + other
    tail = sum(math.comb(throws, count) for count in range(min(one, other) + 1))
    return min(1.0, float(Fraction(2 * tail, 2**throws)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Coverage against effort, point by point, for a picture."""

    strategy: str
    efforts: tuple[float, ...]
    coverages: tuple[float, ...]


def curve(history: History, horizon: Horizon, played: Played) -> Curve:
    """Return a point for every exploited CVE that was closed before it was listed."""
    counted = np.isin(played.sequence, horizon.positives)
    counted &= played.closed[played.sequence] < history.labelled[played.sequence]
    places = np.flatnonzero(counted) + 1
    whole, size = max(len(horizon.positives), 1), max(horizon.size, 1)
    return Curve(
        strategy=played.strategy,
        efforts=(*(places / size).tolist(), len(played.sequence) / size),
        coverages=(
            *((np.arange(len(places)) + 1) / whole).tolist(),
            len(places) / whole,
        ),
    )
