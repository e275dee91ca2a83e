"""A finding is what the distribution says about what is installed, and shows how we know."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from wavemend import matching
from wavemend.advisories import Advisory, AdvisoryStatus, FeedSnapshot, cve_order
from wavemend.findings import HostFindings
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.knowledge import Intelligence

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEB1 = Host(name="web1", tenant="acme", address="192.0.2.1")


def says(
    cve: str,
    source: str,
    fixed: str | None,
    *,
    id: str = "",  # noqa: A002
    status: AdvisoryStatus | None = None,
    unimportant: bool = False,
) -> Advisory:
    return Advisory(
        id=id or cve,
        feed="debian",
        document=f"osv/{id or cve}.json",
        release="bookworm",
        package=source,
        fixed_version=fixed,
        status=status or (AdvisoryStatus.FIXED if fixed else AdvisoryStatus.UNFIXED),
        cves=(cve,),
        unimportant=unimportant,
    )


def knowing(*advisories: Advisory) -> Intelligence:
    found: dict[tuple[str, str], tuple[Advisory, ...]] = {}
    for item in advisories:
        key = (item.release, item.package)
        found[key] = (*found.get(key, ()), item)
    snapshot = FeedSnapshot(
        feed="debian", source="", digest="d1", fetched_at=NOON, data_date=NOON, count=1
    )
    return Intelligence(vulnerabilities={}, advisories=found, snapshots=(snapshot,))


def package(
    name: str, version: str, source: str = "", source_version: str = "", status: str = "ii"
) -> InstalledPackage:
    return InstalledPackage(
        name=name,
        version=version,
        arch="amd64",
        source=source or name,
        source_version=source_version or version,
        status=status,
    )


def offer(name: str, candidate: str, *, security: bool = True) -> PendingUpdate:
    return PendingUpdate(
        name=name, arch="amd64", installed="", candidate=candidate, origin="x", security=security
    )


def facts(
    *installed: InstalledPackage,
    pending: tuple[PendingUpdate, ...] = (),
    kernel: str = "6.1.0-40-amd64",
    codename: str = "bookworm",
) -> Facts:
    return Facts(
        host="web1",
        collected_at=NOON,
        os_id="debian",
        os_version="12",
        codename=codename,
        arch="amd64",
        hostname="web1",
        machine_id="m",
        boot_id="b",
        uptime_seconds=1.0,
        clock_skew_seconds=0.0,
        running_kernel=kernel,
        newest_kernel=kernel,
        installed=installed,
        pending=pending,
        held=(),
        broken=(),
        reboot_reasons=(),
        lock_holder="",
        free_space=(),
    )


def match(host: Host, seen: Facts, known: Intelligence) -> HostFindings:
    return matching.match(host, seen, known, today=NOON.date())


def cves(found: HostFindings) -> list[str]:
    return [item.cve for item in found.findings]


def test_a_missing_fix_is_a_finding_that_shows_how_we_know() -> None:
    host = facts(
        package("libssl3", "3.0.19-1~deb12u2", "openssl"),
        package("openssl", "3.0.19-1~deb12u2"),
        pending=(offer("libssl3", "3.0.22-1~deb12u2"), offer("openssl", "3.0.22-1~deb12u2")),
    )

    (finding,) = match(
        WEB1, host, knowing(says("CVE-2026-1", "openssl", "3.0.22-1~deb12u1"))
    ).findings

    assert finding.binaries == ("libssl3", "openssl")
    assert (finding.installed, finding.fixed) == ("3.0.19-1~deb12u2", "3.0.22-1~deb12u1")
    assert finding.fix_pending
    assert finding.because.document == "osv/CVE-2026-1.json"
    assert finding.because.compared == "openssl 3.0.19-1~deb12u2 < 3.0.22-1~deb12u1"
    assert finding.because.order == "dpkg"
    assert finding.because.document_date == NOON.date()


def test_what_the_vendor_marks_fixed_in_the_installed_version_is_never_missing() -> None:
    host = facts(package("libssl3", "3.0.22-1~deb12u2", "openssl"))

    found = match(WEB1, host, knowing(says("CVE-2026-1", "openssl", "3.0.22-1~deb12u2")))

    assert (found.findings, found.unmatched) == ((), ())


def test_a_binary_rebuild_has_the_versions_of_its_source() -> None:
    host = facts(package("libbrotli1", "1.0.9-2+b6", "brotli", "1.0.9-2"))
    rebuilt = facts(package("bash", "5.2.15-2+b8", "bash", "5.2.15-2+b8"))

    assert cves(match(WEB1, host, knowing(says("CVE-2026-1", "brotli", "1.0.9-2+deb12u1"))))
    assert not cves(match(WEB1, rebuilt, knowing(says("CVE-2026-2", "bash", "5.2.15-2"))))


def test_the_source_version_decides_where_binaries_are_numbered_apart() -> None:
    host = facts(
        package("libfoo", "9:1.0-1", "foo", "2.0-1"), pending=(offer("libfoo", "9:1.1-1"),)
    )

    (finding,) = match(WEB1, host, knowing(says("CVE-2026-1", "foo", "2.1-1"))).findings

    assert finding.installed == "2.0-1"
    assert not finding.fix_pending  # it cannot be said, so it is not claimed


def test_an_update_that_does_not_reach_the_fix_is_not_pending() -> None:
    host = facts(package("zip", "3.0-13"), pending=(offer("zip", "3.0-13+deb12u1"),))

    (finding,) = match(WEB1, host, knowing(says("CVE-2026-1", "zip", "3.0-13+deb12u2"))).findings

    assert not finding.fix_pending


def test_removed_packages_do_not_count_and_half_installed_ones_do() -> None:
    advisory = says("CVE-2026-1", "zip", "3.0-14")

    assert not cves(match(WEB1, facts(package("zip", "3.0-13", status="rc")), knowing(advisory)))
    assert cves(match(WEB1, facts(package("zip", "3.0-13", status="iH")), knowing(advisory)))


def test_kernel_cves_belong_to_the_running_kernel_and_not_to_headers() -> None:
    signed = {"source": "linux-signed-amd64", "source_version": "6.1.187+1"}
    old = package("linux-image-6.1.0-40-amd64", "6.1.187-1", **signed)
    new = package("linux-image-6.1.0-41-amd64", "6.1.192-2", "linux-signed-amd64", "6.1.192+2")
    headers = package("linux-libc-dev", "6.1.187-1", "linux")
    known = knowing(says("CVE-2026-31431", "linux", "6.1.190-1"))

    running_old = match(WEB1, facts(old, new, headers), known)
    running_new = match(WEB1, facts(old, new, headers, kernel="6.1.0-41-amd64"), known)
    container = match(WEB1, facts(headers, kernel="6.8.0-hosted"), known)

    (finding,) = running_old.findings
    assert finding.binaries == ("linux-image-6.1.0-40-amd64",)
    assert finding.because.compared == "linux 6.1.187-1 (running) < 6.1.190-1"
    assert running_new.findings == ()
    assert (container.findings, container.unmatched) == ((), ())


def test_a_running_kernel_that_no_package_brought_is_said_to_be_unknown() -> None:
    image = package("linux-image-6.1.0-40-amd64", "6.1.187-1", "linux-signed-amd64")
    known = knowing(says("CVE-2026-31431", "linux", "6.1.190-1"))

    found = match(WEB1, facts(image, kernel="6.12.1-custom"), known)

    assert found.findings == ()
    assert "belongs to no installed package" in found.unmatched[0].reason


def test_a_host_of_an_unknown_release_is_unknown_not_clean() -> None:
    host = facts(package("zip", "3.0-13"), codename="jammy")

    found = match(WEB1, host, knowing(says("CVE-2026-1", "zip", "3.0-14")))

    assert found.findings == ()
    assert "nothing is known of 1 packages" in found.unmatched[0].reason
    assert (found.packages, found.judged, found.unmatched[0].packages) == (1, 0, 1)


def test_a_version_that_cannot_be_compared_is_counted_as_such() -> None:
    host = facts(package("zip", "what_is_this"), package("unzip", "6.0-28"))

    found = match(WEB1, host, knowing(says("CVE-2026-1", "unzip", "6.0-29")))

    assert [item.package for item in found.unmatched] == ["zip"]
    assert cves(found) == ["CVE-2026-1"]


@pytest.mark.parametrize(
    ("advisories", "fixed"),
    [
        # A fix anywhere beats a record that still knows of none.
        (
            (says("CVE-2026-1", "zip", None), says("CVE-2026-1", "zip", "3.0-14", id="DSA-1")),
            "3.0-14",
        ),
        # The CVE's own record beats an advisory that names it again for a regression.
        (
            (says("CVE-2026-1", "zip", "3.0-14"), says("CVE-2026-1", "zip", "3.0-15", id="DSA-2")),
            "3.0-14",
        ),
        # Of two advisories the higher version counts.
        (
            (
                says("CVE-2026-1", "zip", "3.0-15", id="DSA-1"),
                says("CVE-2026-1", "zip", "3.0-14", id="DSA-2"),
            ),
            "3.0-15",
        ),
    ],
)
def test_statements_that_differ_are_settled_by_a_written_rule(
    advisories: tuple[Advisory, ...], fixed: str
) -> None:
    host = facts(package("zip", "3.0-13"))

    for order in (advisories, advisories[::-1]):
        (finding,) = match(WEB1, host, knowing(*order)).findings
        assert finding.fixed == fixed


def test_not_affected_is_clean_and_unfixed_is_a_finding_without_a_fix() -> None:
    never = says("CVE-2026-1", "zip", None, status=AdvisoryStatus.NOT_AFFECTED)
    open_still = says("CVE-2026-2", "zip", None, unimportant=True)

    (finding,) = match(WEB1, facts(package("zip", "3.0-13")), knowing(never, open_still)).findings

    assert (finding.cve, finding.fixed, finding.unimportant) == ("CVE-2026-2", None, True)
    assert finding.because.compared == "zip 3.0-13, no fixed version"
    assert finding.because.order == ""  # nothing was compared


def test_equal_inputs_give_equal_findings_sorted_by_the_number_of_the_cve() -> None:
    known = knowing(
        says("CVE-2026-116303", "zip", "3.0-14"), says("CVE-2026-99999", "zip", "3.0-14")
    )
    one = facts(package("zip", "3.0-13"), package("unzip", "6.0-28"))
    other = replace(one, installed=one.installed[::-1])

    first = match(WEB1, one, known)

    assert first == match(WEB1, other, known)
    assert cves(first) == ["CVE-2026-99999", "CVE-2026-116303"]
    assert sorted(cves(first), key=cve_order) == cves(first)
    assert first.findings[0].id == "1a6189c02d3b9da7"  # kept in ledgers: it must never change
    other_tenant = replace(WEB1, tenant="other")
    assert match(other_tenant, one, known).findings[0].id != first.findings[0].id
