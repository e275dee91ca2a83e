"""Durations as operators write them: `6h`, `90m`, `1h30m`, `7d`, `45s`."""

import json
import re
from datetime import timedelta

from wavemend.errors import CalendarError

PATTERN = (
    r"(?=\d)(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?"
)
_DURATION = re.compile(PATTERN, re.ASCII)

_LONGEST = timedelta(days=366)
"""Nothing in a fleet waits longer than a year; more is a typing error."""

_MOST_DIGITS = 8
"""More digits than any unit needs within a year; keeps a slip from becoming an overflow."""


def parse_duration(text: str) -> timedelta:
    """Return the elapsed time that `text` says. Raises CalendarError on anything else."""
    found = _DURATION.fullmatch(text)
    if found is None or len(text) > 4 * (_MOST_DIGITS + 1):
        raise CalendarError(
            f"{json.dumps(text[:40], ensure_ascii=False)} is no duration",
            hint="write days, hours, minutes: 6h, 90m, 1h30m, 2d",
        )
    parts = {unit: int(digits) for unit, digits in found.groupdict().items() if digits}
    if any(number >= 10**_MOST_DIGITS for number in parts.values()):
        raise CalendarError(f'"{text}" is longer than a year', hint="check the unit")
    duration = timedelta(**parts)
    if duration > _LONGEST:
        raise CalendarError(f'"{text}" is longer than a year', hint="check the unit")
    return duration


def format_duration(duration: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads back, in whole seconds."""
    left = int(duration.total_seconds())
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0m"
