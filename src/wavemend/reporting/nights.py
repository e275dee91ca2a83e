"""What calendars had to do with a rollout: overrides it rests on, and nights it did not run in."""

from datetime import timedelta

from wavemend.ledger import nights
from wavemend.nights import used_step
from wavemend.reporting.source import Source
from wavemend.reports.model import NightReport, OverrideReport

_REACH = timedelta(days=3)
"""Local mornings lie within this of a window's end, in every zone."""
LOOK_BACK = timedelta(days=62)
"""Nights are told as far back as this: two openings of a monthly window."""


def override_reports(source: Source) -> tuple[OverrideReport, ...]:
    """Return the overrides that were used: a row that merely lies in the ledger is none."""
    end = source.row.window_end
    signed = nights.signed_nights(
        source.book,
        source.row.tenant,
        first=(end - _REACH).date(),
        last=(end + _REACH).date(),
    )
    return tuple(
        OverrideReport(
            identity=item.said.identity,
            key_fingerprint=item.fingerprint,
            morning=item.said.morning.isoformat(),
            reason=item.said.reason,
            at=item.signed_at,
        )
        for item in signed
        if used_step(item.said.morning, item.said.identity) in source.view.steps
    )


def night_reports(source: Source) -> tuple[NightReport, ...]:
    """Return the openings since the rollout before this one in which nothing ran."""
    row = source.row
    key = row.key.rpartition("/")[0]
    since = row.window_start - LOOK_BACK
    used = [start for text, start in nights.openings_used(source.book, since) if text == key]
    last = max((start for start in used if start < row.window_start), default=since)
    return tuple(
        NightReport(
            start=night.window_start,
            end=night.window_end,
            verdict=night.verdict.value,
            reason=night.reason,
        )
        for night in nights.nights_since(source.book, last, key=key)
        if night.window_start < row.window_start
    )
