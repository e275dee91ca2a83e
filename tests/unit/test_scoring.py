"""A priority explains itself: lane, due date and order follow from what the feeds say."""

import csv
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.test_findings import WEB1
from wavemend.advisories import Cvss, Epss, KevEntry, Ssvc, Vulnerability
from wavemend.findings import Because, Finding
from wavemend.hosts import Host
from wavemend.policy.timelines import bod_table, timelines
from wavemend.scoring import Lane, Priority, prioritise

GOLDEN = Path(__file__).parents[1] / "cases" / "golden" / "golden_debian12_cves_a.csv"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EXPOSED = replace(WEB1, exposed=True)
KEV = KevEntry(
    date_added=date(2026, 11, 1), due_date=date(2026, 11, 22), ransomware=None, name="Named"
)
NO_NO = Ssvc(exploitation="none", automatable=False, impact_total=False, source="cisa-adp")


def finding(
    cve: str = "CVE-2026-1", fixed: str | None = "2", *, unimportant: bool = False
) -> Finding:
    return Finding(
        id="f",
        tenant="acme",
        host="web1",
        cve=cve,
        package="zip",
        binaries=("zip",),
        installed="1",
        fixed=fixed,
        fix_pending=True,
        because=Because(feed="debian", document="d", compared="1 < 2"),
        unimportant=unimportant,
    )


def epss(probability: float, percentile: float | None = None) -> Epss:
    return Epss(
        probability=probability,
        percentile=probability if percentile is None else percentile,
        model="v2026.06.15",
        date=date(2026, 6, 20),
    )


def cvss(score: float, version: str = "3.1") -> Cvss:
    return Cvss(version=version, vector="V", score=score, computed_score=score, source="nvd")


def decide(
    vulnerability: Vulnerability, host: Host = WEB1, given: Finding | None = None
) -> Priority:
    return prioritise(given or finding(vulnerability.cve), host, vulnerability, NOON)


def said(priority: Priority, name: str) -> str:
    (line,) = (item for item in priority.contributions if item.name == name)
    return f"{line.value}: {line.text}"


def golden_rows() -> list[dict[str, str]]:
    with GOLDEN.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def golden_vulnerability(row: dict[str, str]) -> Vulnerability:
    known = row["ssvc_automatable"] != ""
    ssvc = Ssvc(
        exploitation=row["ssvc_exploitation"],
        automatable=row["ssvc_automatable"] == "yes",
        impact_total=row["ssvc_technical_impact"] == "total",
        source="cisa-adp",
    )
    listed = KevEntry(
        date_added=date.fromisoformat(row["kev_date_added"] or "2000-01-01"),
        due_date=date.fromisoformat(row["kev_due"] or "2000-01-01"),
        ransomware=True if row["kev_ransomware"] == "Known" else None,
        name="",
    )
    percentile = float(row["epss_v5_percentile"] or 0)
    return Vulnerability(
        cve=row["cve"],
        cvss=cvss(float(row["cvss3_score"])) if row["cvss3_score"] else None,
        epss=epss(float(row["epss_v5_20260815"]), percentile) if row["epss_v5_20260815"] else None,
        kev=listed if row["kev"] == "True" else None,
        ssvc=ssvc if known else None,
    )


def test_the_directives_table_is_whole_and_dated() -> None:
    table = bod_table()

    assert (table.version, table.date, len(table.rows)) == ("1.0.0", "2026-07-20", 16)


@pytest.mark.parametrize("row", golden_rows(), ids=lambda row: str(row["cve"]))
def test_the_golden_rows_get_the_directives_timeline(row: dict[str, str]) -> None:
    for exposed, column in ((True, "bod2604_exposed"), (False, "bod2604_internal")):
        if not row[column]:
            continue
        worst, best = timelines(golden_vulnerability(row), exposed=exposed)
        assert worst == best
        assert str(worst) == row[column].replace("& forensic investigation", "and forensic triage")


@pytest.mark.parametrize("row", golden_rows(), ids=lambda row: str(row["cve"]))
def test_the_golden_rows_get_the_lane_and_the_due_date(row: dict[str, str]) -> None:
    for exposed, column in ((True, "bod2604_exposed"), (False, "bod2604_internal")):
        if not row[column]:
            continue  # no SSVC answers: decided as the worst case, see below
        days = row[column].partition(" days")[0]
        dates = [NOON + timedelta(days=int(days))] if days.isdecimal() else []
        if row["kev_due"]:
            due = date.fromisoformat(row["kev_due"])
            dates.append(datetime(due.year, due.month, due.day, 23, 59, 59, tzinfo=UTC))
        lane = {"3": Lane.EMERGENCY, "14": Lane.EXPEDITED}.get(days, Lane.ROUTINE)
        lane = Lane.EMERGENCY if row["kev"] == "True" else lane

        priority = decide(golden_vulnerability(row), EXPOSED if exposed else WEB1)

        assert (priority.lane, priority.due) == (lane, min(dates, default=None))


def test_every_exploited_golden_cve_comes_before_every_other() -> None:
    ranked = sorted(
        (golden_vulnerability(row) for row in golden_rows()), key=lambda item: decide(item).order
    )
    listed = [item.kev is not None for item in ranked]

    assert listed == sorted(listed, reverse=True)
    assert sum(listed) == 9
    places = [item.cve for item in ranked]
    assert places.index("CVE-2023-5631") < places.index("CVE-2024-5535")  # CVSS 5.4 before 9.1
    band = [item for item in ranked if str(timelines(item, exposed=False)[0]) == "60 days"]
    # Without any score: last of their band, and visible.
    assert [item.cve for item in band[-2:]] == ["CVE-2026-107161", "CVE-2026-109518"]


def test_a_kev_entry_is_an_emergency_due_at_its_own_date_when_that_is_earlier() -> None:
    known = Vulnerability(cve="CVE-2026-1", kev=KEV, ssvc=NO_NO)

    priority = decide(known)

    assert priority.lane is Lane.EMERGENCY
    assert priority.due == datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    assert "KEV's own due date, 2026-11-22 (earlier than BOD 26-04" in priority.due_reason


def test_the_directive_governs_when_it_is_earlier_than_kev() -> None:
    known = Vulnerability(cve="CVE-2026-1", kev=replace(KEV, due_date=date(2027, 1, 1)))

    priority = decide(known, EXPOSED)

    assert priority.due == NOON + timedelta(days=3)
    assert priority.forensic


def test_unknown_answers_are_shown_as_worst_and_best_and_decided_as_the_worst() -> None:
    priority = decide(Vulnerability(cve="CVE-2026-1"), EXPOSED)

    assert priority.lane is Lane.EMERGENCY
    assert said(priority, "Automatable").startswith("unknown: ")
    assert said(priority, "Timeline").startswith("3 days: ")
    assert "it might be 60 days" in said(priority, "Timeline")


def test_a_missing_catalogue_is_not_a_catalogue_without_the_cve() -> None:
    missing = Vulnerability(cve="CVE-2026-1", ssvc=NO_NO, kev_known=False)

    assert decide(replace(missing, kev_known=True)).lane is Lane.ROUTINE
    assert decide(missing).lane is Lane.EMERGENCY
    assert "No catalogue was loaded" in said(decide(missing), "KEV")


def test_unscored_is_said_and_sorts_behind_the_scored_of_its_band_never_as_zero() -> None:
    base = Vulnerability(cve="CVE-2026-1")

    assert decide(replace(base, epss=epss(0.0))).order < decide(base).order
    assert decide(replace(base, cvss=cvss(0.0))).order < decide(base).order
    assert said(decide(base), "EPSS").startswith("unscored")
    assert said(decide(base), "CVSS").startswith("unscored")
    assert base.unscored


def test_a_score_of_version_2_or_one_that_does_not_follow_is_labelled() -> None:
    old = Vulnerability(cve="CVE-2026-1", cvss=cvss(9.0, "2.0"))
    odd = Vulnerability(cve="CVE-2026-1", cvss=replace(cvss(9.8), computed_score=7.8))

    assert "not comparable with others" in said(decide(old), "CVSS")
    assert "The vector gives 7.8, not 9.8" in said(decide(odd), "CVSS")


def test_without_a_fix_there_is_nothing_to_install_and_unimportant_is_ignored_by_rule() -> None:
    plain = Vulnerability(cve="CVE-2026-1")

    assert decide(plain, given=finding(fixed=None)).lane is Lane.MANUAL
    assert "mitigate" in decide(plain, given=finding(fixed=None)).rule
    ignored = decide(plain, given=finding(unimportant=True))
    assert (ignored.lane, ignored.due) == (Lane.IGNORED, None)
    assert "no security impact" in ignored.due_reason
    exploited = replace(plain, kev=KEV)
    assert decide(exploited, given=finding(unimportant=True)).lane is Lane.EMERGENCY


def test_days_count_from_the_first_sight_so_that_scans_do_not_move_them() -> None:
    known = Vulnerability(cve="CVE-2026-1")
    seen = NOON - timedelta(days=10)

    later = prioritise(finding(), WEB1, known, NOON + timedelta(days=30), first_seen=seen)

    assert later.due == seen + timedelta(days=60)


def test_the_risk_is_shown_as_the_product_it_is() -> None:
    host = replace(EXPOSED, critical=True)
    known = Vulnerability(cve="CVE-2026-1", epss=epss(0.5), cvss=cvss(8.0))

    line = said(decide(known, host), "Risk")

    assert line.startswith(
        "1.60000: Exploit probability 0.50000 x impact 0.80 x criticality 2 x exposure 2."
    )


def test_a_missing_impact_counts_as_the_worst_and_says_so() -> None:
    known = Vulnerability(cve="CVE-2026-1", epss=epss(0.5))

    assert decide(known).order <= decide(replace(known, cvss=cvss(10.0))).order
    assert "impact 1.00 (unknown: the worst)" in said(decide(known), "Risk")


def test_inside_a_band_the_product_decides_and_not_the_probability_alone() -> None:
    likely = Vulnerability(cve="CVE-2026-1", epss=epss(0.5), cvss=cvss(2.0))
    grave = Vulnerability(cve="CVE-2026-2", epss=epss(0.4), cvss=cvss(9.8))

    assert decide(grave).order < decide(likely).order


def test_assessments_that_contradict_each_other_are_named_with_their_sources() -> None:
    nvd, cna = cvss(9.8), replace(cvss(7.5), source="cna:openssl")
    known = Vulnerability(cve="CVE-2026-1", cvss_candidates=(cna, nvd))

    priority = decide(known)

    assert said(priority, "CVSS").startswith("9.8: Version 3.1 by NVD")
    assert said(priority, "CVSS contradicted") == (
        "7.5 to 9.8: NVD says 9.8, the CNA openssl says 7.5. The first one counts."
    )


def test_each_date_that_a_rule_sets_is_shown_and_the_earliest_governs() -> None:
    known = Vulnerability(cve="CVE-2026-1", kev=KEV, ssvc=NO_NO)

    priority = decide(known)
    dates = [line for line in priority.contributions if line.name in {"Due", "Also due"}]

    assert [line.value for line in dates] == ["2026-11-22 23:59Z", "2026-12-04 12:00Z"]
    assert "The earliest governs" in dates[0].text
    assert "BOD 26-04 1.0.0: 14 days" in dates[1].text


def test_a_finding_can_be_read_by_somebody_who_has_not_seen_the_code() -> None:
    known = Vulnerability(
        cve="CVE-2024-6119",
        epss=epss(0.02, 0.84),
        cvss_candidates=(cvss(7.5),),
        ssvc=replace(NO_NO, automatable=True),
    )
    seen = replace(
        finding("CVE-2024-6119", "3.0.14-1~deb12u2"),
        package="openssl",
        installed="3.0.13-1~deb12u1",
        advisory="DSA-5764-1",
        fix_published=datetime(2024, 9, 3, tzinfo=UTC),
        because=Because(
            feed="debian",
            document="osv/DSA-5764-1.json",
            compared="openssl 3.0.13-1~deb12u1 < 3.0.14-1~deb12u2",
            document_date=date(2024, 9, 3),
            order="dpkg",
        ),
    )

    priority = decide(known, EXPOSED, seen)

    assert [f"{line.name} = {line.value}: {line.text}" for line in priority.contributions] == [
        "What = CVE-2024-6119: openssl 3.0.13-1~deb12u1 on web1 lacks the fix in "
        "3.0.14-1~deb12u2, which is offered to it.",
        "Because = debian: osv/DSA-5764-1.json of 2024-09-03 (statement DSA-5764-1): "
        "openssl 3.0.13-1~deb12u1 < 3.0.14-1~deb12u2, in the order of dpkg.",
        "KEV = no: Not in CISA's catalogue.",
        "Exposed = yes: Reachable from the internet.",
        "Critical host = no: Not declared as critical.",
        "Automatable = yes: SSVC by cisa-adp.",
        "Technical impact = partial: SSVC by cisa-adp.",
        "Exploitation = none: SSVC by cisa-adp.",
        "Timeline = 14 days: CISA BOD 26-04, table 1.0.0 of 2026-07-20.",
        "EPSS = 0.02000: Percentile 84.00%. Model v2026.06.15 of 2026-06-20.",
        "CVSS = 7.5: Version 3.1 by NVD: V.",
        "Risk = 0.03000: Exploit probability 0.02000 x impact 0.75 x criticality 1 x exposure 2. "
        "Decides the order inside lane and band.",
        "Due = 2026-12-04 12:00Z: BOD 26-04 1.0.0: 14 days, counted from 2026-11-20 12:00Z. "
        "The earliest governs.",
        "Lane = expedited: CISA BOD 26-04: 14 days.",
        "Profile = bod-26-04: Version 1.0.0 of 2026-07-20: CISA BOD 26-04 of 2026-06-10, table as "
        "published by CERTCC/SSVC, cisa_bod_26_04_1_0_0.csv. 2 points of it are unverified.",
    ]
    assert priority.rule == "CISA BOD 26-04: 14 days."
    assert priority.profile == "bod-26-04 1.0.0 of 2026-07-20"
