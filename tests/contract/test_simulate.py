"""`wavemend simulate priorities` answers alike wherever it is asked, and hides nothing."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from wavemend.cli.feeds import app as feeds_app
from wavemend.cli.simulate import app
from wavemend.effectiveness.strategies import strategies
from wavemend.errors import FeedError, FeedRejected

CASES = Path(__file__).parents[1] / "cases" / "effectiveness"
EPSS = sorted(map(str, CASES.glob("epss_scores-*.csv.gz")))
KEV = sorted(map(str, CASES.glob("known_exploited_vulnerabilities-*.json")))
NVD = str(CASES / "nvdcve-2.0-synthetic.json.gz")
RECORDS = str(CASES / "records-2025-12-01.tar.gz")
FILES = ("--epss", *EPSS, "--kev", *KEV, "--nvd", NVD, "--cve-records", RECORDS)
ORDERS = list(strategies(0, 1))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache of an installation that has never fetched anything."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path / "home"))
    return tmp_path / "cache"


def run(cache: Path, *tokens: str) -> int:
    words = ["priorities", *tokens, "--cache", str(cache)]
    return int(app(words, exit_on_error=False, result_action="return_value"))


def answer(cache: Path, capsys: pytest.CaptureFixture[str], *tokens: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(cache, *tokens, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_tables_name_the_label_the_numbers_every_order_and_the_limits(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cache, *FILES, "--capacity", "2", "--capacity", "1") == 0
    shown = capsys.readouterr().out

    # No efficiency without what counts as exploited, and out of how many.
    label = "listed in CISA KEV after 2026-01-01 and up to 2026-03-02, n = 9"
    assert shown.count(label) == 3
    assert shown.count("n = 9 of 59 CVEs") == 2  # one table for each capacity
    for order in ORDERS:
        assert shown.count(order) >= 3
    assert "Limits:" in shown
    assert "18 of 59 CVEs have no CVSS score (3 of the exploited ones)" in shown
    assert "nvd of 2026-03-02: 60 CVEs, 42 with a CVSS score, 0 with SSVC answers" in shown
    assert "cve of 2025-12-01: 25 CVEs, 0 with a CVSS score, 25 with SSVC answers" in shown


def test_the_json_holds_what_the_tables_show_and_every_count_adds_up(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(cache, capsys, *FILES, "--capacity", "1")

    assert found["schema"] == "wavemend.simulated-priorities/1"
    assert (found["population"], found["positives"], found["left_out"]) == (59, 9, 1)
    assert [item["strategy"] for item in found["measured"]] == ORDERS
    for item in found["measured"]:
        assert item["before"] + item["after"] + item["never"] == 9
        assert item["coverage"]["part"] == item["before"]
        assert item["coverage"]["low"] <= item["before"] / 9 <= item["coverage"]["high"]
        assert item["risk_days"]["low"] <= item["risk_days"]["total"] <= item["risk_days"]["high"]
    kev, ours = found["measured"][3], found["measured"][4:6]
    assert kev["risk_days"]["total"] == sum(item["risk_days"]["total"] for item in ours) == 0


def test_the_spreadsheet_has_a_row_for_each_order_capacity_and_effort(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cache, *FILES, "--capacity", "1", "2", "--csv") == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))

    assert len(rows) == len(ORDERS) * 2 * 5
    assert {row["label"] for row in rows} == {
        "listed in CISA KEV after 2026-01-01 and up to 2026-03-02"
    }
    assert {row["capacity_per_day"] for row in rows} == {"1.0", "2.0"}


def in_a_process(folder: Path, seed: str, zone: str, locale: str) -> tuple[bytes, ...]:
    pictures = [folder / f"{seed}.svg", folder / f"{seed}.png"]
    said = b""
    for picture in pictures:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "wavemend", "simulate", "priorities", *FILES),
                *("--cache", str(folder / "none"), "--json", "--picture", str(picture)),
            ],
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "TZ": zone,
                "LC_ALL": locale,
                "PYTHONPATH": "src",
            },
            cwd=CASES.parents[2],
            capture_output=True,
            check=True,
        )
        said = done.stdout
    return (said, *(picture.read_bytes() for picture in pictures))


def test_the_same_history_gives_the_same_bytes_in_every_zone_locale_and_process(
    tmp_path: Path,
) -> None:
    one = in_a_process(tmp_path, "1", "Pacific/Kiritimati", "C.UTF-8")
    other = in_a_process(tmp_path, "2", "America/Los_Angeles", "POSIX")

    assert one == other
    assert one[2].startswith(b"\x89PNG")
    texts = ET.fromstring(one[1]).iter("{http://www.w3.org/2000/svg}g")  # noqa: S314 - our own
    assert sum(1 for _ in texts) > 50


def test_the_accepted_copies_of_the_cache_are_a_history_too(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def arrives(feed: str, *documents: str) -> None:
        folder = tmp_path / "in"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / feed).mkdir(parents=True)
        for document in documents:
            shutil.copy(document, folder / feed)
        words = ["refresh", "--from", str(folder), "--feed", feed, "--cache", str(cache)]
        assert feeds_app(words, exit_on_error=False, result_action="return_value") == 0

    for document in EPSS:
        arrives("epss", document)
    for document in KEV:
        arrives("kev", document)
    arrives("nvd", NVD)
    arrives("cve", RECORDS)

    assert answer(cache, capsys) == answer(tmp_path / "none", capsys, *FILES)


def test_what_cannot_be_replayed_says_what_is_missing(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="no EPSS table to replay") as without:
        run(cache)
    assert "--epss" in without.value.hint
    with pytest.raises(FeedError, match="is not a file"):
        run(cache, "--epss", str(tmp_path / "none.csv.gz"), "--kev", *KEV)
    with pytest.raises(FeedError, match="no EPSS table is as old as the first day"):
        run(cache, *FILES, "--start", "2025-12-31")
    with pytest.raises(FeedError, match="not after the newest KEV catalogue"):
        run(cache, *FILES, "--end", "2026-03-03")
    with pytest.raises(FeedError, match=r"--start '2026-02-30' is not a day"):
        run(cache, *FILES, "--start", "2026-02-30")
    with pytest.raises(FeedError, match="more than 0 CVEs a day"):
        run(cache, *FILES, "--capacity", "0")
    with pytest.raises(FeedError, match=r"neither \.svg nor \.png"):
        run(cache, *FILES, "--picture", str(tmp_path / "x.gif"))
    cut = tmp_path / "epss_scores-2026-01-01.csv"
    cut.write_text("#model_version:v1,score_date:2026-01-01T00:00:00Z\ncve,epss\nCVE-2024-1000,0.")
    with pytest.raises(FeedRejected, match="cut off"):
        run(cache, "--epss", str(cut), "--kev", *KEV)


def test_a_capacity_of_a_hundredth_and_only_scored_cves_can_be_asked_for(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(cache, capsys, *FILES, "--capacity", "0.01", "--scored", "--start", "2026-01-10")

    assert found["population"] < 59
    assert found["at_stake"] == "CVEs with a CVSS score"
    assert {item["closed"] for item in found["measured"]} == {0}
    assert {item["never"] for item in found["measured"]} == {found["positives"]}


def test_on_80_columns_the_tables_are_whole_and_say_what_they_leave_out(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert run(cache, *FILES, "--capacity", "2") == 0

    shown = capsys.readouterr().out
    tables = shown[: shown.index("Read from:")]
    rows = [line for line in tables.splitlines() if not line.startswith("Left out")]
    assert all(len(row) <= 80 for row in rows)
    assert "…" not in tables
    assert "Left out on a terminal under 120 columns: Closed late, Never" in shown
    for order in ORDERS:
        # A long name folds between its words; nothing of it is lost.
        assert tables.count(order.split()[0]) >= 3
