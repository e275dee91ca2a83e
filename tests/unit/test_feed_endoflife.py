"""A release has the end its maker announced, under the name hosts report for it."""

import io
import json
import tarfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from wavemend.advisories import Lifecycle
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Heading
from wavemend.feeds.readers.endoflife import FEED, release_key
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "endoflife"
FULL, PAGES, DATA = (
    CASES / name for name in ("full.json", "products.tar.xz", "release-data.tar.xz")
)


def parse(*paths: Path) -> tuple[Heading, Collected]:
    sink = Collected()
    heading = FEED.parse([Document(name=path.name, path=path) for path in paths], sink)
    assert sink.balanced
    return heading, sink


def by_release(sink: Collected) -> dict[str, Lifecycle]:
    found = {item.release: item for item in sink.lifecycles}
    assert len(found) == len(sink.lifecycles)
    return found


def full(folder: Path, *releases: dict[str, object], product: str = "thing") -> Path:
    root = {
        "generated_at": "2026-01-02T03:04:05+00:00",
        "result": [{"name": product, "releases": list(releases)}],
    }
    path = folder / "full.json"
    path.write_text(json.dumps(root), encoding="utf-8")
    return path


def archive(folder: Path, name: str, member: str, body: str) -> Path:
    path = folder / name
    with tarfile.open(path, "w") as found:
        entry = tarfile.TarInfo(member)
        entry.size, entry.mtime = len(body.encode()), 1_766_000_000
        found.addfile(entry, io.BytesIO(body.encode()))
    return path


def test_the_api_gives_ends_free_and_paid() -> None:
    heading, sink = parse(FULL)

    assert heading.data_date == datetime(2025, 7, 2, 0, 53, 29, tzinfo=UTC)
    assert by_release(sink)["ubuntu-22.04"] == Lifecycle(
        feed="endoflife",
        document="full.json: ubuntu 22.04",
        release="ubuntu-22.04",
        ends=date(2027, 4, 1),
        paid_ends=date(2032, 4, 9),
        note="22.04 'Jammy Jellyfish' (LTS); end of active support: 2024-09-30; "
        "end of extended support: 2032-04-09",
    )


def test_product_pages_give_the_release_keys_that_hosts_report() -> None:
    heading, sink = parse(PAGES)
    found = by_release(sink)

    assert heading.data_date == datetime(2026, 8, 22, 8, 52, 34, tzinfo=UTC)
    ends = {
        "almalinux-9": date(2032, 5, 31),
        "rocky-9": date(2032, 5, 31),
        "rhel-9": date(2032, 5, 31),
        "centos-8": date(2021, 12, 31),
        "centos-9": date(2027, 5, 31),
        "sles-15.5": date(2024, 12, 31),
        "opensuse-leap-15.5": date(2024, 12, 31),
        "windows-server-2022": date(2031, 10, 14),
        "windows-server-2008-r2": date(2020, 1, 14),
    }
    assert {release: found[release].ends for release in ends} == ends
    assert found["windows-server-2012-r2"].paid_ends == date(2026, 10, 13)
    assert found["sles-15.5"].document == "products.tar.xz/products/sles.md: 15.5"


def test_debian_lts_is_free_and_so_it_is_the_end() -> None:
    _, sink = parse(PAGES)
    debian = by_release(sink)["debian-12"]

    assert (debian.ends, debian.paid_ends) == (date(2028, 6, 30), None)


def test_the_plain_key_of_a_windows_has_the_end_that_comes_first() -> None:
    _, sink = parse(PAGES)
    found = by_release(sink)
    keys = ("windows-11-24h2", "windows-11-24h2-e", "windows-11-24h2-e-lts")

    assert [found[key].ends for key in keys] == [
        date(2026, 10, 13),
        date(2027, 10, 12),
        date(2029, 10, 9),
    ]
    assert found["windows-11-24h2"].note.startswith("11 24H2 (W)")


@pytest.mark.parametrize(
    ("product", "cycle", "release"),
    [
        ("debian", "12", "debian-12"),
        ("rocky-linux", "9", "rocky-9"),
        ("oracle-linux", "9", "ol-9"),
        ("amazon-linux", "2023", "amzn-2023"),
        ("opensuse", "15.5", "opensuse-leap-15.5"),
        ("opensuse", "42.3", "opensuse-42.3"),
        ("centos", "8", "centos-8"),
        ("centos-stream", "8", "product:centos-stream-8"),
        ("centos-stream", "9", "centos-9"),
        ("windows", "10-22h2", "windows-10-22h2"),
        ("windows", "11-24h2-w", "windows-11-24h2"),
        ("windows", "7-sp1", "windows-7"),
        ("windows-server", "2012-r2", "windows-server-2012-r2"),
        ("windows-server", "23h2-ac", "windows-server-23h2"),
        ("windows-server", "20h2-sac", "windows-server-20h2"),
        ("windows-server", "2008-sp2", "windows-server-2008"),
        ("nginx", "1.28", "product:nginx-1.28"),
    ],
)
def test_a_release_is_called_as_hosts_call_it(product: str, cycle: str, release: str) -> None:
    assert release_key(product, cycle) == release


def test_ended_without_a_day_is_ended_and_supported_without_an_end_is_counted(
    tmp_path: Path,
) -> None:
    path = full(
        tmp_path,
        {"name": "1", "isEol": True, "eolFrom": None},
        {"name": "2", "isEol": False, "eolFrom": None},
        {"name": "3", "isEol": False, "eolFrom": "2030-01-31"},
        {"name": "4"},
    )
    _, sink = parse(path)
    found = by_release(sink)

    assert (found["product:thing-1"].ends, found["product:thing-1"].ended) == (None, True)
    assert (found["product:thing-3"].ends, found["product:thing-3"].ended) == (
        date(2030, 1, 31),
        False,
    )
    assert sink.skipped == Counter(
        {
            "supported release without an announced end": 1,
            "release without a word about its end": 1,
        }
    )


def test_a_date_that_cannot_be_read_is_never_no_end(tmp_path: Path) -> None:
    path = full(
        tmp_path,
        {"name": "1", "isEol": False, "eolFrom": "next year"},
        {"name": "2", "isEol": True, "eolFrom": "2020-01-31", "eoesFrom": "sometime"},
        {"isEol": True},
    )
    _, sink = parse(path)

    assert [item.where for item in sink.rejects] == ["full.json: thing 1", "full.json: thing "]
    assert [item.where for item in sink.flaws] == ["full.json: thing 2"]


def test_release_data_is_read_where_nothing_better_is_there() -> None:
    heading, sink = parse(DATA)
    found = by_release(sink)

    assert heading.data_date == datetime(2026, 8, 22, 18, 58, 2, tzinfo=UTC)
    assert found["rocky-9"].ends == date(2032, 5, 31)
    assert sink.skipped == Counter({"release without a word about its end": 4})


def test_a_release_is_given_once_and_by_the_better_document() -> None:
    _, sink = parse(DATA, PAGES)
    found = by_release(sink)

    assert found["rocky-9"].document == "products.tar.xz/products/rocky-linux.md: 9"
    assert sink.skipped["release that a better document gave already"] == 21


def test_a_page_that_cannot_be_read_is_rejected_alone(tmp_path: Path) -> None:
    broken = archive(tmp_path, "x.tar", "site/products/broken.md", "---\nreleases: [\n---\n")
    bare = archive(tmp_path, "y.tar", "site/products/bare.md", "no front matter\n")
    _, sink = parse(PAGES, broken, bare)

    assert [item.where for item in sink.rejects] == [
        "x.tar/site/products/broken.md",
        "y.tar/site/products/bare.md",
    ]
    assert "debian-12" in by_release(sink)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"result": []}', "when it was made"),
        ('{"generated_at": "2026-01-01T00:00:00Z", "result": [', "not valid JSON"),
        ("<html>", "a web page"),
    ],
)
def test_another_document_under_the_name_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "full.json").write_text(text, encoding="utf-8")
    with pytest.raises(FeedRejected, match=why):
        parse(tmp_path / "full.json")


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedRejected, match="no document with products"):
        parse(archive(tmp_path, "x.tar", "site/README.md", "hello\n"))


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("full", True),
        ("full.json", True),
        ("master.tar.gz", True),
        ("endoflife-release-data-2026-08-22.tar.xz", True),
        ("debian.csv", False),
        ("security-support-limited", False),
    ],
)
def test_its_documents_are_told_from_others(name: str, accepted: bool) -> None:
    assert FEED.accepts(name) is accepted
