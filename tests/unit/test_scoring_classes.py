"""Each class of update has its own way, and a zero-day is told from the days of attack and fix."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.unit.test_findings import WEB1
from tests.unit.test_scoring import EXPOSED, KEV, NO_NO, NOON, cvss, decide, finding, said
from wavemend.advisories import AdvisoryStatus, Exploit, UpdateClass, Vulnerability
from wavemend.findings import Because, Finding
from wavemend.policy.risk_profiles import risk_profile
from wavemend.scoring import Lane, Priority, prioritise

FIX = datetime(2026, 11, 10, 18, tzinfo=UTC)
CVE = Vulnerability(cve="CVE-2026-1", ssvc=NO_NO, cvss=cvss(5.0))
NOBODY = Vulnerability(cve="")


def fixed_on(day: datetime | None = FIX, fixed: str | None = "2") -> Finding:
    return replace(finding(fixed=fixed), fix_published=day)


def exploit(kind: str, day: date | None) -> Vulnerability:
    return replace(CVE, exploits=(Exploit(kind=kind, reference="x/1", published=day),))


def functional(update_class: UpdateClass, severity: str = "", feed: str = "almalinux") -> Finding:
    return replace(
        finding(""),
        update_class=update_class,
        severity=severity,
        advisory="ALBA-2026:1",
        fix_published=FIX,
        because=Because(feed=feed, document="d", compared="1 < 2"),
    )


def ended(day: date | None, note: str = "Debian 12 gets no fixes any more") -> Finding:
    return replace(
        finding("", None),
        update_class=UpdateClass.END_OF_LIFE,
        advisory="eol:bookworm",
        ends=day,
        note=note,
    )


def under(name: str, seen: Finding, known: Vulnerability = NOBODY) -> Priority:
    return prioritise(seen, WEB1, known, NOON, profile=risk_profile(name))


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        (date(2026, 11, 1), True),  # before the fix
        (date(2026, 11, 17), True),  # on the seventh day after it
        (date(2026, 11, 18), False),
    ],
)
def test_public_before_the_fix_or_within_a_week_after_it_is_a_zero_day_and_expedited(
    day: date, counts: bool
) -> None:
    priority = decide(exploit("exploitdb", day), given=fixed_on())

    assert priority.zero_day is counts
    assert priority.lane is (Lane.EXPEDITED if counts else Lane.ROUTINE)
    if counts:
        assert said(priority, "Zero-day") == (
            f"public: Public since {day}; the fix came on 2026-11-10, and up to 7 days after it "
            "counts."
        )


def test_a_zero_day_comes_before_what_is_worse_scored_but_was_never_public_early() -> None:
    zero = decide(exploit("exploitdb", date(2026, 11, 1)), given=fixed_on())
    later = decide(exploit("metasploit", date(2026, 11, 19)), given=fixed_on())

    assert zero.order < later.order


def test_inside_a_lane_a_zero_day_comes_before_the_stricter_band() -> None:
    seen = replace(finding(fixed=None), fix_published=FIX)  # both wait for a person
    strict = replace(CVE, ssvc=replace(NO_NO, automatable=True), cvss=cvss(10.0))
    public = exploit("exploitdb", date(2026, 11, 1))

    assert decide(public, given=seen).order < decide(strict, given=seen).order


def test_exploited_on_an_unknown_day_counts_as_early_whatever_kev_says_later() -> None:
    late = replace(KEV, date_added=date(2026, 11, 18))

    priority = decide(replace(exploit("msrc-exploited", None), kev=late), given=fixed_on())

    assert priority.zero_day
    assert "since a day that is not known" in said(priority, "Zero-day")


def test_what_the_vendor_says_is_exploited_is_an_emergency_before_kev_lists_it() -> None:
    priority = decide(exploit("msrc-exploited", None), given=fixed_on())

    assert (priority.lane, priority.zero_day) == (Lane.EMERGENCY, True)
    assert priority.rule == "Known to be exploited."
    assert "Exploited, says Microsoft" in said(priority, "Exploit")
    assert priority.order > decide(replace(CVE, kev=KEV), given=fixed_on()).order


def test_a_kev_entry_long_after_the_fix_is_exploited_and_no_zero_day() -> None:
    priority = decide(
        replace(CVE, kev=replace(KEV, date_added=date(2026, 11, 18))), given=fixed_on()
    )

    assert (priority.lane, priority.zero_day) == (Lane.EMERGENCY, False)


def test_without_the_day_of_the_fix_the_cves_day_stands_for_it_and_then_the_worst() -> None:
    early = exploit("exploitdb", date(2026, 11, 1))
    dated = replace(early, published=datetime(2026, 10, 1, tzinfo=UTC))

    assert decide(early, given=fixed_on(None)).zero_day
    assert not decide(dated, given=fixed_on(None)).zero_day


def test_evidence_without_a_day_is_no_zero_day_but_raises_the_risk() -> None:
    plain, with_template = decide(CVE), decide(exploit("nuclei", None))

    assert not with_template.zero_day
    assert with_template.lane is plain.lane
    assert with_template.order < plain.order
    assert "no date given" in said(with_template, "Exploit")


def test_exploited_without_any_fix_is_a_zero_day_that_needs_a_person() -> None:
    priority = decide(replace(CVE, kev=KEV), given=fixed_on(None, None))

    assert (priority.lane, priority.zero_day) == (Lane.MANUAL, True)
    assert "mitigate" in priority.rule


def test_an_end_of_life_is_a_decision_of_a_person_due_on_the_last_day() -> None:
    priority = decide(NOBODY, given=ended(date(2026, 12, 31)))

    assert priority.lane is Lane.MANUAL
    assert priority.due == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert priority.due_reason == "The vendor's last day with fixes, 2026-12-31"
    assert "move to a supported release" in priority.rule
    assert "Debian 12 gets no fixes any more" in said(priority, "What")


def test_an_end_on_an_unknown_day_is_due_since_it_was_first_seen_and_stays_so() -> None:
    seen = NOON - timedelta(days=3)
    dues = [
        prioritise(ended(None), WEB1, NOBODY, now, first_seen=seen).due
        for now in (NOON, NOON + timedelta(days=9))
    ]

    assert dues == [seen, seen]


def test_support_for_some_uses_only_is_no_end_and_is_never_overdue() -> None:
    limited = replace(ended(None, "Only for trusted content"), status=AdvisoryStatus.UNFIXED)

    priority = decide(NOBODY, given=limited)

    assert (priority.lane, priority.due) == (Lane.MANUAL, None)
    assert "some uses only" in priority.due_reason
    assert "some uses only" in priority.rule
    gone = replace(limited, status=AdvisoryStatus.WILL_NOT_FIX)
    assert decide(NOBODY, given=gone).due is not None


def test_an_end_of_life_comes_before_the_unfixed_cves_of_its_lane() -> None:
    unfixed = decide(CVE, given=finding(fixed=None))

    assert decide(NOBODY, given=ended(None)).order < unfixed.order


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (AdvisoryStatus.NEEDS_SUBSCRIPTION, "attach a subscription"),
        (AdvisoryStatus.WILL_NOT_FIX, "The vendor will not fix it"),
        (AdvisoryStatus.UNFIXED, "no fixed version to install"),
    ],
)
def test_what_cannot_be_installed_needs_a_person_and_says_the_way_out(
    status: AdvisoryStatus, words: str
) -> None:
    fixed = "2" if status is AdvisoryStatus.NEEDS_SUBSCRIPTION else None
    seen = replace(finding(fixed=fixed), status=status, fix_pending=False)

    priority = decide(CVE, given=seen)

    assert priority.lane is Lane.MANUAL
    assert words in priority.rule
    assert "waiver" in priority.rule


def test_a_host_that_is_offered_the_paid_fix_can_install_it() -> None:
    seen = replace(finding(), status=AdvisoryStatus.NEEDS_SUBSCRIPTION, fix_pending=True)

    assert decide(CVE, given=seen).lane is Lane.ROUTINE


@pytest.mark.parametrize(
    ("seen", "lane"),
    [
        (functional(UpdateClass.BUGFIX), Lane.ROUTINE),
        (functional(UpdateClass.BUGFIX, "Important"), Lane.EXPEDITED),
        (functional(UpdateClass.BUGFIX, "SEVERITY_CRITICAL", feed="rocky"), Lane.EXPEDITED),
        (functional(UpdateClass.BUGFIX, "Important", feed="msrc"), Lane.ROUTINE),
        (functional(UpdateClass.ENHANCEMENT, "Critical"), Lane.ROUTINE),
        (functional(UpdateClass.DRIVER), Lane.ROUTINE),
        (functional(UpdateClass.FIRMWARE), Lane.ROUTINE),
        (functional(UpdateClass.DEFINITION), Lane.EXPEDITED),
    ],
)
def test_functional_updates_wait_for_the_window_unless_they_are_critical_or_signatures(
    seen: Finding, lane: Lane
) -> None:
    priority = decide(NOBODY, given=seen)

    assert priority.lane is lane
    assert priority.order > decide(replace(CVE, kev=KEV)).order


def test_the_operators_mark_makes_a_functional_fix_critical_by_package_or_advisory() -> None:
    seen = functional(UpdateClass.BUGFIX)

    for mark in ("zip", "ALBA-2026:1"):
        priority = prioritise(seen, WEB1, NOBODY, NOON, marked=frozenset({mark}))
        assert priority.lane is Lane.EXPEDITED
        assert "the operator's mark" in priority.rule
    other = prioritise(seen, WEB1, NOBODY, NOON, marked=frozenset({"bash"}))
    assert other.lane is Lane.ROUTINE


def test_essential_eight_gives_critical_drivers_48_hours_and_others_a_month_from_release() -> None:
    quick = under("essential-eight", functional(UpdateClass.DRIVER, "Critical"))
    slow = under("essential-eight", functional(UpdateClass.DRIVER, "Low"))

    assert (quick.lane, quick.due) == (Lane.EXPEDITED, FIX + timedelta(days=2))
    assert (slow.lane, slow.due) == (Lane.ROUTINE, FIX + timedelta(days=30))
    assert "ISM-1879" in quick.due_reason


def test_pci_gives_critical_patches_a_month_from_the_vendors_release() -> None:
    critical = replace(CVE, cvss=cvss(9.1))

    priority = under("pci-dss-4.0.1", fixed_on(), critical)

    assert priority.due == FIX + timedelta(days=30)
    assert "PCI DSS 6.3.3, critical" in priority.due_reason
    assert "(unverified)" in priority.due_reason
    assert "critical: CVSS 9.1" in priority.due_reason
    assert under("pci-dss-4.0.1", fixed_on(), CVE).due == FIX + timedelta(days=90)
    assert under("pci-dss-4.0.1", fixed_on(None, None), critical).due is None


def test_an_unscored_cve_is_due_as_a_critical_one() -> None:
    unscored = replace(CVE, cvss=None)

    for name in ("pci-dss-4.0.1", "essential-eight"):
        worst = under(name, fixed_on(), replace(CVE, cvss=cvss(10.0)))
        priority = under(name, fixed_on(), unscored)
        assert (priority.due, priority.lane) == (worst.due, worst.lane)
        assert "no CVSS score, decided as the worst" in priority.due_reason


def test_a_working_exploit_or_the_vendors_word_makes_it_critical_for_essential_eight() -> None:
    by_exploit = under("essential-eight", fixed_on(), exploit("metasploit", date(2026, 11, 19)))
    by_word = under("essential-eight", replace(fixed_on(), severity="Critical"), CVE)

    assert by_exploit.due == by_word.due == FIX + timedelta(days=2)
    assert "a working exploit (metasploit)" in by_exploit.due_reason
    assert "the vendor says 'Critical'" in by_word.due_reason


def test_a_table_that_only_ranks_says_that_it_sets_no_date() -> None:
    priority = under("pci-dss-4.0.1", fixed_on(), CVE)

    assert "under pci-dss-4.0.1 it sets no date" in said(priority, "Timeline")
    assert "3 points of it are unverified" in said(priority, "Profile")


def test_a_release_without_a_day_gets_no_extra_time() -> None:
    published = datetime(2026, 11, 2, tzinfo=UTC)
    known = replace(CVE, cvss=cvss(9.5), published=published)

    priority = under("pci-dss-4.0.1", fixed_on(None), known)

    assert priority.due == published + timedelta(days=30)
    assert "the CVE's publication" in priority.due_reason


def test_a_release_in_the_future_is_a_wrong_day_and_gives_no_extra_time() -> None:
    known = replace(CVE, cvss=cvss(9.5))

    priority = under("pci-dss-4.0.1", fixed_on(NOON + timedelta(days=400)), known)

    assert priority.due == NOON + timedelta(days=30)
    assert "the day of the release is not known" in priority.due_reason


def test_exposure_shortens_the_days_where_the_profile_says_so() -> None:
    profile = risk_profile("essential-eight")
    dues = [
        prioritise(fixed_on(), host, CVE, NOON, profile=profile).due for host in (WEB1, EXPOSED)
    ]

    assert dues == [FIX + timedelta(days=30), FIX + timedelta(days=14)]
