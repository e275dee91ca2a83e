"""A stored copy that is damaged gets its line in the table like any other; nothing stops for it."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tasks.feeds import load_results
from tasks.workbench import Workbench
from tests.cases.rollouts.ledgers import new_ledger
from tests.contract.told_feed import NOW, ToldFeed, adopted, one
from wavemend.feeds.refresh import FeedResult, FeedStatus
from wavemend.feeds.store.snapshots import read_current


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
