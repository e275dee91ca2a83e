"""What calendars forbid now, asked right before every start."""

from collections.abc import Sequence
from datetime import datetime

from wavemend.calendar.almanac import Almanac, Bar, NightOverride
from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.duty import mornings
from wavemend.calendar.judging import bars
from wavemend.execution.hands import Hands
from wavemend.ledger.nights import overrides_of


def barred(hands: Hands, calendar: TenantCalendar | None, window_end: datetime) -> str:
    """Say why calendars forbid a start now, in an opening that ends then; empty when none does."""
    if calendar is None or not (calendar.freezes or calendar.duty):
        return ""
    almanac = hands.almanac()
    overrides = needed_overrides(hands, calendar, almanac, window_end)
    return in_words(_bars(hands, calendar, almanac, window_end, overrides))


def in_words(found: Sequence[Bar]) -> str:
    """Return bars as one line of text."""
    return "; ".join(str(bar) for bar in found)


def needed_overrides(
    hands: Hands, calendar: TenantCalendar, almanac: Almanac, window_end: datetime
) -> tuple[NightOverride, ...]:
    """Return the signed overrides without which the duty rule would forbid this night.

    Signatures are checked only where something is to be lifted: most nights need no check.
    """
    days = [morning.day for morning in mornings(calendar, window_end)]
    if not days:
        return ()
    found = _bars(hands, calendar, almanac, window_end, ())
    if not any(bar.overridable for bar in found):
        return ()
    with hands.ledger.reading() as book:
        return overrides_of(book, calendar, hands.signers_file, first=days[0], last=days[-1])


def _bars(
    hands: Hands,
    calendar: TenantCalendar,
    almanac: Almanac,
    window_end: datetime,
    overrides: Sequence[NightOverride],
) -> tuple[Bar, ...]:
    return bars(
        calendar,
        almanac,
        window_end=window_end,
        now=hands.clock(),
        overrides=overrides,
    )
