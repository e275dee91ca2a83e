"""Texts and times as a reader may safely see them.

Hosts, feeds and approvers supply text. On a page or a terminal it must not move the cursor,
turn the reading direction, or flood the reader; in JSON it stays exact, but escaped.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from wavemend.errors import LedgerError

TEXT_BOUND = 600
"""Characters of one text on a page: reasons and details are sentences, not files."""
LOG_BOUND = 6_000
"""Characters kept of a log's end: about 80 lines, enough to see why dpkg gave up."""

# C0 but tab and newline, DEL, C1, soft hyphen, zero-width and bidi signs, line separators, lone
# surrogates, interlinear and tag characters: invisible, or able to act on the reader's screen.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def visible(text: str) -> str:
    """Write every acting or invisible character as its name, e.g. `⟨U+202E⟩`; keep tab, newline."""
    return _ACTING.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def json_escaped(document: str) -> str:
    r"""Write acting characters of a JSON document as `\uXXXX`: same data, safe on a terminal."""
    return _ACTING.sub(_json_escape, document)


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def bounded(text: str, bound: int = TEXT_BOUND) -> str:
    """Keep the first `bound` characters and say how many more there were.

    Where saying so takes no less room than the rest of the text, the text is kept whole.
    """
    cut = f"{text[:bound]} … (+{len(text) - bound:,} characters)"
    return cut if len(cut) < len(text) else text


def bounded_tail(text: str, bound: int = LOG_BOUND) -> str:
    """Keep the last `bound` characters and say how many came before."""
    if len(text) <= bound:
        return text
    return f"… ({len(text) - bound:,} earlier characters are not shown)\n{text[-bound:]}"


def one_line(text: str, bound: int = TEXT_BOUND) -> str:
    """Return text for one line of a page or terminal: visible, bounded, without line breaks."""
    return bounded(visible(" ".join(text.split())), bound)


def counted(number: int, noun: str) -> str:
    """Return `1 host`, `2 hosts`: plain English plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def utc_text(at: datetime) -> str:
    """Return a time as ISO 8601 in UTC, ending in Z.

    Raises LedgerError for a time without a zone: it could mean any of 38 hours.
    """
    if at.tzinfo is None:
        raise LedgerError(
            f"the time {at.isoformat()} reached a report without a time zone",
            hint="times in the ledger are UTC-aware; this is a fault of the code that built it",
        )
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTimes:
    """How times are shown to one tenant."""

    zone: tzinfo
    zone_name: str
    note: str
    """Why the zone is not the declared one; empty when it is."""
    with_abbreviation: bool
    """True in a night when clocks change, when `02:30` alone would be said twice."""

    def day(self, at: datetime) -> str:
        """Return e.g. `10 Mar 2026`."""
        local = at.astimezone(self.zone)
        return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"

    def clock(self, at: datetime, *, seconds: bool = False) -> str:
        """Return e.g. `02:14` or `02:14:05`, with the abbreviation where it is needed."""
        local = at.astimezone(self.zone)
        shown = local.strftime("%H:%M:%S" if seconds else "%H:%M")
        return f"{shown} {local.tzname()}" if self.with_abbreviation else shown

    def short(self, at: datetime, *, seconds: bool = False) -> str:
        """Return e.g. `10 Mar 02:14`."""
        local = at.astimezone(self.zone)
        return f"{local.day} {_MONTHS[local.month - 1]} {self.clock(at, seconds=seconds)}"

    def span(self, start: datetime, end: datetime) -> str:
        """Return e.g. `10 Mar 2026, 02:00 to 05:00`; the second day only where it differs."""
        same = self.day(start) == self.day(end)
        last = self.clock(end) if same else f"{self.day(end)}, {self.clock(end)}"
        return f"{self.day(start)}, {self.clock(start)} to {last}"


def local_times(zone_name: str, first: datetime, last: datetime, *more: datetime) -> LocalTimes:
    """Return how to show times between `first` and `last`; an unknown zone falls back to UTC.

    `more`: moments between, where clocks may change: half a year later they have changed back.

    A report in UTC that says so is worth more than no report.
    """
    zone: tzinfo
    try:
        zone, note, shown = ZoneInfo(zone_name), "", zone_name
    except (KeyError, ValueError, OSError):
        zone, shown = UTC, "UTC"
        note = f"The zone {one_line(zone_name, 60)!r} is not known here, so times are in UTC."
    edges = (first - timedelta(hours=12), *more, last + timedelta(hours=12))
    offsets = {edge.astimezone(zone).utcoffset() for edge in edges}
    return LocalTimes(
        zone=zone, zone_name=shown, note=note, with_abbreviation=bool(note) or len(offsets) > 1
    )
