"""Ubuntu's CVE tracker says the same in all its forms, and Pro is told apart from free."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.feeds import Document
from wavemend.feeds.readers.ubuntu import FEED
from wavemend.feeds.readers.ubuntu_tracker import Line, judge, split_release
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "ubuntu"
PARSED = sorted(path.name for path in (CASES / "tracker").iterdir())


def parse(*names: str) -> Collected:
    sink = Collected()
    FEED.parse([Document(name=name, path=CASES / name) for name in names], sink)
    assert sink.balanced
    return sink


def of(sink: Collected, release: str, package: str) -> Advisory:
    (found,) = (x for x in sink.advisories if (x.release, x.package) == (release, package))
    return found


def line(text: str, pocket: str = "") -> Line:
    status, _, note = text.partition(" ")
    return Line(codename="jammy", pocket=pocket, package="zip", status=status, note=note)


@pytest.mark.parametrize("name", PARSED)
def test_every_line_of_the_parsed_form_is_counted_once(name: str) -> None:
    record = json.loads((CASES / "tracker" / name).read_text("utf-8"))

    sink = parse(f"tracker/{name}")

    assert sink.entries == sum(len(packages) for packages in record["packages"].values())
    absent = [
        release
        for release, packages in record["packages"].items()
        for package in packages.values()
        if package["status"] == "DNE" and release not in {"upstream", "devel", "snap"}
    ]
    assert sink.skipped["the release does not have the package"] == len(absent)


def test_a_release_past_its_support_is_fixed_for_subscribers() -> None:
    sink = parse("tracker/CVE-2023-0798.json")

    tiff = of(sink, "xenial", "tiff")
    assert (tiff.status, tiff.fixed_version) == (
        AdvisoryStatus.NEEDS_SUBSCRIPTION,
        "4.0.6-1ubuntu0.8+esm10",
    )
    assert "esm-infra: released (4.0.6-1ubuntu0.8+esm10)" in tiff.note
    assert of(sink, "trusty", "tiff").fixed_version == "4.0.3-7ubuntu0.11+esm7"
    free = of(sink, "bionic", "tiff")
    assert (free.status, free.fixed_version) == (AdvisoryStatus.FIXED, "4.0.9-5ubuntu0.10")
    assert (free.id, free.cves) == ("UBUNTU-CVE-2023-0798", ("CVE-2023-0798",))


def test_a_package_of_the_community_may_be_fixed_for_subscribers_only() -> None:
    sink = parse("tracker/CVE-2023-25155.json")

    redis = of(sink, "jammy", "redis")
    assert (redis.status.value, redis.fixed_version) == (
        "needs_subscription",
        "5:6.0.16-1ubuntu1+esm1",
    )
    assert redis.note == "needed; esm-apps: released (5:6.0.16-1ubuntu1+esm1)"
    assert of(sink, "noble", "redis").status is AdvisoryStatus.NOT_AFFECTED
    kinetic = of(sink, "kinetic", "redis")
    assert (kinetic.status.value, kinetic.note) == (
        "will_not_fix",
        "ignored (end of life, was needs-triage)",
    )


def test_fips_builds_are_a_release_of_their_own() -> None:
    sink = parse("tracker/CVE-2023-3446.json")

    assert of(sink, "focal", "openssl").fixed_version == "1.1.1f-1ubuntu2.20"
    assert of(sink, "fips-updates/focal", "openssl").status is AdvisoryStatus.UNFIXED


def test_a_release_without_the_fixed_version_is_rejected_alone() -> None:
    sink = parse("tracker/CVE-2024-21506.json")

    assert [item.where for item in sink.rejects] == [
        "tracker/CVE-2024-21506.json: pymongo in noble"
    ]
    assert of(sink, "jammy", "pymongo").status is AdvisoryStatus.UNFIXED


def test_a_file_of_the_repository_is_read_line_by_line() -> None:
    sink = parse("CVE-2022-36879")

    assert (sink.entries, sink.taken) == (17, 9)
    linux = of(sink, "jammy", "linux")
    assert (linux.status.value, linux.note, linux.urgency) == ("unfixed", "needs-triage", "medium")
    assert of(sink, "xenial", "linux").note == (
        "ignored (end of standard support); esm-infra: needs-triage"
    )
    assert of(sink, "focal", "linux-riscv").status is AdvisoryStatus.WILL_NOT_FIX
    (cvss,) = sink.candidates["CVE-2022-36879"]
    assert (cvss.version, cvss.score, cvss.source) == ("3.1", 5.5, "distribution:ubuntu")
    assert sink.summaries["CVE-2022-36879"].startswith("An issue was discovered in the Linux")
    assert sink.dates["CVE-2022-36879"].isoformat() == "2022-07-27T04:15:00+00:00"


def test_files_of_old_releases_or_without_packages_are_counted() -> None:
    sink = parse("CVE-1999-1572", "CVE-2005-0406", "CVE-2006-0836")

    assert sink.skipped == {"other ecosystem or release": 10, "record without packages": 1}
    assert sink.advisories == []


def test_a_priority_of_one_package_and_a_reason_below_it_are_read(tmp_path: Path) -> None:
    text = (
        "Candidate: CVE-2026-0001\nPublicDate: 2026-11-20\nPriority: low\n Only a crash.\n"
        "Priority_zip: high\njammy_zip: released (3.0-1ubuntu1)\nnoble_zip: gone\n"
        "jammy_unzip: deferred (2026-11-01)\n"
    )
    (tmp_path / "x").write_text(text, encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name="active/CVE-2026-0001", path=tmp_path / "x")], sink)

    assert sink.balanced
    assert {item.package: item.urgency for item in sink.advisories} == {
        "zip": "high",
        "unzip": "low",
    }
    assert of(sink, "jammy", "unzip").note == "deferred (2026-11-01)"
    assert [item.reason for item in sink.rejects] == ["status 'gone' is not known"]


def test_a_page_of_the_web_api_says_the_same() -> None:
    sink = parse("api-page-0.json")

    assert (sink.entries, sink.taken) == (16, 13)
    django = of(sink, "jammy", "python-django")
    assert (django.status.value, django.note) == (
        "not_affected",
        "not-affected (windows specific)",
    )
    assert django.document == "api-page-0.json: CVE-2025-27556"


def test_a_pocket_of_the_web_api_tells_pro_apart(tmp_path: Path) -> None:
    statuses = [
        {"release_codename": "bionic", "pocket": "esm-infra", "status": "released"},
        {"release_codename": "jammy", "pocket": "realtime", "status": "needed"},
    ]
    statuses[0]["description"] = "1.0+esm1"
    page = {
        "cves": [
            {
                "id": "CVE-2026-0001",
                "published": "2026-11-20T00:00:00",
                "packages": [{"name": "zip", "statuses": statuses}],
            },
            {"id": "nonsense"},
        ]
    }
    (tmp_path / "x.json").write_text(json.dumps(page), encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name="x.json", path=tmp_path / "x.json")], sink)

    assert sink.balanced
    assert [(item.release, item.status.value) for item in sink.advisories] == [
        ("bionic", "needs_subscription"),
        ("realtime/jammy", "unfixed"),
    ]
    assert [item.where for item in sink.rejects] == ["x.json: CVE 1"]


def test_an_archive_of_the_repository_is_read_without_its_templates(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "tracker.tar.gz", "w:gz") as archive:
        for name, body in (
            ("active/00boilerplate", b"Candidate:\n"),
            ("active/CVE-2022-36879", (CASES / "CVE-2022-36879").read_bytes()),
        ):
            item = tarfile.TarInfo(name)
            item.size = len(body)
            archive.addfile(item, io.BytesIO(body))
    sink = Collected()
    FEED.parse([Document(name="tracker.tar.gz", path=tmp_path / "tracker.tar.gz")], sink)

    assert sink.balanced
    assert sink.rejects == []
    assert of(sink, "jammy", "linux").document == "tracker.tar.gz/active/CVE-2022-36879"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line("released 1.0"), line("released 1.0+esm1", "esm-apps")], ("fixed", "1.0")),
        ([line("released 1.0"), line("needed", "esm-infra")], ("fixed", "1.0")),
        ([line("pending 1.0"), line("needed", "esm-apps")], ("unfixed", None)),
        ([line("not-affected"), line("needs-triage", "esm-apps")], ("not_affected", None)),
        ([line("needed"), line("not-affected", "esm-apps")], ("unfixed", None)),
        ([line("ignored end of life")], ("will_not_fix", None)),
        ([line("ignored"), line("ignored", "esm-infra")], ("will_not_fix", None)),
        ([line("ignored"), line("needed", "esm-infra")], ("unfixed", None)),
        (
            [line("ignored"), line("not-affected code not present", "esm-infra")],
            ("not_affected", None),
        ),
        (
            [line("ignored"), line("not-affected 1.0+esm7", "esm-infra")],
            ("needs_subscription", "1.0+esm7"),
        ),
        (
            [
                line("released 1.0+esm9", "esm-infra"),
                line("released 1.0+esm10", "esm-infra-legacy"),
            ],
            ("needs_subscription", "1.0+esm10"),
        ),
        ([line("ignored superseded", "esm-infra")], ("will_not_fix", None)),
    ],
)
def test_the_lines_of_a_package_make_one_answer(
    lines: list[Line], expected: tuple[str, str | None]
) -> None:
    for ordered in (lines, lines[::-1]):
        status, fixed, _ = judge(ordered)
        assert (status.value, fixed) == expected


def test_releases_are_written_in_two_orders() -> None:
    assert [split_release(name) for name in ("jammy", "trusty/esm", "esm-apps/jammy")] == [
        ("jammy", ""),
        ("trusty", "esm"),
        ("jammy", "esm-apps"),
    ]
