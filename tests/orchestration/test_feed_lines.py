"""A stored copy that is damaged gets its line in the table like any other; nothing stops for it."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tasks.feeds import FeedLine, load_results, message_of
from tasks.workbench import Workbench
from tests.cases.rollouts.ledgers import new_ledger
from tests.contract.told_feed import NOW, ToldFeed, adopted, one
from wavemend.feeds.refresh import FeedResult, FeedStatus
from wavemend.feeds.store.snapshots import read_current
from wavemend.steps.assess import NewlyExploited, Reassessed


def test_what_changed_in_a_damaged_copy_cannot_be_said_and_is_said_so(tmp_path: Path) -> None:
    cache = tmp_path / "feeds"
    adopted(cache, ToldFeed(name="kev", say=one))
    stored = read_current(cache, "kev")
    assert stored is not None
    stored.compiled.write_bytes(b"damaged")
    parts = {
        "site": SimpleNamespace(feed_cache=cache),
        "hands": SimpleNamespace(ledger=new_ledger(tmp_path), clock=lambda: NOW),
    }
    bench = cast("Workbench", SimpleNamespace(**parts))
    result = FeedResult(
        feed="kev", status=FeedStatus.MISSING, snapshot=None, reason="it is damaged"
    )

    (line,) = load_results(bench, [result])

    assert (line.feed, line.is_current, line.why) == ("kev", False, "it is damaged")
    assert "cannot be said: the stored copy of feed kev cannot be used" in line.changed


def line_of_feed(feed: str, *, is_current: bool = True, stale: bool = False) -> FeedLine:
    return FeedLine(
        feed=feed,
        status="",
        is_current=is_current,
        stale=stale,
        data_date="",
        age="",
        model="",
        entries=0,
        rejected=0,
        changed="",
        why="",
    )


def judged(*hosts: str) -> Reassessed:
    new = NewlyExploited(
        cve="CVE-2026-1000", tenant="acme", package="zip", hosts=hosts, fixed=(), notes=()
    )
    items = (new,) if hosts else ()
    return Reassessed(hosts=6, unseen=(), unchanged=0, newly_exploited=items)


def test_the_runs_message_says_what_came_what_is_old_and_what_is_exploited() -> None:
    lines = [line_of_feed("kev", stale=True), line_of_feed("epss", stale=True)]

    assert message_of(lines, judged()) == "2 fetched, 2 stale; 0 CVEs newly exploited"
    assert message_of(lines, judged("a", "b")) == (
        "2 fetched, 2 stale; 1 CVE newly exploited on 2 hosts"
    )
    kept = [*lines, line_of_feed("nvd", is_current=False)]
    assert message_of(kept, judged("a")) == (
        "2 fetched, 2 stale, not refreshed: nvd; 1 CVE newly exploited on 1 host"
    )
