"""The next openings of a window and what closes them: what is shown is what then runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.calendar.almanac import Almanac, Bar, NightOverride
from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.freezes import freeze_within
from wavemend.calendar.judging import bars
from wavemend.calendar.windows import Occurrence, Window, next_occurrences


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One opening of a window, as the calendars of a company leave it."""

    occurrence: Occurrence
    bars: tuple[Bar, ...] = ()
    """What forbids a start when it begins; empty: nothing."""
    begins: datetime | None = None
    """First instant (UTC) at which something may start; None: the opening is skipped."""
    closes: datetime | None = None
    """First instant (UTC) after `begins`, before the last start, at which nothing may start any
    more; None: there is none."""
    closed_by: tuple[Bar, ...] = ()
    """What forbids a start then."""

    @property
    def is_skipped(self) -> bool:
        """True when nothing may start in the whole of it."""
        return self.begins is None


def preview(
    window: Window,
    rules: TenantCalendar,
    almanac: Almanac,
    after: datetime,
    count: int,
    *,
    overrides: Sequence[NightOverride] = (),
) -> tuple[Opening, ...]:
    """Return the next `count` openings that start later than `after` (UTC-aware), in order.

    Skipped ones are among them, with the reasons.
    """
    return tuple(
        _opening(occurrence, rules, almanac, overrides)
        for occurrence in next_occurrences(window, after, count)
    )


def _opening(
    occurrence: Occurrence,
    rules: TenantCalendar,
    almanac: Almanac,
    overrides: Sequence[NightOverride],
) -> Opening:
    def barred(moment: datetime) -> tuple[Bar, ...]:
        return bars(rules, almanac, window_end=occurrence.end, now=moment, overrides=overrides)

    begins = first_start(occurrence, rules, almanac, occurrence.start, overrides=overrides)
    closes = None
    if begins is not None:  # the morning after is the same all night; only freezes begin in it
        closes = freeze_within(rules, almanac, begins, occurrence.last_start)
    return Opening(
        occurrence=occurrence,
        bars=barred(occurrence.start),
        begins=begins,
        closes=closes,
        closed_by=barred(closes) if closes else (),
    )


def first_start(
    occurrence: Occurrence,
    rules: TenantCalendar,
    almanac: Almanac,
    now: datetime,
    *,
    overrides: Sequence[NightOverride] = (),
) -> datetime | None:
    """Return the first instant from `now` on at which something may start in an opening.

    None: everything that is left of it is barred, as far as the calendars are known.
    """
    moment = max(now, occurrence.start)
    while moment < occurrence.last_start:
        found = bars(rules, almanac, window_end=occurrence.end, now=moment, overrides=overrides)
        if not found:
            return moment
        ends = [bar.until for bar in found if bar.until is not None]
        if len(ends) < len(found) or (after := max(ends)) <= moment:
            return None
        moment = after
    return None
