"""An update is as urgent as the worst it fixes on this host, and none is left out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import pytest

from tests.unit.test_findings import WEB1, facts, knowing, offer, package, says
from tests.unit.test_scoring import EXPOSED, KEV, NOON
from wavemend.advisories import AdvisoryStatus, Cvss, Epss, UpdateClass, Vulnerability
from wavemend.findings import Because, Finding, HostFindings
from wavemend.hosts import Host
from wavemend.knowledge import Intelligence
from wavemend.matching import match
from wavemend.policy.waivers import Waiver
from wavemend.scoring import Lane, RankedUpdate, rank_updates
from wavemend.versions import Scheme, order_name


def ranked(intelligence: Intelligence, host: Host = WEB1) -> list[tuple[str, str, int]]:
    seen = facts(
        package("zip", "3.0-13"),
        package("libssl3", "3.0.19-1", "openssl"),
        package("tzdata", "2025b-0"),
        package("bash", "5.2-1"),
        package("linux-libc-dev", "6.1.1-1", "linux"),
        pending=(
            offer("bash", "5.2-2", security=False),
            offer("linux-libc-dev", "6.1.9-1"),
            offer("tzdata", "2026f-0"),
            offer("libssl3", "3.0.22-1"),
            offer("zip", "3.0-14"),
        ),
    )
    rows = rank_updates(
        host, seen, match(host, seen, intelligence, today=NOON.date()), intelligence, NOON
    )
    return [(row.update.name, row.priority.lane.value, len(row.cves)) for row in rows]


STATEMENTS = (
    says("CVE-2026-1", "zip", "3.0-14"),
    says("CVE-2026-2", "openssl", "3.0.22-1"),
    says("CVE-2026-3", "openssl", "3.0.21-1"),
    says("CVE-2026-4", "openssl", "3.0.99-1"),
    says("CVE-2026-5", "linux", "6.1.9-1"),
)


def test_an_update_is_as_urgent_as_the_worst_cve_it_really_fixes() -> None:
    listed = Vulnerability(cve="CVE-2026-3", kev=KEV)
    known = replace(knowing(*STATEMENTS), vulnerabilities={"CVE-2026-3": listed})

    assert ranked(known) == [
        ("libssl3", "emergency", 2),  # not CVE-2026-4: this update does not reach its fix
        ("zip", "routine", 1),
        ("linux-libc-dev", "routine", 0),  # headers fix nothing of a kernel
        ("tzdata", "routine", 0),
        ("bash", "routine", 0),
    ]


def test_a_security_update_without_a_known_cve_goes_ahead_on_an_exposed_host_and_says_so() -> None:
    known = knowing(says("CVE-2026-1", "other", "1"))
    rows = ranked(known, EXPOSED)

    assert [lane for name, lane, _ in rows if name == "bash"] == ["routine"]
    assert {lane for name, lane, _ in rows if name != "bash"} == {"expedited"}
    seen = facts(package("tzdata", "1"), pending=(offer("tzdata", "2"),))
    (row,) = rank_updates(
        EXPOSED, seen, match(EXPOSED, seen, known, today=NOON.date()), known, NOON
    )
    assert "No CVE known, security origin" in row.priority.due_reason
    assert row.security


UNKNOWING = {
    "no vendor feed": replace(knowing(), vulnerabilities={}),
    "nothing at all": replace(knowing(), vulnerabilities={}, kev_known=False),
    "another release": knowing(replace(says("CVE-2026-1", "zip", "3.0-14"), release="trixie")),
}


@pytest.mark.parametrize("host", [WEB1, EXPOSED], ids=["internal", "exposed"])
@pytest.mark.parametrize("security", [False, True], ids=["plain", "security"])
@pytest.mark.parametrize("known", UNKNOWING.values(), ids=UNKNOWING)
def test_an_update_of_which_no_vendor_feed_speaks_is_never_milder_than_the_worst_it_may_fix(
    known: Intelligence, security: bool, host: Host
) -> None:
    worst = Vulnerability(cve="CVE-2026-3", kev=replace(KEV, ransomware=True, due_date=None))
    there = replace(knowing(*STATEMENTS), vulnerabilities={"CVE-2026-3": worst})
    seen = facts(
        package("libssl3", "3.0.19-1", "openssl"),
        pending=(offer("libssl3", "3.0.22-1", security=security),),
    )

    def row(state: Intelligence) -> RankedUpdate:
        found = match(host, seen, state, today=NOON.date())
        return rank_updates(host, seen, found, state, NOON)[0]

    whole, missing = row(there).priority, row(known).priority

    assert whole.lane is missing.lane is Lane.EMERGENCY
    assert missing.order[:3] <= whole.order[:3]
    assert (whole.due, missing.due) == (NOON + timedelta(days=3), NOON + timedelta(days=3))
    assert missing.forensic
    assert missing.contributions[0].text.endswith("Run `wavemend feeds refresh`.")
    assert missing.due_reason.startswith("No advisories of this release are loaded. BOD 26-04")


def test_without_a_catalogue_a_security_update_without_a_cve_counts_as_a_listed_one() -> None:
    known = knowing(says("CVE-2026-1", "other", "1"))
    seen = facts(
        package("tzdata", "1"),
        package("bash", "1"),
        pending=(offer("tzdata", "2"), offer("bash", "2", security=False)),
    )

    def lanes(state: Intelligence) -> list[tuple[str, Lane]]:
        rows = rank_updates(WEB1, seen, match(WEB1, seen, state, today=NOON.date()), state, NOON)
        return [(row.update.name, row.priority.lane) for row in rows]

    assert lanes(known) == [("tzdata", Lane.ROUTINE), ("bash", Lane.ROUTINE)]
    # What the vendor says to fix no vulnerability fixes none, whatever the catalogue would say.
    assert lanes(replace(known, kev_known=False)) == [
        ("tzdata", Lane.EMERGENCY),
        ("bash", Lane.ROUTINE),
    ]


def test_an_update_that_may_not_reach_an_attacked_cve_is_still_installed_for_what_it_fixes() -> (
    None
):
    routine = rpm_finding(UpdateClass.SECURITY, cve="CVE-2026-7")
    paid = replace(
        rpm_finding(UpdateClass.SECURITY, cve="CVE-2026-8"),
        status=AdvisoryStatus.NEEDS_SUBSCRIPTION,
        fix_pending=False,
    )
    listed = {"CVE-2026-8": Vulnerability(cve="CVE-2026-8", kev=KEV)}

    assert ranked_rpm(routine, paid, vulnerabilities=listed).priority.lane is Lane.ROUTINE
    assert ranked_rpm(paid, vulnerabilities=listed).priority.lane is Lane.MANUAL


def test_the_earliest_due_date_of_all_cves_governs_the_update() -> None:
    early = Vulnerability(cve="CVE-2026-2", kev=replace(KEV, due_date=date(2026, 11, 21)))
    worst = Vulnerability(cve="CVE-2026-3", kev=replace(KEV, ransomware=True))
    known = replace(
        knowing(*STATEMENTS), vulnerabilities={"CVE-2026-2": early, "CVE-2026-3": worst}
    )
    seen = facts(package("libssl3", "3.0.19-1", "openssl"), pending=(offer("libssl3", "3.0.22-1"),))

    (row,) = rank_updates(WEB1, seen, match(WEB1, seen, known, today=NOON.date()), known, NOON)

    assert row.priority.contributions[0].value == "CVE-2026-3"
    assert row.priority.due == datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    assert row.cves == ("CVE-2026-2", "CVE-2026-3")


def test_the_order_does_not_depend_on_the_order_of_the_input() -> None:
    known = knowing(*STATEMENTS)
    first = ranked(known)
    keys = list(known.advisories)[::-1]
    backwards = replace(known, advisories={key: known.advisories[key][::-1] for key in keys})

    assert ranked(backwards) == first


def rpm_finding(update_class: UpdateClass, severity: str = "", cve: str = "") -> Finding:
    """Return a finding of a vendor that speaks of installed packages, not of sources."""
    return Finding(
        id=f"{update_class}{cve}",
        tenant="acme",
        host="web1",
        cve=cve,
        package="openssl-libs",
        binaries=("openssl-libs",),
        installed="1:3.0.1-1.el9",
        fixed="1:3.0.1-2.el9",
        fix_pending=True,
        because=Because(feed="almalinux", document="d", compared="", order=order_name(Scheme.RPM)),
        advisory="ALBA-2026:1",
        update_class=update_class,
        severity=severity,
    )


def ranked_rpm(
    *findings: Finding,
    waivers: tuple[Waiver, ...] = (),
    marked: frozenset[str] = frozenset(),
    vulnerabilities: Mapping[str, Vulnerability] = MappingProxyType({}),
) -> RankedUpdate:
    installed = package("openssl-libs", "1:3.0.1-1.el9", "openssl", "3.0.1-1.el9")
    seen = facts(installed, pending=(offer("openssl-libs", "1:3.0.1-2.el9", security=False),))
    matched = HostFindings(
        host="web1", findings=findings, unmatched=(), packages=1, intelligence="i"
    )
    known = knowing(says("CVE-2026-1", "other", "1"))
    known = replace(known, vulnerabilities=vulnerabilities)
    (row,) = rank_updates(WEB1, seen, matched, known, NOON, waivers=waivers, marked=marked)
    return row


def test_an_update_closes_what_the_vendor_says_of_the_installed_package_by_its_own_name() -> None:
    row = ranked_rpm(rpm_finding(UpdateClass.SECURITY, cve="CVE-2026-7"))

    assert (row.cves, row.security) == (("CVE-2026-7",), True)


def test_a_bug_fix_is_no_security_update_and_is_expedited_where_it_is_critical() -> None:
    plain = ranked_rpm(rpm_finding(UpdateClass.BUGFIX))
    critical = ranked_rpm(rpm_finding(UpdateClass.BUGFIX, "Important"))
    marked = ranked_rpm(rpm_finding(UpdateClass.BUGFIX), marked=frozenset({"openssl-libs"}))

    assert (plain.priority.lane, plain.security, plain.cves) == (Lane.ROUTINE, False, ())
    assert critical.priority.lane is marked.priority.lane is Lane.EXPEDITED
    assert critical.priority.contributions[0].value == "ALBA-2026:1"


def test_an_update_is_waived_only_when_all_that_it_fixes_is() -> None:
    cves = [rpm_finding(UpdateClass.SECURITY, cve=f"CVE-2026-{number}") for number in (7, 8)]
    waiver = Waiver(
        id="w",
        tenant="",
        owner="olga",
        reason="a reason long enough",
        until=NOON + timedelta(days=1),
        cve="CVE-2026-7",
    )
    other = replace(waiver, id="x", cve="CVE-2026-8")

    assert ranked_rpm(*cves, waivers=(waiver,)).priority.lane is Lane.ROUTINE
    both = ranked_rpm(*cves, waivers=(waiver, other)).priority
    assert (both.lane, both.due) == (Lane.IGNORED, None)
    assert both.waiver in {waiver, other}


def test_rules_are_told_the_highest_of_what_an_update_fixes_and_no_score_is_not_zero() -> None:
    def scored(score: float) -> Cvss:
        return Cvss(version="3.1", vector="", score=score, computed_score=None, source="nvd")

    def likely(chance: float) -> Epss:
        return Epss(probability=chance, percentile=None, model="v5", date=date(2026, 3, 1))

    day = timedelta(days=1)
    findings = [
        replace(
            rpm_finding(UpdateClass.SECURITY, severity, cve=f"CVE-2026-{number}"),
            fix_published=published,
        )
        for number, severity, published in (
            (7, "Important", NOON - 9 * day),
            (8, "Low", NOON - 2 * day),
            (9, "", None),
        )
    ]
    row = ranked_rpm(
        *findings,
        vulnerabilities={
            "CVE-2026-7": Vulnerability(cve="CVE-2026-7", cvss=scored(9.1), epss=likely(0.1)),
            "CVE-2026-8": Vulnerability(cve="CVE-2026-8", cvss=scored(4.0), epss=likely(0.7)),
        },
    )

    assert (row.cvss, row.epss, row.kev) == (9.1, 0.7, False)
    assert row.severities == ("important", "low")
    assert row.published == NOON - 2 * day  # as old as the newest fix in it
    plain = ranked_rpm(rpm_finding(UpdateClass.BUGFIX))
    assert (plain.cvss, plain.epss, plain.kev, plain.published) == (None, None, False, None)


def test_whether_an_update_fixes_an_exploited_one_is_not_denied_where_nobody_can_know() -> None:
    cve = rpm_finding(UpdateClass.SECURITY, cve="CVE-2026-7")
    unread = Vulnerability(cve="CVE-2026-7", kev_known=False)
    listed = Vulnerability(cve="CVE-2026-7", kev=KEV)

    assert ranked_rpm(cve, vulnerabilities={"CVE-2026-7": unread}).kev is None
    assert ranked_rpm(cve, vulnerabilities={"CVE-2026-7": listed}).kev is True
    known = knowing(says("CVE-2026-1", "other", "1"))
    seen = facts(package("tzdata", "1"), pending=(offer("tzdata", "2"),))
    (silent,) = rank_updates(WEB1, seen, match(WEB1, seen, known, today=NOON.date()), known, NOON)
    assert silent.kev is None
