"""How long a host's change takes: learned from the ledger, careful while little is known. Pure.

A change is timed from its intent to its end: hooks, transaction, restart, second look. What is
known of changes of one kind are n durations. To them 19 durations are added that nobody has seen:
the prior's 5 %, 10 % … 95 % quantiles. Of the n + 19 values in order,

    p50 is number ceil(0.50 · (n + 20)), p95 is number ceil(0.95 · (n + 20)),

so that without history both are exactly the prior's, and with each seen duration the prior counts
for less. The prior must never make a slow host look quick: p95 is also at least number
ceil(0.95 · (n + 1)) of the seen durations alone, or the longest of them where there are fewer.
From 19 on, that value is exceeded by at most 5 % of further changes whatever their distribution
is, as long as they come from the same one (conformal prediction: Vovk, Gammerman and Shafer 2005).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from statistics import NormalDist

_PSEUDO = 19
"""The fewest seen durations from which a 95 % bound follows by rank alone."""

_TAIL = 0.95


class SizeClass(StrEnum):
    """How much is installed on a host in one go."""

    NONE = "none"
    """A restart, or a repair."""
    FEW = "few"
    """At most 10 packages."""
    SOME = "some"
    """At most 50: a month of security updates."""
    MANY = "many"
    """More: a point release."""


def size_class(packages: int) -> SizeClass:
    """Return the class of a set of so many packages."""
    bounds = ((0, SizeClass.NONE), (10, SizeClass.FEW), (50, SizeClass.SOME))
    return next((size for most, size in bounds if packages <= most), SizeClass.MANY)


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class ChangeKind:
    """Changes that are expected to take alike."""

    system: str
    """Id and version of the operating system, `debian 12`."""
    size: SizeClass
    reboot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long one change takes, in whole seconds."""

    p50: int
    p95: int
    seen: int = 0
    """Durations it was learned from; 0: it is the prior."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A log-normal distribution of durations, said by two of its quantiles. Seconds."""

    p50: float
    p95: float

    def quantile(self, share: float) -> float:
        """Return the duration that so large a share of changes does not exceed."""
        normal = NormalDist()
        sigma = math.log(self.p95 / self.p50) / normal.inv_cdf(_TAIL)
        return self.p50 * math.exp(sigma * normal.inv_cdf(share))


PATCH_PRIOR = Prior(p50=4 * 60, p95=15 * 60)
REBOOT_PRIOR = Prior(p50=3 * 60, p95=10 * 60)
"""Stated, not measured: what operators plan with. Ours on lab hosts are far below; a virtual
machine with 50 updates needs minutes, a physical server's firmware alone up to ten."""


def prior_of(kind: ChangeKind) -> Prior:
    """Return what is believed of a kind of which nothing was seen.

    The quantiles of both parts are added: too much, never too little, if they are not opposed.
    """
    if not kind.reboot:
        return PATCH_PRIOR
    if kind.size is SizeClass.NONE:
        return REBOOT_PRIOR
    return Prior(p50=PATCH_PRIOR.p50 + REBOOT_PRIOR.p50, p95=PATCH_PRIOR.p95 + REBOOT_PRIOR.p95)


def estimate(kind: ChangeKind, seen: Sequence[float]) -> Estimate:
    """Return how long a change of this kind takes, from the durations seen, in seconds."""
    prior = prior_of(kind)
    known = sorted(seen)
    believed = [prior.quantile(number / (_PSEUDO + 1)) for number in range(1, _PSEUDO + 1)]
    merged = sorted([*known, *believed])
    p50 = merged[_rank(0.5, len(merged))]
    p95 = merged[_rank(_TAIL, len(merged))]
    if known:
        p95 = max(p95, known[min(_rank(_TAIL, len(known)), len(known) - 1)])
    return Estimate(p50=_whole(p50), p95=_whole(p95), seen=len(known))


def _whole(seconds: float) -> int:
    # A quantile that is 600 by its formula is 600.0000000001 to a computer.
    return math.ceil(round(seconds, 6))


def _rank(share: float, count: int) -> int:
    """Return the place, from 0, of the value that bounds a share of the values to come."""
    # 0.95 · 20 is 19.000000000000004 there.
    return math.ceil(round(share * (count + 1), 6)) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """What was learned of all kinds, at one moment."""

    known: Mapping[ChangeKind, Estimate] = field(default_factory=dict)

    def of(self, kind: ChangeKind, *, at_most: timedelta) -> Estimate:
        """Return the estimate for a kind, never above a host's deadline: there it is given up."""
        found = self.known.get(kind) or estimate(kind, ())
        most = int(at_most.total_seconds())
        return Estimate(p50=min(found.p50, most), p95=min(found.p95, most), seen=found.seen)


NOTHING_LEARNED = Durations()
