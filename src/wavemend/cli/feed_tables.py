"""The tables of `wavemend feeds`: each fits a terminal of 80 columns."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from rich.table import Table

from wavemend.advisories import FeedSnapshot, Reject
from wavemend.cli.shown import add_row
from wavemend.cli.tables import keep_whole, plain_table
from wavemend.feeds.refresh import FeedResult


def result_table(results: Iterable[FeedResult]) -> Table:
    """Return one line per feed of a refresh. Why, in sentences, is too long for a cell."""
    headings = ("Feed", "Result", "Data of", "Entries", "Rejected")
    table = plain_table("Feeds", headings, right=("Entries", "Rejected"))
    keep_whole(table, *headings)
    for result in results:
        snapshot = result.snapshot
        add_row(
            table,
            result.feed,
            result.status.value,
            _moment(snapshot.data_date if snapshot else None),
            str(snapshot.count) if snapshot else "",
            str(snapshot.rejected) if snapshot else "",
        )
    return table


_NUMBERS = ("Read", "Used", "Skipped", "Rejected", "Flaws")
_NARROW = ("Used", "Rejected", "Flaws")
"""What is left on a narrow terminal: what is used, and what is wrong."""
_DIGEST = 8
"""Enough to name a state."""
_FIRST = 10
"""Reasons of each kind that are written out; the rest is counted."""


def figure_table(snapshots: Iterable[FeedSnapshot], *, wide: bool = True) -> Table:
    """Return what became of the entries of each feed's copy in use."""
    names = _NUMBERS if wide else _NARROW
    table = plain_table("Entries", ("Feed", *names, *(("Digest",) if wide else ())), right=names)
    keep_whole(table, "Feed", *names, "Digest")
    for snapshot in snapshots:
        if not snapshot.missing:
            figures = dict(zip(_NUMBERS, _figures(snapshot), strict=True))
            digest = (snapshot.digest[:_DIGEST],) if wide else ()
            add_row(table, snapshot.feed, *(figures[name] for name in names), *digest)
    return table


def snapshot_table(snapshots: Iterable[FeedSnapshot], now: datetime, *, wide: bool = True) -> Table:
    """Return one line per feed's copy in use."""
    headings = ("Feed", "State", "Data of", "Age", *(("Confirmed",) if wide else ()))
    table = plain_table("Feeds in use", headings, right=("Age",))
    keep_whole(table, *headings)
    for snapshot in snapshots:
        add_row(
            table,
            snapshot.feed,
            "missing" if snapshot.missing else "STALE" if snapshot.stale else "fresh",
            _moment(snapshot.data_date),
            _age(snapshot.data_date, now),
            *((_moment(snapshot.fetched_at),) if wide else ()),
        )
    return table


def reason_lines(snapshot: FeedSnapshot) -> Iterator[str]:
    """Yield why entries of one feed were not used, the first of each kind, and what stands."""
    yield f"{snapshot.feed}: rejected entries: {snapshot.rejected}."
    yield from _first(snapshot.rejects, snapshot.rejected)
    yield f"{snapshot.feed}: flaws, parts of used entries that could not be used: " + (
        f"{len(snapshot.flaws)}."
    )
    yield from _first(snapshot.flaws, len(snapshot.flaws))
    yield f"{snapshot.feed}: skipped entries: {sum(number for _, number in snapshot.skipped)}."
    for reason, number in snapshot.skipped:
        yield f"  {number}: {reason.rstrip('.')}."
    if snapshot.kept:
        yield f"{snapshot.feed}: kept in force, taken back or softened upstream: " + (
            f"{len(snapshot.kept)}."
        )
        for cve, entry in snapshot.kept:
            due = f", due {entry.due_date}" if entry.due_date else ""
            yield f"  {cve}: listed {entry.date_added}{due}."


def _first(items: Sequence[Reject], count: int) -> Iterator[str]:
    for item in items[:_FIRST]:
        yield f"  {item.where}: {item.reason.rstrip('.')}."
    if count > _FIRST:
        yield f"  and {count - _FIRST} more."


def _figures(snapshot: FeedSnapshot) -> tuple[str, ...]:
    skipped = sum(number for _, number in snapshot.skipped)
    numbers = (snapshot.read, snapshot.count, skipped, snapshot.rejected, len(snapshot.flaws))
    return tuple(map(str, numbers))


def _age(at: datetime | None, now: datetime) -> str:
    if at is None:
        return ""
    hours = (now - at) / timedelta(hours=1)
    return f"{hours:.0f} h" if hours < 72 else f"{int(hours // 24)} days"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}" if at else ""
