"""A due date never moves later by itself: the earliest one given stands until an operator acts."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_findings import WEB1, facts, knowing, match, offer, package, says
from tests.unit.test_scoring import KEV, NOON, cvss, finding, said
from tests.unit.test_scoring_monotone import World, moments, vulnerabilities, worlds
from wavemend.advisories import AdvisoryStatus, Exploit, UpdateClass, Vulnerability
from wavemend.findings import Finding
from wavemend.policy.risk_profiles import risk_profile
from wavemend.scoring import Lane, Priority, prioritise, rank_updates
from wavemend.scoring.dues import HeldDue

KNOWN = Vulnerability(cve="CVE-2026-1", cvss=cvss(6.0))
EARLY = replace(finding(), fix_published=datetime.fromisoformat("2026-11-01T00:00Z"))
LATE = replace(EARLY, fix_published=datetime.fromisoformat("2026-11-19T00:00Z"))


def decided(
    seen: Finding,
    known: Vulnerability = KNOWN,
    held: Priority | None = None,
    profile: str = "essential-eight",
) -> Priority:
    kept = HeldDue(due=held.due, reason=held.due_reason) if held and held.due else None
    return prioritise(
        seen,
        WEB1,
        known,
        NOON,
        first_seen=NOON - timedelta(days=10),
        profile=risk_profile(profile),
        held=kept,
    )


def test_a_vendor_that_dates_its_fix_anew_gives_nobody_more_time() -> None:
    first = decided(EARLY)
    again = decided(LATE, held=first)

    assert (str(first.due)[:10], str(decided(LATE).due)[:10]) == ("2026-12-01", "2026-12-19")
    assert again.due == first.due
    assert again.due_reason.startswith("was due 2026-12-01 00:00Z under Essential Eight ML3, not")
    assert "kept: a date does not move later by itself (earlier than Essential" in again.due_reason
    assert said(again, "Due").startswith("2026-12-01 00:00Z: was due ")
    assert said(again, "Also due").startswith("2026-12-19 00:00Z: Essential Eight ML3")


def test_a_fix_that_is_withdrawn_and_evidence_that_is_gone_take_no_date_away() -> None:
    attacked = replace(KNOWN, exploits=(Exploit(kind="nuclei-kev", reference="x"),))
    withdrawn = replace(EARLY, fixed=None, fix_pending=False, status=AdvisoryStatus.UNFIXED)
    first = decided(EARLY)

    gone = decided(withdrawn, held=first)
    assert decided(withdrawn).due is None
    assert (gone.lane, gone.due) == (Lane.MANUAL, first.due)
    assert "by itself (now: Essential Eight ML3, not critical" in gone.due_reason
    before = decided(EARLY, attacked)
    assert decided(EARLY, held=before).due == before.due


def test_a_date_that_comes_earlier_governs_and_what_was_held_is_not_mentioned() -> None:
    first = decided(LATE)
    listed = replace(KNOWN, kev=replace(KEV, due_date=date(2026, 11, 21)))

    sooner = decided(LATE, listed, held=first)

    assert str(sooner.due)[:10] == "2026-11-21"
    assert "was due" not in sooner.due_reason
    assert decided(LATE, held=first) == first


def test_what_is_ignored_has_no_date_held_or_not() -> None:
    harmless = replace(EARLY, unimportant=True)

    assert decided(harmless, held=decided(EARLY)).due is None


def test_a_functional_fix_and_an_end_of_life_keep_their_dates_too() -> None:
    ended = replace(
        finding("", fixed=None), update_class=UpdateClass.END_OF_LIFE, ends=date(2026, 12, 1)
    )
    driver = replace(EARLY, cve="", update_class=UpdateClass.DRIVER)

    for first, later in (
        (ended, replace(ended, ends=date(2027, 1, 1))),
        (driver, replace(driver, fix_published=LATE.fix_published)),
    ):
        assert decided(later).due != decided(first).due
        assert decided(later, held=decided(first)).due == decided(first).due


def test_an_update_is_due_when_what_it_fixes_was_due_before() -> None:
    seen = facts(package("zip", "3.0-13"), pending=(offer("zip", "3.0-14"),))
    known = knowing(says("CVE-2026-1", "zip", "3.0-14"))
    matched = match(WEB1, seen, known)
    (found,) = matched.findings
    held = {found.id: HeldDue(due=NOON, reason="an earlier rule")}

    (row,) = rank_updates(WEB1, seen, matched, known, NOON, held=held)

    assert row.priority.due == NOON
    assert row.priority.due_reason.startswith("was due 2026-11-20 12:00Z under an earlier rule")


@given(worlds, vulnerabilities, vulnerabilities, st.one_of(st.none(), moments))
def test_whatever_is_said_anew_no_date_moves_later_and_neither_lane_nor_order_change(
    world: World, one: Vulnerability, other: Vulnerability, redated: datetime | None
) -> None:
    other = replace(other, cve=one.cve)
    before = world.decide(one)
    world.seen = replace(world.seen, fix_published=redated)
    plain = world.decide(other)
    if before.due is None:
        return
    held = HeldDue(due=before.due, reason=before.due_reason)
    after = prioritise(
        world.seen,
        world.host,
        other,
        NOON,
        first_seen=NOON - timedelta(days=2),
        profile=world.profile,
        waivers=world.waivers,
        held=held,
    )

    assert (after.lane, after.order, after.rule) == (plain.lane, plain.order, plain.rule)
    if after.lane is Lane.IGNORED:
        assert after.due is None
    else:
        assert after.due == min(before.due, plain.due or before.due)
