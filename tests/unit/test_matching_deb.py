"""Debian and Ubuntu: the running kernel's own source, paid fixes, and builds from elsewhere."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.test_findings import NOON, WEB1, cves, facts, knowing, match, offer, package, says
from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.findings import NotJudged, advisory_source, is_kernel_source
from wavemend.hosts import Facts, InstalledPackage
from wavemend.packages import Target

AWS = "6.8.0-1015-aws"


def jammy(*installed: InstalledPackage, kernel: str = AWS) -> Facts:
    return replace(
        facts(*installed, kernel=kernel, codename="jammy"), os_id="ubuntu", os_version="22.04"
    )


def ubuntu_says(cve: str, source: str, fixed: str) -> Advisory:
    return replace(says(cve, source, fixed), release="jammy")


@pytest.mark.parametrize(
    ("signed", "source"),
    [
        ("linux-signed-amd64", "linux"),
        ("linux-signed-6.1-arm64", "linux-6.1"),
        ("linux-signed", "linux"),
        ("linux-signed-aws", "linux-aws"),
        ("linux-signed-hwe-6.5", "linux-hwe-6.5"),
        ("linux-firmware", "linux-firmware"),
    ],
)
def test_signed_kernels_are_judged_by_the_source_they_were_built_from(
    signed: str, source: str
) -> None:
    assert advisory_source(package(f"linux-image-{AWS}", "6.8.0-1", signed)) == source
    assert is_kernel_source(source) is (source != "linux-firmware")


def test_of_ubuntus_many_kernels_only_the_running_ones_source_counts() -> None:
    known = knowing(
        ubuntu_says("CVE-2026-1000", "linux-aws", "6.8.0-1016.17"),
        ubuntu_says("CVE-2026-2000", "linux", "5.15.0-200.210"),
        ubuntu_says("CVE-2026-3000", "linux-oem-6.8", "6.8.0-1030.30"),
    )
    seen = jammy(
        package(f"linux-image-{AWS}", "6.8.0-1015.16", "linux-signed-aws"),
        package(f"linux-modules-{AWS}", "6.8.0-1015.16", "linux-aws"),
        package("linux-image-5.15.0-100-generic", "5.15.0-100.110", "linux-signed"),
        package("linux-libc-dev", "5.15.0-100.110", "linux"),
        package("linux-headers-6.8.0-1001-oem", "6.8.0-1001.1", "linux-oem-6.8"),
    )

    (finding,) = match(WEB1, seen, known).findings

    assert finding.cve == "CVE-2026-1000"
    assert finding.because.compared == "linux-aws 6.8.0-1015.16 (running) < 6.8.0-1016.17"


def test_a_kernel_flavour_nobody_knows_counts_as_kernel_because_it_runs() -> None:
    known = knowing(ubuntu_says("CVE-2026-1000", "linux-novel", "6.8.0-1016.17"))
    seen = jammy(
        package("linux-image-unsigned-6.8.0-1015-novel", "6.8.0-1015.16", "linux-novel"),
        package("linux-headers-6.8.0-1001-novel", "6.8.0-1001.1", "linux-novel"),
        kernel="6.8.0-1015-novel",
    )

    (finding,) = match(WEB1, seen, known).findings

    assert finding.binaries == ("linux-image-unsigned-6.8.0-1015-novel",)


@pytest.mark.parametrize(
    ("status", "fixed", "compared"),
    [
        (AdvisoryStatus.NEEDS_SUBSCRIPTION, "3.0-14", "zip 3.0-13 < 3.0-14"),
        (AdvisoryStatus.WILL_NOT_FIX, None, "zip 3.0-13, the vendor will not fix it"),
        (AdvisoryStatus.UNFIXED, None, "zip 3.0-13, no fixed version"),
    ],
)
def test_what_cannot_be_fixed_for_free_is_a_state_of_its_own(
    status: AdvisoryStatus, fixed: str | None, compared: str
) -> None:
    said = replace(says("CVE-2026-1", "zip", fixed, status=status), note="with Ubuntu Pro")

    (finding,) = match(WEB1, facts(package("zip", "3.0-13")), knowing(said)).findings

    assert (finding.status, finding.fixed, finding.note) == (status, fixed, "with Ubuntu Pro")
    assert finding.because.compared == compared


def test_a_free_fix_speaks_before_a_paid_one() -> None:
    paid = says("CVE-2026-1", "zip", "3.0-14+esm1", status=AdvisoryStatus.NEEDS_SUBSCRIPTION)
    free = replace(says("CVE-2026-1", "zip", "3.0-14"), document="other.json")

    (finding,) = match(WEB1, facts(package("zip", "3.0-13")), knowing(paid, free)).findings

    assert (finding.status, finding.fixed) == (AdvisoryStatus.FIXED, "3.0-14")


def test_a_record_that_says_never_affected_does_not_hide_another_feeds_fix() -> None:
    never = says("CVE-2026-1", "zip", None, status=AdvisoryStatus.NOT_AFFECTED)
    fixed = replace(says("CVE-2026-1", "zip", "3.0-14"), feed="debian-tracker", document="t.json")

    for known in (knowing(never, fixed), knowing(fixed, never)):
        assert cves(match(WEB1, facts(package("zip", "3.0-13")), known)) == ["CVE-2026-1"]


def test_the_advisory_that_brought_the_fix_is_named_and_dates_it() -> None:
    record = says("CVE-2026-1", "zip", "3.0-14")
    dsa = replace(says("CVE-2026-1", "zip", "3.0-14", id="DSA-1"), published=NOON)
    again = replace(dsa, id="DSA-2", published=NOON + timedelta(days=30))

    (finding,) = match(WEB1, facts(package("zip", "3.0-13")), knowing(record, again, dsa)).findings

    assert (finding.advisory, finding.fix_published) == ("DSA-1", NOON)
    assert finding.because.document == "osv/CVE-2026-1.json"


def test_a_package_that_is_updated_from_elsewhere_is_never_called_clean() -> None:
    elsewhere = replace(offer("nginx", "1.27.0-1~bookworm"), origin="nginx:stable/bookworm")
    debian = replace(
        offer("zip", "3.0-14"), origin="Debian:12.12/oldstable, Debian-Security:12/oldstable"
    )
    seen = facts(
        package("nginx", "1.26.0-1~bookworm"), package("zip", "3.0-13"), pending=(elsewhere, debian)
    )
    known = knowing(says("CVE-2026-1", "nginx", "1.22.1-9+deb12u1"))

    found = match(WEB1, seen, known)

    assert [(item.package, item.kind) for item in found.unmatched] == [("nginx", NotJudged.FOREIGN)]
    assert (found.findings, found.judged) == ((), 1)


def test_a_package_that_cannot_be_judged_for_two_reasons_is_counted_once() -> None:
    elsewhere = replace(offer("nginx", "1.27.0-1"), origin="nginx:stable/bookworm")
    seen = facts(package("nginx", "1.26.0-1"), pending=(elsewhere,))

    found = match(WEB1, seen, knowing(says("CVE-2026-1", "nginx", "not_a_version")))

    assert {item.kind for item in found.unmatched} == {NotJudged.FOREIGN, NotJudged.STATEMENT}
    assert sum(item.packages for item in found.unmatched) == found.packages == 1


def test_an_update_of_a_package_that_needs_none_does_not_promise_the_fix() -> None:
    seen = facts(
        package("libfoo1", "1.0-1", "foo"),
        package("foo-doc", "1.0-2", "foo"),
        pending=(offer("foo-doc", "1.0-3"),),
    )

    (finding,) = match(WEB1, seen, knowing(says("CVE-2026-1", "foo", "1.0-2"))).findings

    assert (finding.binaries, finding.fix_pending) == (("libfoo1",), False)


def test_a_package_that_feeds_name_by_source_and_by_itself_lacks_a_fix_once() -> None:
    by_name = replace(says("CVE-2026-1", "zip", "3.0-14"), feed="other", by_source=False)

    found = match(
        WEB1, facts(package("zip", "3.0-13")), knowing(says("CVE-2026-1", "zip", "3.0-14"), by_name)
    )

    assert [item.because.feed for item in found.findings] == ["debian"]


def test_half_installed_packages_are_judged_too() -> None:
    broken = package("zip", "3.0-13", status="iF")
    seen = replace(facts(package("unzip", "6.0-28")), broken=(broken,))

    found = match(WEB1, seen, knowing(says("CVE-2026-1", "zip", "3.0-14")))

    assert (cves(found), found.packages) == (["CVE-2026-1"], 2)


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("held", "on hold on the host"),
        ("phased", "not released to this host yet"),
        ("kept_back", "it would add or remove other packages"),
    ],
)
def test_a_fix_that_is_offered_and_not_taken_says_why(flag: str, reason: str) -> None:
    known = knowing(says("CVE-2026-1000", "zip", "2.0"))
    update = replace(offer("zip", "2.0"), **{flag: True})  # type: ignore[arg-type]
    seen = facts(package("zip", "1.0"), pending=(update,))

    (finding,) = match(WEB1, seen, known).findings

    assert finding.fix_pending
    assert reason in finding.withheld
    brings = (Target(name="zip-data", arch="all", version="2.0"),)
    for taken in (offer("zip", "2.0"), replace(offer("zip", "2.0"), kept_back=True, brings=brings)):
        (found,) = match(WEB1, facts(package("zip", "1.0"), pending=(taken,)), known).findings
        assert found.withheld == ""
