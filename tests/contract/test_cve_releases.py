"""The CVE list is fetched whole once a day, and during the day only what changed."""

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wavemend.feeds.reading.http import HttpClient, Limits
from wavemend.feeds.refresh import FeedResult, FeedStatus, RefreshConfig, refresh
from wavemend.feeds.store.compiled import open_state
from wavemend.feeds.store.snapshots import read_current
from wavemend.testing.feed_server import FeedServer, Reply, feed_server

WHOLE = Path(__file__).parents[1] / "cases" / "feeds" / "cve"
LIST = "2023-11-02_all_CVEs_at_midnight.zip.zip"
NOW = datetime(2023, 11, 2, 12, tzinfo=UTC)


def changed(hour: int) -> bytes:
    record = {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.0",
        "cveMetadata": {
            "cveId": "CVE-2023-0001",
            "state": "PUBLISHED",
            "dateUpdated": f"2023-11-02T{hour:02}:00:00.000Z",
        },
        "containers": {"cna": {"title": f"As of {hour} o'clock"}},
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deltaCves/CVE-2023-0001.json", json.dumps(record))
    return target.getvalue()


def offer(server: FeedServer, *hours: int) -> None:
    def asset(name: str, body: bytes) -> dict[str, Any]:
        return {"name": name, "browser_download_url": server.answer(f"/d/{name}", Reply(body))}

    whole = asset(LIST, (WHOLE / LIST).read_bytes())
    releases = [
        {"assets": [whole, asset(f"2023-11-02_delta_CVEs_at_{hour:02}00Z.zip", changed(hour))]}
        for hour in reversed(hours)
    ]
    server.answer("/releases", Reply(json.dumps(releases).encode()))
    server.requests.clear()


def fetch(server: FeedServer, cache: Path) -> FeedResult:
    config = RefreshConfig(feeds=("cve",), sources={"cve": f"{server.base}/releases"})
    client = HttpClient(limits=Limits(attempts=1), sleep=lambda _: None)
    (result,) = refresh(config, cache, NOW, client=client)
    return result


def summary(cache: Path) -> str:
    stored = read_current(cache, "cve")
    assert stored is not None
    return open_state(stored.compiled).summaries["CVE-2023-0001"]


def test_only_what_is_new_is_fetched_and_the_listing_is_no_part_of_the_state(
    tmp_path: Path,
) -> None:
    with feed_server() as server:
        offer(server, 1)
        first = fetch(server, tmp_path)
        assert first.status is FeedStatus.REFRESHED, first.reason
        assert summary(tmp_path) == "As of 1 o'clock"

        offer(server, 1, 2)
        assert fetch(server, tmp_path).status is FeedStatus.REFRESHED
        assert summary(tmp_path) == "As of 2 o'clock"
        assert [path.partition("?")[0] for path, _ in server.requests] == [
            "/releases",
            "/d/2023-11-02_delta_CVEs_at_0200Z.zip",
        ]

        assert fetch(server, tmp_path).status is FeedStatus.UNCHANGED
        stored = read_current(tmp_path, "cve")
        assert stored is not None
        assert "releases.json" not in {item.name for item in stored.documents}


def test_an_archive_of_a_branch_can_be_named_instead(tmp_path: Path) -> None:
    body = (WHOLE / "vulnrichment-2025-01-24.tar.xz").read_bytes()
    with feed_server() as server:
        source = server.answer("/archive/refs/heads/develop.tar.xz", Reply(body))
        config = RefreshConfig(feeds=("cve",), sources={"cve": source})
        now = datetime(2025, 1, 24, tzinfo=UTC)

        (result,) = refresh(config, tmp_path, now, client=HttpClient())

    assert result.status is FeedStatus.REFRESHED, result.reason
    assert result.snapshot is not None
    assert (result.snapshot.read, result.snapshot.count) == (10, 8)
