"""Ubuntu's notices say which source version fixed what, when, and for whom."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavemend.errors import FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.readers.ubuntu_notices import FEED
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "ubuntu-notices"


def parse(*names: str) -> Collected:
    sink = Collected()
    FEED.parse([Document(name=name, path=CASES / name) for name in names], sink)
    assert sink.balanced
    return sink


def parse_value(value: object, folder: Path) -> Collected:
    (folder / "x.json").write_text(json.dumps(value), encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name="x.json", path=folder / "x.json")], sink)
    assert sink.balanced
    return sink


def made_release(version: str, *pockets: str) -> dict[str, object]:
    binaries = {f"bin{number}": {"pocket": pocket} for number, pocket in enumerate(pockets)}
    return {"sources": {"zip": {"version": version}}, "allbinaries": binaries}


def test_the_real_database_is_read_to_the_last_source_package() -> None:
    sink = parse("database-all.json.bz2")

    assert (sink.entries, sink.taken) == (14, 12)
    assert sink.skipped == {"other ecosystem or release": 2}
    jinja = next(item for item in sink.advisories if item.package == "jinja2")
    assert (jinja.id, jinja.release, jinja.fixed_version) == (
        "USN-4011-1",
        "xenial",
        "2.8-1ubuntu0.1",
    )
    assert jinja.cves == ("CVE-2016-10745", "CVE-2019-10906")
    assert jinja.published == datetime.fromtimestamp(1559819644.967449, UTC)
    assert jinja.summary == "Jinja2 vulnerabilities"


def test_the_pocket_of_the_binaries_says_who_is_offered_the_fix() -> None:
    sink = parse("database-all.json.bz2")

    kernels = {item.status.value for item in sink.advisories if item.id == "USN-6342-1"}
    assert kernels == {"needs_subscription"}
    aws = next(item for item in sink.advisories if item.package == "linux-aws")
    assert (aws.release, aws.note) == ("bionic", "with Ubuntu Pro (esm-infra)")


@pytest.mark.parametrize(
    ("version", "pockets", "release", "status"),
    [
        ("1.0", ("security",), "focal", "fixed"),
        ("1.0", ("security", "esm-apps"), "focal", "fixed"),
        ("1.0", (), "focal", "fixed"),
        ("1.0+esm1", (), "focal", "needs_subscription"),
        ("1.0", ("esm-apps",), "focal", "needs_subscription"),
        ("1.0.fips.1", ("fips-updates",), "fips-updates/focal", "needs_subscription"),
    ],
)
def test_free_and_paid_are_told_apart(
    version: str, pockets: tuple[str, ...], release: str, status: str, tmp_path: Path
) -> None:
    notice = {"timestamp": 1_700_000_000, "releases": {"focal": made_release(version, *pockets)}}

    sink = parse_value({"9999-1": notice}, tmp_path)

    (said,) = sink.advisories
    assert (said.release, said.status.value, said.fixed_version) == (release, status, version)


def test_bugs_and_repetitions_among_the_cves_are_left_out(tmp_path: Path) -> None:
    notice = {
        "timestamp": 1_700_000_000,
        "cves": ["CVE-2026-0001", "https://launchpad.net/bugs/1", "CVE-2026-0001"],
        "releases": {"focal": made_release("1.0")},
    }

    sink = parse_value({"9999-1": notice}, tmp_path)

    assert sink.advisories[0].cves == ("CVE-2026-0001",)


def test_pages_of_2004_name_no_source_packages_and_are_counted() -> None:
    sink = parse("page-0.json")

    assert (sink.entries, sink.skipped) == (2, {"notice without source packages": 2})


def test_a_page_of_today_gives_source_packages_and_skips_livepatches(tmp_path: Path) -> None:
    rows = [
        {"name": "zip", "version": "3.0-11", "is_source": True},
        {
            "name": "zip-bin",
            "version": "3.0-11",
            "is_source": False,
            "pocket": "esm-apps",
            "source_link": "https://launchpad.net/ubuntu/+source/zip",
        },
        {"name": "unzip", "version": "6.0-28", "is_source": True},
    ]
    notice = {
        "id": "USN-9999-1",
        "published": "2026-11-20T10:00:00",
        "title": "zip vulnerability",
        "cves_ids": ["CVE-2026-0001"],
        "release_packages": {"jammy": rows},
    }
    page = {
        "notices": [
            notice,
            {**notice, "id": "LSN-0001-1", "type": "LSN"},
            {**notice, "id": "USN-9999-2", "is_hidden": True},
            {"id": "USN-1-1"},
        ],
        "limit": 20,
        "offset": 0,
        "total_results": 4,
    }

    sink = parse_value(page, tmp_path)

    assert [(item.package, item.status.value) for item in sink.advisories] == [
        ("zip", "needs_subscription"),
        ("unzip", "fixed"),
    ]
    assert sink.skipped == {"livepatch notice": 2, "hidden notice": 2}
    assert len(sink.rejects) == 1


@pytest.mark.parametrize("at", [None, True, "x", -1, 1e300])
def test_a_notice_without_a_time_is_rejected_alone(at: object, tmp_path: Path) -> None:
    good = {"timestamp": 1_700_000_000, "releases": {"focal": made_release("1.0")}}

    sink = parse_value({"1-1": {**good, "timestamp": at}, "2-1": good}, tmp_path)

    assert [item.where for item in sink.rejects] == ["x.json: 1-1"]
    assert [item.id for item in sink.advisories] == ["USN-2-1"]


def test_a_version_that_means_nothing_is_rejected_with_its_place(tmp_path: Path) -> None:
    notice = {
        "timestamp": 1_700_000_000,
        "releases": {"focal": made_release(""), "jammy": made_release("1.0")},
    }

    sink = parse_value({"9999-1": notice}, tmp_path)

    assert [item.where for item in sink.rejects] == ["x.json: USN-9999-1: zip in focal"]
    assert [item.release for item in sink.advisories] == ["jammy"]


@pytest.mark.parametrize("text", ["", "  ", "{}", "[]", '"x"', "<html></html>", '{"notices": []}'])
def test_an_empty_and_a_foreign_document_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")

    with pytest.raises(FeedRejected):
        FEED.parse([Document(name="x.json", path=tmp_path / "x.json")], Collected())
