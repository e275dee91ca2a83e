"""RPM findings compare the same name, architecture and module stream, and the running kernel."""

from dataclasses import replace

import pytest

from tests.unit.test_findings import NOON, WEB1, facts, knowing, match
from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.findings import HostFindings, NotJudged
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.versions import Scheme

CVE = "CVE-2026-1000"


def errata(
    package: str, fixed: str, *, arch: str = "", module: str = "", release: str = "almalinux-9"
) -> Advisory:
    return Advisory(
        id="ALSA-2026:1",
        feed="almalinux",
        document="ALSA-2026-1.json",
        release=release,
        package=package,
        fixed_version=fixed,
        status=AdvisoryStatus.FIXED,
        cves=(CVE,),
        scheme=Scheme.RPM,
        by_source=False,
        arch=arch,
        module=module,
        published=NOON,
        urgency="important",
    )


def rpm(name: str, version: str, arch: str = "x86_64", module: str = "") -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch=arch, source=name, source_version=version, module=module
    )


def alma(*installed: InstalledPackage, kernel: str = "", offers: tuple[str, ...] = ()) -> Facts:
    pending = tuple(
        PendingUpdate(name=n, arch="x86_64", installed="", candidate=c, origin="baseos")
        for n, _, c in (text.partition("=") for text in offers)
    )
    seen = facts(*installed, kernel=kernel, codename="", pending=pending)
    return replace(seen, os_id="almalinux", os_version="9.4")


def kinds(found: HostFindings) -> list[NotJudged]:
    return [item.kind for item in found.unmatched]


def test_an_older_build_is_a_finding_and_says_what_the_vendor_said() -> None:
    seen = alma(rpm("curl", "7.76.1-29.el9_4"), offers=("curl=7.76.1-31.el9",))

    (finding,) = match(WEB1, seen, knowing(errata("curl", "7.76.1-31.el9"))).findings

    assert finding.because.compared == "curl 7.76.1-29.el9_4 < 7.76.1-31.el9"
    assert (finding.because.order, finding.because.document_date) == ("rpm", NOON.date())
    assert (finding.advisory, finding.severity) == ("ALSA-2026:1", "important")
    assert (finding.fix_published, finding.fix_pending) == (NOON, True)


@pytest.mark.parametrize(
    ("installed", "fixed", "affected"),
    [
        ("1:1.0-1.el9", "2.0-1.el9", False),  # an epoch outweighs everything behind it
        ("2.0-1.el9", "1:1.0-1.el9", True),
        ("1.0~rc1-1.el9", "1.0-1.el9", True),
        ("1.0^git1-1.el9", "1.0-1.el9", False),
    ],
)
def test_versions_compare_as_rpm_compares_them(installed: str, fixed: str, affected: bool) -> None:
    found = match(WEB1, alma(rpm("curl", installed)), knowing(errata("curl", fixed)))

    assert bool(found.findings) is affected


def test_a_package_of_another_architecture_is_not_compared() -> None:
    known = knowing(errata("glibc", "2.34-100.el9", arch="i686"))

    assert not match(WEB1, alma(rpm("glibc", "2.34-83.el9")), known).findings
    assert match(WEB1, alma(rpm("glibc", "2.34-83.el9", "i686")), known).findings


def test_two_architectures_that_lack_one_fix_are_one_finding() -> None:
    known = knowing(
        errata("glibc", "2.34-100.el9", arch="i686"), errata("glibc", "2.34-100.el9", arch="x86_64")
    )
    seen = alma(rpm("glibc", "2.34-83.el9", "i686"), rpm("glibc", "2.34-90.el9"))

    (finding,) = match(WEB1, seen, known).findings

    assert finding.installed == "2.34-83.el9"


def test_modules_are_compared_inside_their_stream_only() -> None:
    fix = "1:18.20.4-1.module_el9.4.0+1+a"
    known = knowing(errata("nodejs", fix, module="nodejs:18"))
    old = "1:16.20.2-8.module_el9.4.0+1+a"

    assert not match(WEB1, alma(rpm("nodejs", old, module="nodejs:16")), known).findings
    assert not match(WEB1, alma(rpm("nodejs", "1:16.20.2-8.el9")), known).findings
    (finding,) = match(WEB1, alma(rpm("nodejs", old, module="nodejs:18")), known).findings
    assert finding.because.compared == f"nodejs (nodejs:18) {old} < {fix}"


def test_a_statement_or_a_build_without_its_stream_is_not_judged() -> None:
    fix, old = "1:18.20.4-1.module_el9.4.0+1+a", "1:16.20.2-8.module_el9.4.0+1+a"
    nameless = match(
        WEB1, alma(rpm("nodejs", old, module="nodejs:16")), knowing(errata("nodejs", fix))
    )
    unknown = match(
        WEB1, alma(rpm("nodejs", old)), knowing(errata("nodejs", fix, module="nodejs:18"))
    )

    for found in (nameless, unknown):
        assert (found.findings, kinds(found)) == ((), [NotJudged.STREAM])
        assert (found.packages, found.judged) == (1, 0)


OLD = "5.14.0-427.13.1.el9_4"
NEW = "5.14.0-503.11.1.el9_5"


def test_of_several_kernels_the_running_one_is_compared_once() -> None:
    parts = ("kernel", "kernel-core", "kernel-modules", "kernel-modules-core")
    known = knowing(*(errata(part, NEW) for part in (*parts, "kernel-headers")))
    builds = [rpm(part, version) for part in parts for version in (OLD, NEW)]
    seen = alma(*builds, rpm("kernel-headers", OLD), kernel=f"{OLD}.x86_64")

    (finding,) = match(WEB1, seen, known).findings

    assert (finding.package, finding.installed) == ("kernel-core", OLD)
    assert finding.because.compared == f"kernel-core {OLD} (running) < {NEW}"
    assert not match(WEB1, replace(seen, running_kernel=f"{NEW}.x86_64"), known).findings


@pytest.mark.parametrize(
    ("name", "version", "running"),
    [
        ("kernel-default", "5.14.21-150500.55.44.1", "5.14.21-150500.55.44-default"),
        ("kernel-rt-core", "5.14.0-427.13.1.el9_4", "5.14.0-427.13.1.el9_4.x86_64+rt"),
        ("kernel-rt-core", "4.18.0-477.rt7.274.el8", "4.18.0-477.rt7.274.el8.x86_64"),
        ("kernel-uek-core", "5.15.0-200.el9uek", "5.15.0-200.el9uek.x86_64"),
        ("kernel-64k-core", "5.14.0-427.el9", "5.14.0-427.el9.x86_64+64k"),
    ],
)
def test_a_kernel_of_every_flavour_is_recognised_while_it_runs(
    name: str, version: str, running: str
) -> None:
    known = knowing(errata(name, "99-1"), errata("kernel-core", "99-1"))
    plain = rpm("kernel-core", "5.14.0-1.el9")

    found = match(WEB1, alma(rpm(name, version), plain, kernel=running), known)

    assert [item.package for item in found.findings] == [name]


def test_the_plain_kernel_does_not_run_because_a_real_time_one_of_its_number_is_installed() -> None:
    known = knowing(errata("kernel-core", NEW), errata("kernel-rt-core", NEW))
    seen = alma(rpm("kernel-core", OLD), rpm("kernel-rt-core", OLD), kernel=f"{OLD}.x86_64")

    assert [item.package for item in match(WEB1, seen, known).findings] == ["kernel-core"]


def test_a_running_kernel_that_no_package_brought_is_said_to_be_unknown() -> None:
    seen = alma(rpm("kernel-core", OLD), kernel="6.9.1-custom")

    found = match(WEB1, seen, knowing(errata("kernel-core", NEW)))

    assert (found.findings, kinds(found)) == ((), [NotJudged.KERNEL])
    assert (found.packages, found.judged) == (1, 1)


def test_the_minor_release_speaks_before_the_major_one() -> None:
    extended = errata("curl", "7.76.1-29.el9_4.1", release="almalinux-9.4")
    known = knowing(errata("curl", "7.76.1-31.el9"), extended)

    assert not match(WEB1, alma(rpm("curl", "7.76.1-29.el9_4.1")), known).findings
    (finding,) = match(WEB1, alma(rpm("curl", "7.76.1-29.el9_4")), known).findings
    assert finding.fixed == "7.76.1-29.el9_4.1"
