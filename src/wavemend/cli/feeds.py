"""`wavemend feeds`: fetch what is known about vulnerabilities, its age, and what changed."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.advisories import FeedSnapshot
from wavemend.cli.feed_override import override_command
from wavemend.cli.feed_tables import figure_table, reason_lines, result_table, snapshot_table
from wavemend.cli.here import fleet_here, has_ledger, here, ledger_here, operator
from wavemend.cli.moments import judge_anew
from wavemend.cli.shown import say
from wavemend.cli.tables import is_wide, screen
from wavemend.errors import FeedError
from wavemend.feeds import DEFAULT_FEEDS, FEEDS
from wavemend.feeds.differences import FeedDiff, compare
from wavemend.feeds.floors import Remembered
from wavemend.feeds.intelligence import MAX_AGE, load_intelligence
from wavemend.feeds.refresh import (
    FeedStatus,
    RefreshConfig,
    feeds_to_refresh,
    refresh,
)
from wavemend.fleet import FeedSettings
from wavemend.ledger.intake import record_snapshots, remembered_states
from wavemend.site import utc_now

NVD_KEY_VARIABLE = "WAVEMEND_NVD_API_KEY"
"""Never an option: arguments of a process can be read by everybody on the machine."""
MOST_HOURS = 87_600
"""Ten years. Beyond, no date is left to compare with."""
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

    Without options: the feeds of the fleet in force, from where its file says. Without --feed and
    without a fleet: the default feeds, and those that were fetched here before. Exit status 0:
    every feed was refreshed or is unchanged. 11: at least one was not; the table says which, the
    lines below it why, and the last good copy stays in use.
    """
    config, place = _config(from_, _sources(source), feed, online=online), _place(cache)
    names = feeds_to_refresh(config, place)
    if is_ours := place == here().feed_cache and has_ledger():
        with ledger_here().reading() as book:
            config = replace(config, remembered=remembered_states(book, names))
    results, now = refresh(config, place, utc_now()), utc_now()
    if is_ours:
        accepted = tuple(item.accepted for item in results if item.accepted)
        with ledger_here().writing() as book:
            record_snapshots(book, accepted, actor=operator(), now=now, compared=True)
    screen().print(result_table(results))
    for result in results:
        if result.reason:
            say(f"{result.feed}: {result.reason}")
        for sentence in result.overridden:
            say(f"{result.feed}: {sentence}")
        for sentence in result.relaxed:
            say(f"{result.feed}: {sentence} Still in force as before, until somebody signs for it.")
        if result.relaxed:
            say(f'  to sign: wavemend feeds override {result.feed} --key KEYFILE --reason "WHY"')
    for line in _judged(config, is_ours=is_ours):
        say(line)
    bad = [item for item in results if item.status in {FeedStatus.KEPT_OLD, FeedStatus.MISSING}]
    return FeedError.exit_code if bad else 0


def _judged(config: RefreshConfig, *, is_ours: bool) -> Iterator[str]:
    """Name folders that were not read, then judge this installation's hosts by what is new."""
    if config.directory is not None:
        known = set(FEEDS)
        for folder in sorted(item for item in config.directory.iterdir() if item.is_dir()):
            if folder.name not in known and not folder.name.startswith("."):
                yield (
                    f"{folder}: there is no feed of that name, so it was not read; known feeds: "
                    f"{', '.join(sorted(known))}."
                )
    if is_ours and fleet_here() is not None:
        yield from judge_anew(ledger_here())


def _config(
    folder: Path | None, sources: dict[str, str], feeds: tuple[str, ...], *, online: bool
) -> RefreshConfig:
    """Return what to refresh from where; what was not said is as the fleet in force has it."""
    if folder is not None and (online or sources):
        raise FeedError(
            "Say where the feeds come from: either --from FOLDER, or --online and --source.",
            hint="--from works without a network",
        )
    fleet = fleet_here()
    settings = fleet.feeds if fleet else FeedSettings()
    said = folder is not None or online or bool(sources)
    if not said and fleet is None:
        raise FeedError(
            "Say where the feeds come from: either --from FOLDER or --online.",
            hint="--from works without a network; with a fleet applied, its file says it",
        )
    if not said and settings.source != "online":
        folder = Path(fleet.source_path if fleet else "").parent / settings.source.removeprefix(
            "directory:"
        )
    if sources and not online and not feeds:
        feeds = tuple(sorted(sources))  # the others' own addresses were not asked for
    if folder is None:
        sources = {**settings.addresses, **sources}
    if folder is None or not said:
        feeds = feeds or settings.use
    chosen = {name: url for name, url in sources.items() if not feeds or name in feeds}
    key = os.environ.get(NVD_KEY_VARIABLE, "")
    return RefreshConfig(
        directory=folder,
        sources=chosen,
        api_keys={"nvd": key} if key else {},
        feeds=feeds,
        signers_file=here().signers_file,
    )


def _place(cache: Path | None) -> Path:
    return cache.resolve() if cache else here().feed_cache


def _in_force(place: Path) -> tuple[tuple[str, ...], float]:
    """Return which feeds are looked at in this cache, and the age in hours they may have."""
    fleet = fleet_here() if place == here().feed_cache else None
    if fleet is None:
        return feeds_to_refresh(RefreshConfig(), place), MAX_AGE / timedelta(hours=1)
    return tuple(sorted(fleet.feeds.use or DEFAULT_FEEDS)), fleet.feeds.max_age_hours


def _hours(given: float | None, otherwise: float) -> timedelta:
    if given is None:
        return timedelta(hours=otherwise)
    if not 0 < given <= MOST_HOURS:  # not a number is not in between either
        raise FeedError(
            f"{given:g} hours is no age.", hint=f"a number of hours from 0 to {MOST_HOURS}"
        )
    return timedelta(hours=given)


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
    feed: Annotated[
        str, Parameter(help="Of this feed also what was not used, and why: the first of each kind.")
    ] = "",
    *,
    cache: Cache = None,
    max_age_hours: Annotated[
        float | None,
        Parameter(
            help="Age beyond which decisions are marked stale; without it the fleet's, or 48."
        ),
    ] = None,
) -> int:
    """Show each feed's copy in use: its own date, its figures, and whether it is stale and why.

    Of this installation: the feeds that the fleet in force uses.

    Exit status 0: all are fresh. 11: a feed is stale or missing.
    """
    place = _place(cache)
    now = utc_now()
    names, usual = _in_force(place)
    names = (feed,) if feed else names
    max_age = _hours(max_age_hours, usual)
    remembered: dict[str, Remembered] = {}
    if place == here().feed_cache and has_ledger():
        with ledger_here().reading() as book:
            remembered = remembered_states(book, names)
    known = load_intelligence(place, now, max_age, feeds=names, remembered=remembered)
    console = screen()
    console.print(snapshot_table(known.snapshots, now, wide=is_wide(console)))
    console.print(figure_table(known.snapshots, wide=is_wide(console)))
    for snapshot in known.snapshots:
        if snapshot.model:
            say(f"{snapshot.feed}: model {snapshot.model}")
    for warning in known.warnings:
        say(warning)
    for snapshot in known.snapshots if feed else ():
        for line in reason_lines(snapshot):
            say(line)
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
    place, day = _place(cache), _day(since)
    names = feed or _in_force(place)[0]
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
