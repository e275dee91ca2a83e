"""A priority explains itself, and bad news never makes anything later."""

import csv
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_findings import WEB1
from wavemend.advisories import Cvss, Epss, KevEntry, Ssvc, Vulnerability
from wavemend.findings import Because, Finding
from wavemend.hosts import Host
from wavemend.scoring import Lane, Priority, prioritise
from wavemend.timelines import bod_table, timelines

GOLDEN = Path(__file__).parents[1] / "cases" / "feeds" / "golden_debian12_cves.csv"
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
        source_package="zip",
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


answers = st.one_of(st.none(), st.booleans())
units = st.floats(0, 1, allow_nan=False)
vulnerabilities = st.builds(
    Vulnerability,
    cve=st.sampled_from(["CVE-2024-6119", "CVE-2026-116303"]),
    cvss=st.one_of(st.none(), st.builds(cvss, st.floats(0, 10), st.sampled_from(["2.0", "3.1"]))),
    epss=st.one_of(st.none(), st.builds(epss, units)),
    kev=st.one_of(
        st.none(),
        st.builds(
            KevEntry,
            date_added=st.just(date(2026, 1, 1)),
            due_date=st.one_of(st.none(), st.dates(date(2020, 1, 1), date(2030, 1, 1))),
            ransomware=st.sampled_from([None, True]),
            name=st.just(""),
        ),
    ),
    kev_known=st.booleans(),
    ssvc=st.one_of(
        st.none(),
        st.builds(
            Ssvc,
            exploitation=st.just(""),
            automatable=answers,
            impact_total=answers,
            source=st.just("x"),
        ),
    ),
)
findings = st.builds(finding, fixed=st.sampled_from([None, "2"]), unimportant=st.booleans())
FOREVER = datetime.max.replace(tzinfo=UTC)


def assert_not_softer(before: Priority, after: Priority) -> None:
    assert after.order <= before.order
    assert (after.due or FOREVER) <= (before.due or FOREVER)


@given(vulnerabilities, findings, st.booleans(), st.sampled_from([None, True]))
def test_adding_kev_never_lowers_or_delays(
    known: Vulnerability, given_finding: Finding, exposed: bool, ransomware: bool | None
) -> None:
    host = replace(WEB1, exposed=exposed)
    unlisted = replace(known, kev=None, kev_known=True)
    listed = replace(unlisted, kev=replace(KEV, ransomware=ransomware))

    assert_not_softer(decide(unlisted, host, given_finding), decide(listed, host, given_finding))


@given(vulnerabilities, findings, st.booleans())
def test_a_missing_catalogue_is_never_better_than_one_without_the_cve(
    known: Vulnerability, given_finding: Finding, exposed: bool
) -> None:
    host = replace(WEB1, exposed=exposed)
    there = replace(known, kev=None, kev_known=True)

    assert_not_softer(
        decide(there, host, given_finding),
        decide(replace(there, kev_known=False), host, given_finding),
    )


@given(vulnerabilities, findings, st.booleans(), units, units)
def test_raising_epss_never_lowers_or_delays(
    known: Vulnerability, given_finding: Finding, exposed: bool, one: float, other: float
) -> None:
    host = replace(WEB1, exposed=exposed)
    low, high = sorted((one, other))

    assert_not_softer(
        decide(replace(known, epss=epss(low)), host, given_finding),
        decide(replace(known, epss=epss(high)), host, given_finding),
    )


@given(vulnerabilities, findings, st.floats(0, 10), st.floats(0, 10))
def test_raising_cvss_never_lowers_or_delays(
    known: Vulnerability, given_finding: Finding, one: float, other: float
) -> None:
    low, high = sorted((one, other))

    assert_not_softer(
        decide(replace(known, cvss=cvss(low)), WEB1, given_finding),
        decide(replace(known, cvss=cvss(high)), WEB1, given_finding),
    )


@given(vulnerabilities, findings)
def test_exposing_the_host_never_lowers_or_delays(
    known: Vulnerability, given_finding: Finding
) -> None:
    assert_not_softer(decide(known, WEB1, given_finding), decide(known, EXPOSED, given_finding))


@given(vulnerabilities, findings, st.booleans(), answers, answers)
def test_an_unknown_ssvc_answer_is_never_better_than_any_known_one(
    known: Vulnerability,
    given_finding: Finding,
    exposed: bool,
    automatable: bool | None,
    impact: bool | None,
) -> None:
    host = replace(WEB1, exposed=exposed)
    answered = Ssvc(exploitation="", automatable=automatable, impact_total=impact, source="x")

    assert_not_softer(
        decide(replace(known, ssvc=answered), host, given_finding),
        decide(replace(known, ssvc=None), host, given_finding),
    )
