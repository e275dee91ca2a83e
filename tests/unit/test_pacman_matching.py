"""Arch and Alpine hosts get findings with CVEs; what only their repositories say counts too."""

from dataclasses import replace

import pytest

from tests.unit.test_findings import NOON, WEB1, facts, knowing, match, package
from wavemend.advisories import Advisory, AdvisoryStatus, UpdateClass
from wavemend.findings import HostFindings, NotJudged
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.matching.plain import Kernel, alpine_kernel, arch_kernel
from wavemend.scoring import rank_updates
from wavemend.versions import Scheme

CVE = "CVE-2026-1000"


def statement(
    name: str,
    fixed: str | None,
    *,
    release: str = "arch",
    status: AdvisoryStatus = AdvisoryStatus.FIXED,
    cves: tuple[str, ...] = (CVE,),
) -> Advisory:
    alpine = release.startswith("alpine")
    return Advisory(
        id=CVE if alpine else "ASA-202611-1",
        feed="alpine" if alpine else "arch",
        document="all.json: AVG-1",
        release=release,
        package=name,
        fixed_version=fixed,
        status=status,
        cves=cves,
        scheme=Scheme.APK if alpine else Scheme.PACMAN,
        by_source=alpine,
        urgency="high",
    )


def here(name: str, version: str, source: str = "", arch: str = "x86_64") -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch=arch, source=source or name, source_version=version
    )


def offer(name: str, old: str, new: str, **changes: object) -> PendingUpdate:
    made = PendingUpdate(name=name, arch="x86_64", installed=old, candidate=new, origin="core")
    return replace(made, **changes)  # type: ignore[arg-type]


def arch(
    *installed: InstalledPackage, pending: tuple[PendingUpdate, ...] = (), kernel: str = ""
) -> Facts:
    seen = facts(*installed, kernel=kernel, codename="", pending=pending)
    return replace(seen, os_id="arch", os_version="")


def alpine(
    *installed: InstalledPackage, pending: tuple[PendingUpdate, ...] = (), kernel: str = ""
) -> Facts:
    return replace(
        arch(*installed, pending=pending, kernel=kernel), os_id="alpine", os_version="3.19.1"
    )


def found(facts: Facts, *advisories: Advisory) -> list[tuple[str, str, str, str | None, bool]]:
    return [
        (item.cve, item.package, item.installed, item.fixed, item.fix_pending)
        for item in match(WEB1, facts, knowing(*advisories)).findings
    ]


def test_an_arch_package_older_than_the_fix_is_a_finding_with_its_cve() -> None:
    seen = arch(here("zip", "3.0-10"), pending=(offer("zip", "3.0-10", "3.0-11"),))

    (finding,) = match(WEB1, seen, knowing(statement("zip", "3.0-11"))).findings

    assert (finding.cve, finding.advisory, finding.fix_pending) == (CVE, "ASA-202611-1", True)
    assert finding.because.compared == "zip 3.0-10 < 3.0-11"
    assert finding.because.order == "pacman"


def test_pacmans_own_order_decides() -> None:
    assert found(arch(here("zip", "1:1.0-1")), statement("zip", "9.9-9")) == []
    assert found(arch(here("zip", "1.0rc1-1")), statement("zip", "1.0-1")) != []


def test_an_alpine_package_is_judged_by_its_source() -> None:
    seen = alpine(here("libssl3", "3.1.4-r2", "openssl"), here("libcrypto3", "3.1.4-r2", "openssl"))

    (finding,) = match(
        WEB1, seen, knowing(statement("openssl", "3.1.4-r3", release="alpine-3.19"))
    ).findings

    assert finding.package == "openssl"
    assert finding.binaries == ("libcrypto3", "libssl3")
    assert finding.because.order == "apk"


def test_a_statement_about_another_release_of_alpine_says_nothing() -> None:
    seen = alpine(here("zip", "3.0-r1"))

    result = match(WEB1, seen, knowing(statement("zip", "3.0-r9", release="alpine-3.18")))

    assert result.findings == ()
    assert [item.kind for item in result.unmatched] == [NotJudged.RELEASE]


@pytest.mark.parametrize(
    ("release", "kernel"),
    [
        ("6.6.8-arch1-1", Kernel("linux", "6.6.8.arch1-1")),
        ("6.12.1-arch1-2", Kernel("linux", "6.12.1.arch1-2")),
        ("6.6.8-1-lts", Kernel("linux-lts", "6.6.8-1")),
        ("6.6.8-zen1-1-zen", Kernel("linux-zen", "6.6.8.zen1-1")),
        ("6.6.8-hardened1-1-hardened", Kernel("linux-hardened", "6.6.8.hardened1-1")),
        ("6.1.0-37-cloud-amd64", None),
        ("6.18.0", None),
    ],
)
def test_the_running_kernel_of_arch_is_read_as_a_package(
    release: str, kernel: Kernel | None
) -> None:
    assert arch_kernel(release) == kernel


def test_the_running_kernel_of_alpine_is_read_as_a_package() -> None:
    assert alpine_kernel("6.6.8-0-lts") == Kernel("linux-lts", "6.6.8-r0")
    assert alpine_kernel("6.6.8-arch1-1") is None


def test_a_kernel_that_was_replaced_on_the_disk_is_judged_as_it_runs() -> None:
    fixed = statement("linux", "6.6.9.arch1-1")
    installed = here("linux", "6.6.9.arch1-1")

    assert found(arch(installed, kernel="6.6.9-arch1-1"), fixed) == []
    (finding,) = match(WEB1, arch(installed, kernel="6.6.8-arch1-1"), knowing(fixed)).findings
    assert finding.because.compared == "linux 6.6.8.arch1-1 (running) < 6.6.9.arch1-1"
    assert not finding.fix_pending


def test_a_running_kernel_of_no_package_is_said_to_be_unknown() -> None:
    seen = arch(here("linux", "6.6.9.arch1-1"), kernel="6.1.0-37-cloud-amd64")

    result = match(WEB1, seen, knowing(statement("zip", "1-1")))

    assert [item.kind for item in result.unmatched] == [NotJudged.KERNEL]


def test_a_version_that_cannot_be_compared_is_neither_affected_nor_clean() -> None:
    result = match(WEB1, arch(here("zip", "3.0")), knowing(statement("zip", "3.0-11")))

    assert result.findings == ()
    assert [item.kind for item in result.unmatched] == [NotJudged.VERSION]


def debian_with_snap() -> HostFindings:
    firefox = replace(package("firefox", "4173"), arch="snap/latest/stable", source="snap")
    said = replace(
        statement("firefox", "130.0-1"), scheme=Scheme.DEB, release="bookworm", by_source=True
    )
    return match(WEB1, facts(package("zip", "3.0-1"), firefox), knowing(said))


def test_a_snap_is_never_taken_for_the_distributions_package_of_that_name() -> None:
    result = debian_with_snap()

    assert result.findings == ()
    assert [(item.package, item.kind, item.packages) for item in result.unmatched] == [
        ("snap:*", NotJudged.FOREIGN, 1)
    ]
    assert (result.packages, result.judged) == (2, 1)


TOLD = offer(
    "zip",
    "3.0-10",
    "3.0-11",
    cves=("CVE-2026-2", "CVE-2026-10"),
    advisories=("RHSA-2026:1",),
    security=True,
)


def test_what_only_the_hosts_repository_says_is_a_finding_that_names_it() -> None:
    seen = arch(here("zip", "3.0-10"), pending=(TOLD,))

    findings = match(WEB1, seen, knowing(statement("jq", "1-1"))).findings

    assert [item.cve for item in findings] == ["CVE-2026-2", "CVE-2026-10"]
    assert {(item.advisory, item.fixed, item.fix_pending) for item in findings} == {
        ("RHSA-2026:1", "3.0-11", True)
    }
    assert findings[0].because.feed == "host"
    assert findings[0].because.document == "core: RHSA-2026:1"
    assert findings[0].because.compared == "zip 3.0-10 < 3.0-11, by the host's own repository"


def test_a_host_of_an_unknown_release_has_the_findings_its_repository_names() -> None:
    seen = arch(here("zip", "3.0-10"), pending=(TOLD,))

    result = match(WEB1, seen, knowing())

    assert [item.cve for item in result.findings] == ["CVE-2026-2", "CVE-2026-10"]
    assert [item.kind for item in result.unmatched] == [NotJudged.RELEASE]


@pytest.mark.parametrize(
    ("status", "fixed"),
    [
        (AdvisoryStatus.NOT_AFFECTED, None),
        (AdvisoryStatus.FIXED, "3.0-9"),
        (AdvisoryStatus.FIXED, "3.0-11"),
        (AdvisoryStatus.UNFIXED, None),
    ],
)
def test_a_feed_that_speaks_of_the_package_and_the_cve_is_never_overruled(
    status: AdvisoryStatus, fixed: str | None
) -> None:
    feed = statement("zip", fixed, status=status, cves=("CVE-2026-2", "CVE-2026-10"))
    seen = arch(here("zip", "3.0-10"), pending=(TOLD,))
    alone = arch(here("zip", "3.0-10"), pending=(offer("zip", "3.0-10", "3.0-11"),))

    told = match(WEB1, seen, knowing(feed)).findings
    without = match(WEB1, alone, knowing(feed)).findings

    assert told == without
    assert {item.because.feed for item in told} <= {"arch"}


def test_an_advisory_without_a_cve_is_a_finding_of_its_own_class() -> None:
    fix = replace(TOLD, cves=(), security=False, advisories=("RHBA-2026:7",))
    seen = arch(here("zip", "3.0-10"), pending=(fix,))

    (finding,) = match(WEB1, seen, knowing()).findings

    assert (finding.cve, finding.advisory) == ("", "RHBA-2026:7")
    assert finding.update_class is UpdateClass.BUGFIX


def test_a_cve_that_only_the_host_knows_is_unscored_and_not_harmless() -> None:
    seen = arch(here("zip", "3.0-10"), pending=(TOLD,))
    intelligence = knowing(statement("jq", "1-1"))
    result = match(WEB1, seen, intelligence)

    (ranked,) = rank_updates(WEB1, seen, result, intelligence, NOON)

    assert ranked.cves == ("CVE-2026-2", "CVE-2026-10")
    assert ranked.security
    assert intelligence.vulnerability("CVE-2026-2").unscored
    assert ranked.priority.due is not None
