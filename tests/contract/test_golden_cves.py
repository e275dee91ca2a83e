"""The golden CVEs get the right fix, scores, lane and due date, through the whole of the real path.

A folder of real excerpts is refreshed, compiled, loaded, matched with hosts that lack the fix, and
judged under BOD 26-04. Where the golden file says otherwise, differences are listed with a reason
in judged_differences.csv: a new one fails, and so does one that went away.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from tests.contract.golden import GOLDEN, SCANNED, Row
from tests.contract.golden_world import (
    MODELS,
    PROFILE,
    ROWS,
    V3,
    V4,
    V5,
    VENDOR,
    column_of,
    judged,
    lacking,
    made_world,
)
from wavemend.advisories import Vulnerability
from wavemend.feeds.refresh import FeedResult, FeedStatus
from wavemend.findings import Finding
from wavemend.knowledge import Intelligence
from wavemend.policy.timelines import Timeline, timelines
from wavemend.scoring import Lane, Priority

# CISA BOD 26-04, copied out by hand from the directive's table, not read from our file. Columns:
# automatable no and impact partial, no and total, yes and partial, yes and total.
WORDS = ("no and partial", "no and total", "yes and partial", "yes and total")
UPGRADE, FORENSIC = "fix on system upgrade", "3 days & forensic investigation"
DIRECTIVE = {
    ("not in KEV", "internal"): (UPGRADE, UPGRADE, "60 days", "60 days"),
    ("not in KEV", "exposed"): ("60 days", "14 days", "14 days", "3 days"),
    ("in KEV", "internal"): ("14 days", "14 days", "14 days", FORENSIC),
    ("in KEV", "exposed"): ("14 days", FORENSIC, "3 days", FORENSIC),
}
STRICTEST_FIRST = (FORENSIC, "3 days", "14 days", "60 days", UPGRADE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What the whole path made of the golden rows, under one EPSS table."""

    results: tuple[FeedResult, ...]
    known: Intelligence
    vendor: Intelligence
    """The same state, but only what Debian itself said."""


@pytest.fixture(scope="module")
def by_model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Walked]:
    """Walk the path once per EPSS table, the catalogue and the rest being the same."""
    walked = {}
    for day in (V3, V4, V5):
        world = made_world(tmp_path_factory.mktemp(day), epss=day)
        results = world.refresh()
        walked[day] = Walked(results=results, known=world.load(), vendor=world.load(VENDOR))
    return walked


@pytest.fixture(scope="module")
def known(by_model: dict[str, Walked]) -> Intelligence:
    return by_model[V5].known


def test_every_document_is_taken_without_loss(by_model: dict[str, Walked]) -> None:
    for day, walked in by_model.items():
        read = {}
        for result in walked.results:
            assert result.status is FeedStatus.REFRESHED, result.reason
            assert result.snapshot is not None
            assert (result.snapshot.rejected, result.snapshot.flaws) == (0, ())
            read[result.feed] = result.snapshot.read
        scored = len(column_of(day, "epss"))
        assert read == {
            "cve": 14,
            VENDOR: 565,
            "debian-tracker": 13,
            "epss": scored,
            "kev": 9,
            "metasploit": 5,
            "nuclei": 3,
            "nvd": 1,
        }


def test_every_difference_from_the_golden_rows_is_listed_with_its_reason(
    by_model: dict[str, Walked],
) -> None:
    compared = [
        (row.cve, what, golden, ours)
        for row in ROWS
        for what, golden, ours in compared_fields(row, by_model)
    ]

    with (GOLDEN / "judged_differences.csv").open(newline="", encoding="utf-8") as lines:
        stored = list(csv.DictReader(lines))
    assert [item for item in compared if item[2] != item[3]] == [
        (line["cve"], line["what"], line["golden"], line["ours"]) for line in stored
    ]
    assert [line["cve"] for line in stored if len(line["reason"]) < 20] == []


def test_most_of_what_the_golden_rows_say_is_met(by_model: dict[str, Walked]) -> None:
    """So that the list of differences does not shrink because less was compared."""
    fields = [field for row in ROWS for field in compared_fields(row, by_model)]
    spoken = [(what, golden == ours) for what, golden, ours in fields if golden]

    met = {what: sum(same for name, same in spoken if name == what) for what, _ in spoken}
    assert met == {
        "fixed in": 13,
        "CVSS": 16,
        "EPSS v3": 18,
        "EPSS v4": 25,
        "KEV": 9,
        "public exploits": 6,
        "SSVC": 14,
        "timeline, exposed": 14,
        "timeline, internal": 14,
        "zero-day": 24,
    }


def compared_fields(row: Row, by_model: dict[str, Walked]) -> Iterator[tuple[str, str, str]]:
    """Yield what is compared: its name, the golden file's word, and ours. Empty: nothing said."""
    cells, path = row.fields, by_model[V5]
    vulnerability = path.known.vulnerability(row.cve)
    yield "fixed in", f"{row.package} {row.fixed}", fix_words(lacking(row, path.vendor))
    yield "CVSS", golden_cvss(row), cvss_words(vulnerability)
    for name, column, day in (
        ("EPSS v3", "epss_v3_20250215", V3),
        ("EPSS v4", "epss_v4_20260613", V4),
    ):
        ours = by_model[day].known.vulnerability(row.cve).epss
        golden = f"{float(cells[column]):.5f} by {MODELS[day]} of {day}" if cells[column] else ""
        yield name, golden, f"{ours.probability:.5f} by {ours.model} of {ours.date}" if ours else ""
    listed = f"added {cells['kev_date_added']}, due {cells['kev_due']}, {cells['kev_ransomware']}"
    yield "KEV", listed if cells["kev"] == "True" else "", kev_words(vulnerability)
    lists = {"metasploit": cells["metasploit"], "nuclei": cells["nuclei_http"]}
    kinds = {item.kind for item in vulnerability.exploits}
    yield (
        "public exploits",
        ", ".join(name for name, told in lists.items() if told == "True"),
        ", ".join(name for name in lists if name in kinds),
    )
    answers = [
        cells[f"ssvc_{name}"] for name in ("exploitation", "automatable", "technical_impact")
    ]
    yield "SSVC", ", ".join(answers) if any(answers) else "", ssvc_words(vulnerability)
    for name, column in (("exposed", "bod2604_exposed"), ("internal", "bod2604_internal")):
        if cells[column]:  # without SSVC answers the golden file says nothing, and we the worst
            worst, best = timelines(vulnerability, exposed=name == "exposed", table=PROFILE.table)
            assert worst == best
            yield f"timeline, {name}", cells[column], timeline_words(worst)
    yield "zero-day", golden_zero_day(row), zero_day_words(judged(row, path.known, exposed=False))


def fix_words(finding: Finding | None) -> str:
    if finding is None:
        return "no record"
    return f"{finding.package} {finding.fixed or 'no fixed version'}"


def golden_cvss(row: Row) -> str:
    """Return score, vector and source; sources in our words where they are documents of ours."""
    vector, score = row.fields["cvss3_vector"], row.fields["cvss3_score"]
    source = row.fields["cvss_source"]
    if source.startswith("cve5-cna "):
        source = f"cna:{source.split()[1]}"
    for theirs, ours in (
        ("cve5-adp CISA-ADP", "cisa-adp"),
        ("OSV severity", "distribution:debian-osv"),
        ("nvd nvd@nist.gov", "nvd"),
    ):
        source = ours if source.startswith(theirs) else source
    return " ".join(part for part in (score, vector, source) if part)


def cvss_words(vulnerability: Vulnerability) -> str:
    cvss = vulnerability.cvss
    if cvss is None:
        return ""
    assert cvss.computed_score == cvss.score  # none of these scores is disputed
    return f"{cvss.score:.1f} {cvss.vector} {cvss.source}"


def kev_words(vulnerability: Vulnerability) -> str:
    kev = vulnerability.kev
    if kev is None:
        return ""
    used = "Known" if kev.ransomware else "Unknown"
    return f"added {kev.date_added}, due {kev.due_date}, {used}"


def ssvc_words(vulnerability: Vulnerability) -> str:
    ssvc = vulnerability.ssvc
    if ssvc is None:
        return ""
    automatable = {True: "yes", False: "no", None: "unknown"}[ssvc.automatable]
    impact = {True: "total", False: "partial", None: "unknown"}[ssvc.impact_total]
    return f"{ssvc.exploitation}, {automatable}, {impact}"


def timeline_words(timeline: Timeline) -> str:
    if timeline.days is None:
        return UPGRADE
    return f"{timeline.days} days{' & forensic investigation' if timeline.forensic else ''}"


def golden_zero_day(row: Row) -> str:
    """Listed as exploited before the golden file's day of the fix, or within a week after it."""
    if row.fields["kev"] != "True":
        return "no"
    fix = datetime.strptime(row.fields["fix_date"], "%a, %d %b %Y %H:%M:%S %z").date()
    added = date.fromisoformat(row.fields["kev_date_added"])
    return "yes" if added <= fix + timedelta(days=7) else "no"


def zero_day_words(priority: Priority) -> str:
    return "yes" if priority.zero_day else "no"


def test_a_priority_shows_the_scores_that_were_compared(known: Intelligence) -> None:
    """The profile has an order of CVSS sources of its own: it must come to the same."""
    for row in ROWS:
        vulnerability = known.vulnerability(row.cve)
        cvss, epss = vulnerability.cvss, vulnerability.epss

        shown = {line.name: line for line in judged(row, known, exposed=True).contributions}

        assert shown["CVSS"].value == (f"{cvss.score:.1f}" if cvss else "unscored")
        assert cvss is None or cvss.vector in shown["CVSS"].text
        assert shown["EPSS"].value == (f"{epss.probability:.5f}" if epss else "unscored")
        assert epss is None or f"Model {epss.model} of {epss.date}." in shown["EPSS"].text
        assert shown["KEV"].value == ("yes" if row.fields["kev"] == "True" else "no")


@pytest.mark.parametrize("reach", ["exposed", "internal"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.cve)
def test_a_golden_cve_gets_the_directives_lane_and_due_date(
    row: Row, reach: str, known: Intelligence
) -> None:
    timeline = directive(row, reach)

    priority = judged(row, known, exposed=reach == "exposed")

    assert priority.lane is directive_lane(row, timeline)
    assert priority.due == directive_due(row, timeline)
    assert priority.forensic == (timeline == FORENSIC)
    assert priority.profile == "bod-26-04 1.0.0 of 2026-07-20"


def directive(row: Row, reach: str) -> str:
    """Return the strictest outcome that the golden row's answers leave open."""
    listed = "in KEV" if row.fields["kev"] == "True" else "not in KEV"
    automatable = [row.fields["ssvc_automatable"]] if row.fields["ssvc_automatable"] else None
    impact = [row.fields["ssvc_technical_impact"]] if automatable else None
    open_ = product(automatable or ("no", "yes"), impact or ("partial", "total"))
    outcomes = [DIRECTIVE[listed, reach][WORDS.index(f"{a} and {i}")] for a, i in open_]
    return min(outcomes, key=STRICTEST_FIRST.index)


def directive_lane(row: Row, timeline: str) -> Lane:
    if row.fields["kev"] == "True" or timeline in {FORENSIC, "3 days"}:
        return Lane.EMERGENCY
    return Lane.EXPEDITED if timeline == "14 days" else Lane.ROUTINE


def directive_due(row: Row, timeline: str) -> datetime | None:
    """Return the earlier of the directive's days from the first sight and KEV's own date."""
    dates = (
        [] if timeline == UPGRADE else [SCANNED + timedelta(days=int(timeline.partition(" ")[0]))]
    )
    if row.fields["kev_due"]:
        day = date.fromisoformat(row.fields["kev_due"])
        dates.append(datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC))
    return min(dates, default=None)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.cve)
def test_a_host_with_the_golden_version_lacks_nothing(row: Row, known: Intelligence) -> None:
    assert lacking(row, known, row.fixed) is None


def test_without_the_vendors_fix_it_is_for_a_person_and_with_it_it_is_installable(
    by_model: dict[str, Walked],
) -> None:
    """CVE-2024-50602 had no fixed version in Debian on 2025-02-12, and has one today."""
    row = next(row for row in ROWS if row.cve == "CVE-2024-50602")
    before, after = by_model[V5].vendor, by_model[V5].known

    assert judged(row, before, exposed=False).lane is Lane.MANUAL
    assert judged(row, after, exposed=False).lane is Lane.ROUTINE


def test_what_is_exploited_comes_first_under_every_model(by_model: dict[str, Walked]) -> None:
    for walked in by_model.values():
        for exposed in (True, False):
            ranked = sorted(ROWS, key=lambda row: judged(row, walked.known, exposed=exposed).order)
            assert ranked[0].cve == "CVE-2024-4577"  # the only one that ransomware uses
            assert [row.fields["kev"] for row in ranked] == ["True"] * 9 + ["False"] * 18


def test_scores_of_v5_are_those_of_its_table_and_of_no_older_one(known: Intelligence) -> None:
    """The golden column of v5 is of 2026-08-15, a table that is not stored here."""
    table = column_of(V5, "epss")

    for row in ROWS:
        epss = known.vulnerability(row.cve).epss
        assert (epss.probability if epss else None) == table.get(row.cve)
        assert epss is None or (epss.model, epss.date) == (MODELS[V5], date.fromisoformat(V5))
    unscored = {row.cve for row in ROWS} - set(table)
    assert unscored == {"CVE-2026-107161", "CVE-2026-109518"}
    assert {row.cve for row in ROWS if not row.fields["epss_v5_20260815"]} == unscored
