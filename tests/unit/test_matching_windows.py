"""Windows findings compare a product's build with the fixed one, hotpatched systems apart."""

from dataclasses import replace

from tests.unit.test_findings import NOON, WEB1, facts, knowing, match
from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.findings import NotJudged
from wavemend.hosts import Facts, InstalledPackage
from wavemend.versions import Scheme

PRODUCT = "windows-server-2022"
ORDINARY = "10.0.20348.4773"
HOTPATCH = "10.0.20348.4711"


def fixed_in(build: str, module: str = "", cve: str = "CVE-2026-21510") -> Advisory:
    return Advisory(
        id=cve,
        feed="msrc",
        document="2026-Feb.xml",
        release=PRODUCT,
        package=PRODUCT,
        fixed_version=build,
        status=AdvisoryStatus.FIXED,
        cves=(cve,),
        scheme=Scheme.WINDOWS,
        by_source=False,
        module=module,
        published=NOON,
    )


def server(build: str, module: str = "") -> Facts:
    product = InstalledPackage(
        name=PRODUCT, version=build, arch="x64", source="", source_version="", module=module
    )
    return replace(facts(product, codename=PRODUCT), os_id="windows", os_version=build)


def test_a_build_below_the_fixed_one_is_a_finding() -> None:
    known = knowing(fixed_in(ORDINARY))

    (finding,) = match(WEB1, server("10.0.20348.4650"), known).findings

    assert finding.because.order == "Windows builds"
    assert finding.because.compared == f"{PRODUCT} 10.0.20348.4650 < {ORDINARY}"
    assert not match(WEB1, server(ORDINARY), known).findings


def test_a_hotpatched_system_is_compared_within_the_hotpatch_row() -> None:
    known = knowing(fixed_in(ORDINARY), fixed_in(HOTPATCH, "hotpatch"))

    assert not match(WEB1, server(HOTPATCH, "hotpatch"), known).findings
    assert match(WEB1, server(HOTPATCH), known).findings
    (finding,) = match(WEB1, server("10.0.20348.4650", "hotpatch"), known).findings
    assert finding.fixed == HOTPATCH


def test_what_only_an_ordinary_update_fixes_is_lacking_on_a_hotpatched_system_too() -> None:
    known = knowing(fixed_in(ORDINARY))

    assert match(WEB1, server(HOTPATCH, "hotpatch"), known).findings


def test_a_build_that_is_none_is_counted_as_not_judged() -> None:
    found = match(WEB1, server("21H2"), knowing(fixed_in(ORDINARY)))

    assert [item.kind for item in found.unmatched] == [NotJudged.VERSION]
    assert (found.packages, found.judged) == (1, 0)
