"""Arch's tracker speaks of packages by name: what is fixed, what is not, what nobody looked at."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavemend.errors import FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.readers.arch import FEED
from wavemend.testing.collected import Collected
from wavemend.versions import Scheme

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "arch"
GROUP = {
    "name": "AVG-9",
    "packages": ["zip"],
    "status": "Fixed",
    "severity": "High",
    "type": "denial of service",
    "affected": "3.0-10",
    "fixed": "3.0-11",
    "ticket": None,
    "issues": ["CVE-2026-0001"],
    "advisories": [],
}


def parse(folder: Path, *groups: object) -> Collected:
    path = folder / "all.json"
    path.write_text(json.dumps([GROUP, *groups]), encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name="all.json", path=path)], sink)
    assert sink.balanced
    return sink


def test_the_real_document_is_read_to_the_last_statement() -> None:
    sink = Collected()
    heading = FEED.parse([Document(name="all.json", path=CASES / "all.json")], sink)

    assert sink.balanced
    assert (sink.entries, sink.taken, sink.rejects) == (3, 3, [])
    assert [
        (item.package, item.id, item.fixed_version, item.cves, item.urgency)
        for item in sink.advisories
    ] == [
        ("vim", "AVG-2843", "9.0.1225-1", ("CVE-2023-0433",), "unknown"),
        (
            "lib32-gdk-pixbuf2",
            "ASA-201611-12",
            "2.36.0+2+ga7c869a-1",
            ("CVE-2016-6352",),
            "critical",
        ),
        ("libtiff", "ASA-201707-17", "4.0.8-2", ("CVE-2015-7554", "CVE-2016-10095"), "critical"),
    ]
    assert {(item.release, item.scheme, item.by_source) for item in sink.advisories} == {
        ("arch", Scheme.PACMAN, False)
    }
    assert sink.advisories[0].note == "Arch has not determined whether it is affected"
    assert heading.coverage == {"fixed": 3}


@pytest.mark.parametrize(
    ("changes", "status", "fixed", "note"),
    [
        ({"status": "Vulnerable", "fixed": None}, "unfixed", None, ""),
        (
            {"status": "Unknown", "fixed": None},
            "unfixed",
            None,
            "Arch has not determined whether it is affected",
        ),
        ({"status": "Not affected", "fixed": None}, "not_affected", None, ""),
        (
            {"status": "Testing"},
            "fixed",
            "3.0-11",
            "the fix is in Arch's testing repositories only",
        ),
    ],
)
def test_each_status_says_what_it_means(
    changes: dict[str, str | None], status: str, fixed: str | None, note: str, tmp_path: Path
) -> None:
    said = parse(tmp_path, {**GROUP, **changes}).advisories[1]

    assert (said.status.value, said.fixed_version, said.note) == (status, fixed, note)


def test_every_package_of_a_group_has_its_own_statement(tmp_path: Path) -> None:
    sink = parse(tmp_path, {**GROUP, "packages": ["openssl", "lib32-openssl"]})

    assert [item.package for item in sink.advisories] == ["zip", "openssl", "lib32-openssl"]


@pytest.mark.parametrize(
    "group",
    [
        "AVG-10",
        7,
        {},
        {**GROUP, "name": None},
        {**GROUP, "status": "Wontfix"},
        {**GROUP, "fixed": None},
        {**GROUP, "fixed": "not a version"},
        {**GROUP, "fixed": "3.0"},
        {**GROUP, "packages": []},
        {**GROUP, "packages": [None]},
        {**GROUP, "packages": "zip"},
    ],
)
def test_a_group_that_is_not_understood_is_rejected_alone(group: object, tmp_path: Path) -> None:
    sink = parse(tmp_path, group)

    assert len(sink.rejects) == 1
    assert [item.package for item in sink.advisories] == ["zip"]


def test_a_group_without_a_cve_is_kept_and_said_to_lack_one(tmp_path: Path) -> None:
    sink = parse(tmp_path, {**GROUP, "issues": ["AVG-9"]})

    assert sink.advisories[1].cves == ()
    assert [item.reason for item in sink.flaws] == ["names no CVE"]


@pytest.mark.parametrize("document", [{"name": "AVG-1"}, [], ["x"], [{"name": "GHSA-1"}]])
def test_what_is_not_the_trackers_is_refused(document: object, tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(FeedRejected):
        FEED.parse([Document(name="all.json", path=tmp_path / "all.json")], Collected())


def test_of_several_days_the_newest_is_read_and_gives_the_date(tmp_path: Path) -> None:
    documents = []
    for name, day in (("b.json", 1), ("a.json", 2)):
        path = tmp_path / name
        path.write_bytes((CASES / "all.json").read_bytes())
        at = datetime(2026, 11, day, tzinfo=UTC).timestamp()
        os.utime(path, (at, at))
        documents.append(Document(name=name, path=path))

    heading = FEED.parse(documents, Collected())

    assert heading.data_date == datetime(2026, 11, 2, tzinfo=UTC)
