"""AlmaLinux's records and errata are read to the last package, and the rest is counted."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rpm_site import Site
from wavemend.advisories import Advisory, AdvisoryStatus, UpdateClass
from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import FEEDS, Document
from wavemend.testing.collected import Collected
from wavemend.versions import Scheme

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "almalinux"
FEED = FEEDS["almalinux"]()
ARCHIVE = "records-2026-08-21.tar.xz"
OSV = "https://osv.example/AlmaLinux/all.zip"
NO_STREAM = "a modular build whose module stream is named nowhere"


def read(*paths: Path) -> Collected:
    sink = Collected()
    FEED.parse([Document(name=path.name, path=path) for path in paths], sink)
    assert sink.balanced
    return sink


def record(**changes: Any) -> dict[str, Any]:
    entry = {
        "package": {"ecosystem": "AlmaLinux:9", "name": "bash"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0-1.el9"}]}],
    }
    return {
        "id": "ALSA-2026:1",
        "summary": "Important: bash security update",
        "modified": "2026-08-01T00:00:00Z",
        "affected": [entry],
    } | changes


def read_one(value: Mapping[str, Any], folder: Path, name: str = "x.json") -> Collected:
    (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return read(folder / name)


def test_a_record_says_which_version_of_an_installed_package_is_the_fixed_one() -> None:
    sink = read(CASES / "all.zip")

    (squid,) = (item for item in sink.advisories if item.package == "squid")
    assert squid == Advisory(
        id="ALSA-2023:7465",
        feed="almalinux",
        document="all.zip/all/ALSA-2023:7465.json",
        release="almalinux-9",
        package="squid",
        fixed_version="7:5.5-6.el9_3.2",
        status=AdvisoryStatus.FIXED,
        cves=("CVE-2023-5824",),
        scheme=Scheme.RPM,
        by_source=False,
        update_class=UpdateClass.SECURITY,
        summary="Important: squid security update",
        urgency="important",
        published=datetime(2023, 11, 22, tzinfo=UTC),
    )
    assert (sink.entries, sink.taken, sink.rejects) == (33, 33, [])
    assert {item.id[:4]: item.update_class for item in sink.advisories} == {
        "ALSA": UpdateClass.SECURITY,
        "ALBA": UpdateClass.BUGFIX,
        "ALEA": UpdateClass.ENHANCEMENT,
    }


def test_of_an_archive_of_records_every_package_is_used_or_rejected_with_its_reason() -> None:
    sink = read(CASES / ARCHIVE)

    assert (sink.entries, sink.taken) == (407, 365)
    assert {item.reason for item in sink.rejects} == {NO_STREAM}
    assert len(sink.rejects) == 42
    assert {item.release for item in sink.advisories} == {
        "almalinux-8",
        "almalinux-9",
        "almalinux-10",
    }
    assert "ALSA-2025:A003" in {item.id for item in sink.advisories}


def test_a_modular_build_is_said_of_each_stream_its_title_names_and_of_nothing_else() -> None:
    advisories = read(CASES / ARCHIVE).advisories

    modules = {item.module for item in advisories if item.id == "ALSA-2021:2583"}
    assert modules == {"python38:3.8", "python38-devel:3.8"}
    assert {item.module for item in advisories if item.id == "ALSA-2022:5468"} == {"php:8.0"}
    assert all(bool(item.module) == (".module" in str(item.fixed_version)) for item in advisories)


def test_errata_name_architecture_and_module_of_every_build() -> None:
    sink = read(CASES / "errata.full.json")

    said = {(item.package, item.arch): item for item in sink.advisories}
    assert said["Judy", "x86_64"].module == "mariadb:10.3"
    assert said["Judy", "aarch64"].module == "mariadb:10.5"
    assert said["Judy-devel", "x86_64"].module == "mariadb-devel:10.3"
    ccid = said["pcsc-lite-ccid", "ppc64le"]
    assert (ccid.release, ccid.fixed_version) == ("almalinux-8", "1.4.29-5.1.el8_4")
    assert (ccid.update_class, ccid.published) == (
        UpdateClass.BUGFIX,
        datetime(2021, 8, 10, 9, 54, 43, tzinfo=UTC),
    )
    assert (sink.entries, sink.taken, sink.rejects) == (12, 12, [])
    assert len(said["Judy", "x86_64"].cves) == 12


def test_the_feed_is_as_old_as_its_newest_record() -> None:
    document = Document(name=ARCHIVE, path=CASES / ARCHIVE)
    heading = FEED.parse([document], Collected())

    assert heading.data_date == datetime(2026, 8, 18, 8, 55, tzinfo=UTC)
    assert heading.coverage["fixed_version"] == 591


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "RLSA-2026:1"}, "an id that is none of AlmaLinux: 'RLSA-2026:1'"),
        ({"modified": None}, "is not an OSV record"),
        ({"affected": {}}, ""),
        ({"affected": [{"package": {"ecosystem": "AlmaLinux:9"}}]}, "without a package's name"),
    ],
)
def test_what_is_no_record_of_almalinux_is_rejected(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    (tmp_path / "good.json").write_text(json.dumps(record()), encoding="utf-8")
    (tmp_path / "bad.json").write_text(json.dumps(record(**changes)), encoding="utf-8")

    sink = read(tmp_path / "good.json", tmp_path / "bad.json")

    assert sink.taken == 1
    assert [reason in item.reason for item in sink.rejects] == ([True] if reason else [])


def test_withdrawn_records_and_other_ecosystems_are_counted(tmp_path: Path) -> None:
    other = record()["affected"][0] | {"package": {"ecosystem": "Rocky Linux:9", "name": "bash"}}

    assert read_one(record(withdrawn="2026-08-02T00:00:00Z"), tmp_path).skipped == {
        "a withdrawn record": 1
    }
    assert read_one(record(affected=[other]), tmp_path).skipped == {
        "another ecosystem or release": 1
    }


def test_an_erratum_without_a_release_or_a_readable_version_is_rejected(tmp_path: Path) -> None:
    rows = [
        {"name": "bash", "version": "1.0", "release": "1", "arch": "x86_64"},
        {"name": "zsh", "version": "", "release": "1.el9", "arch": "x86_64"},
        {"version": "1.0", "release": "1.el9"},
    ]
    erratum = {"id": "ALSA-2026:1", "updated_date": 1_780_000_000, "packages": rows}

    sink = read_one({"data": [erratum]}, tmp_path, "errata.full.json")

    assert [item.reason for item in sink.rejects] == [
        "neither the erratum's address nor the build says for which release",
        "'-1.el9' is not an RPM version: bad version part ''.",
        "a package row without a name",
    ]


@pytest.mark.parametrize("text", ["invalid", '{"data": {}}', '{"data": []}', "[]", ""])
def test_what_is_no_file_of_errata_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "errata.full.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(FeedRejected):
        read(path)


def test_a_source_may_be_the_dump_or_several_files_of_errata(tmp_path: Path) -> None:
    body = (CASES / "errata.full.json").read_bytes()
    urls = [f"https://errata.example/{major}/errata.full.json" for major in (8, 9)]
    mirror = Site(pages={url: [body] for url in urls}, folder=tmp_path / "a")
    FEED.download(" ".join(urls), mirror)

    names = sorted(path.relative_to(tmp_path / "a").as_posix() for path in tmp_path.rglob("*.json"))
    assert names == ["8/errata.full.json", "9/errata.full.json"]

    dump = Site(pages={OSV: [(CASES / "all.zip").read_bytes()]}, folder=tmp_path / "b")
    FEED.download(OSV, dump)
    assert (tmp_path / "b" / "all.zip").is_file()


@pytest.mark.parametrize("source", [f"{OSV} {OSV}", "https://x.example/org.almalinux.alsa-9.xml"])
def test_a_source_that_is_no_document_of_its_own_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="is no document of its own"):
        FEED.download(source, Site(pages={OSV: [b"x"]}, folder=tmp_path))


def test_oval_is_no_document_of_the_feed() -> None:
    assert FEED.accepts("all.zip")
    assert FEED.accepts("almalinux9/ALSA-2022:4940.json")
    assert FEED.accepts("9/errata.full.json")
    assert not FEED.accepts("org.almalinux.alsa-9.xml.bz2")
    assert not FEED.accepts("indexof.html")
