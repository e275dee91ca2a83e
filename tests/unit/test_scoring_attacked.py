"""What is attacked by anybody's word is in no quiet lane, has a date, and comes before routine."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.unit.test_findings import WEB1
from tests.unit.test_scoring import KEV, NO_NO, NOON, cvss, decide, finding, said
from wavemend.advisories import AdvisoryStatus, Exploit, UpdateClass, Vulnerability
from wavemend.policy.risk_profiles import PROFILE_NAMES, risk_profile
from wavemend.policy.waivers import Waiver
from wavemend.scoring import Lane, Priority, prioritise
from wavemend.scoring.exploitation import threat_of

MILD = Vulnerability(cve="CVE-2026-1", cvss=cvss(4.0), ssvc=NO_NO)
ACTIVE = replace(MILD, ssvc=replace(NO_NO, exploitation="Active"))
TAGGED = [
    replace(MILD, exploits=(Exploit(kind=kind, reference="x"),))
    for kind in ("nuclei-kev", "nuclei-vkev")
]
ATTACKED = [ACTIVE, *TAGGED]
LISTED = replace(MILD, kev=KEV)
WITHOUT_FIX = replace(finding(fixed=None), fix_pending=False, status=AdvisoryStatus.UNFIXED)
PUBLIC = replace(
    MILD, exploits=(Exploit(kind="exploitdb", reference="x", published=date(2026, 1, 1)),)
)
QUICK = {"emergency", "expedited"}


@pytest.mark.parametrize("name", PROFILE_NAMES)
@pytest.mark.parametrize("known", ATTACKED, ids=["ssvc", "kev", "vkev"])
def test_an_attack_that_somebody_saw_is_at_least_expedited_with_a_date(
    known: Vulnerability, name: str
) -> None:
    seen = replace(finding(), fix_published=NOON - timedelta(days=1))

    priority = prioritise(seen, WEB1, known, NOON, profile=risk_profile(name))

    assert str(priority.lane) in QUICK
    assert priority.due is not None
    assert priority.due <= NOON + timedelta(days=14)


def test_without_the_attack_the_same_finding_waits_for_its_upgrade() -> None:
    plain, priority = decide(MILD), decide(ACTIVE)

    assert (plain.lane, plain.due) == (Lane.ROUTINE, None)
    assert priority.rule == "Attacks are known of (ssvc-active): 14 days."
    assert priority.due_reason == (
        "Attacks are known of (ssvc-active): 14 days, counted from 2026-11-20 12:00Z"
    )
    assert said(priority, "Risk").startswith("0.40000: Exploit probability 1.00000")


def test_what_is_attacked_comes_behind_the_catalogue_and_before_the_merely_public() -> None:
    orders = [decide(known).order for known in (LISTED, ACTIVE, PUBLIC, MILD)]

    assert orders == sorted(orders)
    assert [order[1] for order in orders] == [1.0, 3.0, 4.0, 6.0]


@pytest.mark.parametrize("known", ATTACKED, ids=["ssvc", "kev", "vkev"])
def test_neither_a_package_waiver_nor_a_harmless_build_hides_an_attack(
    known: Vulnerability,
) -> None:
    waiver = Waiver(
        id="w",
        tenant="",
        owner="olga",
        reason="a reason long enough",
        until=NOON + timedelta(days=1),
        package="zip",
    )
    waived = prioritise(finding(), WEB1, known, NOON, waivers=(waiver,))
    harmless = decide(known, given=finding(unimportant=True))

    assert waived.lane is harmless.lane is Lane.EXPEDITED
    assert "does not hold: it is attacked. Name CVE-2026-1" in said(waived, "Waiver")
    named = (replace(waiver, package="", cve="CVE-2026-1"),)
    assert prioritise(finding(), WEB1, known, NOON, waivers=named).lane is Lane.IGNORED


@pytest.mark.parametrize(
    ("known", "word"),
    [
        (MILD, ""),
        (PUBLIC, ""),
        (replace(MILD, kev_known=False), ""),
        (ACTIVE, "evidence"),
        (TAGGED[1], "evidence"),
        (replace(MILD, exploits=(Exploit(kind="msrc-exploited", reference="x"),)), "vendor"),
        (replace(ACTIVE, kev=KEV), "kev"),
    ],
)
def test_whose_word_an_attack_is_can_be_asked(known: Vulnerability, word: str) -> None:
    assert threat_of(known) == word


def without_fix(known: Vulnerability) -> Priority:
    return decide(known, given=WITHOUT_FIX)


@pytest.mark.parametrize("known", [LISTED, PUBLIC, *ATTACKED])
def test_what_is_attacked_and_has_no_fix_comes_before_all_that_is_routine(
    known: Vulnerability,
) -> None:
    grave = replace(MILD, cvss=cvss(10.0), ssvc=replace(NO_NO, automatable=True, impact_total=True))
    routine, priority = decide(grave), without_fix(known)

    assert (routine.lane, priority.lane) == (Lane.ROUTINE, Lane.MANUAL)
    assert priority.order < routine.order < without_fix(MILD).order


def test_it_is_ranked_as_an_emergency_and_says_why_and_what_can_be_done() -> None:
    priority = without_fix(LISTED)

    assert priority.order[:2] == decide(LISTED).order[:2]
    assert priority.rule.startswith(
        "Ranked as emergency. Known to be exploited. There is no fixed version to install: "
    )
    assert said(without_fix(ACTIVE), "Lane").startswith("manual: Ranked as expedited. ")
    assert "Ranked" not in without_fix(MILD).rule


def test_a_fix_for_paying_machines_only_does_not_sink_an_attacked_finding() -> None:
    paid = replace(
        finding(), fix_pending=False, status=AdvisoryStatus.NEEDS_SUBSCRIPTION, fix_published=None
    )

    priority = decide(LISTED, given=paid)

    assert priority.lane is Lane.MANUAL
    assert priority.order < decide(MILD).order
    assert "attach a subscription" in priority.rule


def test_an_end_of_life_and_a_waived_attack_stay_where_they_are() -> None:
    ended = replace(
        finding("", fixed=None), update_class=UpdateClass.END_OF_LIFE, ends=date(2026, 1, 1)
    )
    waiver = Waiver(
        id="w",
        tenant="",
        owner="olga",
        reason="a reason long enough",
        until=datetime(2027, 1, 1, tzinfo=UTC),
        cve="CVE-2026-1",
    )
    old = decide(Vulnerability(cve=""), given=ended)
    waived = prioritise(WITHOUT_FIX, WEB1, LISTED, NOON, waivers=(waiver,))

    assert decide(MILD).order < old.order < without_fix(MILD).order < waived.order
