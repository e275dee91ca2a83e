"""When the waves of a plan are expected to start and end, if nothing goes wrong. Pure.

Told, never decided on: a host is started or not by the clock at its start.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapreplace

from wavemend.plans import Plan, PlannedWave


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedWave:
    """What is expected of one wave. Times are UTC-aware."""

    name: str
    starts: datetime
    ends: datetime
    """Of its last host; soak and gap come after it."""
    too_late: tuple[str, ...]
    """Hosts that are not expected to be started: the cut-off comes first, or too little is left."""


def expected_waves(plan: Plan, now: datetime) -> tuple[ExpectedWave, ...]:
    """Return when each wave runs if the first one starts now, or when the window opens.

    Every host takes what half of such changes take; approvals and other rollouts take no time.
    """
    at = max(now, plan.window_start)
    found: list[ExpectedWave] = []
    for wave in plan.waves:
        expected = _expected(plan, wave, at)
        found.append(expected)
        after = max(wave.soak_seconds, wave.gap_seconds)
        at = expected.ends + timedelta(seconds=after)
    return tuple(found)


def _expected(plan: Plan, wave: PlannedWave, at: datetime) -> ExpectedWave:
    free = [at] * min(wave.concurrency, len(wave.hosts))
    last, late = at, []
    for name in wave.hosts:
        host, starts = plan.host(name), free[0]
        done = starts + timedelta(seconds=host.at_most_seconds)
        if starts >= plan.last_start or done > plan.window_end:
            late.append(name)
            continue
        ends = starts + timedelta(seconds=host.takes_seconds)
        heapreplace(free, ends)
        last = max(last, ends)
    return ExpectedWave(name=wave.name, starts=at, ends=last, too_late=tuple(late))


def in_words(expected: ExpectedWave) -> str:
    """Return one line for people."""
    line = f"{expected.name}: expected {expected.starts:%H:%M} to {expected.ends:%H:%M} UTC"
    if not expected.too_late:
        return line
    some = ", ".join(expected.too_late[:5])
    more = f" and {len(expected.too_late) - 5} more" if len(expected.too_late) > 5 else ""
    return f"{line}; too little of the window is left for {some}{more}"
