"""A risk profile is a data file that says where it comes from; a wrong one is refused by place."""

from importlib import resources

import pytest

from wavemend.advisories import Cvss, CvssOrder, UpdateClass, choose_cvss
from wavemend.errors import FleetError
from wavemend.policy.risk_profiles import (
    DEFAULT_PROFILE,
    PROFILE_NAMES,
    RiskProfile,
    read_profile,
    risk_profile,
)
from wavemend.policy.severities import Severity, severity_of_score, severity_of_word
from wavemend.policy.timelines import bod_table, read_table

DATA = resources.files("wavemend") / "data"
TEXT = (DATA / "essential-eight.toml").read_text("utf-8")
TABLE = (DATA / "cisa_bod_26_04.csv").read_text("utf-8")


def read(text: str) -> RiskProfile:
    return read_profile(text, "ours.toml", lambda name: (DATA / name).read_text("utf-8"))


def refused(text: str) -> str:
    with pytest.raises(FleetError) as caught:
        read(text)
    return str(caught.value)


def test_every_profile_says_its_edition_source_and_what_is_unverified() -> None:
    for name in PROFILE_NAMES:
        profile = risk_profile(name)
        assert profile.name == name
        assert profile.version
        assert profile.date >= "2025-12-09"
        assert profile.source
        assert profile.unverified
        assert len(profile.digest) == 64
    assert DEFAULT_PROFILE is risk_profile("bod-26-04")


def test_every_rule_that_no_primary_text_confirms_says_so() -> None:
    pci = risk_profile("pci-dss-4.0.1")
    critical = pci.sla(UpdateClass.SECURITY, Severity.CRITICAL)
    other = pci.sla(UpdateClass.SECURITY, Severity.HIGH)

    assert critical is not None
    assert other is not None
    assert "(unverified)" in critical.rule
    assert "(our choice)" in other.rule
    assert (critical.exposed_days, other.exposed_days) == (30, 90)


@pytest.mark.parametrize(
    ("update_class", "severity", "exposed", "internal"),
    [
        (UpdateClass.SECURITY, Severity.CRITICAL, 2, 2),
        (UpdateClass.SECURITY, Severity.HIGH, 14, 30),
        (UpdateClass.SECURITY, Severity.LOW, 14, 30),
        (UpdateClass.DRIVER, Severity.CRITICAL, 2, 2),
        (UpdateClass.DRIVER, Severity.LOW, 30, 30),
        (UpdateClass.FIRMWARE, Severity.CRITICAL, 2, 2),
        (UpdateClass.FIRMWARE, Severity.MEDIUM, 30, 30),
    ],
)
def test_essential_eight_has_the_timings_of_maturity_level_three(
    update_class: UpdateClass, severity: Severity, exposed: int, internal: int
) -> None:
    sla = risk_profile("essential-eight").sla(update_class, severity)

    assert sla is not None
    assert (sla.days(exposed=True), sla.days(exposed=False)) == (exposed, internal)
    assert "ISM-" in sla.rule


def test_the_default_profile_sets_no_deadline_of_its_own_for_security() -> None:
    assert DEFAULT_PROFILE.sla(UpdateClass.SECURITY, Severity.CRITICAL) is None
    assert DEFAULT_PROFILE.table is not None
    assert DEFAULT_PROFILE.table_governs


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(FleetError, match=r"'hipaa'.*known: bod-26-04, essential-eight"):
        risk_profile("hipaa")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "essential-eight"', "name = ", "ours.toml: is not TOML: Invalid value (at line 3"),
        ("emergency_days = 3", 'emergency_days = "3"', "lanes.emergency_days: Input should be a"),
        ("emergency_days = 3", "emergency_day = 3", "lanes.emergency_days: Field required (and 1"),
        ("emergency_days = 3", "emergency_days = 30", "lanes.expedited_days: is less than"),
        ("attacked_days = 14", "attacked_days = 15", "lanes.attacked_days: is more than"),
        ("attacked_days = 14", "", "lanes.attacked_days: Field required"),
        ("critical_host = 2.0", "critical_host = 0.5", "weights.critical_host: Input should be"),
        ("critical_host = 2.0", "critical_host = inf", "weights.critical_host: Input should be"),
        ("metasploit = 0.5", "metasploit = nan", "evidence.metasploit: Input should be"),
        ("other = 0.1", "", "evidence.other: is missing"),
        ('default = ["critical"]', "", "critical_words.default: is missing"),
        ('"3.0"', '"3.2"', "cvss.versions: names each of 2.0, 3.0, 3.1, 4.0 once"),
        ('["nvd", "cna"', '["cna", "cna"', "cvss.sources: names each of"),
        ('first = "version"', 'first = "highest"', "cvss.first: Input should be 'version' or"),
        ("cisa_bod_26_04.csv", "none.csv", "timeline.table: none.csv cannot be read"),
        ("cisa_bod_26_04.csv", "../etc/x.csv", "timeline.table: String should match"),
        ('class = "firmware"', 'class = "firmwear"', "sla.5.class: Input should be"),
        ("exposed_days = 14", "exposed_days = 31", "sla.2.exposed_days: more than on a host"),
        ('severity = "low"', 'severity = "critical"', "security critical occurs twice"),
        ("exposed_days = 2\n", "exposed_days = 20\n", "sla.1"),
        ('clock = "release"', 'clock = "detected"', "security counts from two different days"),
    ],
)
def test_a_wrong_profile_is_refused_and_the_key_is_named(old: str, new: str, said: str) -> None:
    assert old in TEXT

    message = refused(TEXT.replace(old, new, 1))

    assert message.startswith("ours.toml: ")
    assert said in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("no,no,no,partial,,no", "no,no,no,partial,soon,no", "line 7: 'no,no,no,partial,soon,no'"),
        ("no,no,no,partial,,no", "maybe,no,no,partial,,no", "line 7: 'maybe"),
        ("no,no,no,partial,,no", "no,no,no,partial,0,no", "line 7: days are from 1"),
        ("no,no,no,partial,,no", "no,no,no,total,,no", "line 11: these answers occur twice"),
        ("no,no,no,partial,,no\n", "", "has no row for kev no, exposed no, automatable no, impact"),
        ("no,no,no,partial,,no", "no,no,no,partial,,no,x", "line 7: "),
        ("# version: 1.0.0", "# versions: 1", "has no comment line '# version: ...'"),
        ("kev,exposed", "exposed,kev", "its columns are not kev, exposed"),
        ("yes,yes,yes,total,3,yes", "yes,yes,yes,total,15,no", "has more time (15 days) than"),
    ],
)
def test_a_wrong_table_is_refused_and_the_line_is_named(old: str, new: str, said: str) -> None:
    assert old in TABLE

    with pytest.raises(FleetError) as caught:
        read_table(TABLE.replace(old, new, 1), "ours.csv")

    assert str(caught.value).startswith("ours.csv: ")
    assert said in str(caught.value)


DIRECTIVE = {
    # Typed a second time from the directive's own layout, automatable and impact from left to
    # right: no/partial, no/total, yes/partial, yes/total. F: with forensic triage.
    (False, False): ("", "", "60", "60"),
    (False, True): ("60", "14", "14", "3"),
    (True, False): ("14", "14", "14", "3F"),
    (True, True): ("14", "3F", "3", "3F"),
}


def test_the_table_equals_a_second_transcription_in_all_sixteen_rows() -> None:
    for (kev, exposed), cells in DIRECTIVE.items():
        for place, cell in enumerate(cells):
            timeline = bod_table().rows[kev, exposed, place >= 2, place % 2 == 1]
            days = "" if timeline.days is None else str(timeline.days)
            assert days + "F" * timeline.forensic == cell


def assessed(version: str, score: float, source: str) -> Cvss:
    return Cvss(version=version, vector="V", score=score, computed_score=None, source=source)


def test_the_order_of_assessments_is_configuration() -> None:
    nvd, cna = assessed("3.1", 9.8, "nvd"), assessed("4.0", 7.5, "cna:openssl")
    old = assessed("2.0", 10.0, "nvd")
    vendor_first = CvssOrder(sources=("cna", "nvd", "cisa-adp", "distribution"))
    newest_first = CvssOrder(versions=(("4.0",), ("3.1",), ("3.0",), ("2.0",)))
    by_source = CvssOrder(first="source")

    assert choose_cvss((cna, nvd, old)) == nvd
    assert choose_cvss((nvd, cna, old), vendor_first) == cna
    assert choose_cvss((nvd, cna, old), newest_first) == cna
    assert choose_cvss((cna, old)) == cna
    assert choose_cvss((cna, old), by_source) == old


def test_of_two_that_differ_in_nothing_but_the_score_the_worse_counts_in_any_order() -> None:
    low, high = assessed("3.1", 7.0, "nvd"), assessed("3.1", 8.0, "nvd")

    assert choose_cvss((low, high)) == choose_cvss((high, low)) == high


def test_a_score_and_a_word_mean_the_same_steps() -> None:
    scores = (0.0, 3.9, 4.0, 6.9, 7.0, 8.9, 9.0, 10.0)

    assert [severity_of_score(score).rank for score in scores] == [0, 0, 1, 1, 2, 2, 3, 3]
    words = ("SEVERITY_IMPORTANT", " Moderate", "Critical", "not yet assigned")
    assert [severity_of_word(word) for word in words] == [
        Severity.HIGH,
        Severity.MEDIUM,
        Severity.CRITICAL,
        None,
    ]
