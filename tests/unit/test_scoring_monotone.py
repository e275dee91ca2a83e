"""Bad news never lowers a finding nor gives it more time, and what is missing is never better."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_findings import WEB1
from tests.unit.test_scoring import EXPOSED, KEV, NO_NO, NOON, cvss, epss, finding
from wavemend.advisories import (
    AdvisoryStatus,
    Exploit,
    KevEntry,
    Ssvc,
    UpdateClass,
    Vulnerability,
)
from wavemend.findings import Finding
from wavemend.hosts import Host
from wavemend.policy.risk_profiles import PROFILE_NAMES, RiskProfile, risk_profile
from wavemend.policy.waivers import Waiver
from wavemend.scoring import Lane, Priority, prioritise
from wavemend.scoring.exploitation import threat_of

answers = st.one_of(st.none(), st.booleans())
units = st.floats(0, 1, allow_nan=False)
scores = st.floats(0, 10, allow_nan=False)
days = st.dates(date(2026, 10, 1), date(2026, 12, 31))
moments = st.integers(-80 * 24, 40 * 24).map(lambda hours: NOON + timedelta(hours=hours))
evidence = st.builds(
    Exploit,
    kind=st.sampled_from(
        [
            "exploitdb",
            "metasploit",
            "nuclei",
            "nuclei-kev",
            "nuclei-vkev",
            "msrc-exploited",
            "msrc-disclosed",
            "new kind",
        ]
    ),
    reference=st.just("x"),
    published=st.one_of(st.none(), days),
)
vulnerabilities = st.builds(
    Vulnerability,
    cve=st.sampled_from(["CVE-2024-6119", "CVE-2026-116303"]),
    cvss=st.one_of(st.none(), st.builds(cvss, scores, st.sampled_from(["2.0", "3.1"]))),
    epss=st.one_of(st.none(), st.builds(epss, units)),
    kev=st.one_of(
        st.none(),
        st.builds(
            KevEntry,
            date_added=days,
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
            exploitation=st.sampled_from(["", "none", "poc", "active"]),
            automatable=answers,
            impact_total=answers,
            source=st.just("x"),
        ),
    ),
    exploits=st.lists(evidence, max_size=2).map(tuple),
    published=st.one_of(st.none(), moments),
)


def _seen(
    fixed: str | None, unimportant: bool, status: AdvisoryStatus, severity: str, at: datetime | None
) -> Finding:
    return replace(
        finding(fixed=fixed, unimportant=unimportant),
        status=status,
        severity=severity,
        fix_published=at,
        fix_pending=False,
    )


findings = st.builds(
    _seen,
    st.sampled_from([None, "2", "2", "2"]),
    st.booleans(),
    st.sampled_from([AdvisoryStatus.FIXED, *AdvisoryStatus]),
    st.sampled_from(["", "Low", "Important", "Critical"]),
    st.one_of(st.none(), moments),
)
profiles = st.sampled_from([risk_profile(name) for name in PROFILE_NAMES])
waivers = st.lists(
    st.builds(
        Waiver,
        id=st.sampled_from(["a", "b"]),
        tenant=st.sampled_from(["", "acme", "other"]),
        owner=st.just("olga"),
        reason=st.just("a reason"),
        until=st.sampled_from([NOON - timedelta(days=1), NOON, NOON + timedelta(days=9)]),
        cve=st.sampled_from(["", "CVE-2026-1"]),
        package=st.sampled_from(["", "zip", "other"]),
    ),
    max_size=2,
).map(tuple)


class World:
    """One drawn situation; a test changes one thing in it."""

    def __init__(
        self, seen: Finding, profile: RiskProfile, given_waivers: tuple[Waiver, ...], exposed: bool
    ) -> None:
        self.seen, self.profile, self.waivers = seen, profile, given_waivers
        self.host = EXPOSED if exposed else WEB1

    def decide(self, known: Vulnerability, host: Host | None = None) -> Priority:
        return prioritise(
            self.seen,
            host or self.host,
            known,
            NOON,
            first_seen=NOON - timedelta(days=2),
            profile=self.profile,
            waivers=self.waivers,
        )


worlds = st.builds(World, findings, profiles, waivers, st.booleans())
FOREVER = datetime.max.replace(tzinfo=UTC)


def assert_not_softer(before: Priority, after: Priority) -> None:
    assert after.order <= before.order
    assert (after.due or FOREVER) <= (before.due or FOREVER)


@given(worlds, vulnerabilities, st.sampled_from([None, True]))
def test_adding_kev_never_lowers_or_delays(
    world: World, known: Vulnerability, ransomware: bool | None
) -> None:
    unlisted = replace(known, kev=None, kev_known=True)
    listed = replace(unlisted, kev=replace(KEV, ransomware=ransomware))

    assert_not_softer(world.decide(unlisted), world.decide(listed))


@given(worlds, vulnerabilities)
def test_a_missing_catalogue_is_never_better_than_one_without_the_cve(
    world: World, known: Vulnerability
) -> None:
    there = replace(known, kev=None, kev_known=True)

    assert_not_softer(world.decide(there), world.decide(replace(there, kev_known=False)))


@given(worlds, vulnerabilities)
def test_a_missing_catalogue_ranks_as_the_worst_that_it_may_hold(
    world: World, known: Vulnerability
) -> None:
    worst = replace(known, kev=replace(KEV, ransomware=True), kev_known=True)
    missing = replace(known, kev=None, kev_known=False)

    assert world.decide(missing).order <= world.decide(worst).order


@given(worlds, vulnerabilities, units, units)
def test_raising_epss_never_lowers_or_delays(
    world: World, known: Vulnerability, one: float, other: float
) -> None:
    low, high = sorted((one, other))

    assert_not_softer(
        world.decide(replace(known, epss=epss(low))), world.decide(replace(known, epss=epss(high)))
    )


@given(worlds, vulnerabilities, scores, scores)
def test_raising_cvss_never_lowers_or_delays(
    world: World, known: Vulnerability, one: float, other: float
) -> None:
    low, high = sorted((one, other))

    assert_not_softer(
        world.decide(replace(known, cvss=cvss(low))), world.decide(replace(known, cvss=cvss(high)))
    )


@given(worlds, vulnerabilities, st.sampled_from(["", "none", "poc"]))
def test_an_answer_that_it_is_attacked_never_lowers_or_delays(
    world: World, known: Vulnerability, word: str
) -> None:
    said = known.ssvc or Ssvc(exploitation="", automatable=None, impact_total=None, source="x")
    quiet = replace(known, ssvc=replace(said, exploitation=word))
    active = replace(known, ssvc=replace(said, exploitation="active"))

    assert_not_softer(world.decide(quiet), world.decide(active))


@given(worlds, vulnerabilities)
def test_what_is_attacked_or_a_zero_day_never_comes_behind_what_is_merely_routine(
    world: World, known: Vulnerability
) -> None:
    priority = world.decide(known)
    calm = prioritise(finding(), EXPOSED, Vulnerability(cve="CVE-2026-1", ssvc=NO_NO), NOON)
    attacked = threat_of(known) or not known.kev_known

    assert calm.lane is Lane.ROUTINE
    if priority.lane is not Lane.IGNORED and (attacked or priority.zero_day):
        assert priority.order < calm.order


@given(worlds, vulnerabilities)
def test_exposing_the_host_never_lowers_or_delays(world: World, known: Vulnerability) -> None:
    assert_not_softer(world.decide(known, WEB1), world.decide(known, EXPOSED))


@given(worlds, vulnerabilities)
def test_calling_the_host_critical_never_lowers_or_delays(
    world: World, known: Vulnerability
) -> None:
    critical = replace(world.host, critical=True)

    assert_not_softer(world.decide(known), world.decide(known, critical))


@given(worlds, vulnerabilities, evidence)
def test_adding_exploit_evidence_never_lowers_or_delays(
    world: World, known: Vulnerability, found: Exploit
) -> None:
    more = replace(known, exploits=(*known.exploits, found))

    assert_not_softer(world.decide(known), world.decide(more))


@given(worlds, vulnerabilities, st.data())
def test_removing_a_waiver_never_lowers_or_delays(
    world: World, known: Vulnerability, data: st.DataObject
) -> None:
    before = world.decide(known)
    world.waivers = data.draw(st.sampled_from([(), world.waivers[:1], world.waivers[1:]]))

    assert_not_softer(before, world.decide(known))


@given(worlds, vulnerabilities, answers, answers)
def test_an_unknown_ssvc_answer_is_never_better_than_any_known_one(
    world: World, known: Vulnerability, automatable: bool | None, impact: bool | None
) -> None:
    answered = Ssvc(exploitation="", automatable=automatable, impact_total=impact, source="x")

    assert_not_softer(
        world.decide(replace(known, ssvc=answered)), world.decide(replace(known, ssvc=None))
    )


@given(worlds, vulnerabilities, scores, units)
def test_a_missing_score_never_changes_the_lane_the_date_or_the_band_for_the_better(
    world: World, known: Vulnerability, score: float, probability: float
) -> None:
    scored = replace(known, cvss=cvss(score), epss=epss(probability))
    before, after = world.decide(scored), world.decide(replace(scored, cvss=None, epss=None))

    assert after.order[:3] <= before.order[:3]
    assert (after.due or FOREVER) <= (before.due or FOREVER)


@given(worlds, vulnerabilities, scores)
def test_a_missing_cvss_is_never_better_than_any_where_the_probability_is_known(
    world: World, known: Vulnerability, score: float
) -> None:
    scored = replace(known, cvss=cvss(score), epss=known.epss or epss(0.2))

    assert_not_softer(world.decide(scored), world.decide(replace(scored, cvss=None)))


@given(worlds, vulnerabilities, moments, moments)
def test_days_count_from_the_first_sight_so_no_later_scan_gives_more_time(
    world: World, known: Vulnerability, one: datetime, other: datetime
) -> None:
    early, late = sorted((one, other))
    seen = replace(world.seen, fix_published=None)
    dates = [
        prioritise(seen, world.host, known, now, first_seen=early, profile=world.profile).due
        for now in (early, late)
    ]

    assert dates[0] == dates[1]


@given(worlds, vulnerabilities, st.sampled_from([*UpdateClass]))
def test_every_class_gets_an_order_of_one_length_and_a_named_rule(
    world: World, known: Vulnerability, update_class: UpdateClass
) -> None:
    world.seen = replace(world.seen, update_class=update_class)

    priority = world.decide(known)

    assert len(priority.order) == 7
    assert priority.rule
    assert priority.due_reason
    assert priority.due is None or priority.lane is not Lane.IGNORED
