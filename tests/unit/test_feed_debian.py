"""Debian's OSV records and lists are read to the last entry, and what cannot be used is counted."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Heading
from wavemend.feeds.readers.debian import FEED
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "debian"


def parse(*names: str) -> tuple[Collected, Heading]:
    sink = Collected()
    heading = FEED.parse([Document(name=name, path=CASES / name) for name in names], sink)
    assert sink.balanced
    return sink, heading


def parse_record(record: object, folder: Path) -> Collected:
    (folder / "x.json").write_text(json.dumps(record), encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name="x.json", path=folder / "x.json")], sink)
    assert sink.balanced
    return sink


def made_record(identifier: str, *affected: object, **more: object) -> dict[str, object]:
    return {
        "id": identifier,
        "modified": "2026-11-20T00:00:00Z",
        "affected": list(affected),
        **more,
    }


def made_entry(number: int, *events: dict[str, str], urgency: str = "") -> dict[str, object]:
    return {
        "package": {"ecosystem": f"Debian:{number}", "name": "zip"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, *events]}],
        "ecosystem_specific": {"urgency": urgency},
    }


def shown(sink: Collected) -> list[tuple[str, str, str | None]]:
    return [(item.release, item.status.value, item.fixed_version) for item in sink.advisories]


def of(sink: Collected, release: str, package: str) -> Advisory:
    (found,) = (x for x in sink.advisories if (x.release, x.package) == (release, package))
    return found


def test_records_give_one_statement_per_release_and_source() -> None:
    sink, heading = parse("CVE-2023-4911.json", "DSA-5592-1.json")

    glibc = of(sink, "bookworm", "glibc")
    assert (glibc.fixed_version, glibc.status) == ("2.36-9+deb12u3", AdvisoryStatus.FIXED)
    assert glibc.cves == ("CVE-2023-4911",)
    dsa = of(sink, "bookworm", "libspreadsheet-parseexcel-perl")
    assert (dsa.id, dsa.cves) == ("DSA-5592-1", ("CVE-2023-7101",))
    assert sink.candidates["CVE-2023-4911"][0].score == 7.8
    assert heading.coverage == {"fixed_version": len(sink.advisories), "cvss": 1}


def test_an_advisory_is_dated_by_debian_and_a_cve_record_is_not() -> None:
    sink, _ = parse("CVE-2023-4911.json", "DSA-5592-1.json")

    dsa = of(sink, "bookworm", "libspreadsheet-parseexcel-perl")
    assert dsa.published == datetime(2023, 12, 30, tzinfo=UTC)
    assert of(sink, "bookworm", "glibc").published is None
    assert sink.dates["CVE-2023-4911"].date().isoformat() == "2023-10-03"


def test_other_ecosystems_and_entries_without_a_package_are_counted_not_read() -> None:
    sink, _ = parse(
        "CVE-2023-46840.json", "CVE-2016-10515.json", "CVE-2019-7350.json", "all-2023.zip"
    )

    assert {item.release for item in sink.advisories} <= {"bullseye", "bookworm", "trixie"}
    assert sink.skipped["entry without a package"] == 2
    assert sink.skipped["other ecosystem or release"] >= 9
    assert sink.rejects == []
    zoneminder = of(sink, "bookworm", "zoneminder")
    assert (zoneminder.status, zoneminder.unimportant) == (AdvisoryStatus.UNFIXED, True)


def test_a_fixed_version_of_0_means_never_affected_and_the_newer_ids_are_read(
    tmp_path: Path,
) -> None:
    record = made_record(
        "DEBIAN-CVE-2026-116303",
        made_entry(12, {"fixed": "0"}),
        made_entry(13, {"fixed": "3.0-15"}),
        upstream=["CVE-2026-116303"],
    )

    sink = parse_record(record, tmp_path)

    assert shown(sink) == [("bookworm", "not_affected", None), ("trixie", "fixed", "3.0-15")]
    assert {item.cves for item in sink.advisories} == {("CVE-2026-116303",)}


def test_end_of_life_without_a_fix_is_not_waiting_for_one(tmp_path: Path) -> None:
    record = made_record(
        "CVE-2026-0001",
        made_entry(12, urgency="end-of-life"),
        made_entry(13, urgency="not yet assigned"),
    )

    sink = parse_record(record, tmp_path)

    assert shown(sink) == [("bookworm", "will_not_fix", None), ("trixie", "unfixed", None)]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([{"last_affected": "1.0"}], "event 'last_affected' is not in a known form"),
        ([{"fixed": "1.0"}, {"fixed": "2.0"}], "event 'fixed' is not in a known form"),
        ([{"fixed": "1.0", "limit": "2"}], "an event that is not in a known form"),
        ([{"fixed": 1}], "event 'fixed' without a version"),
        ([{"fixed": "a:b"}], "'a:b' is not a Debian version: the epoch is not a number."),
    ],
)
def test_an_entry_in_an_unknown_form_is_rejected_with_its_place_and_spoils_no_other(
    events: list[dict[str, str]], reason: str, tmp_path: Path
) -> None:
    record = made_record(
        "CVE-2026-0001", made_entry(12, *events), made_entry(13, {"fixed": "3.0-15"})
    )

    sink = parse_record(record, tmp_path)

    assert [(item.where, item.reason) for item in sink.rejects] == [
        ("x.json: zip in bookworm", reason)
    ]
    assert shown(sink) == [("trixie", "fixed", "3.0-15")]


def test_a_withdrawn_record_is_counted_with_all_its_entries(tmp_path: Path) -> None:
    record = made_record(
        "CVE-2026-0001",
        made_entry(12, {"fixed": "1.0"}),
        made_entry(13, {"fixed": "1.0"}),
        withdrawn="2026-11-01T00:00:00Z",
    )

    sink = parse_record(record, tmp_path)

    assert (sink.entries, sink.skipped) == (2, {"withdrawn record": 2})


def test_one_damaged_file_in_a_folder_is_one_reject(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("[1, 2]", encoding="utf-8")
    sink = Collected()
    FEED.parse(
        [
            Document(name="bad.json", path=tmp_path / "bad.json"),
            Document(name="CVE-2023-4911.json", path=CASES / "CVE-2023-4911.json"),
        ],
        sink,
    )

    assert sink.balanced
    assert [item.where for item in sink.rejects] == ["bad.json"]
    assert sink.advisories


def test_a_vector_that_means_nothing_is_a_flaw_and_the_statement_stays(tmp_path: Path) -> None:
    record = made_record(
        "CVE-2026-0001",
        made_entry(12, {"fixed": "1.0"}),
        severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}],
    )

    sink = parse_record(record, tmp_path)

    assert len(sink.flaws) == 1
    assert sink.rejects == []
    assert shown(sink) == [("bookworm", "fixed", "1.0")]


def test_the_list_of_dsa_is_read_with_its_odd_lines() -> None:
    sink, heading = parse("DSA-list", "DSA-list-2018")

    first = next(item for item in sink.advisories if item.id == "DSA-5380-1")
    assert (first.release, first.package) == ("bullseye", "xorg-server")
    assert (first.fixed_version, first.cves) == ("2:1.20.11-1+deb11u6", ("CVE-2023-1393",))
    assert first.published == datetime(2023, 3, 29, tzinfo=UTC)
    regression = next(item for item in sink.advisories if item.id == "DSA-5356-2")
    assert regression.cves == ()
    assert heading.data_date == datetime(2023, 3, 29, tzinfo=UTC)
    assert sink.rejects == []


def test_an_announcement_in_a_list_is_counted_as_fixing_nothing() -> None:
    sink, _ = parse("DLA-list")

    assert sink.skipped["advisory that fixes no package"] == 1
    assert {item.release for item in sink.advisories} == {"buster"}


def test_a_list_says_more_than_fixes(tmp_path: Path) -> None:
    lines = (
        "[20 Nov 2026] DSA-9999-1 zip - security update",
        "\t{CVE-2026-0001 CVE-2026-0001}",
        "\t[bookworm] - zip <not-affected> (Vulnerable code not present)",
        "\t[bullseye] - zip <end-of-life>",
        "\t[trixie] - zip 3.0-15 (medium)",
        "what is this",
        "[31 Feb 2026] DSA-9998-1 zip - security update",
        "\t[trixie] - zip 3.0-15",
    )
    (tmp_path / "list").write_text("\n".join(lines), encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name="DSA/list", path=tmp_path / "list")], sink)

    assert sink.balanced
    assert shown(sink) == [
        ("bookworm", "not_affected", None),
        ("bullseye", "will_not_fix", None),
        ("trixie", "fixed", "3.0-15"),
    ]
    assert {item.cves for item in sink.advisories} == {("CVE-2026-0001",)}
    assert [item.reason for item in sink.rejects] == [
        "not in a known form: what is this",
        "not a date: 31 Feb 2026",
        "a fix that belongs to no advisory",
    ]


def test_a_fix_that_waits_for_the_next_point_release_is_no_fix_yet() -> None:
    sink, _ = parse("DSA-list", "next-point-update.txt")

    ceph = next(item for item in sink.advisories if item.package == "ceph")
    assert (ceph.status, ceph.fixed_version) == (AdvisoryStatus.UNFIXED, None)
    assert ceph.cves == ("CVE-2022-3650",)
    assert ceph.note == "14.2.21-1+deb11u1 is proposed for the next point release"


def test_a_cut_zip_is_refused(tmp_path: Path) -> None:
    whole = (CASES / "all-2023.zip").read_bytes()
    (tmp_path / "all.zip").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(FeedRejected, match="not a whole zip"):
        FEED.parse([Document(name="all.zip", path=tmp_path / "all.zip")], Collected())


@pytest.mark.parametrize("text", ["", "   ", "{}", "[]", '"x"', "<html></html>"])
def test_an_empty_and_a_foreign_document_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")

    with pytest.raises(FeedRejected):
        FEED.parse([Document(name="x.json", path=tmp_path / "x.json")], Collected())


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("all.zip", True),
        ("debian-osv-2025-02-12.tar.xz", True),
        ("osv/DSA-5592-1.json", True),
        ("data/DSA/list", True),
        ("tracker-DLA-list-2023-04-01.xz", True),
        ("next-point-update.txt", True),
        ("oval-definitions-bookworm.xml.bz2", False),
        ("tracker-config.json-2023-04-01.xz", False),
        ("config.json", False),
        ("dla-needed.txt", False),
        ("bookworm-security-Release", False),
    ],
)
def test_a_folder_gives_only_the_documents_this_feed_reads(name: str, accepted: bool) -> None:
    assert FEED.accepts(name) is accepted
