"""`wavemend feeds`: fetch what is known about vulnerabilities, its age, and what changed."""

import json
import os
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from wavemend.advisories import FeedSnapshot
from wavemend.cli.feed_override import override_command
from wavemend.cli.here import here
from wavemend.cli.shown import add_row, say, visible
from wavemend.errors import FeedError
from wavemend.feeds.differences import FeedDiff, compare
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.refresh import (
    FeedResult,
    FeedStatus,
    RefreshConfig,
    feeds_to_refresh,
    refresh,
)
from wavemend.site import utc_now

NVD_KEY_VARIABLE = "WAVEMEND_NVD_API_KEY"
"""Never an option: arguments of a process can be read by everybody on the machine."""
DIFF_SCHEMA = "wavemend.feed-diff/1"

app = cyclopts.App(
    name="feeds", help="Fetch what is known about vulnerabilities, its age, and what changed."
)
app.command(override_command, name="override")

Cache = Annotated[
    Path | None,
    Parameter(
        name="--cache", help="Folder of the accepted copies; without it, this installation's."
    ),
]
Feeds = Annotated[
    tuple[str, ...], Parameter(help="Only this feed; may be given again.", negative=())
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
    source: Annotated[
        tuple[str, ...],
        Parameter(help="FEED=URL: fetch this feed from there; may be given again.", negative=()),
    ] = (),
    feed: Feeds = (),
) -> int:
    """Bring every feed up to date; a bad copy never replaces a good one.

    Without --feed: the default feeds, and those that were fetched here before. Exit status 0:
    every feed was refreshed or is unchanged. 11: at least one was not; the table says which and
    why, and the last good copy stays in use.
    """
    sources = _sources(source)
    if (from_ is None) == (not online and not sources):
        raise FeedError(
            "Say where the feeds come from: either --from FOLDER or --online.",
            hint="--from works without a network",
        )
    if sources and not online and not feed:
        feed = tuple(sorted(sources))  # the others' own addresses were not asked for
    key = os.environ.get(NVD_KEY_VARIABLE, "")
    config = RefreshConfig(
        directory=from_,
        sources=sources,
        api_keys={"nvd": key} if key else {},
        feeds=feed,
        signers_file=here().signers_file,
    )
    results = refresh(config, cache or here().feed_cache, utc_now())
    console = Console()
    console.print(result_table(results))
    for result in results:
        for sentence in result.overridden:
            say(f"{result.feed}: {sentence}")
        for sentence in result.relaxed:
            say(f"{result.feed}: {sentence} Still in force as before, until somebody signs for it.")
        if result.relaxed:
            say(f"  to sign: wavemend feeds override {result.feed}")
    bad = [item for item in results if item.status in {FeedStatus.KEPT_OLD, FeedStatus.MISSING}]
    return FeedError.exit_code if bad else 0


def _sources(pairs: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, address = pair.partition("=")
        if not sign or not name or not address:
            raise FeedError(f"{pair!r} is not FEED=URL.", hint="e.g. --source kev=https://…")
        found[name] = address
    return found


@app.command
def status(
    *,
    cache: Cache = None,
    max_age_hours: Annotated[
        float, Parameter(help="Age beyond which decisions are marked stale.")
    ] = 48.0,
) -> int:
    """Show each feed's copy in use: its own date, its figures, and whether it is stale and why.

    Exit status 0: all are fresh. 11: a feed is stale or missing.
    """
    place = cache or here().feed_cache
    now = utc_now()
    known = load_intelligence(
        place,
        now,
        timedelta(hours=max_age_hours),
        feeds=feeds_to_refresh(RefreshConfig(), place),
    )
    console = Console()
    console.print(snapshot_table(known.snapshots, now))
    for warning in known.warnings:
        console.print(visible(warning))
    return FeedError.exit_code if known.stale else 0


@app.command
def diff(
    *,
    cache: Cache = None,
    since: Annotated[
        str, Parameter(help="Compare with the newest copy of that day (YYYY-MM-DD) or before.")
    ] = "",
    states: Annotated[
        tuple[str, str] | None,
        Parameter(help="Compare these two stored states, by the beginning of their digests."),
    ] = None,
    feed: Feeds = (),
    json_: Annotated[
        bool, Parameter(name="--json", help="Print JSON instead.", negative=())
    ] = False,
) -> int:
    """Show what changed between the copy in use and the one before.

    KEV: listed, removed, moved dates, use by ransomware. EPSS: scores that crossed a mark, inside
    one model only. For every feed: its figures. Exit status 0, whatever changed.
    """
    if states and len(feed) != 1:
        raise FeedError("Two states belong to one feed.", hint="name it with --feed")
    place, day = cache or here().feed_cache, _day(since)
    names = feed or feeds_to_refresh(RefreshConfig(), place)
    found = {name: compare(place, name, since=day, states=states) for name in sorted(set(names))}
    if json_:
        known = [diff_json(item) for item in found.values() if item is not None]
        print(json.dumps({"schema": DIFF_SCHEMA, "feeds": known}, indent=1))
        return 0
    for name, item in found.items():
        if item is None:
            say(f"{name}: there is no earlier copy to compare with.")
            continue
        say(f"{name}: {_side(item.before)} to {_side(item.after)}")
        for line in item.sentences or ("nothing changed.",):
            say(f"  {line}")
    return 0


def diff_json(found: FeedDiff) -> dict[str, object]:
    """Return a comparison as it is printed with --json; texts raw, as the feeds wrote them."""
    return {
        "feed": found.feed,
        "before": _side_json(found.before),
        "after": _side_json(found.after),
        "newly_exploited": list(found.newly_exploited),
        "kev": [
            {"kind": type(item).__name__, "cve": item.cve, "said": str(item)} for item in found.kev
        ],
        "kept_in_force": list(found.kept),
        "epss": _epss_json(found),
        "counts": [
            {"name": item.name, "before": item.before, "after": item.after} for item in found.counts
        ],
    }


def _epss_json(found: FeedDiff) -> dict[str, object] | None:
    moved = found.epss
    if moved is None:
        return None
    return {
        "model_before": moved.model_before,
        "model_after": moved.model_after,
        "model_changed": moved.model_changed,
        "new": moved.new,
        "lost": moved.lost,
        "changed": moved.changed,
        "crossed": [
            {
                "cve": item.cve,
                "measure": item.measure,
                "mark": item.mark,
                "rose": item.rose,
                "before": item.before,
                "after": item.after,
            }
            for item in moved.crossed
        ],
    }


def _side_json(snapshot: FeedSnapshot) -> dict[str, object]:
    return {
        "digest": snapshot.digest,
        "data_date": snapshot.data_date.isoformat() if snapshot.data_date else None,
        "model": snapshot.model,
        "entries": snapshot.count,
    }


def _side(snapshot: FeedSnapshot) -> str:
    at = f"{snapshot.data_date:%Y-%m-%d %H:%MZ}" if snapshot.data_date else "an unknown day"
    return f"{at} ({snapshot.digest[:12] or snapshot.source})"


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise FeedError(f"{text!r} is not a day.", hint="write YYYY-MM-DD") from None


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
            str(snapshot.rejected) if snapshot else "",
            result.reason,
        )
    return table


_NUMBERS = ("Read", "Used", "Skipped", "Rejected", "Flaws")


def snapshot_table(snapshots: Iterable[FeedSnapshot], now: datetime) -> Table:
    """Return one line per feed's copy in use."""
    table = Table(title="Feeds in use")
    for heading in ("Feed", "Data of", "Age", "Confirmed", "Model", *_NUMBERS, "Digest", "State"):
        table.add_column(heading, justify="right" if heading in {"Age", *_NUMBERS} else "left")
    for snapshot in snapshots:
        state = "missing" if snapshot.missing else "stale" if snapshot.stale else "fresh"
        add_row(
            table,
            snapshot.feed,
            _moment(snapshot.data_date),
            _age(snapshot.data_date, now),
            _moment(snapshot.fetched_at),
            snapshot.model,
            *(("",) * len(_NUMBERS) if snapshot.missing else _figures(snapshot)),
            snapshot.digest[:12],
            state,
        )
    return table


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
