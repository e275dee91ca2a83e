"""CVE ids as numbers: hundreds of thousands are checked, joined and sorted in milliseconds."""

from typing import TYPE_CHECKING, Any, TypeAlias

from wavemend.errors import FeedRejected

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    _Column: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_PREFIX = b"CVE-"
_YEAR = range(4, 8)
_DASH = 8
_NUMBER = 9
_SHORTEST = _NUMBER + 4
_LONGEST = _NUMBER + 15
"""`CVE-2026-` and 15 digits fit into 64 bits together; the longest of 2026 has six."""
_NEXT_YEAR = 10**15


def cve_numbers(names: "pd.Series[str]") -> "_Column":
    """Return a column of CVE ids as integers that sort as `cve_order` does: by year, then number.

    Raises FeedRejected naming the first that is not a CVE. The check is strict, for two ids with
    one number would be joined into one: an id has exactly four digits of a year, and its number
    has no zeros in front beyond four digits.
    """
    import numpy as np

    values = names.tolist()
    if not values:
        return np.empty(0, dtype=np.int64)
    text, starts, lengths = _joined(values)
    _refuse_first(values, (lengths >= _SHORTEST) & (lengths <= _LONGEST))
    good = text[starts + _DASH] == ord("-")
    for place, char in enumerate(_PREFIX):
        good &= text[starts + place] == char
    year = number = np.zeros(len(values), dtype=np.int64)
    for place in _YEAR:
        digit = text[starts + place] - np.uint8(ord("0"))  # below "0" it wraps around to above 9
        good &= digit <= 9
        year = year * 10 + digit
    for place in range(_NUMBER, int(lengths.max())):
        digit = text[starts + place] - np.uint8(ord("0"))
        inside = lengths > place
        good &= (digit <= 9) | ~inside
        number = np.where(inside, number * 10 + digit, number)
    _refuse_first(values, good & ((lengths == _SHORTEST) | (text[starts + _NUMBER] != ord("0"))))
    found: _Column = year * _NEXT_YEAR + number
    return found


def _joined(values: list[str]) -> "tuple[_Column, _Column, _Column]":
    """Return all ids as one piece of memory, with where each starts and how long it is.

    Padded, so that each place of a longest id can be asked of every id.
    """
    import numpy as np

    try:
        text = "\n".join([*values, ""]).encode("ascii")
    except (UnicodeEncodeError, TypeError) as error:
        raise FeedRejected("an id is missing or not plain text, so it is not a CVE.") from error
    characters = np.frombuffer(text + bytes(_LONGEST), dtype=np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    if len(ends) != len(values):
        raise FeedRejected("an id has a line break in it, so it is not a CVE.")
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    return characters, starts, ends - starts


def _refuse_first(values: list[str], good: "_Column") -> None:
    if not good.all():
        raise FeedRejected(f"{values[int(good.argmin())]!r:.60} is not a CVE.")
