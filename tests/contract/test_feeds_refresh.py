"""A bad copy never replaces a good one, and every feed says how old it is."""

import contextlib
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wavemend.errors import FeedError
from wavemend.feeds import Document, Feed, Heading, Sink
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.readers.kev import KevFeed
from wavemend.feeds.reading.http import HttpClient, Limits
from wavemend.feeds.refresh import (
    FeedResult,
    FeedStatus,
    RefreshConfig,
    feeds_to_refresh,
    refresh,
)
from wavemend.feeds.store.snapshots import cache_lock, read_current
from wavemend.testing.feed_server import FeedServer, Reply, feed_server

CASES = Path(__file__).parents[1] / "cases" / "feeds"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOMB = gzip.compress(b"0" * 100_000_000, 9)


def epss(count: int = 100, day: str = "2026-11-20", extra: str = "") -> bytes:
    rows = "".join(f"CVE-2026-{10_000 + number},0.{number:05},0.5\n" for number in range(count))
    head = f"#model_version:v2026.06.15,score_date:{day}T12:55:00Z\ncve,epss,percentile\n"
    return gzip.compress((head + rows + extra).encode())


def kev(count: int = 100, released: str = "2026-11-19T17:00:00Z") -> bytes:
    entry = {
        "dateAdded": "2026-01-02",
        "dueDate": "2026-01-23",
        "vulnerabilityName": "A name",
        "knownRansomwareCampaignUse": "Unknown",
    }
    lines = [{"cveID": f"CVE-2026-{10_000 + number}", **entry} for number in range(count)]
    catalogue = {"catalogVersion": "2026.11.19", "dateReleased": released, "count": count}
    return json.dumps({**catalogue, "vulnerabilities": lines}).encode()


@dataclass
class World:
    """A server, a cache, and refreshes against them."""

    server: FeedServer
    cache: Path
    slept: list[float] = field(default_factory=list)

    def refresh(self, feed: str, *replies: Reply, now: datetime = NOW) -> FeedResult:
        if replies:
            self.server.answer("/doc", *replies)
        config = RefreshConfig(sources={feed: f"{self.server.base}/doc"}, feeds=(feed,))
        limits = Limits(attempts=2, max_bytes=10_000_000)
        client = HttpClient(limits=limits, sleep=self.slept.append)
        (result,) = refresh(config, self.cache, now, client=client)
        return result

    def current_count(self, feed: str) -> int:
        stored = read_current(self.cache, feed)
        return stored.snapshot.count if stored else 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with feed_server() as server:
        yield World(server, tmp_path / "cache")


def html(text: bytes = b"<html>log in</html>") -> Reply:
    return Reply(text, headers={"Content-Type": "text/html"})


FAULTS = {
    "f2 blocked": ("kev", Reply(b"no", status=403), "blocked or throttled"),
    "f3 cut transfer": ("kev", Reply(kev(), cut=500), "no complete answer"),
    "f3 cut file": ("epss", Reply(epss()[:-200]), "ends too early"),
    "f5 flood": ("kev", Reply(b" " * 11_000_000), "announces 11000000 bytes"),
    "f6 gzip bomb": ("epss", Reply(BOMB), "more than 200 times: a bomb"),
    "f7 deep nesting": ("kev", Reply(b"[" * 200_000), "nested too deeply"),
    "f8 not a number": ("kev", Reply(b'{"count": NaN}'), "not valid JSON: NaN"),
    "f8 infinite": ("kev", Reply(b'{"count": 1e999}'), "too large for a number"),
    "f8 key twice": ("kev", Reply(b'{"count": 1, "count": 0}'), "occurs twice"),
    "f8 score over one": ("epss", Reply(epss(extra="CVE-2025-0001,1.5,0.5\n")), "from 0 to 1"),
    "f8 score not a number": ("epss", Reply(epss(extra="CVE-2025-0001,nan,1\n")), "not a table"),
    "f8 cve twice": ("epss", Reply(epss(extra="CVE-2026-10001,0.5,0.5\n")), "occurs twice"),
    "f9 key renamed": ("kev", Reply(kev().replace(b"dueDate", b"dueOn")), "cannot be read"),
    "f11 rollback": ("kev", Reply(kev(released="2026-11-18T17:00:00Z")), "older than the copy"),
    "f12 from the future": ("kev", Reply(kev(released="2099-01-01T00:00:00Z")), "in the future"),
    "f13 shrunk": ("kev", Reply(kev(97, "2026-11-20T09:00:00Z")), "shrank from 100 to 97"),
    "f13 empty": ("kev", Reply(kev(0, "2026-11-20T09:00:00Z")), "not a world without"),
    "f16 login page": ("kev", html(), "is a web page"),
    "f16 page in disguise": ("epss", Reply(gzip.compress(b"<html>log in</html>")), "is a web page"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_copy_is_refused_with_its_reason_and_the_good_one_stays(
    world: World, fault: str
) -> None:
    feed, reply, reason = FAULTS[fault]
    good = world.refresh(feed, Reply(epss() if feed == "epss" else kev()))
    assert good.status is FeedStatus.REFRESHED

    result = world.refresh(feed, reply, now=NOW + timedelta(hours=1))

    assert result.status is FeedStatus.KEPT_OLD
    assert reason in result.reason
    assert result.snapshot is not None
    assert result.snapshot.digest == good.snapshot.digest if good.snapshot else False
    assert world.current_count(feed) == 100
    assert [path.name for path in (world.cache / feed).glob(".new-*")] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_without_a_good_copy_a_faulty_one_leaves_the_feed_missing_not_empty(
    world: World, fault: str
) -> None:
    feed, reply, _ = FAULTS[fault]
    if fault in {"f11 rollback", "f13 shrunk"}:
        return  # these are faults only beside a better copy

    result = world.refresh(feed, reply)

    assert (result.status, result.snapshot) == (FeedStatus.MISSING, None)
    known = load_intelligence(world.cache, NOW)
    assert known.stale
    assert not known.kev_known
    assert {item.feed for item in known.snapshots if item.missing} == {
        "debian",
        "epss",
        "kev",
        "nvd",
    }


def test_a_good_copy_replaces_the_older_one_and_an_unchanged_one_is_confirmed(
    world: World,
) -> None:
    reply = Reply(kev(), headers={"ETag": '"1"'})
    assert world.refresh("kev", reply).status is FeedStatus.REFRESHED

    later = NOW + timedelta(hours=6)
    again = world.refresh("kev", now=later)
    newer = world.refresh("kev", Reply(kev(99, "2026-11-20T09:00:00Z")), now=later)

    assert again.status is FeedStatus.UNCHANGED
    assert again.snapshot is not None
    assert again.snapshot.fetched_at == later
    assert newer.status is FeedStatus.REFRESHED
    assert world.current_count("kev") == 99
    assert newer.relaxed == ("CVE-2026-10099 is no longer in the catalogue.",)


def test_f10_a_frozen_feed_turns_stale_by_its_own_date_however_often_it_answers(
    world: World,
) -> None:
    world.refresh("epss", Reply(epss(), headers={"ETag": '"1"'}))
    fresh = load_intelligence(world.cache, NOW + timedelta(hours=1))

    late = NOW + timedelta(days=10)
    assert world.refresh("epss", now=late).status is FeedStatus.UNCHANGED
    frozen = load_intelligence(world.cache, late)

    (before,) = (item for item in fresh.snapshots if item.feed == "epss")
    (after,) = (item for item in frozen.snapshots if item.feed == "epss")
    assert (before.stale, before.note) == (False, "")
    assert (after.stale, after.note) == (True, "stale: the data is of 2026-11-20, 10 days old.")
    assert frozen.vulnerability("CVE-2026-10050").epss is not None


def test_a_feed_that_was_not_confirmed_for_too_long_is_stale(world: World) -> None:
    world.refresh("kev", Reply(kev()))

    known = load_intelligence(world.cache, NOW + timedelta(hours=49))

    (snapshot,) = (item for item in known.snapshots if item.feed == "kev")
    assert snapshot.note == "stale: not confirmed since 2026-11-20 12:00Z."


def test_f15_feeds_of_different_days_are_said_to_be_so(world: World) -> None:
    world.refresh("kev", Reply(kev()))
    world.refresh("epss", Reply(epss(day="2026-10-20")))

    known = load_intelligence(world.cache, NOW)

    assert known.skew.days == 30
    assert any("30 days apart" in warning for warning in known.warnings)


def test_f14_a_page_that_fails_fails_the_whole_and_all_pages_make_it_whole(world: World) -> None:
    pages = [json.loads((CASES / "nvd" / f"page-{start}.json").read_text()) for start in (0, 3, 6)]
    for page in pages:
        body = json.dumps(page).encode()
        world.server.answer(
            f"/doc?startIndex={page['startIndex']}&resultsPerPage=2000", Reply(body)
        )
    last = "/doc?startIndex=6&resultsPerPage=2000"
    good = world.server.answers[last]

    world.server.answers[last] = [Reply(status=503)]
    broken = world.refresh("nvd")
    world.server.answers[last] = good
    whole = world.refresh("nvd")

    assert broken.status is FeedStatus.MISSING
    assert "answered 503" in broken.reason
    assert whole.status is FeedStatus.REFRESHED
    assert world.current_count("nvd") == 8
    assert 6.0 in world.slept  # NVD's own wish between two pages


def test_f14_a_folder_with_a_page_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in" / "nvd").mkdir(parents=True)
    for start in (0, 6):
        body = (CASES / "nvd" / f"page-{start}.json").read_bytes()
        (tmp_path / "in" / "nvd" / f"page-{start}.json").write_bytes(body)

    config = RefreshConfig(directory=tmp_path / "in", feeds=("nvd",))
    (result,) = refresh(config, tmp_path / "cache", NOW)

    assert result.status is FeedStatus.MISSING
    assert "begins at entry 6; the pages before end at 3" in result.reason


def test_a_folder_serves_the_same_feeds_and_an_absent_one_is_missing(tmp_path: Path) -> None:
    (tmp_path / "in" / "kev").mkdir(parents=True)
    (tmp_path / "in" / "kev" / "kev.json").write_bytes(kev())

    results = refresh(RefreshConfig(directory=tmp_path / "in"), tmp_path / "cache", NOW)

    assert {item.feed: item.status.value for item in results} == {
        "debian": "missing",
        "epss": "missing",
        "kev": "refreshed",
        "nvd": "missing",
    }


def test_what_the_real_catalogue_took_back_within_a_year_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "kev"
    folder.mkdir(parents=True)
    config = RefreshConfig(directory=tmp_path / "in", feeds=("kev",))
    results: list[FeedResult] = []
    for day in ("2025-08-25", "2026-08-07"):
        (folder / "kev.json").write_bytes((CASES / "kev" / f"{day}.json").read_bytes())
        results += refresh(config, tmp_path / "cache", NOW)

    result = results[-1]
    assert result.status is FeedStatus.REFRESHED
    assert result.relaxed == (
        "CVE-2020-1472: due date moved from 2020-09-21 to 2022-05-03.",
        "CVE-2021-26855: due date moved from 2021-04-16 to 2022-05-03.",
    )


def test_a_damaged_copy_is_missing_with_its_reason_and_a_refresh_compiles_it_again(
    world: World,
) -> None:
    first = world.refresh("kev", Reply(kev(), headers={"ETag": '"1"'}))
    assert first.snapshot is not None
    (world.cache / "kev" / first.snapshot.digest / "content.sqlite").write_bytes(b"nonsense")

    (snapshot,) = (i for i in load_intelligence(world.cache, NOW).snapshots if i.feed == "kev")
    mended = world.refresh("kev")

    assert snapshot.missing
    assert "is not what was accepted" in snapshot.note
    assert mended.status is FeedStatus.UNCHANGED
    assert mended.reason.endswith("It was compiled again from its documents.")
    assert world.current_count("kev") == 100


def test_a_copy_that_is_damaged_beyond_repair_is_fetched_again_and_that_is_said(
    world: World,
) -> None:
    first = world.refresh("kev", Reply(kev()))
    assert first.snapshot is not None
    state = world.cache / "kev" / first.snapshot.digest
    (state / "content.sqlite").unlink()
    (stored,) = (state / "documents").iterdir()
    stored.write_bytes(b"{}")

    mended = world.refresh("kev", Reply(kev()))

    assert mended.status is FeedStatus.REFRESHED
    assert "is not what was accepted" in mended.reason
    assert world.current_count("kev") == 100


def test_a_mirror_is_asked_when_the_first_address_refuses(tmp_path: Path) -> None:
    with feed_server() as server:
        first = server.answer("/first", Reply(status=403))
        second = server.answer("/second", Reply(kev()))
        table = {"kev": lambda: KevFeed(sources=(first, second))}
        client = HttpClient(limits=Limits(attempts=1))

        (result,) = refresh(RefreshConfig(), tmp_path, NOW, client=client, table=table)

    assert result.status is FeedStatus.REFRESHED
    assert result.snapshot is not None
    assert result.snapshot.source == second


def test_no_fault_of_one_feed_keeps_another_from_being_refreshed(tmp_path: Path) -> None:
    class Broken(KevFeed):
        """A reader with a bug in it."""

        def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
            raise KeyError(f"a bug in {len(documents)} documents for {sink}"[:5])

    def not_there() -> Feed:
        raise ModuleNotFoundError("no module of that name")

    for name in ("bad", "gone", "kev"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "kev.json").write_bytes(kev())
    table = {
        "bad": lambda: Broken(name="bad"),
        "gone": not_there,
        "kev": KevFeed,
    }
    config = RefreshConfig(directory=tmp_path / "in", feeds=("bad", "gone", "kev"))

    results = refresh(config, tmp_path / "cache", NOW, table=table)

    assert [item.status.value for item in results] == ["missing", "missing", "refreshed"]
    assert "a fault in the reader of this feed" in results[0].reason
    assert "KeyError: 'a bug' at test_feeds_refresh.py:" in results[0].reason


def test_a_full_disk_keeps_the_old_copy_and_says_so(world: World) -> None:
    world.refresh("kev", Reply(kev()))
    home = world.cache / "kev"
    (home / "refused.json").mkdir()  # a place that cannot be written, for root too

    result = world.refresh("kev", Reply(kev(10, "2026-11-20T09:00:00Z")))

    assert result.status is FeedStatus.KEPT_OLD
    assert "cannot be stored" in result.reason
    assert world.current_count("kev") == 100


def test_the_time_for_all_feeds_is_bounded_and_who_finds_none_left_keeps_its_copy(
    tmp_path: Path,
) -> None:
    at = [0.0]
    with feed_server() as server:

        def slow() -> None:
            at[0] += 1.0

        first = server.answer("/a", Reply(kev(), drip=slow))
        second = server.answer("/b", Reply(kev()))
        table = {
            "a": lambda: KevFeed(name="a", sources=(first,)),
            "b": lambda: KevFeed(name="b", sources=(second,)),
        }
        client = HttpClient(clock=lambda: at[0], sleep=lambda _: None)
        config = RefreshConfig(feeds=("a", "b"), total_seconds=50)

        results = refresh(config, tmp_path, NOW, client=client, table=table)

    assert [item.status.value for item in results] == ["missing", "missing"]
    assert "not complete within 50 seconds" in results[0].reason
    assert "not complete within 0 seconds" in results[1].reason
    assert [path for path, _ in server.requests] == ["/a"]


def test_the_feeds_of_a_refresh_are_the_default_ones_those_fetched_before_and_those_named(
    world: World, tmp_path: Path
) -> None:
    assert feeds_to_refresh(RefreshConfig(), world.cache) == ("debian", "epss", "kev", "nvd")

    (world.cache / "suse").mkdir(parents=True)
    (world.cache / "suse" / "current.json").touch()
    (tmp_path / "in" / "rocky").mkdir(parents=True)
    config = RefreshConfig(directory=tmp_path / "in", sources={"rpm": "almalinux-9=https://x"})

    assert feeds_to_refresh(config, world.cache) == (
        "debian",
        "epss",
        "kev",
        "nvd",
        "rocky",
        "rpm",
        "suse",
    )
    assert feeds_to_refresh(RefreshConfig(feeds=("kev",)), world.cache) == ("kev",)


def test_a_feed_without_an_address_of_its_own_asks_for_one(tmp_path: Path) -> None:
    table = {"mine": lambda: KevFeed(name="mine", sources=())}

    (result,) = refresh(RefreshConfig(feeds=("mine",)), tmp_path, NOW, table=table)

    assert result.reason.startswith("feed mine has no address of its own: name one, --source mine=")


def test_a_refresh_waits_for_another_one_and_then_keeps_what_there_is(world: World) -> None:
    world.refresh("kev", Reply(kev()))
    slept: list[float] = []
    config = RefreshConfig(feeds=("epss", "kev"), lock_seconds=3)

    with cache_lock(world.cache):
        epss_line, kev_line = refresh(
            config, world.cache, NOW, client=HttpClient(sleep=slept.append)
        )

    assert sum(slept) == 3
    assert (epss_line.status, kev_line.status) == (FeedStatus.MISSING, FeedStatus.KEPT_OLD)
    assert kev_line.snapshot is not None
    assert "another refresh is working on" in kev_line.reason
    assert "did not end within 3 seconds" in kev_line.reason


def test_a_refresh_that_waited_goes_on_when_the_other_one_has_ended(world: World) -> None:
    world.refresh("kev", Reply(kev()))
    other = contextlib.ExitStack()
    other.enter_context(cache_lock(world.cache))
    config = RefreshConfig(sources={"kev": f"{world.server.base}/doc"}, feeds=("kev",))

    (result,) = refresh(config, world.cache, NOW, client=HttpClient(sleep=lambda _: other.close()))

    assert result.status is FeedStatus.UNCHANGED


def test_a_feed_that_does_not_exist_is_a_mistake_not_a_result(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="there is no feed kve"):
        refresh(RefreshConfig(feeds=("kve",)), tmp_path, NOW)
