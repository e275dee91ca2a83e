"""Moments on the command line: a day, or a day with a time."""

from datetime import UTC, date, datetime, time, timedelta

from wavemend.errors import CalendarError


def moment_of(text: str, option: str) -> datetime | None:
    """Return the moment an option names, UTC; None: it was not given. A day means its end.

    Raises CalendarError for anything that is neither a day nor a day with a time.
    """
    if not text:
        return None
    try:
        if len(text) == len("2026-11-03"):
            following = date.fromisoformat(text) + timedelta(days=1)
            return datetime.combine(following, time(), UTC) - timedelta(microseconds=1)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise CalendarError(
            f"{option} {text!r} is no moment",
            hint="write a day, 2026-11-03, or a time, 2026-11-03T06:30Z; without a zone it is UTC",
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
