"""A real host's pending updates map to their CVEs as far as the vendor's data goes, and no further.

The host is of 2026-11-20, the vendor's statements are of 2025-02-12: a CVE that is younger cannot
be found, and is listed in misses.csv with that reason like every other that is not.
"""

import csv
import io
from collections import Counter

import pytest

from tests.contract.golden import (
    GOLDEN,
    KERNEL,
    OSV_DAY,
    REFERENCE,
    RELEASE,
    SCANNED,
    Row,
    Source,
    changelog_cves,
    golden_collected,
    golden_intelligence,
    golden_rows,
    golden_sources,
    reference_facts,
    statement_of,
    upgradable,
)
from tests.unit.test_findings import facts, package
from wavemend import matching
from wavemend.advisories import Advisory, AdvisoryStatus, cve_order
from wavemend.findings import Finding, HostFindings
from wavemend.hosts import Facts
from wavemend.knowledge import Intelligence
from wavemend.versions import deb_key

NO_RECORD = f"the OSV set of {OSV_DAY} has no record of it"
OTHER_RELEASE = f"the OSV record of {OSV_DAY} says nothing of Debian 12"


@pytest.fixture(scope="module")
def known() -> Intelligence:
    return golden_intelligence()


@pytest.fixture(scope="module")
def found(known: Intelligence) -> HostFindings:
    return match(reference_facts(golden_sources()), known)


def match(seen: Facts, known: Intelligence) -> HostFindings:
    return matching.match(REFERENCE, seen, known, today=SCANNED.date())


def test_the_excerpt_is_read_without_loss() -> None:
    sink = golden_collected()

    assert sink.balanced
    assert (sink.rejects, sink.flaws) == ([], [])


def test_the_pending_updates_are_those_of_the_stored_changelogs() -> None:
    """Two files made apart say the same where both speak: only one of 36 sources differs."""
    differ = {
        source.name: source.changelog ^ changelog_cves(source.name, source.installed)
        for source in golden_sources()
    }

    assert {name: cves for name, cves in differ.items() if cves} == {
        # Its entry was written for unstable, and the changelogs' file holds Debian 12's only.
        "python-xmltodict": frozenset({"CVE-2025-9375"})
    }


def test_every_pending_updates_cve_is_found_or_listed_with_its_reason(
    known: Intelligence, found: HostFindings
) -> None:
    got = {(item.package, item.cve) for item in found.findings}
    lines = [
        (source.name, cve, _reason(source, cve, known))
        for source in golden_sources()
        for cve in sorted(_expected(source, known), key=cve_order)
        if (source.name, cve) not in got
    ]

    stored = (GOLDEN / "misses.csv").read_text(encoding="utf-8")
    assert _as_csv(("package", "cve", "reason"), lines) == stored


def test_how_much_is_found_and_why_the_rest_is_not(known: Intelligence) -> None:
    expected = sum(len(_expected(source, known)) for source in golden_sources())
    with (GOLDEN / "misses.csv").open(newline="", encoding="utf-8") as lines:
        reasons = Counter(row["reason"].partition(" in 6.")[0] for row in csv.DictReader(lines))

    assert (len(golden_sources()), expected) == (36, 2236)
    assert reasons == {
        NO_RECORD: 2069,
        OTHER_RELEASE: 3,
        f"the OSV record of {OSV_DAY} says fixed": 3,
    }


def test_whatever_the_vendor_states_for_a_version_in_between_is_found(
    known: Intelligence, found: HostFindings
) -> None:
    got = {(item.package, item.cve) for item in found.findings}
    stated = {
        (source.name, cve)
        for source in golden_sources()
        for cve, advisory in _own_statements(source.name, known).items()
        if _lacks(source.installed, advisory)
    }

    assert stated <= got
    assert got == stated  # and nothing that the vendor does not state
    assert len(got) > 500


def test_every_package_of_the_host_was_judged(found: HostFindings) -> None:
    assert (found.packages, found.judged, found.unmatched) == (36, 36, ())


def test_headers_alone_have_no_cves_of_the_kernel(known: Intelligence) -> None:
    """The real host is a container: it has the kernel's headers, and 2,018 CVEs by their source."""
    headers = package("linux-libc-dev", "6.1.187-1", "linux")

    with_headers = match(facts(headers, kernel="hosted"), known)
    with_kernel = match(
        facts(headers, package(f"linux-image-{KERNEL}", "6.1.187-1", "linux"), kernel=KERNEL), known
    )

    assert with_headers.findings == ()
    assert len(with_kernel.findings) == 473
    assert {item.binaries for item in with_kernel.findings} == {(f"linux-image-{KERNEL}",)}


def test_all_that_apt_could_upgrade_is_judged_or_said_not_to_be(known: Intelligence) -> None:
    listed = upgradable()

    found = match(facts(*listed), known)

    assert (len(listed), found.packages) == (106, 106)
    assert found.judged + sum(item.packages for item in found.unmatched) == 106


@pytest.mark.parametrize("row", golden_rows(), ids=lambda row: row.cve)
def test_a_golden_cve_gets_its_package_and_fixed_version(row: Row, known: Intelligence) -> None:
    """Found just below the fixed version, and no more from there on."""
    differences = _differences()
    if row.cve not in differences:
        (below,) = _about(row, f"{row.fixed}~", known)
        assert (below.package, below.fixed) == (row.package, row.fixed)
        assert below.because.compared == f"{_as_run(row)} < {row.fixed}"
        assert not _about(row, row.fixed, known)
        return
    states = {finding.fixed or "no fixed version" for finding in _about(row, "0~", known)}
    assert (states or {"no record"}) == {differences[row.cve]}
    if differences[row.cve] in {"no record", "no fixed version"}:
        # A set of today would hold the fix: with it, the rest follows.
        today = golden_intelligence(statement_of(row))
        assert _about(row, f"{row.fixed}~", today)[0].fixed == row.fixed
        assert not _about(row, row.fixed, today)


def _about(row: Row, version: str, known: Intelligence) -> list[Finding]:
    kernel = row.package == "linux"
    name = f"linux-image-{KERNEL}" if kernel else row.package
    seen = facts(package(name, version, row.package, version), kernel=KERNEL)
    return [item for item in match(seen, known).findings if item.cve == row.cve]


def _as_run(row: Row) -> str:
    return f"{row.package} {row.fixed}~{' (running)' if row.package == 'linux' else ''}"


def _differences() -> dict[str, str]:
    with (GOLDEN / "differences.csv").open(newline="", encoding="utf-8") as lines:
        return {row["cve"]: row["vendor"] for row in csv.DictReader(lines)}


def _expected(source: Source, known: Intelligence) -> set[str]:
    """The changelog's CVEs, and those the vendor states for a version on the way."""
    stated = {
        cve
        for cve, advisory in _own_statements(source.name, known).items()
        if advisory.fixed_version is not None
        and deb_key(source.installed) < deb_key(advisory.fixed_version)
        and deb_key(advisory.fixed_version) <= deb_key(source.candidate)
    }
    return {*source.changelog, *stated}


def _own_statements(source: str, known: Intelligence) -> dict[str, Advisory]:
    said = known.advisories_for(RELEASE, source)
    return {item.id: item for item in said if item.cves == (item.id,)}


def _lacks(installed: str, advisory: Advisory) -> bool:
    if advisory.status is AdvisoryStatus.NOT_AFFECTED:
        return False
    fixed = advisory.fixed_version
    return fixed is None or deb_key(installed) < deb_key(fixed)


def _reason(source: Source, cve: str, known: Intelligence) -> str:
    own = _own_statements(source.name, known).get(cve)
    if own is not None:
        return f"the OSV record of {OSV_DAY} says fixed in {own.fixed_version or 'every version'}"
    spoken = any(cve in said.cves for found in known.advisories.values() for said in found)
    return OTHER_RELEASE if spoken else NO_RECORD


def _as_csv(heading: tuple[str, ...], lines: list[tuple[str, str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(lines)
    return text.getvalue()
