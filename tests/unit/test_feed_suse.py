"""SUSE's advisories reach the releases hosts report, and every other product is counted by name."""

import io
import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rpm_site import Site
from wavemend.advisories import Advisory, AdvisoryStatus, UpdateClass
from wavemend.errors import FeedRejected
from wavemend.feeds import FEEDS, Document
from wavemend.feeds.readers.suse import INDEX, place_of
from wavemend.feeds.reading.nevra import NO_PACKAGE, SAID_ALREADY
from wavemend.testing.collected import Collected
from wavemend.versions import Scheme

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "suse"
FEED = FEEDS["suse"]()
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"


def read(*paths: Path) -> Collected:
    sink = Collected()
    FEED.parse([Document(name=path.name, path=path) for path in paths], sink)
    assert sink.balanced
    return sink


def csaf(*rows: tuple[str, str], status: str = "recommended", **changes: Any) -> dict[str, Any]:
    """An advisory on (product, component) rows about one CVE."""
    relations = [
        {
            "product_reference": component,
            "relates_to_product_reference": product,
            "full_product_name": {"product_id": f"{product}:{component}"},
        }
        for product, component in rows
    ]
    vulnerability = {
        "cve": "CVE-2026-0001",
        "product_status": {status: [f"{product}:{component}" for product, component in rows]},
    } | changes.pop("vulnerability", {})
    tracking = {"id": "SUSE-SU-2026:1-1", "current_release_date": "2026-08-01T00:00:00Z"}
    return {
        "document": {
            "title": "Security update for bash",
            "aggregate_severity": {"text": "important"},
            "tracking": tracking | changes,
        },
        "product_tree": {"relationships": relations},
        "vulnerabilities": [vulnerability],
    }


def read_all(folder: Path, *values: Mapping[str, Any]) -> Collected:
    paths = [folder / f"{number}.json" for number, _ in enumerate(values)]
    for path, value in zip(paths, values, strict=True):
        path.write_text(json.dumps(value), encoding="utf-8")
    return read(*paths)


@pytest.mark.parametrize(
    ("product", "release"),
    [
        ("SUSE Linux Enterprise Server 15 SP5", "sles-15.5"),
        ("SUSE Linux Enterprise Server 12", "sles-12.0"),
        ("SUSE Linux Enterprise Server 16.0", "sles-16.0"),
        ("SUSE Linux Enterprise Desktop 12 SP1", "sled-12.1"),
        ("SUSE Linux Enterprise Server for SAP Applications 15 SP4", "sles_sap-15.4"),
        ("SUSE Linux Enterprise High Performance Computing 15 SP3", "sle_hpc-15.3"),
        ("SUSE Linux Enterprise Module for Basesystem 15 SP5", "sles-15.5"),
        ("SUSE Linux Enterprise Module for Web and Scripting 12", "sles-12"),
        ("SUSE Linux Enterprise Software Development Kit 12 SP5", "sles-12.5"),
        ("SUSE Linux Enterprise Workstation Extension 12", "sles-12.0"),
        ("SUSE Linux Enterprise High Availability Extension 15 SP2", "sles-15.2"),
        ("SUSE Linux Enterprise Live Patching 15 SP6", "sles-15.6"),
        ("SUSE Package Hub 15 SP5", "sles-15.5"),
        ("SUSE Package Hub 12", "sles-12"),
        ("SUSE Linux Enterprise Micro 5.5", "sle-micro-5.5"),
        ("SUSE Linux Micro 6.0", "sl-micro-6.0"),
        ("openSUSE Leap 15.5", "opensuse-leap-15.5"),
        ("openSUSE Leap Micro 5.2", "opensuse-leap-micro-5.2"),
        ("openSUSE 13.2", "opensuse-13.2"),
        ("openSUSE Tumbleweed", "opensuse-tumbleweed"),
    ],
)
def test_a_product_belongs_to_the_release_its_hosts_report(product: str, release: str) -> None:
    place = place_of(product)

    assert place is not None
    assert (place.release, place.paid) == (release, "")


@pytest.mark.parametrize(
    ("product", "release", "paid"),
    [
        ("SUSE Linux Enterprise Server 15 SP3-LTSS", "sles-15.3", "LTSS"),
        (
            "SUSE Linux Enterprise Server LTSS Extended Security 12 SP5",
            "sles-12.5",
            "LTSS Extended Security",
        ),
        ("SUSE Linux Enterprise High Performance Computing 15 SP2-ESPOS", "sle_hpc-15.2", "ESPOS"),
    ],
)
def test_a_fix_that_needs_another_subscription_says_so(
    product: str, release: str, paid: str, tmp_path: Path
) -> None:
    sink = read_all(tmp_path, csaf((product, "bash-5.1-1.1.x86_64")))

    (said,) = sink.advisories
    assert said.release == release
    assert said.status is AdvisoryStatus.NEEDS_SUBSCRIPTION
    assert said.note == f"the fix needs a subscription to {paid}"


@pytest.mark.parametrize(
    "product",
    [
        "SUSE Linux Enterprise Server 11 SP1-TERADATA",
        "SUSE Manager Server 4.3",
        "SUSE Linux Enterprise Module for SUSE Manager Server 4.3",
        "SUSE OpenStack Cloud 9",
        "SUSE Linux Enterprise Point of Sale 11 SP3",
        "Container suse/sle15:15.5",
        "Image SLES15-SP5-Azure",
        "openSUSE Leap 15.5 NonFree",
        "",
    ],
)
def test_a_product_no_host_reports_is_counted_by_name(product: str, tmp_path: Path) -> None:
    assert place_of(product) is None

    row = (product or "x", "bash-5.1-1.1.x86_64")
    assert read_all(tmp_path, csaf(row)).skipped == {f"another product: {product or 'x'}": 1}


def test_an_advisory_says_which_version_of_an_installed_package_is_the_fixed_one() -> None:
    sink = read(CASES / "csaf.tar.bz2")

    (bind,) = (
        item
        for item in sink.advisories
        if (item.release, item.package, item.arch) == ("sles-11.2", "bind", "x86_64")
    )
    assert bind == Advisory(
        id="SUSE-SU-2015:0011-2",
        feed="suse",
        document="csaf.tar.bz2/csaf/suse-su-2015_0011-2.json",
        release="sles-11.2",
        package="bind",
        fixed_version="9.9.4P2-0.6.1",
        status=AdvisoryStatus.FIXED,
        cves=(
            "CVE-2012-1667",
            "CVE-2012-3817",
            "CVE-2012-4244",
            "CVE-2012-5166",
            "CVE-2013-4854",
            "CVE-2014-0591",
            "CVE-2014-8500",
        ),
        scheme=Scheme.RPM,
        by_source=False,
        arch="x86_64",
        update_class=UpdateClass.SECURITY,
        summary="Security update for bind",
        urgency="moderate",
        published=datetime(2014, 1, 27, 18, 38, 10, tzinfo=UTC),
    )


def test_of_the_archive_every_component_is_used_or_counted_and_broken_names_do_not_matter() -> None:
    sink = read(CASES / "csaf.tar.bz2")

    assert (sink.entries, sink.taken, sink.rejects, sink.flaws) == (398, 339, [], [])
    # What everybody on 11 SP2 gets is not said again for LTSS; 12 and its SDK share packages.
    assert sink.skipped == {
        SAID_ALREADY: 40,
        "another product: SUSE Linux Enterprise Server 11 SP1-TERADATA": 19,
    }
    assert {item.id for item in sink.advisories} == {
        "SUSE-SU-2015:0011-2",
        "SUSE-SU-403",
        "openSUSE-SU-2016:1623-1",
    }


def test_records_in_osv_s_form_give_every_installed_package() -> None:
    sink = read(CASES / "osv.tar.bz2")

    assert (sink.entries, sink.taken, sink.rejects) == (60, 58, [])
    assert sink.skipped == {NO_PACKAGE: 1, INDEX: 1}
    (mosh,) = (item for item in sink.advisories if item.package == "mosh")
    assert (mosh.release, mosh.fixed_version, mosh.arch) == ("sles-12", "1.2.5-8.1", "")
    assert mosh.cves == ("CVE-2016-1704",)
    assert "SUSE-SU-403 Forbidden-1" in {item.id for item in sink.advisories}


def test_the_feed_is_as_old_as_its_newest_advisory() -> None:
    document = Document(name="csaf.tar.bz2", path=CASES / "csaf.tar.bz2")
    heading = FEED.parse([document], Collected())

    assert heading.data_date == datetime(2016, 7, 6, 12, 21, 45, tzinfo=UTC)
    assert heading.coverage["fixed_version"] == heading.coverage["arch"] == 339


def scored(score: float, **changes: Any) -> dict[str, Any]:
    part = {"cvss_v3": {"vectorString": VECTOR, "baseScore": score}}
    rows = ("openSUSE Leap 15.5", "bash-5.1-1.1.x86_64")
    return csaf(rows, vulnerability={"scores": [part]}, **changes)


def test_of_two_scores_of_a_cve_the_later_advisory_s_counts(tmp_path: Path) -> None:
    newer = scored(7.5, current_release_date="2026-08-02T00:00:00Z")

    (score,) = read_all(tmp_path, newer, scored(9.9)).candidates["CVE-2026-0001"]

    assert (score.score, score.source) == (7.5, "distribution:suse")


def test_a_score_that_cannot_be_used_is_a_flaw_and_the_advisory_stays(tmp_path: Path) -> None:
    sink = read_all(tmp_path, scored(11.0))

    assert (sink.taken, sink.candidates) == (1, {})
    assert [item.reason for item in sink.flaws] == ["CVSS score 11.0 is not from 0 to 10"]


@pytest.mark.parametrize(
    ("identifier", "update_class"),
    [
        ("SUSE-RU-2026:1-1", UpdateClass.BUGFIX),
        ("SUSE-FU-2026:1-1", UpdateClass.ENHANCEMENT),
        ("openSUSE-SU-2026:1-1", UpdateClass.SECURITY),
        ("SUSE-SU-403 Forbidden-1", UpdateClass.SECURITY),
    ],
)
def test_the_kind_of_update_stands_in_the_id(
    identifier: str, update_class: UpdateClass, tmp_path: Path
) -> None:
    rows = ("openSUSE Leap 15.5", "bash-5.1-1.1.x86_64")

    (said,) = read_all(tmp_path, csaf(rows, id=identifier)).advisories

    assert said.update_class is update_class


def test_another_vendor_s_advisory_is_rejected_and_gives_no_score(tmp_path: Path) -> None:
    sink = read_all(tmp_path, scored(7.5, id="RHSA-2026:1"), csaf())

    assert sink.candidates == {}
    assert [item.reason for item in sink.rejects] == ["an id that is none of SUSE: 'RHSA-2026:1'"]


def test_components_that_name_no_build_and_statements_without_a_fix_are_counted(
    tmp_path: Path,
) -> None:
    lost = csaf(("openSUSE Leap 15.5", "bash-5.1-1.1.x86_64"))
    lost["product_tree"] = {}
    sink = read_all(
        tmp_path,
        csaf(("openSUSE Leap 15.5", "bash")),
        csaf(("openSUSE Leap 15.5", "bash"), status="known_affected"),
        lost,
    )

    assert sink.skipped == {"product status known_affected: no fix": 1}
    assert [item.reason for item in sink.rejects] == [
        "bash does not name a package, its version and its architecture",
        "no relationship explains product 'openSUSE Leap 15.5:bash-5.1-1.1.x86_64'",
    ]


def test_a_file_that_is_no_advisory_is_one_reject_and_the_others_are_read(tmp_path: Path) -> None:
    archive = tmp_path / "csaf.tar.bz2"
    good = json.dumps(csaf(("openSUSE Leap 15.5", "bash-5.1-1.1.x86_64"))).encode()
    bodies = {
        "csaf/suse-su-403 Forbidden.json": b"<html>403 Forbidden</html>",
        "csaf/good.json": good,
        "csaf/empty.json": b"",
        "csaf/half.json": good[:100],
        "csaf/other.json": b'{"document": {}}',
    }
    with tarfile.open(archive, "w:bz2") as tar:
        for name, body in bodies.items():
            item = tarfile.TarInfo(name)
            item.size = len(body)
            tar.addfile(item, io.BytesIO(body))

    sink = read(archive)

    assert sink.taken == 1
    assert [item.where.rpartition("/")[2] for item in sink.rejects] == [
        "suse-su-403 Forbidden.json",
        "empty.json",
        "half.json",
        "other.json",
    ]


def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    cut = tmp_path / "csaf.tar.bz2"
    cut.write_bytes((CASES / "csaf.tar.bz2").read_bytes()[:20_000])

    with pytest.raises(FeedRejected, match=r"csaf\.tar\.bz2"):
        read(cut)


def test_the_archive_is_one_download(tmp_path: Path) -> None:
    url = FEED.sources[0]

    FEED.download(url, Site(pages={url: [b"archive"]}, folder=tmp_path))

    assert (tmp_path / "csaf.tar.bz2").read_bytes() == b"archive"


def test_oval_and_lists_are_no_documents_of_the_feed() -> None:
    assert FEED.accepts("osv.tar.bz2")
    assert FEED.accepts("csaf/suse-su-403 Forbidden-1.json")
    assert not FEED.accepts("suse.linux.enterprise.15-affected.xml.gz")
    assert not FEED.accepts("csaf/changes.csv")
    assert not FEED.accepts("csaf/suse-su-403.json.sha256")
