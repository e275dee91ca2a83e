"""Whatever a document is, a feed reads it or refuses it with one kind of error."""

import contextlib
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavemend.errors import FeedRejected
from wavemend.feeds import FEEDS, Document
from wavemend.feeds.reading.archives import open_stream
from wavemend.feeds.reading.documents import MIB, moment, parse_json
from wavemend.feeds.refresh import FeedStatus, RefreshConfig, refresh
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds"
NAMES = (
    "x.json",
    "x.csv",
    "x.zip",
    "x.tar.xz",
    "x.xml",
    "x.yaml",
    "list",
    "repomd.xml",
    "security-support-ended.deb12",
)


def test_nine_digits_of_a_second_are_a_time() -> None:
    assert moment("2025-06-25T03:01:03.129977612") == datetime(
        2025, 6, 25, 3, 1, 3, 129977, tzinfo=UTC
    )


def test_json_of_any_kind_of_damage_is_one_kind_of_error() -> None:
    for body in (b"{", b"\xff", b"[1e999]", b"[-Infinity]", b'{"a":1,"a":2}', b"[" * 100_000):
        with pytest.raises(FeedRejected):
            parse_json(body, "x")


@pytest.mark.parametrize("feed", sorted(FEEDS))
@pytest.mark.parametrize("text", ["", "   ", "{}", "[]", '"x"', "<html></html>"])
def test_every_feed_refuses_an_empty_and_a_foreign_document(
    feed: str, text: str, tmp_path: Path
) -> None:
    reader = FEEDS[feed]()
    name = next((name for name in NAMES if reader.accepts(name)), "x")
    (tmp_path / name).write_text(text, encoding="utf-8")
    sink = Collected()

    with pytest.raises(FeedRejected):
        reader.parse([Document(name=name, path=tmp_path / name)], sink)


@pytest.mark.parametrize("feed", sorted(FEEDS))
def test_no_feed_takes_no_document_for_an_empty_world(feed: str) -> None:
    with pytest.raises(FeedRejected):
        FEEDS[feed]().parse([], Collected())


@pytest.mark.parametrize(
    ("feed", "name"),
    [
        ("epss", "epss_scores-2026-06-20.csv.gz"),
        ("kev", "2026-08-07.json"),
        ("nvd", "nvdcve-modified-2024-10-25.json.gz"),
        ("cve", "vulnrichment-2025-01-24.tar.xz"),
    ],
)
def test_a_document_with_any_byte_damaged_is_refused_or_read_with_counts_that_balance(
    feed: str, name: str, tmp_path: Path
) -> None:
    with open_stream(Document(name=name, path=CASES / feed / name), most=MIB) as stream:
        whole = stream.read()
    dice = random.Random(7)
    name = name.removesuffix(".gz").removesuffix(".xz")
    for _ in range(150):
        body = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(body))
            body[at : at + dice.choice((0, 1, 1, 9))] = dice.choice(
                (b"", b'"', b"null", b"[", b"9")
            )
        (tmp_path / name).write_bytes(body)
        sink = Collected()
        with contextlib.suppress(FeedRejected):
            FEEDS[feed]().parse([Document(name=name, path=tmp_path / name)], sink)
            assert sink.balanced


def test_the_bundled_examples_are_whole_small_and_honest(tmp_path: Path) -> None:
    examples = CASES.parents[2] / "examples" / "feeds"
    now = datetime(2026, 11, 20, 18, tzinfo=UTC)
    names = {path.name for path in examples.iterdir() if path.is_dir()}

    config = RefreshConfig(directory=examples, feeds=tuple(sorted(names)))
    results = refresh(config, tmp_path / "cache", now)

    assert {item.feed for item in results} == names
    assert {item.status for item in results} == {FeedStatus.REFRESHED}
    assert [len(item.snapshot.rejects) if item.snapshot else -1 for item in results] == [0] * len(
        names
    )
    size = sum(path.stat().st_size for path in examples.rglob("*") if path.is_file())
    assert size < 1_500_000
    for path in (examples / "debian" / "derived").iterdir():
        record = json.loads(path.read_text("utf-8"))
        assert record["database_specific"]["derived"] is True, path.name
