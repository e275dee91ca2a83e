"""What was accepted is remembered: damage, deletion and edited files let nothing older in."""

import contextlib
import hashlib
import json
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wavemend.advisories import FeedSnapshot
from wavemend.errors import FeedRejected
from wavemend.feeds.floors import Remembered, altered
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.reading.http import HttpClient, Limits
from wavemend.feeds.refresh import FeedResult, FeedStatus, RefreshConfig, refresh
from wavemend.feeds.store.snapshots import read_current
from wavemend.ledger import audit
from wavemend.ledger.intake import record_snapshots, remembered_states
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.testing.feed_server import Reply, feed_server

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST = "CVE-2026-10000"


def kev(count: int = 100, day: int = 18, gone: int = -1) -> bytes:
    entry = {
        "dateAdded": "2026-01-02",
        "dueDate": "2026-01-23",
        "vulnerabilityName": "A name",
        "knownRansomwareCampaignUse": "Unknown",
    }
    lines = [
        {"cveID": f"CVE-2026-{10_000 + number}", **entry}
        for number in range(count)
        if number != gone
    ]
    released = f"2026-11-{day:02}T17:00:00Z"
    catalogue = {"catalogVersion": "2026.11", "dateReleased": released, "count": len(lines)}
    return json.dumps({**catalogue, "vulnerabilities": lines}).encode()


@dataclass
class Site:
    """A cache, a folder of documents, and a ledger."""

    home: Path
    ledger: Ledger
    hours: int = 0
    results: list[FeedResult] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.home / "feeds"

    def remembered(self) -> dict[str, Remembered]:
        with self.ledger.reading() as book:
            return remembered_states(book, ("kev",))

    def refresh(self, body: bytes | None = None, *, asks: bool = True) -> FeedResult:
        """Refresh from a folder and record what came of it; `asks`: the ledger is at hand."""
        place = self.home / "in" / "kev"
        place.mkdir(parents=True, exist_ok=True)
        if body is not None:
            (place / "kev.json").write_bytes(body)
        self.hours += 1
        now = NOW + timedelta(hours=self.hours)
        config = RefreshConfig(
            directory=self.home / "in",
            feeds=("kev",),
            remembered=self.remembered() if asks else {},
        )
        (result,) = refresh(config, self.cache, now)
        if asks and result.accepted:
            self.record(result.accepted, compared=True)
        return result

    def record(self, snapshot: FeedSnapshot, *, compared: bool) -> None:
        with self.ledger.writing() as book:
            record_snapshots(book, (snapshot,), actor="test", now=NOW, compared=compared)

    def is_listed(self) -> tuple[bool, str]:
        known = load_intelligence(self.cache, NOW, feeds=("kev",), remembered=self.remembered())
        found = known.vulnerability(FIRST)
        return found.kev is not None or not found.kev_known, known.snapshots[0].note

    def damage(self) -> None:
        """Damage what was compiled and the documents it could be compiled from again."""
        stored = read_current(self.cache, "kev")
        assert stored is not None
        stored.compiled.write_bytes(b"x")
        stored.documents[0].path.write_bytes(b"y")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}"))


def edit(site: Site) -> None:
    """Take an entry out of the compiled catalogue, and make the digest beside it fit."""
    stored = read_current(site.cache, "kev")
    assert stored is not None
    with sqlite3.connect(stored.compiled) as book:
        book.execute("DELETE FROM kev WHERE cve = ?", (FIRST,))
    book.close()
    body = stored.compiled.read_bytes()
    manifest = stored.compiled.with_name("snapshot.json")
    said = json.loads(manifest.read_text())
    said["compiled"].update(size=len(body), sha256=hashlib.sha256(body).hexdigest())
    manifest.write_text(json.dumps(said))


def test_content_that_was_changed_with_its_digest_is_not_used_and_is_compiled_again(
    site: Site,
) -> None:
    site.refresh(kev())
    edit(site)

    listed, note = site.is_listed()
    assert listed  # as the worst case: the catalogue counts as missing
    assert "changed after it was accepted" in note

    mended = site.refresh()

    assert mended.status is FeedStatus.UNCHANGED
    assert "It was compiled again from its documents." in mended.reason
    assert site.is_listed() == (True, "")
    with site.ledger.reading() as book:
        audit.verify(book)


def test_a_plan_frozen_with_changed_content_does_not_make_it_accepted(site: Site) -> None:
    site.refresh(kev())
    edit(site)
    stored = read_current(site.cache, "kev")
    assert stored is not None

    site.record(stored.snapshot, compared=False)

    assert altered(stored.snapshot, site.remembered()["kev"])


def test_a_state_the_ledger_never_heard_of_has_nothing_to_be_compared_with(site: Site) -> None:
    site.refresh(kev(), asks=False)

    assert site.remembered() == {}
    assert site.is_listed() == (True, "")


@pytest.mark.parametrize("asks", [True, False])
def test_damage_does_not_let_an_older_and_smaller_catalogue_in(site: Site, asks: bool) -> None:
    site.refresh(kev(), asks=asks)
    site.damage()

    result = site.refresh(kev(50, day=1), asks=asks)

    assert (result.status, result.snapshot) == (FeedStatus.MISSING, None)
    assert "older than the copy accepted before (2026-11-18 17:00Z)" in result.reason
    assert "shrank from 100 to 50" in result.reason


def test_damage_does_not_take_back_what_the_new_catalogue_no_longer_lists(site: Site) -> None:
    site.refresh(kev(), asks=False)
    site.damage()

    result = site.refresh(kev(day=19, gone=0), asks=False)

    assert result.status is FeedStatus.REFRESHED
    assert result.relaxed == (f"{FIRST} is no longer in the catalogue.",)
    assert site.is_listed()[0]


def test_a_deleted_folder_is_compared_with_the_ledger_and_what_is_not_covered_is_said(
    site: Site,
) -> None:
    site.refresh(kev())
    site.refresh(kev(day=19, gone=0))
    shutil.rmtree(site.cache / "kev")

    refused = site.refresh(kev(50, day=1))
    taken = site.refresh(kev(day=20, gone=0))

    assert refused.status is FeedStatus.MISSING
    assert "older than the copy accepted before (2026-11-19" in refused.reason
    assert taken.status is FeedStatus.REFRESHED
    assert "compared with what the ledger noted" in taken.reason
    assert "is not noticed" in taken.reason
    assert taken.relaxed == (f"{FIRST} is no longer in the catalogue.",)  # it was known before


def test_an_older_state_put_back_into_the_cache_is_not_confirmed(site: Site) -> None:
    site.refresh(kev(day=17))
    shutil.copytree(site.cache / "kev", site.home / "older")
    site.refresh(kev(day=19))
    shutil.rmtree(site.cache / "kev")
    shutil.copytree(site.home / "older", site.cache / "kev")

    result = site.refresh(kev(day=17))
    again = site.refresh()

    assert (result.status, again.status) == (FeedStatus.KEPT_OLD, FeedStatus.KEPT_OLD)
    assert result.accepted is None
    assert "older than the copy accepted before (2026-11-19" in again.reason
    assert site.refresh(kev(day=20)).status is FeedStatus.REFRESHED


def test_documents_in_use_that_are_damaged_are_all_fetched_again(tmp_path: Path) -> None:
    with feed_server() as server:
        url = server.answer("/kev.json", Reply(kev(), headers={"ETag": '"1"'}))
        config = RefreshConfig(sources={"kev": url}, feeds=("kev",))
        refresh(config, tmp_path, NOW)
        stored = read_current(tmp_path, "kev")
        assert stored is not None
        stored.compiled.write_bytes(b"x")
        stored.documents[0].path.write_bytes(b"y")

        (result,) = refresh(config, tmp_path, NOW + timedelta(hours=1))

    assert result.status is FeedStatus.REFRESHED
    assert result.snapshot is not None
    assert result.snapshot.digest == stored.snapshot.digest


@contextlib.contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: what a full disk looks like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_f19_a_full_disk_is_said_at_once_and_no_server_is_asked_again(tmp_path: Path) -> None:
    slept: list[float] = []
    with feed_server() as server, no_room_beyond(1_000_000):
        url = server.answer("/kev.json", Reply(b" " * 2_000_000))
        config = RefreshConfig(sources={"kev": url}, feeds=("kev",))
        (result,) = refresh(config, tmp_path, NOW, client=HttpClient(sleep=slept.append))
        asked = len(server.requests)

    assert (slept, asked) == ([], 1)
    assert "there is no room left" in result.reason


def test_f20_the_documents_of_one_feed_together_have_a_limit(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "kev"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.json").write_bytes(b" " * 400)
    limits = Limits(max_feed_bytes=1_000)
    config = RefreshConfig(directory=tmp_path / "in", feeds=("kev",))

    (result,) = refresh(config, tmp_path / "c", NOW, client=HttpClient(limits=limits))

    assert "more than 1000 bytes together, the limit of one feed" in result.reason


def test_f20_pages_beyond_the_limit_of_a_feed_are_not_written(tmp_path: Path) -> None:
    client = HttpClient(limits=Limits(max_feed_bytes=1_000))
    with feed_server() as server:
        url = server.answer("/page", Reply(b"1" * 400))
        client.download(url, tmp_path / "page", taken=600)
        with pytest.raises(FeedRejected, match="what is left of 1000 for all of this feed"):
            client.download(url, tmp_path / "page", taken=700)
