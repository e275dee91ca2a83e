"""A Windows host lacks what Microsoft says of its builds, and of the KBs that it is offered."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.cases.windows_hosts import (
    BEFORE,
    FIXED,
    LCU,
    NOON,
    SERVER,
    WIN1,
    found,
    known,
    offered,
    product,
    ranked,
    seen,
)
from wavemend.advisories import Advisory, AdvisoryStatus, KevEntry, UpdateClass, Vulnerability
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.knowledge import Intelligence
from wavemend.matching import Matcher
from wavemend.scoring import Lane, rank_updates
from wavemend.windows.products import DEFINITIONS

RUNTIME = "net-8.0-installed-on-windows"
OF_RUNTIME = "KB5077863"
DOTNET = "KB5050187"
BY_TITLE = offered(builds=((SERVER, FIXED),))
BY_NUMBER = offered()
HOST = seen(product(SERVER, BEFORE), BY_NUMBER)


# --- findings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("update", [BY_TITLE, BY_NUMBER], ids=["by title", "by number"])
def test_a_server_before_the_update_lacks_all_that_the_pending_kb_fixes(
    update: PendingUpdate,
) -> None:
    lacking = found(seen(product(SERVER, BEFORE), update))

    assert len(lacking) == 27
    assert all(item.fix_pending and not item.withheld for item in lacking)
    assert {(item.package, item.installed, item.fixed, item.advisory) for item in lacking} == {
        (SERVER, BEFORE, FIXED, LCU)
    }
    assert lacking[0].because.compared == f"{SERVER} {BEFORE} < {FIXED}"
    assert lacking[0].because.order == "Windows builds"


def test_nothing_is_left_once_the_build_is_reached() -> None:
    assert found(seen(product(SERVER, FIXED))) == ()


def test_the_build_in_an_updates_own_title_holds_before_the_documents() -> None:
    later = offered(builds=((SERVER, "10.0.20348.4800"),))

    (update,) = Matcher(known()).understood(seen(product(SERVER, BEFORE), later)).pending
    assert update.builds == ((SERVER, "10.0.20348.4800"),)


def test_each_of_two_pending_updates_closes_what_its_own_build_reaches() -> None:
    rows = ranked(seen(product(SERVER, "10.0.20348.3000"), BY_NUMBER, offered("KB5051979")))
    closes = {row.update.name: len(row.cves) for row in rows}

    # Of December only what came with January's update is left.
    assert closes == {"KB5051979": 1 + 121 + 33, LCU: 1 + 121 + 33 + 27}


def test_a_fix_that_no_pending_update_reaches_is_not_pending() -> None:
    others = (offered("KB890830"), offered("KB5075943", builds=((SERVER, "10.0.20348.4711"),)))
    windows = [
        item for item in found(seen(product(SERVER, BEFORE), *others)) if item.package == SERVER
    ]

    assert len(windows) == 27
    assert not any(item.fix_pending for item in windows)


def test_an_update_that_no_rollout_takes_is_offered_with_the_reason() -> None:
    asks = replace(BY_NUMBER, withheld="it asks its user a question")

    assert {item.withheld for item in found(seen(product(SERVER, BEFORE), asks))} == {
        "it asks its user a question"
    }


def test_installed_updates_are_judged_with_windows_and_chocolatey_is_said_to_be_foreign() -> None:
    update = InstalledPackage(
        name="KB5031364", version="r200", arch="cbs", source="", source_version=""
    )
    tool = replace(update, name="7zip", version="24.9.0-beta", arch="chocolatey")
    host = replace(HOST, installed=(*HOST.installed, update, tool))
    result = Matcher(known()).match(WIN1, host, today=NOON.date())

    assert [(item.package, item.packages) for item in result.unmatched] == [("chocolatey:*", 1)]
    assert (result.packages, result.judged) == (3, 2)


def test_an_unlisted_component_lacks_what_the_offered_kb_is_said_to_fix() -> None:
    (finding,) = found(seen(product(SERVER, FIXED), offered(DOTNET)))

    assert (finding.cve, finding.package, finding.advisory) == ("CVE-2025-21176", DOTNET, DOTNET)
    assert (finding.because.feed, finding.fix_pending) == ("msrc", True)
    assert finding.because.compared == (
        "KB5050187 is offered and not installed; it brings microsoft-net-framework-3.5-and-4.8 "
        "4.8.04775.01"
    )
    (row,) = ranked(seen(product(SERVER, FIXED), offered(DOTNET)))
    assert row.cves == ("CVE-2025-21176",)


def test_an_update_that_microsofts_documents_do_not_name_stays_the_hosts_own_word() -> None:
    (finding,) = found(seen(product(SERVER, FIXED), offered("KB890830")))

    assert (finding.cve, finding.because.feed, finding.advisory) == ("", "host", "KB890830")
    assert finding.update_class is UpdateClass.SECURITY
    assert finding.because.compared == "KB890830 is not installed, by the host's own repository"


def test_definitions_are_worth_nothing_late_and_are_no_vulnerability() -> None:
    signatures = offered("KB2267602", builds=((DEFINITIONS, "1.443.1210.0"),))
    (row,) = ranked(seen(product(SERVER, FIXED), signatures))

    assert row.priority.lane is Lane.EXPEDITED
    assert row.priority.rule == "Signatures of a scanner are worth nothing late: daily."


def test_what_is_understood_twice_is_the_same_and_a_linux_host_is_left_as_it_is() -> None:
    matcher = Matcher(known())
    once = matcher.understood(HOST)
    linux = replace(HOST, os_id="debian", codename="bookworm")

    assert once.pending[0].builds == ((SERVER, FIXED),)
    assert once.pending[0].cves == ()
    assert once.pending[0].restart is True
    assert matcher.understood(once) is once
    assert matcher.understood(linux) is linux


# --- what is beside Windows -----------------------------------------------------------------------


def test_a_product_beside_windows_is_compared_by_its_own_name() -> None:
    beside = [product(RUNTIME, version) for version in ("8.0.20", "8.0.24")]
    host = seen(product(SERVER, FIXED), offered(OF_RUNTIME))
    (finding,) = [
        item
        for item in found(replace(host, installed=(*host.installed, *beside)))
        if item.cve == "CVE-2026-21218"
    ]

    assert (finding.package, finding.installed, finding.fixed) == (RUNTIME, "8.0.20", "8.0.24")
    assert finding.fix_pending


def test_an_offered_update_of_another_product_brings_its_cves_by_its_number() -> None:
    lacking = found(seen(product(SERVER, FIXED), offered(OF_RUNTIME)))

    assert {item.package for item in lacking} == {OF_RUNTIME}
    assert "CVE-2026-21218" in {item.cve for item in lacking}


# --- lanes ----------------------------------------------------------------------------------------


def debian(cve: str) -> Advisory:
    return Advisory(
        id=cve,
        feed="debian",
        document="x",
        release="bookworm",
        package="openssl",
        fixed_version="2",
        status=AdvisoryStatus.FIXED,
        cves=(cve,),
        published=NOON - timedelta(days=28),
    )


def debian_host() -> tuple[Host, Facts]:
    package = InstalledPackage(
        name="openssl", version="1", arch="amd64", source="openssl", source_version="1"
    )
    update = PendingUpdate(
        name="openssl", arch="amd64", installed="1", candidate="2", origin="x", security=True
    )
    facts = replace(
        HOST, os_id="debian", codename="bookworm", installed=(package,), pending=(update,)
    )
    return Host(name="web1", tenant="acme", address="192.0.2.8"), facts


def listed(state: Intelligence, cve: str) -> Intelligence:
    entry = KevEntry(
        date_added=date(2026, 2, 11), due_date=date(2026, 3, 4), ransomware=None, name=cve
    )
    vulnerability = replace(state.vulnerability(cve), kev=entry)
    return replace(state, vulnerabilities={**state.vulnerabilities, cve: vulnerability})


@pytest.mark.parametrize("source", ["vendor", "kev"])
def test_an_exploited_cve_has_the_same_lane_and_due_date_on_windows_and_on_debian(
    source: str,
) -> None:
    cve = "CVE-2026-21510" if source == "vendor" else "CVE-2026-21508"
    state = known() if source == "vendor" else listed(known(), cve)
    web1, facts = debian_host()
    evidence: dict[str, Vulnerability] = {cve: state.vulnerability(cve)}
    state_of_debian = replace(
        state, vulnerabilities=evidence, advisories={("bookworm", "openssl"): (debian(cve),)}
    )
    matched = Matcher(state_of_debian).match(web1, facts, today=NOON.date())
    (on_debian,) = rank_updates(web1, facts, matched, state_of_debian, NOON)
    only = {key: item for key, item in state.vulnerabilities.items() if key == cve}
    (on_windows,) = ranked(HOST, replace(state, vulnerabilities=only))

    assert on_windows.priority.lane is on_debian.priority.lane is Lane.EMERGENCY
    assert on_windows.priority.due == on_debian.priority.due is not None
    assert on_windows.kev is on_debian.kev


def test_without_exploitation_the_same_update_is_no_emergency() -> None:
    (row,) = ranked(HOST, replace(known(), vulnerabilities={}))

    assert row.priority.lane is not Lane.EMERGENCY
    assert len(row.cves) == 27
