"""Refreshing feeds: one task run per feed, so that a bad one is seen and holds up no other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.workbench import Workbench
from wavemend.feeds.refresh import FeedResult, FeedStatus, RefreshConfig, refresh
from wavemend.fleet import Fleet
from wavemend.ledger.intake import record_snapshots


@dataclass(frozen=True, slots=True)
class FeedLine:
    """What became of one feed, in a form that is shown."""

    feed: str
    status: str
    is_current: bool
    data_date: str
    model: str
    entries: int
    rejected: int
    why: str


@task(task_run_name="feed {feed}", tags=["reads-feeds"], cache_policy=NO_CACHE)
def refresh_one(bench: Workbench, feed: str) -> FeedResult:
    """Refresh one feed. It retries inside its own time budget, so Prefect does not."""
    config = config_of(bench.fleet, feed)
    (result,) = refresh(config, bench.site.feed_cache, bench.hands.clock())
    log = get_run_logger()
    if result.status in {FeedStatus.REFRESHED, FeedStatus.UNCHANGED}:
        log.info("%s: %s", feed, result.status)
    else:
        log.warning("%s: %s: %s", feed, result.status, result.reason)
    return result


def config_of(fleet: Fleet, feed: str) -> RefreshConfig:
    """Return where this fleet's feeds come from: the network, or a folder."""
    source = fleet.feeds.source
    if source == "online":
        key = os.environ.get("WAVEMEND_NVD_API_KEY", "")
        return RefreshConfig(feeds=(feed,), api_keys={"nvd": key} if key else {})
    folder = Path(source.removeprefix("directory:"))
    return RefreshConfig(directory=Path(fleet.source_path).parent / folder, feeds=(feed,))


def load_results(bench: Workbench, results: Sequence[FeedResult]) -> list[FeedLine]:
    """Note the accepted copies in the ledger and return one line per feed."""
    snapshots = tuple(result.snapshot for result in results if result.snapshot)
    now = bench.hands.clock()
    with bench.hands.ledger.writing() as book:
        record_snapshots(book, snapshots, actor="refresh-feeds", now=now)
    return [_line(result) for result in results]


def show_feeds(lines: Sequence[FeedLine]) -> None:
    """Publish age and counts as a table."""
    create_table_artifact(
        key="feeds",
        table=[
            {
                "feed": line.feed,
                "result": line.status,
                "data of": line.data_date,
                "model": line.model,
                "entries": line.entries,
                "rejected": line.rejected,
                "why": line.why,
            }
            for line in lines
        ],
        description="EPSS: FIRST EPSS SIG. This product uses data from the NVD API but is not "
        "endorsed or certified by the NVD.",
    )


def _line(result: FeedResult) -> FeedLine:
    snapshot = result.snapshot
    return FeedLine(
        feed=result.feed,
        status=result.status,
        is_current=result.status in {FeedStatus.REFRESHED, FeedStatus.UNCHANGED},
        data_date=f"{snapshot.data_date:%Y-%m-%d}" if snapshot and snapshot.data_date else "",
        model=snapshot.model if snapshot else "",
        entries=snapshot.count if snapshot else 0,
        rejected=len(snapshot.rejects) if snapshot else 0,
        why=result.reason,
    )
