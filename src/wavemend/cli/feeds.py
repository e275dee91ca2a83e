"""`wavemend feeds`: fetch what is known about vulnerabilities, and say how old it is."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from wavemend.advisories import FeedSnapshot
from wavemend.cli.here import here
from wavemend.cli.shown import add_row, visible
from wavemend.errors import FeedError
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.refresh import FeedResult, FeedStatus, RefreshConfig, refresh

NVD_KEY_VARIABLE = "WAVEMEND_NVD_API_KEY"
"""Never an option: arguments of a process can be read by everybody on the machine."""

app = cyclopts.App(name="feeds", help="Fetch what is known about vulnerabilities, and its age.")

Cache = Annotated[
    Path | None,
    Parameter(
        name="--cache", help="Folder of the accepted copies; without it, this installation's."
    ),
]


@app.command(name="refresh")
def refresh_command(
    *,
    cache: Cache = None,
    from_: Annotated[
        Path | None,
        Parameter(name="--from", help="Folder with one subfolder per feed (air-gapped)."),
    ] = None,
    online: Annotated[
        bool, Parameter(help="Fetch from the feeds' own addresses.", negative=())
    ] = False,
    feed: Annotated[
        tuple[str, ...], Parameter(help="Only this feed; may be given again.", negative=())
    ] = (),
) -> int:
    """Bring every feed up to date; a bad copy never replaces a good one.

    Exit status 0: every feed was refreshed or is unchanged. 11: at least one was not; the table
    says which and why, and the last good copy stays in use.
    """
    if (from_ is None) == (not online):
        raise FeedError(
            "Say where the feeds come from: either --from FOLDER or --online.",
            hint="--from works without a network",
        )
    key = os.environ.get(NVD_KEY_VARIABLE, "")
    config = RefreshConfig(directory=from_, api_keys={"nvd": key} if key else {}, feeds=feed)
    results = refresh(config, cache or here().feed_cache, datetime.now(UTC))
    console = Console()
    console.print(result_table(results))
    for result in results:
        for sentence in result.relaxed:
            console.print(visible(f"{result.feed}: {sentence}"))
    bad = [item for item in results if item.status in {FeedStatus.KEPT_OLD, FeedStatus.MISSING}]
    return FeedError.exit_code if bad else 0


@app.command
def status(
    *,
    cache: Cache = None,
    max_age_hours: Annotated[
        float, Parameter(help="Age beyond which decisions are marked stale.")
    ] = 48.0,
) -> int:
    """Show each feed's copy in use: its own date, when it came, and whether it is stale.

    Exit status 0: all are fresh. 11: a feed is stale or missing.
    """
    known = load_intelligence(
        cache or here().feed_cache, datetime.now(UTC), timedelta(hours=max_age_hours)
    )
    console = Console()
    console.print(snapshot_table(known.snapshots))
    for warning in known.warnings:
        console.print(visible(warning))
    return FeedError.exit_code if known.stale else 0


def result_table(results: Iterable[FeedResult]) -> Table:
    """Return one line per feed of a refresh."""
    table = Table(title="Feeds")
    for heading in ("Feed", "Result", "Data of", "Entries", "Rejected", "Why"):
        table.add_column(heading, justify="right" if heading in {"Entries", "Rejected"} else "left")
    for result in results:
        snapshot = result.snapshot
        add_row(
            table,
            result.feed,
            result.status.value,
            _moment(snapshot.data_date if snapshot else None),
            str(snapshot.count) if snapshot else "",
            str(len(snapshot.rejects)) if snapshot else "",
            result.reason,
        )
    return table


def snapshot_table(snapshots: Iterable[FeedSnapshot]) -> Table:
    """Return one line per feed's copy in use."""
    table = Table(title="Feeds in use")
    for heading in ("Feed", "Data of", "Confirmed", "Model", "Entries", "Digest", "State"):
        table.add_column(heading, justify="right" if heading == "Entries" else "left")
    for snapshot in snapshots:
        state = "missing" if snapshot.missing else "stale" if snapshot.stale else "fresh"
        add_row(
            table,
            snapshot.feed,
            _moment(snapshot.data_date),
            _moment(snapshot.fetched_at),
            snapshot.model,
            "" if snapshot.missing else str(snapshot.count),
            snapshot.digest[:12],
            state,
        )
    return table


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}" if at else ""
