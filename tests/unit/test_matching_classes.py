"""Fixes that are about no CVE are findings of their own class; what cannot be judged is counted."""

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_findings import NOON, WEB1, facts, knowing, match, package, says
from wavemend.advisories import Advisory, AdvisoryStatus, UpdateClass
from wavemend.findings import NotJudged
from wavemend.hosts import Facts, Host, InstalledPackage
from wavemend.matching import Matcher

OTHERS = [
    UpdateClass.BUGFIX,
    UpdateClass.ENHANCEMENT,
    UpdateClass.DEFINITION,
    UpdateClass.DRIVER,
    UpdateClass.FIRMWARE,
]


def without_cve(identifier: str, update_class: UpdateClass, source: str = "zip") -> Advisory:
    advisory = says("CVE-2026-1", source, "3.0-14", id=identifier)
    return replace(advisory, cves=(), update_class=update_class, urgency="critical")


@pytest.mark.parametrize("update_class", OTHERS)
def test_a_lacking_update_that_is_not_about_security_is_a_finding(
    update_class: UpdateClass,
) -> None:
    found = match(
        WEB1, facts(package("zip", "3.0-13")), knowing(without_cve("DLA-1", update_class))
    )

    (finding,) = found.findings
    assert (finding.cve, finding.advisory, finding.update_class) == ("", "DLA-1", update_class)
    assert finding.severity == "critical"  # what that means is decided by scoring
    assert found.by_class == {update_class: 1}
    assert not match(WEB1, facts(package("zip", "3.0-14")), knowing()).findings


def test_each_advisory_without_a_cve_is_one_finding_with_an_id_of_its_own() -> None:
    known = knowing(
        without_cve("DLA-1", UpdateClass.BUGFIX),
        without_cve("DLA-2", UpdateClass.SECURITY),
        says("CVE-2026-9", "zip", "3.0-14"),
    )

    found = match(WEB1, facts(package("zip", "3.0-13")), known)

    assert [(item.cve, item.advisory) for item in found.findings] == [
        ("CVE-2026-9", "CVE-2026-9"),
        ("", "DLA-1"),
        ("", "DLA-2"),
    ]
    assert len({item.id for item in found.findings}) == 3
    assert found.by_class == {UpdateClass.SECURITY: 2, UpdateClass.BUGFIX: 1}


def test_a_cve_named_by_a_bug_fix_is_still_about_security() -> None:
    mixed = replace(without_cve("DLA-1", UpdateClass.BUGFIX), cves=("CVE-2026-7",))

    found = match(WEB1, facts(package("zip", "3.0-13")), knowing(mixed))

    assert [(item.cve, item.update_class) for item in found.findings] == [
        ("CVE-2026-7", UpdateClass.SECURITY),
        ("", UpdateClass.BUGFIX),
    ]


def test_a_statement_that_cannot_be_compared_leaves_its_package_unjudged() -> None:
    known = knowing(says("CVE-2026-1", "zip", "not_a_version"), says("CVE-2026-2", "zip", "3.0-14"))

    found = match(WEB1, facts(package("zip", "3.0-13"), package("unzip", "6.0-28")), known)

    assert [item.cve for item in found.findings] == ["CVE-2026-2"]
    assert found.by_reason == {NotJudged.STATEMENT: 1}
    assert (found.packages, found.judged) == (2, 1)


def test_a_fix_without_a_version_is_shown_as_no_fix() -> None:
    odd = says("CVE-2026-1", "zip", None, status=AdvisoryStatus.FIXED)

    (finding,) = match(WEB1, facts(package("zip", "3.0-13")), knowing(odd)).findings

    assert finding.status is AdvisoryStatus.UNFIXED


_VERSIONS = st.sampled_from(["1.0-1", "1.0-2", "2:0.1-1", "1.0~rc1-1", "bad_version", ""])
_NAMES = st.sampled_from(["zip", "curl", "nginx", "linux-image-6.1.0-40-amd64", "linux-libc-dev"])
_PACKAGES = st.builds(
    package,
    name=_NAMES,
    version=_VERSIONS,
    source=st.sampled_from(["", "zip", "linux", "linux-signed-amd64"]),
    status=st.sampled_from(["ii", "rc", "iH"]),
)
_KNOWN = knowing(
    says("CVE-2026-1", "zip", "1.0-2"),
    says("CVE-2026-2", "curl", None),
    says("CVE-2026-3", "nginx", "not_a_version"),
    says("CVE-2026-4", "linux", "1.0-2"),
)


@given(st.lists(_PACKAGES, max_size=8), st.sampled_from(["bookworm", "jammy"]))
def test_every_package_is_judged_or_counted_with_a_reason(
    installed: list[InstalledPackage], codename: str
) -> None:
    found = match(WEB1, facts(*installed, codename=codename), _KNOWN)

    assert found.packages == found.judged + sum(item.packages for item in found.unmatched)
    assert found.packages == found.judged + sum(found.by_reason.values())
    assert found.judged >= 0
    assert all(item.reason for item in found.unmatched)


def _hosts() -> list[tuple[Host, Facts]]:
    versions = ("1.0-1", "1.0-2", "0.9-1", "bad_version")
    return [
        (
            replace(WEB1, name=f"web{number}"),
            facts(package("zip", versions[number % 4]), package("curl", versions[number % 3])),
        )
        for number in range(24)
    ]


def test_a_host_gets_the_same_answer_whichever_hosts_came_before_it() -> None:
    matcher = Matcher(_KNOWN)
    alone = [match(host, seen, _KNOWN) for host, seen in _hosts()]

    forwards = [matcher.match(host, seen, today=NOON.date()) for host, seen in _hosts()]
    backwards = [matcher.match(host, seen, today=NOON.date()) for host, seen in _hosts()[::-1]]
    shared = Matcher(_KNOWN)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: shared.match(*pair, today=NOON.date()), _hosts()))

    assert forwards == alone == backwards[::-1] == together


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_left_as_it_was_found(collecting: bool) -> None:
    before = gc.isenabled()
    (gc.enable if collecting else gc.disable)()
    try:
        match(WEB1, facts(package("zip", "1.0-1")), _KNOWN)
        left = gc.isenabled()
    finally:
        (gc.enable if before else gc.disable)()

    assert left is collecting
