"""May something start now, in a window that is open? One answer for everybody who asks. Pure."""

from collections.abc import Sequence
from datetime import datetime

from wavemend.calendar.almanac import Almanac, Bar, NightOverride
from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.duty import duty_bars
from wavemend.calendar.freezes import freeze_bars


def bars(
    rules: TenantCalendar,
    almanac: Almanac,
    *,
    window_end: datetime,
    now: datetime,
    overrides: Sequence[NightOverride] = (),
) -> tuple[Bar, ...]:
    """Return everything that forbids a start at `now`; empty when nothing does.

    `window_end`: when the opening ends that holds `now`; the morning after it is the one that
    somebody must be there for. Times are UTC-aware. What is declared and not in the almanac is
    unknown, and forbids.
    """
    return (
        *freeze_bars(rules, almanac, now),
        *duty_bars(rules, almanac, window_end, overrides),
    )
