"""Rocky's errata and records are read to the last package, and scores go to their own CVE."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rpm_site import Site
from wavemend.advisories import Advisory, AdvisoryStatus, Cvss, UpdateClass
from wavemend.errors import FeedRejected
from wavemend.feeds import FEEDS, Document
from wavemend.feeds.reading.nevra import DEBUG_ROW, NO_STREAM, SAID_ALREADY, SOURCE_ROW
from wavemend.testing.collected import Collected
from wavemend.versions import Scheme

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "rocky"
FEED = FEEDS["rocky"]()
ERRATA = "errata-2025-01-24.tar.xz"
API = "https://apollo.example/api/v3/advisories/"
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"


def read(*paths: Path) -> Collected:
    sink = Collected()
    FEED.parse([Document(name=path.name, path=path) for path in paths], sink)
    assert sink.balanced
    return sink


def erratum(*nevras: str, product: str = "Rocky Linux 9", **changes: Any) -> dict[str, Any]:
    return {
        "name": "RLSA-2026:1",
        "publishedAt": "2026-08-01T00:00:00Z",
        "synopsis": "Important: bash security update",
        "severity": "SEVERITY_IMPORTANT",
        "type": "TYPE_SECURITY",
        "cves": [],
        "rpms": {product: {"nvras": list(nevras)}},
    } | changes


def cve(name: str, vector: str = VECTOR, score: str = "7.5") -> dict[str, str]:
    return {"name": name, "cvss3ScoringVector": vector, "cvss3BaseScore": score}


def read_all(folder: Path, *values: Mapping[str, Any]) -> Collected:
    paths = [folder / f"{number}.json" for number, _ in enumerate(values)]
    for path, value in zip(paths, values, strict=True):
        path.write_text(json.dumps(value), encoding="utf-8")
    return read(*paths)


def test_a_page_of_the_api_gives_every_installed_package_once() -> None:
    sink = read(CASES / "page1.json")

    (delve,) = (
        item for item in sink.advisories if (item.package, item.arch) == ("delve", "x86_64")
    )
    assert delve == Advisory(
        id="RLSA-2025:21816",
        feed="rocky",
        document="page1.json: 0",
        release="rocky-10",
        package="delve",
        fixed_version="1.25.2-1.el10_1",
        status=AdvisoryStatus.FIXED,
        cves=("CVE-2025-58183",),
        scheme=Scheme.RPM,
        by_source=False,
        arch="x86_64",
        update_class=UpdateClass.SECURITY,
        summary="Moderate: delve and golang security update",
        urgency="moderate",
        published=datetime(2025, 11, 27, 9, 11, 22, 820964, tzinfo=UTC),
    )
    assert (sink.entries, sink.taken, sink.rejects) == (49, 23, [])
    assert sink.skipped == {SOURCE_ROW: 8, DEBUG_ROW: 6, SAID_ALREADY: 12}


def test_the_api_names_the_module_and_old_minor_releases_repeat_the_major_one() -> None:
    sink = read(CASES / "page2.json")

    assert {(item.release, item.module, item.update_class) for item in sink.advisories} == {
        ("rocky-8", "container-tools:1.0", UpdateClass.BUGFIX)
    }
    assert (sink.entries, sink.taken) == (64, 4)
    assert sink.skipped == {SOURCE_ROW: 16, DEBUG_ROW: 32, SAID_ALREADY: 12}


def test_of_an_archive_of_errata_every_row_is_used_skipped_or_rejected() -> None:
    sink = read(CASES / ERRATA)

    assert (sink.entries, sink.taken, len(sink.candidates)) == (1311, 657, 165)
    assert sink.skipped == {
        SOURCE_ROW: 104,
        DEBUG_ROW: 491,
        "another product: Rocky Linux SIG Cloud 8": 51,
    }
    assert [item.reason for item in sink.rejects] == [NO_STREAM] * 8
    modules = {item.module for item in sink.advisories if item.id == "RLSA-2021:1242"}
    assert modules == {"mariadb:10.3", "mariadb-devel:10.3"}


def test_a_score_is_its_cve_s_own_and_unknown_is_no_score() -> None:
    sink = read(CASES / "page1.json", CASES / ERRATA)

    assert sink.candidates["CVE-2025-58183"] == (
        Cvss(
            version="3.1",
            vector=VECTOR,
            score=7.5,
            computed_score=7.5,
            source="distribution:rocky",
        ),
    )
    assert "CVE-2023-50761" not in sink.candidates  # RLSA-2024:0003 says UNKNOWN
    assert sink.flaws == []


def test_of_two_scores_of_a_cve_the_later_advisory_s_counts(tmp_path: Path) -> None:
    low = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
    newer = erratum(cves=[cve("CVE-2026-0001")], publishedAt="2026-08-02T00:00:00Z")
    older = erratum(cves=[cve("CVE-2026-0001", low, "1.6")])

    sink = read_all(tmp_path, newer, older)

    assert [item.score for item in sink.candidates["CVE-2026-0001"]] == [7.5]


def test_scores_that_cannot_be_used_are_flaws_and_the_advisory_stays(tmp_path: Path) -> None:
    odd = [cve("CVE-2026-0001", "AV:nonsense"), cve("not a CVE"), cve("CVE-2026-0002", score="11")]

    sink = read_all(tmp_path, erratum("bash-0:1.0-1.el9.x86_64.rpm", cves=odd))

    assert sink.taken == 1
    assert sink.advisories[0].cves == ("CVE-2026-0001", "CVE-2026-0002")
    assert [item.reason for item in sink.flaws] == [
        "CVSS vector cannot be read: AV:nonsense",
        "not the name of a CVE: 'not a CVE'",
        "CVSS score 11.0 is not from 0 to 10",
    ]
    assert "CVE-2026-0002" not in sink.candidates


def test_records_in_osv_s_form_are_read_too_and_special_builds_are_another_product() -> None:
    sink = read(CASES / "all.zip")

    (bcel,) = sink.advisories
    assert (bcel.package, bcel.fixed_version, bcel.release) == (
        "bcel",
        "6.4.1-9.el9_1",
        "rocky-9",
    )
    assert bcel.urgency == "important"
    assert sink.candidates["CVE-2022-42920"][0].source == "distribution:rocky"
    # The cloud kernel is newer by name than every kernel of Rocky Linux 8 itself.
    assert sink.skipped == {"another product: rocky-linux-8-sig-cloud": 1}


def test_rows_that_mean_nothing_are_rejected_and_named(tmp_path: Path) -> None:
    sink = read_all(
        tmp_path,
        erratum("bash", "bash-0:1.0-1.el9.x86_64.rpm"),
        erratum("zsh-0:1.0-1.el9.x86_64.rpm", name=""),
    )

    assert sink.taken == 1
    assert [item.reason for item in sink.rejects] == [
        "bash does not name a package, its version and its architecture",
        "an id that is none of Rocky Linux: ''",
    ]


def test_another_vendor_s_advisory_is_rejected_and_gives_no_score(tmp_path: Path) -> None:
    foreign = erratum("bash-0:1.0-1.el9.x86_64.rpm", name="RHSA-2026:1", cves=[cve("CVE-2026-1")])
    undated = erratum("bash-0:1.0-1.el9.x86_64.rpm", publishedAt=None)
    record = {"id": "RHSA-2026:1", "modified": "2026-08-01T00:00:00Z", "related": ["CVE-2026-0001"]}

    scores = [{"type": "CVSS_V3", "score": VECTOR}]
    sink = read_all(tmp_path, foreign, undated, record | {"severity": scores}, erratum())

    assert sink.candidates == {}
    assert [item.reason for item in sink.rejects] == [
        "an id that is none of Rocky Linux: 'RHSA-2026:1'",
        "no day of publication: 'RLSA-2026:1'",
        "an id that is none of Rocky Linux: 'RHSA-2026:1'",
    ]


@pytest.mark.parametrize(
    ("word", "update_class", "flaws"),
    [
        ("TYPE_SECURITY", UpdateClass.SECURITY, 0),
        ("TYPE_BUGFIX", UpdateClass.BUGFIX, 0),
        ("Bug Fix", UpdateClass.BUGFIX, 0),
        ("Enhancement", UpdateClass.ENHANCEMENT, 0),
        ("TYPE_UNKNOWN", UpdateClass.SECURITY, 1),
    ],
)
def test_an_erratum_is_for_what_its_vendor_says_and_with_cves_for_security(
    word: str, update_class: UpdateClass, flaws: int, tmp_path: Path
) -> None:
    row = "bash-0:1.0-1.el9.x86_64.rpm"
    sink = read_all(tmp_path, erratum(row, type=word, cves=[cve("CVE-2026-0001")]))

    assert [item.update_class for item in sink.advisories] == [update_class]
    assert len(sink.flaws) == flaws


def test_a_file_that_is_no_erratum_is_one_reject_but_a_damaged_page_refuses_the_feed(
    tmp_path: Path,
) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "page-0002.json").write_text("{", encoding="utf-8")
    good = CASES / "page1.json"

    assert len(read(good, tmp_path / "bad.json").rejects) == 1
    with pytest.raises(FeedRejected, match=r"page-0002\.json"):
        read(good, tmp_path / "page-0002.json")


def test_a_folder_without_any_advisory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedRejected, match="holds no advisory with a date"):
        read_all(tmp_path, {"advisories": []})


def page(held: int, total: int) -> list[bytes]:
    body = {"advisories": [erratum() for _ in range(held)], "total": total}
    return [json.dumps(body).encode()]


def test_every_page_is_fetched_and_no_more(tmp_path: Path) -> None:
    addresses = [f"{API}?size=100&page={number}" for number in (1, 2, 3)]
    pages = dict(zip(addresses, (page(100, 201), page(100, 201), page(1, 201)), strict=True))
    mirror = Site(pages=pages, folder=tmp_path)

    FEED.download(API, mirror)

    assert mirror.asked == addresses
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "page-0001.json",
        "page-0002.json",
        "page-0003.json",
    ]


def test_fewer_advisories_than_announced_refuse_the_copy(tmp_path: Path) -> None:
    pages = {f"{API}?size=100&page=1": page(100, 150), f"{API}?size=100&page=2": page(0, 150)}

    with pytest.raises(FeedRejected, match="sent 100 of the 150 advisories it announces"):
        FEED.download(API, Site(pages=pages, folder=tmp_path))


def test_the_mirror_is_one_dump(tmp_path: Path) -> None:
    FEED.download(FEED.sources[1], Site(pages={FEED.sources[1]: [b"zip"]}, folder=tmp_path))

    assert (tmp_path / "all.zip").read_bytes() == b"zip"


def test_lists_of_files_and_repositories_are_no_documents_of_the_feed() -> None:
    assert FEED.accepts("2024/RLSA-2024:0003.json")
    assert not FEED.accepts("pub/rocky/fullfiletimelist")
    assert not FEED.accepts("pub/rocky/9/BaseOS/x86_64/os/repodata/repomd.xml")
