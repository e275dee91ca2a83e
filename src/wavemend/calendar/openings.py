"""The openings of a window within a time, in the one order that everybody uses. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from wavemend.calendar.windows import Occurrence, Window, next_occurrences

LOOKS: Mapping[str, timedelta] = {"T-24h": timedelta(days=1), "T-30m": timedelta(minutes=30)}
"""How long before an opening its hosts are looked at, in elapsed time, by occasion."""

CLOCKS_APART = timedelta(minutes=2)
"""By how much a worker's clock may be behind that of Prefect's server."""

_AT_ONCE = 32
"""Openings asked for at a time: half a year of Saturdays, a month of nights."""


def openings_between(window: Window, first: datetime, until: datetime) -> Iterator[Occurrence]:
    """Yield the openings that start at or after `first` and before `until` (UTC-aware)."""
    after = first - timedelta(microseconds=1)
    while True:
        found = next_occurrences(window, after, _AT_ONCE)
        for opening in found:
            if opening.start >= until:
                return
            yield opening
        after = found[-1].start


def instant(moment: datetime) -> str:
    """Return a moment in UTC as RFC 5545 writes it: so Prefect's schedules hold each opening."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def looked_at(window: Window, now: datetime, ahead: timedelta) -> Occurrence:
    """Return the opening that a look this long before it is about.

    Not always the next one: in a night that a clock change makes an hour shorter, a look a day
    ahead comes an hour before the opening of the day before. The next one, where no look is due.
    """
    following, *others = next_occurrences(window, now, 3)
    due = [each for each in others if each.start - ahead <= now + CLOCKS_APART]
    return due[-1] if due else following
