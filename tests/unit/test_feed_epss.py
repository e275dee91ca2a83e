"""Every table EPSS ever published is read to the last row, and a damaged one is not read at all."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Heading
from wavemend.feeds.readers.epss import CHUNK_ROWS, FEED
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "epss"
HEAD = "#model_version:v1,score_date:2026-01-01T00:00:00Z\n"


def parse(*names: str) -> tuple[Heading, Collected]:
    sink = Collected()
    heading = FEED.parse([Document(name=name, path=CASES / name) for name in names], sink)
    assert sink.balanced
    return heading, sink


def parse_text(text: str, folder: Path, name: str = "x.csv") -> tuple[Heading, Collected]:
    (folder / name).write_text(text, encoding="utf-8")
    sink = Collected()
    heading = FEED.parse([Document(name=name, path=folder / name)], sink)
    assert sink.balanced
    return heading, sink


@pytest.mark.parametrize(
    ("day", "model", "probability", "percentile", "rows"),
    [
        ("2021-04-14", "before 2022-02-04", 0.65117, None, 2),
        ("2021-09-01", "before 2022-02-04", 0.65117, 0.9981063485700858, 2),
        ("2022-02-04", "v2022.01.01", 0.96817, 0.99999, 2),
        ("2023-03-07", "v2023.03.01", 0.97567, 0.99995, 2),
        ("2025-02-15", "v2023.03.01", 0.97558, 1.0, 7),
        ("2026-01-30", "v2025.03.14", 0.94426, 0.99981, 7),
        ("2026-06-20", "v2026.06.15", 0.99999, 1.0, 8),
    ],
)
def test_every_layout_and_model_of_epss_is_read(
    day: str, model: str, probability: float, percentile: float | None, rows: int
) -> None:
    heading, sink = parse(f"epss_scores-{day}.csv.gz")

    when = date.fromisoformat(day)
    assert sink.scores["CVE-2020-5902"] == (probability, percentile, when)
    assert (heading.model, heading.data_date.date()) == (model, when)
    assert sink.taken == len(sink.scores) == rows
    assert heading.coverage["epss"] == rows
    assert heading.coverage["percentile"] == (0 if percentile is None else rows)


def test_a_folder_with_several_days_gives_the_newest_and_counts_the_others() -> None:
    days = ("2023-03-07", "2026-06-20", "2022-02-04")

    heading, sink = parse(*(f"epss_scores-{day}.csv.gz" for day in days))

    assert heading.model == "v2026.06.15"
    assert heading.data_date == datetime(2026, 6, 20, tzinfo=UTC)
    assert (sink.entries, sink.taken) == (12, 8)
    assert sink.skipped == {"row of another day's table": 4}


def test_a_table_longer_than_a_chunk_arrives_whole(tmp_path: Path) -> None:
    count = CHUNK_ROWS * 2 + 3
    rows = "".join(f"CVE-2026-{100_000 + number},0.5,0.{number:05}\n" for number in range(count))

    _, sink = parse_text(f"{HEAD}cve,epss,percentile\n{rows}", tmp_path)

    assert sink.taken == len(sink.scores) == count
    assert sink.scores[f"CVE-2026-{99_999 + count}"][1] == float(f"0.{count - 1:05}")


def test_a_cve_of_six_digits_is_a_cve(tmp_path: Path) -> None:
    _, sink = parse_text(f"{HEAD}cve,epss\nCVE-2026-116303,0.5\n", tmp_path)

    assert list(sink.scores) == ["CVE-2026-116303"]


def test_a_gzip_file_of_two_members_is_read_whole(tmp_path: Path) -> None:
    first = gzip.compress(f"{HEAD}cve,epss\nCVE-2020-0001,0.5\n".encode())
    (tmp_path / "x.csv.gz").write_bytes(first + gzip.compress(b"CVE-2020-0002,0.5\n"))
    sink = Collected()

    FEED.parse([Document(name="x.csv.gz", path=tmp_path / "x.csv.gz")], sink)

    assert sorted(sink.scores) == ["CVE-2020-0001", "CVE-2020-0002"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("<html></html>", "is a web page"),
        ("{}\n", "of which day"),
        ("cve,epss,percentile\nCVE-2020-5902,0.5,0.5\n", "of which day"),
        ("#model_version:v1\ncve,epss\nCVE-2020-5902,0.5\n", "not in a known form"),
        (f"{HEAD}cve,score\nCVE-2020-5902,0.5\n", "columns"),
        (f"{HEAD}cve,epss\nCVE-2020-5902,0.5\nCVE-2020-1", "middle of a line"),
        (f"{HEAD}cve,epss,percentile\nCVE-2020-5902,0.5\n", "not a table of numbers"),
        (f"{HEAD}cve,epss\nCVE-20-1,0.5\n", "is not a CVE"),
        (f"{HEAD}cve,epss\nCVE-2020-5902,1.5\n", "not from 0 to 1"),
        (f"{HEAD}cve,epss\nCVE-2020-5902,nan\n", "not a table of numbers"),
        (f"{HEAD}cve,epss\nCVE-2020-5902,0.1\nCVE-2020-5902,0.2\n", "occurs twice"),
        (f'{HEAD}cve,epss\n"CVE-2020-5902,0.1\nCVE-2020-5903,0.2"\n', "not a table|rows"),
        (f"{HEAD}cve,epss\nCVE-2020-5902,0.1\n\nCVE-2020-5903,0.2\n", "3 lines and gives 2 rows"),
    ],
)
def test_a_table_that_is_not_epss_or_not_whole_is_refused(
    text: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(FeedRejected, match=why):
        parse_text(text, tmp_path)


def test_no_table_is_not_an_empty_table() -> None:
    with pytest.raises(FeedRejected, match="there is no table"):
        FEED.parse([], Collected())
