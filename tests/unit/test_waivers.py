"""A waiver says who accepts what and until when; it hides nothing, and it ends by itself."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.test_findings import WEB1
from tests.unit.test_scoring import KEV, NO_NO, NOON, finding, said
from wavemend.advisories import Exploit, Vulnerability
from wavemend.findings import Finding
from wavemend.hosts import Host
from wavemend.policy.waivers import LAPSED_SHOWN, Waiver, covers, waiver_for
from wavemend.scoring import Lane, Priority, prioritise
from wavemend.selectors import parse_selector

KNOWN = Vulnerability(cve="CVE-2026-1", ssvc=NO_NO)
SEEN = replace(finding(), advisory="DSA-1-1")
ZIP = Waiver(
    id="legacy-zip",
    tenant="acme",
    owner="olga",
    reason="zip runs in a sandbox until the migration",
    until=NOON + timedelta(days=10),
    package="zip",
)
BY_CVE = replace(ZIP, id="by-cve", cve="CVE-2026-1", package="")


def decide(
    waivers: Sequence[Waiver], known: Vulnerability = KNOWN, days: float = 0, host: Host = WEB1
) -> Priority:
    now = NOON + timedelta(days=days)
    return prioritise(SEEN, host, known, now, first_seen=NOON, waivers=waivers)


def test_a_waived_finding_is_ignored_by_a_named_rule_and_stays_visible_with_the_waiver() -> None:
    priority = decide([ZIP])

    assert (priority.lane, priority.due, priority.waiver) == (Lane.IGNORED, None, ZIP)
    assert priority.rule == (
        "Waived by olga until 2026-11-30 12:00Z: zip runs in a sandbox until the migration"
    )
    assert said(priority, "Waiver").startswith("legacy-zip: Accepted by olga until 2026-11-30")
    assert said(priority, "EPSS").startswith("unscored")  # nothing else is left out


def test_from_its_last_moment_on_the_finding_counts_again_by_itself() -> None:
    almost = timedelta(days=10) - timedelta(seconds=1)
    plain = decide([], days=10)

    assert decide([ZIP], days=almost / timedelta(days=1)).lane is Lane.IGNORED
    back = decide([ZIP], days=10)
    assert (back.lane, back.due, back.order) == (plain.lane, plain.due, plain.order)
    assert back.waiver is None


def test_for_thirty_days_after_the_end_it_says_that_the_waiver_ran_out() -> None:
    shown = LAPSED_SHOWN / timedelta(days=1)

    text = said(decide([ZIP], days=10), "Waiver")
    assert text.startswith("ran out: The waiver legacy-zip of olga until 2026-11-30 12:00Z")
    assert "it counts again" in text
    assert said(decide([ZIP], days=9.9 + shown), "Waiver").startswith("ran out")
    late = decide([ZIP], days=10 + shown)
    assert "Waiver" not in {line.name for line in late.contributions}


@pytest.mark.parametrize(
    "known",
    [
        replace(KNOWN, kev=KEV),
        replace(KNOWN, kev_known=False),
        replace(KNOWN, exploits=(Exploit(kind="msrc-exploited", reference="x"),)),
    ],
    ids=["in KEV", "no catalogue loaded", "exploited by the vendor's word"],
)
def test_what_is_exploited_is_waived_only_by_its_own_name(known: Vulnerability) -> None:
    by_package = decide([ZIP], known)

    assert (by_package.lane, by_package.waiver) == (Lane.EMERGENCY, None)
    assert said(by_package, "Waiver") == (
        "does not hold: The waiver legacy-zip of olga until 2026-11-30 12:00Z: zip runs in a "
        "sandbox until the migration does not hold: it is known to be exploited. Name CVE-2026-1 "
        "in a waiver to accept that."
    )
    assert decide([BY_CVE], known).lane is Lane.IGNORED
    assert decide([ZIP, BY_CVE], known).waiver == BY_CVE


@pytest.mark.parametrize(
    ("waiver", "matches"),
    [
        (ZIP, True),
        (BY_CVE, True),
        (replace(ZIP, package="", advisory="DSA-1-1"), True),
        (replace(BY_CVE, package="zip"), True),
        (replace(BY_CVE, package="bash"), False),
        (replace(ZIP, package="unzip"), False),
        (replace(ZIP, tenant=""), True),
        (replace(ZIP, tenant="other"), False),
        (replace(ZIP, hosts=parse_selector("role=web")), True),
        (replace(ZIP, hosts=parse_selector("role=db")), False),
        (replace(ZIP, package=""), False),  # names nothing: empty is not everything
    ],
)
def test_all_that_a_waiver_names_must_match(waiver: Waiver, matches: bool) -> None:
    host = replace(WEB1, labels={"role": "web"})

    assert covers(waiver, SEEN, host) is matches
    assert (waiver_for([waiver], SEEN, host, NOON) is not None) is matches


def test_a_waiver_of_a_cve_says_nothing_of_a_finding_without_one() -> None:
    assert not covers(BY_CVE, replace(SEEN, cve=""), WEB1)


def test_of_several_the_one_that_names_the_cve_then_the_longest_then_the_first_id() -> None:
    longer = replace(ZIP, id="longer", until=NOON + timedelta(days=90))
    twin = replace(longer, id="also-longer")

    def chosen(*waivers: Waiver, seen: Finding = SEEN) -> str:
        found = waiver_for(waivers, seen, WEB1, NOON)
        return found.id if found else ""

    assert chosen(longer, ZIP, BY_CVE) == chosen(BY_CVE, ZIP, longer) == "by-cve"
    assert chosen(ZIP, longer) == "longer"
    assert chosen(longer, twin) == chosen(twin, longer) == "also-longer"
    assert chosen(replace(BY_CVE, until=NOON), ZIP) == "legacy-zip"
