"""NVD is fetched whole once, then only what changed; a fetch that fails half way loses nothing."""

import gzip
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from wavemend.feeds.readers.nvd_fetch import MOST_WINDOWS
from wavemend.feeds.reading.http import HttpClient, Limits
from wavemend.feeds.refresh import FeedResult, FeedStatus, RefreshConfig, refresh
from wavemend.feeds.store.compiled import open_state
from wavemend.feeds.store.snapshots import read_current

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
API = "/rest/json/cves/2.0"
FILES = "/feeds/json/cve/2.0/"


@dataclass
class Nvd:
    """NVD as we know it: pages, windows of changes, files per year, and a limit on requests."""

    page_size: int = 3
    now: datetime = NOON
    records: dict[str, datetime] = field(default_factory=dict)
    """CVE and when it was last changed, in the order of the pages."""
    files: dict[str, bytes] = field(default_factory=dict)
    before: dict[str, list[bytes]] = field(default_factory=dict)
    """What a file answers first."""
    statuses: dict[int, list[int]] = field(default_factory=dict)
    """By first entry: answer these first."""
    moving: list[str] = field(default_factory=list)
    """CVEs that change once while a window is read, after its first page."""
    asked: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    base: str = ""

    def answer(self, target: str, key: str) -> tuple[int, bytes]:
        self.asked.append(target)
        self.keys.append(key)
        parts = urlsplit(target)
        if parts.path.startswith(FILES):
            name = parts.path.removeprefix(FILES)
            body = self.before[name].pop(0) if self.before.get(name) else self.files.get(name)
            return (404, b"") if body is None else (200, body)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        start = int(query["startIndex"])
        if self.statuses.get(start):
            return self.statuses[start].pop(0), b""
        chosen = self._chosen(query)
        if start and self.moving:
            self.records[self.moving.pop(0)] = self.now + HOUR
            chosen = self._chosen(query)
        return 200, json.dumps(self._page(chosen, start, int(query["resultsPerPage"]))).encode()

    def _chosen(self, query: dict[str, str]) -> list[str]:
        if "lastModStartDate" not in query:
            return list(self.records)
        first = datetime.fromisoformat(query["lastModStartDate"])
        last = datetime.fromisoformat(query["lastModEndDate"])
        assert last - first <= timedelta(days=120)
        return [cve for cve, at in self.records.items() if first <= at <= last]

    def _page(self, chosen: list[str], start: int, wanted: int) -> dict[str, Any]:
        some = chosen[start : start + min(wanted, self.page_size)]
        return page([record(cve, self.records[cve]) for cve in some], start, len(chosen), self.now)

    def change(self, *cves: str) -> None:
        """Change these records now; new ones come last, as upstream."""
        self.records.update(dict.fromkeys(cves, self.now))


def record(cve: str, changed: datetime) -> dict[str, Any]:
    text = f"{cve} as of {changed:%F %H:%M}"
    return {
        "cve": {
            "id": cve,
            "published": "2026-01-01T00:00:00.000",
            "lastModified": changed.strftime("%Y-%m-%dT%H:%M:%S.000"),
            "vulnStatus": "Analyzed",
            "descriptions": [{"lang": "en", "value": text}],
            "metrics": {},
        }
    }


def page(records: list[dict[str, Any]], start: int, total: int, now: datetime) -> dict[str, Any]:
    return {
        "resultsPerPage": len(records),
        "startIndex": start,
        "totalResults": total,
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.000"),
        "vulnerabilities": records,
    }


def names(first: int, last: int) -> list[str]:
    return [f"CVE-2026-{number:06}" for number in range(first, last + 1)]


@dataclass
class World:
    """NVD, our cache, and refreshes between them."""

    nvd: Nvd
    cache: Path
    slept: list[float] = field(default_factory=list)
    key: str = ""
    path: str = API

    def refresh(self, later: timedelta | None = None) -> FeedResult:
        self.nvd.now += later or timedelta()
        self.nvd.asked.clear()
        self.nvd.keys.clear()
        self.slept.clear()
        config = RefreshConfig(
            feeds=("nvd",),
            sources={"nvd": f"{self.nvd.base}{self.path}"},
            api_keys={"nvd": self.key} if self.key else {},
        )
        client = HttpClient(limits=Limits(attempts=2), sleep=self.slept.append)
        (result,) = refresh(config, self.cache, self.nvd.now, client=client)
        return result

    @property
    def texts(self) -> dict[str, str]:
        stored = read_current(self.cache, "nvd")
        assert stored is not None
        state = open_state(stored.compiled)
        return {cve: state.summaries[cve] for cve in self.nvd.records if cve in state.summaries}

    @property
    def documents(self) -> list[str]:
        stored = read_current(self.cache, "nvd")
        return [item.name for item in stored.documents] if stored else []

    @property
    def true_texts(self) -> dict[str, str]:
        return {cve: f"{cve} as of {at:%F %H:%M}" for cve, at in self.nvd.records.items()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    nvd = Nvd()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = nvd.answer(self.path, self.headers.get("apiKey", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    nvd.base = f"http://127.0.0.1:{server.server_address[1]}"
    nvd.records = dict.fromkeys(names(1, 40), NOON - timedelta(days=30))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield World(nvd, tmp_path / "cache")
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_first_fetch_takes_every_page_at_the_pace_nvd_asks_for(world: World) -> None:
    result = world.refresh()

    assert result.status is FeedStatus.REFRESHED, result.reason
    assert world.texts == world.true_texts
    assert len(world.nvd.asked) == 14
    assert world.slept == [6.0] * 13
    assert result.snapshot is not None
    assert (result.snapshot.read, result.snapshot.count) == (40, 40)
    assert result.snapshot.data_date == NOON


def test_with_a_key_the_pace_is_faster_and_the_key_travels_in_a_header_only(world: World) -> None:
    world.key = "a-secret-key"

    world.refresh()

    assert world.slept == [0.7] * 13
    assert world.nvd.keys == ["a-secret-key"] * 14
    assert not any("secret" in target for target in world.nvd.asked)
    assert "secret" not in (world.cache / "nvd" / "current.json").read_text()


def test_afterwards_only_what_changed_is_asked_for_and_counts(world: World) -> None:
    world.refresh()
    world.nvd.now += 2 * HOUR
    world.nvd.change("CVE-2026-000003", "CVE-2026-116303")

    result = world.refresh(HOUR)

    assert result.status is FeedStatus.REFRESHED, result.reason
    assert len(world.nvd.asked) == 1
    assert "lastModStartDate=2026-11-20T10%3A00%3A00.000%2B00%3A00" in world.nvd.asked[0]
    assert "lastModEndDate=2026-11-20T15%3A00%3A00.000%2B00%3A00" in world.nvd.asked[0]
    assert world.texts == world.true_texts
    assert len(world.texts) == 41
    assert result.snapshot is not None
    assert result.snapshot.count == 41
    assert dict(result.snapshot.skipped) == {"older record of a CVE": 1}
    assert result.snapshot.data_date == NOON + 3 * HOUR


def test_changes_add_up_over_many_fetches_and_are_asked_for_in_one_when_they_are_many(
    world: World,
) -> None:
    world.nvd.page_size = 800
    world.nvd.records = dict.fromkeys(names(2_001, 2_800), NOON - timedelta(days=30))
    world.refresh()
    windows = []
    for number in range(1, MOST_WINDOWS + 3):
        world.nvd.now += HOUR
        world.nvd.change("CVE-2026-002001", f"CVE-2026-{number:06}")
        assert world.refresh(HOUR).status is FeedStatus.REFRESHED
        windows.append(len([name for name in world.documents if name.startswith("window-")]))

    assert world.texts == world.true_texts
    assert windows == [*range(1, MOST_WINDOWS + 1), 1, 2]


def test_no_change_leaves_the_state_in_use_and_confirms_it(world: World) -> None:
    world.refresh()
    world.nvd.change("CVE-2026-000003")
    first = world.refresh(HOUR)

    again = world.refresh(HOUR / 2)

    assert first.snapshot is not None
    assert again.snapshot is not None
    assert again.status is FeedStatus.UNCHANGED
    assert again.snapshot.digest == first.snapshot.digest
    assert again.snapshot.fetched_at == world.nvd.now
    assert len(world.nvd.asked) == 1


def test_an_empty_answer_is_no_change_either(world: World) -> None:
    world.refresh()

    assert world.refresh(10 * HOUR).status is FeedStatus.UNCHANGED
    assert world.documents == [f"page-{start:08}.json" for start in range(0, 40, 3)]


def test_a_page_that_fails_leaves_nothing_behind_and_nothing_out(world: World) -> None:
    world.nvd.statuses = {18: [503, 503]}

    first = world.refresh()

    assert first.status is FeedStatus.MISSING
    assert "answered 503" in first.reason
    assert world.documents == []

    assert world.refresh(HOUR).status is FeedStatus.REFRESHED
    assert world.texts == world.true_texts


def test_changes_of_a_fetch_that_failed_come_with_the_next(world: World) -> None:
    world.refresh()
    world.nvd.now += HOUR
    world.nvd.change(*names(1, 8))
    world.nvd.statuses = {6: [503, 503]}

    failed = world.refresh(HOUR)
    assert failed.status is FeedStatus.KEPT_OLD
    assert world.texts["CVE-2026-000001"].endswith("2026-10-21 12:00")

    world.nvd.now += HOUR
    world.nvd.change("CVE-2026-000020")
    assert world.refresh(HOUR).status is FeedStatus.REFRESHED
    assert world.texts == world.true_texts


def test_a_403_is_throttling_first_and_is_asked_again(world: World) -> None:
    world.nvd.statuses = {6: [403], 9: [403]}

    result = world.refresh()

    assert result.status is FeedStatus.REFRESHED
    assert world.texts == world.true_texts
    assert len(world.nvd.asked) == 16
    assert len([pause for pause in world.slept if pause != 6.0]) == 2


def test_a_record_that_changes_while_its_window_is_read_makes_no_hole(world: World) -> None:
    world.refresh()
    world.nvd.now += HOUR
    world.nvd.change(*names(1, 9))
    world.nvd.moving = ["CVE-2026-000001"]

    result = world.refresh(HOUR)

    assert result.status is FeedStatus.REFRESHED, result.reason
    texts = world.texts
    assert {texts[cve] for cve in names(2, 9)} == {world.true_texts[cve] for cve in names(2, 9)}

    world.refresh(2 * HOUR)
    assert world.texts == world.true_texts


def test_after_months_of_silence_the_windows_are_not_longer_than_nvd_allows(world: World) -> None:
    world.refresh()
    world.nvd.now += timedelta(days=100)
    world.nvd.change("CVE-2026-000001")
    world.nvd.now += timedelta(days=100)
    world.nvd.change("CVE-2026-000002")

    result = world.refresh(timedelta(days=100))

    assert result.status is FeedStatus.REFRESHED, result.reason
    assert len(world.nvd.asked) == 3
    assert world.texts == world.true_texts


def test_when_the_changes_outweigh_a_quarter_of_the_whole_it_is_fetched_anew(world: World) -> None:
    world.refresh()
    world.nvd.now += HOUR
    world.nvd.change(*names(1, 20))
    world.refresh(HOUR)
    assert any(name.startswith("window-") for name in world.documents)
    world.nvd.change("CVE-2026-000040")

    result = world.refresh(HOUR)

    assert result.status is FeedStatus.REFRESHED, result.reason
    assert not any(name.startswith("window-") for name in world.documents)
    assert world.texts == world.true_texts


def put_file(nvd: Nvd, part: str, *cves: str) -> bytes:
    body = json.dumps(page([record(cve, nvd.now) for cve in cves], 0, len(cves), nvd.now)).encode()
    nvd.records.update(dict.fromkeys(cves, nvd.now))
    digest = hashlib.sha256(body).hexdigest().upper()
    nvd.files[f"nvdcve-2.0-{part}.json.gz"] = gzip.compress(body, mtime=0)
    nvd.files[f"nvdcve-2.0-{part}.meta"] = f"size:1\r\nsha256:{digest}\r\n".encode()
    return body


@pytest.fixture
def files(world: World) -> World:
    world.path = FILES
    world.nvd.records = {}
    for year in range(2002, 2027):
        put_file(world.nvd, str(year), f"CVE-{year}-0001")
    put_file(world.nvd, "modified", "CVE-2026-0001")
    return world


def test_of_the_files_per_year_only_changed_ones_are_fetched_again(files: World) -> None:
    first = files.refresh()
    assert first.status is FeedStatus.REFRESHED, first.reason
    assert len(files.nvd.asked) == 52
    files.nvd.now += HOUR
    put_file(files.nvd, "2014", "CVE-2014-0001", "CVE-2014-0002")

    result = files.refresh(HOUR)

    assert result.status is FeedStatus.REFRESHED, result.reason
    fetched = [target for target in files.nvd.asked if target.endswith(".gz")]
    assert fetched == [f"{FILES}nvdcve-2.0-2014.json.gz"]
    assert files.texts == files.true_texts

    assert files.refresh(HOUR).status is FeedStatus.UNCHANGED
    assert not any(target.endswith(".gz") for target in files.nvd.asked)


def test_a_file_that_is_not_what_its_meta_announces_is_not_taken(files: World) -> None:
    files.refresh()
    put_file(files.nvd, "2014", "CVE-2014-0001", "CVE-2014-0002")
    files.nvd.files["nvdcve-2.0-2014.json.gz"] = files.nvd.files["nvdcve-2.0-2015.json.gz"]

    result = files.refresh(HOUR)

    assert result.status is FeedStatus.KEPT_OLD
    assert "is not the file that nvdcve-2.0-2014.meta announces" in result.reason


def test_a_file_that_is_replaced_between_two_requests_is_asked_for_again(files: World) -> None:
    files.refresh()
    old = files.nvd.files["nvdcve-2.0-2014.json.gz"]
    files.nvd.now += HOUR
    put_file(files.nvd, "2014", "CVE-2014-0001", "CVE-2014-0002")
    files.nvd.before = {"nvdcve-2.0-2014.json.gz": [old]}

    result = files.refresh(HOUR)

    assert result.status is FeedStatus.REFRESHED, result.reason
    assert files.texts == files.true_texts


def test_in_the_first_days_of_a_year_its_file_may_not_exist_yet(files: World) -> None:
    files.nvd.now = datetime(2027, 1, 3, tzinfo=UTC)
    assert files.refresh().status is FeedStatus.REFRESHED

    files.nvd.now = datetime(2027, 1, 20, tzinfo=UTC)
    assert files.refresh().status is FeedStatus.KEPT_OLD

    del files.nvd.files["nvdcve-2.0-2014.json.gz"]
    files.nvd.now = datetime(2027, 1, 3, tzinfo=UTC)
    assert files.refresh().status is FeedStatus.UNCHANGED
    del files.nvd.files["nvdcve-2.0-2014.meta"]
    assert files.refresh().status is FeedStatus.KEPT_OLD


READ_A_YEAR = """
import sys
from pathlib import Path
from wavemend.feeds import Document
from wavemend.feeds.store.compiled import compile_documents
from wavemend.feeds.readers.nvd import FEED

path = Path(sys.argv[1])
found = compile_documents(FEED, [Document(name=path.name, path=path)], path.with_suffix(".sqlite"))
# Not ru_maxrss: it survives fork and exec, and would be the peak of whoever runs the tests.
status = Path("/proc/self/status").read_text()
peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
print(found.count, found.read, int(peak) // 1024)
"""


def test_a_year_of_a_hundred_megabytes_is_read_in_a_quarter_of_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "nvdcve-2.0-2026.json.gz"
    count, padding = 1_200, 5_000
    with gzip.open(path, "wt", compresslevel=1) as file:
        head = page([], 0, count, NOON)
        del head["vulnerabilities"]
        file.write(json.dumps(head)[:-1] + ', "vulnerabilities": [')
        for number in range(count):
            entry = record(f"CVE-2026-{number:06}", NOON)
            # As the kernel's: about 100 kB of commits in `affected`, of which nothing is kept.
            entry["cve"]["affected"] = [
                f"{number * padding + at:040x}"[-18:] for at in range(padding)
            ]
            file.write(("," if number else "") + json.dumps(entry))
        file.write("]}")

    run = subprocess.run(
        [sys.executable, "-c", READ_A_YEAR, str(path)], capture_output=True, text=True, check=True
    )

    used, read, mebibytes = (int(word) for word in run.stdout.split())
    assert (used, read) == (count, count)
    assert mebibytes < 256
