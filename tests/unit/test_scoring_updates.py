"""An update is as urgent as the worst it fixes on this host, and none is left out."""

from dataclasses import replace
from datetime import UTC, date, datetime

from tests.unit.test_findings import WEB1, facts, knowing, offer, package, says
from tests.unit.test_scoring import EXPOSED, KEV, NOON
from wavemend.advisories import Intelligence, Vulnerability
from wavemend.findings import match
from wavemend.hosts import Host
from wavemend.scoring import rank_updates


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
    rows = rank_updates(host, seen, match(host, seen, intelligence), intelligence, NOON)
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
    (row,) = rank_updates(EXPOSED, seen, match(EXPOSED, seen, known), known, NOON)
    assert "No CVE known, security origin" in row.priority.due_reason
    assert row.security


def test_the_earliest_due_date_of_all_cves_governs_the_update() -> None:
    early = Vulnerability(cve="CVE-2026-2", kev=replace(KEV, due_date=date(2026, 11, 21)))
    worst = Vulnerability(cve="CVE-2026-3", kev=replace(KEV, ransomware=True))
    known = replace(
        knowing(*STATEMENTS), vulnerabilities={"CVE-2026-2": early, "CVE-2026-3": worst}
    )
    seen = facts(package("libssl3", "3.0.19-1", "openssl"), pending=(offer("libssl3", "3.0.22-1"),))

    (row,) = rank_updates(WEB1, seen, match(WEB1, seen, known), known, NOON)

    assert row.priority.contributions[0].value == "CVE-2026-3"
    assert row.priority.due == datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    assert row.cves == ("CVE-2026-2", "CVE-2026-3")


def test_the_order_does_not_depend_on_the_order_of_the_input() -> None:
    known = knowing(*STATEMENTS)
    first = ranked(known)
    keys = list(known.advisories)[::-1]
    backwards = replace(known, advisories={key: known.advisories[key][::-1] for key in keys})

    assert ranked(backwards) == first
