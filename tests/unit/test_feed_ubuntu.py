"""Ubuntu's OSV records are read with what is free and what needs a subscription told apart."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavemend.errors import FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.readers.ubuntu import FEED
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "ubuntu"


def parse_record(folder: Path, *affected: object, **more: object) -> Collected:
    record = {
        "id": "UBUNTU-CVE-2026-0001",
        "modified": "2026-11-20T00:00:00Z",
        "affected": affected,
        **more,
    }
    (folder / "x.json").write_text(json.dumps(record), encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name="x.json", path=folder / "x.json")], sink)
    assert sink.balanced
    return sink


def made(ecosystem: str, fixed: str = "", package: str = "zip", **specific: str) -> object:
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    return {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
        "ecosystem_specific": specific,
    }


def shown(sink: Collected) -> list[tuple[str, str, str | None]]:
    return [(item.release, item.status.value, item.fixed_version) for item in sink.advisories]


def test_the_real_archive_is_read_to_the_last_entry() -> None:
    sink = Collected()
    heading = FEED.parse([Document(name="osv-all.tar.xz", path=CASES / "osv-all.tar.xz")], sink)

    assert sink.balanced
    assert (sink.entries, sink.taken) == (13, 7)
    rabbit = next(item for item in sink.advisories if item.release == "jammy")
    assert (rabbit.id, rabbit.cves) == ("UBUNTU-CVE-2024-51988", ("CVE-2024-51988",))
    assert (rabbit.package, rabbit.fixed_version) == ("rabbitmq-server", "3.9.27-0ubuntu0.1")
    assert (rabbit.status.value, rabbit.urgency) == ("fixed", "medium")
    assert sink.candidates["CVE-2024-51988"][0].source == "distribution:ubuntu"
    assert heading.data_date == datetime(2025, 6, 2, 17, 30, 48, tzinfo=UTC)


def test_a_notice_names_each_cve_twice_and_counts_it_once() -> None:
    sink = Collected()
    FEED.parse([Document(name="osv-all.tar.xz", path=CASES / "osv-all.tar.xz")], sink)

    usn = next(item for item in sink.advisories if item.id == "USN-7095-1")
    assert usn.cves[:2] == ("CVE-2023-52887", "CVE-2023-52888")
    assert len(set(usn.cves)) == len(usn.cves)
    assert usn.published is not None
    assert usn.published.date().isoformat() == "2024-11-07"


def test_a_livepatch_is_counted_but_its_kernel_version_proves_nothing() -> None:
    sink = Collected()
    FEED.parse([Document(name="osv-all.tar.xz", path=CASES / "osv-all.tar.xz")], sink)

    assert sink.skipped == {"livepatch notice": 6}
    assert not any(item.id.startswith("LSN") for item in sink.advisories)


def test_a_fix_behind_a_subscription_is_not_called_a_fix_for_everybody(tmp_path: Path) -> None:
    sink = parse_record(
        tmp_path,
        made("Ubuntu:22.04:LTS"),
        made("Ubuntu:Pro:22.04:LTS", "1.0+esm1", availability="Available with Ubuntu Pro"),
        made("Ubuntu:20.04:LTS", "0.9", availability="No subscription required"),
        made("Ubuntu:Pro:20.04:LTS", "0.9+esm1"),
        made("Ubuntu:Pro:18.04:LTS", "0.8+esm1"),
        made("Ubuntu:Pro:16.04:LTS"),
    )

    assert shown(sink) == [
        ("jammy", "needs_subscription", "1.0+esm1"),
        ("focal", "fixed", "0.9"),
        ("bionic", "needs_subscription", "0.8+esm1"),
        ("xenial", "unfixed", None),
    ]
    assert sink.advisories[0].note == "Available with Ubuntu Pro"
    assert sink.taken == 6


def test_builds_of_their_own_do_not_speak_of_the_plain_package(tmp_path: Path) -> None:
    sink = parse_record(
        tmp_path,
        made("Ubuntu:20.04:LTS", "1.1.1f-1ubuntu2.20", "openssl"),
        made("Ubuntu:Pro:FIPS-updates:20.04:LTS", "1.1.1f-1ubuntu2.fips.20", "openssl"),
        made("Ubuntu:Pro:FIPS-updates:20.04:LTS", "5.4.0-1100.110", "linux-fips"),
        made("Ubuntu:22.04:LTS:for:NVIDIA:BlueField", "1.0", "zip"),
    )

    assert [(item.release, item.package) for item in sink.advisories] == [
        ("focal", "openssl"),
        ("fips-updates/focal", "openssl"),
        ("focal", "linux-fips"),
        ("bluefield/jammy", "zip"),
    ]


def test_newer_records_write_the_priority_among_the_severities(tmp_path: Path) -> None:
    sink = parse_record(
        tmp_path,
        made("Ubuntu:24.04:LTS", "1.0"),
        severity=[{"type": "Ubuntu", "score": "high"}],
    )

    assert sink.advisories[0].urgency == "high"
    assert sink.candidates == {}
    assert sink.flaws == []


def test_what_is_not_for_us_or_not_understood_is_counted(tmp_path: Path) -> None:
    sink = parse_record(
        tmp_path,
        made("Ubuntu:12.04:LTS", "1.0"),
        made("Debian:12", "1.0"),
        {"ranges": [{"type": "GIT", "events": []}]},
        made("Ubuntu:24.04:LTS", "not a version"),
        {"package": {"ecosystem": "Ubuntu:24.04:LTS"}},
        7,
    )

    assert sink.skipped == {"other ecosystem or release": 2, "entry without a package": 1}
    assert [item.where for item in sink.rejects] == [
        "x.json: zip in noble",
        "x.json:  in noble",
        "x.json:  in no release",
    ]


@pytest.mark.parametrize("text", ["", "   ", "{}", "[]", '"x"', "<html></html>", '{"cves": []}'])
def test_an_empty_and_a_foreign_document_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")

    with pytest.raises(FeedRejected):
        FEED.parse([Document(name="x.json", path=tmp_path / "x.json")], Collected())


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("osv-all.tar.xz", True),
        ("all.zip", True),
        ("ubuntu-cve-tracker-2023_2024-2024-08-09.tar.xz", True),
        ("data/active/CVE-2022-36879", True),
        ("2024/CVE-2024-0046.json", True),
        ("data/active/00boilerplate", False),
        ("vex-all.tar.xz", False),
        ("oci.com.ubuntu.jammy.cve.oval.xml.bz2", False),
        ("commits.json", False),
    ],
)
def test_a_folder_gives_only_the_documents_this_feed_reads(name: str, accepted: bool) -> None:
    assert FEED.accepts(name) is accepted
