"""The Debian tracker tells states apart: fixed, never affected, ignored, postponed, unknown."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavemend.errors import FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.readers.debian_tracker import FEED
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "debian-tracker"


def parse_release(said: object, folder: Path, cve: str = "CVE-2026-0001") -> Collected:
    other = {"status": "resolved", "fixed_version": "1", "urgency": "low"}
    document = {"zip": {cve: {"releases": {"bookworm": said, "trixie": other, "sid": other}}}}
    (folder / "json").write_text(json.dumps(document), encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name="json", path=folder / "json")], sink)
    assert sink.balanced
    assert sink.skipped == {"other ecosystem or release": 1}
    return sink


def test_the_real_document_is_read_to_the_last_statement() -> None:
    sink = Collected()
    heading = FEED.parse([Document(name="tracker.json", path=CASES / "tracker.json")], sink)

    assert sink.balanced
    assert (sink.entries, sink.taken, sink.skipped.total()) == (8, 4, 4)
    assert [(item.id, item.status.value, item.fixed_version) for item in sink.advisories] == [
        ("CVE-2012-0833", "not_affected", None),
        ("CVE-2016-5405", "fixed", "1.3.5.15-1"),
        ("CVE-2016-5416", "will_not_fix", None),
        ("TEMP-0000000-0CA7E3", "not_affected", None),
    ]
    assert sink.summaries["CVE-2016-5405"].startswith("389 Directory Server")
    assert heading.coverage == {"fixed_version": 1, "nodsa_reason": 1}


def test_an_ignored_issue_is_told_from_a_postponed_one_with_the_reason() -> None:
    sink = Collected()
    FEED.parse([Document(name="tracker.json", path=CASES / "tracker.json")], sink)

    ignored = next(item for item in sink.advisories if item.id == "CVE-2016-5416")
    assert ignored.note == "ignored: Minor issue"
    assert ignored.document == "tracker.json: 389-ds-base CVE-2016-5416"


@pytest.mark.parametrize(
    ("said", "status", "note"),
    [
        ({"status": "open", "urgency": "low"}, "unfixed", ""),
        (
            {"status": "open", "nodsa": "Minor issue", "nodsa_reason": "postponed"},
            "unfixed",
            "postponed: Minor issue",
        ),
        ({"status": "open", "nodsa": "Minor issue"}, "unfixed", "no DSA: Minor issue"),
        ({"status": "open", "urgency": "end-of-life"}, "will_not_fix", "end of life"),
        (
            {"status": "undetermined"},
            "unfixed",
            "Debian has not determined whether it is affected",
        ),
    ],
)
def test_what_is_not_fixed_says_why(
    said: dict[str, str], status: str, note: str, tmp_path: Path
) -> None:
    sink = parse_release(said, tmp_path)

    assert (sink.advisories[0].status.value, sink.advisories[0].note) == (status, note)


@pytest.mark.parametrize(
    "said",
    [
        "open",
        {"status": "fixed"},
        {"status": "resolved"},
        {"status": "resolved", "fixed_version": "not a version"},
        {},
    ],
)
def test_a_statement_that_is_not_understood_is_rejected_alone(said: object, tmp_path: Path) -> None:
    sink = parse_release(said, tmp_path)

    assert [item.where for item in sink.rejects] == ["json: zip CVE-2026-0001 in bookworm"]
    assert [item.release for item in sink.advisories] == ["trixie"]


def test_an_issue_without_a_cve_keeps_its_id_and_names_no_cve(tmp_path: Path) -> None:
    sink = parse_release({"status": "open"}, tmp_path, "TEMP-0000000-0CA7E3")

    assert {(item.id, item.cves) for item in sink.advisories} == {("TEMP-0000000-0CA7E3", ())}
    assert sink.summaries == {}


def test_the_unimportant_is_marked(tmp_path: Path) -> None:
    sink = parse_release({"status": "open", "urgency": "unimportant"}, tmp_path)

    assert [item.unimportant for item in sink.advisories] == [True, False]


def test_of_several_days_the_newest_is_read_and_gives_the_date(tmp_path: Path) -> None:
    documents = []
    for name, day in (("b.json", 1), ("a.json", 2)):
        path = tmp_path / name
        path.write_bytes((CASES / "tracker.json").read_bytes())
        at = datetime(2026, 11, day, tzinfo=UTC)
        os.utime(path, (at.timestamp(), at.timestamp()))
        documents.append(Document(name=name, path=path))

    sink = Collected()
    heading = FEED.parse(documents, sink)

    assert heading.data_date == datetime(2026, 11, 2, tzinfo=UTC)
    assert {item.document.partition(":")[0] for item in sink.advisories} == {"a.json"}


@pytest.mark.parametrize(
    "text", ["", "   ", "{}", "[]", '"x"', "invalid", "<html></html>", '{"zip": 1}', '[{"a": 1}]']
)
def test_an_empty_and_a_foreign_document_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")

    with pytest.raises(FeedRejected):
        FEED.parse([Document(name="x.json", path=tmp_path / "x.json")], Collected())


def test_a_document_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = (CASES / "tracker.json").read_bytes()
    (tmp_path / "x.json").write_bytes(whole[: len(whole) * 3 // 4])

    with pytest.raises(FeedRejected):
        FEED.parse([Document(name="x.json", path=tmp_path / "x.json")], Collected())


def test_the_trackers_configuration_is_not_its_state() -> None:
    assert [FEED.accepts(name) for name in ("json", "tracker.json.xz", "config.json", "x.xml")] == [
        True,
        True,
        False,
        False,
    ]
