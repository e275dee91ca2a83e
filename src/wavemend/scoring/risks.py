"""How much a vulnerability weighs on hosts of one kind: band, risk, severity, and why.

Why a CVE without a score comes behind the scored ones of its band, and why that keeps invariant
I22 (a missing input is never better than its worst published default):

- Lane, due date, place among the exploited and band never get better by a missing input: an
  unanswered SSVC question, a missing KEV catalogue and a missing CVSS are decided as their worst
  case. Those are what is done, and by when.
- EPSS has no published default; its worst case would be 1. Taken as that, every CVE that nobody has
  measured would come before a measured 0.97, and not being measured would be the best evidence of
  danger. So inside one lane and one band, where all have the same deadline, what was measured goes
  first, and among the unmeasured the missing factor counts as its worst. Who goes first inside a
  band is the only thing that a missing EPSS decides.
- Where only CVSS is missing, the impact counts as 10: the place is never worse for want of it.
  Public exploit evidence is a measurement: its least probability stands in for a missing EPSS.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from wavemend.advisories import Cvss, Exploit, Vulnerability, choose_cvss, cve_order
from wavemend.policy.risk_profiles import RiskProfile
from wavemend.policy.severities import Severity, severity_of_score
from wavemend.policy.timelines import NO_DEADLINE_DAYS, Timeline, is_listed, timelines
from wavemend.scoring.contributions import (
    Contribution,
    critical_line,
    cvss_lines,
    epss_line,
    exploit_lines,
    exposed_line,
    kev_line,
    ssvc_lines,
    table_line,
)
from wavemend.scoring.exploitation import attacks_on, evidence_of, is_exploited

WORST_SCORE = 10.0
WORST_PROBABILITY = 1.0

BOTH_KNOWN, ONLY_IMPACT, NOTHING_KNOWN, NO_VULNERABILITY = 0.0, 1.0, 2.0, 3.0
"""Third place of the order after lane and band: what the risk was made from."""

RANSOMWARE, LISTED, EXPLOITED, ATTACKED, PUBLIC_ZERO_DAY, END_OF_LIFE, REST = map(float, range(7))
"""Second place of the order: what is attacked comes first. A missing catalogue may hold the worst,
so without one everything counts as used by ransomware. `ATTACKED`: by other evidence than KEV's or
the vendor's word. An end of life comes before the unfixed
CVEs of its lane: the one decision answers for all of them."""

_CACHED = 8_192
"""A fleet meets a few thousand CVEs; one entry takes about 5 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What a vulnerability amounts to on hosts that are equally exposed and equally critical."""

    worst: Timeline
    cvss: Cvss | None
    """The assessment that counts under the profile's order."""
    exploited: bool
    """In KEV, or by the vendor's word; also where no catalogue was loaded."""
    attacks: tuple[str, ...]
    """Kinds of other evidence that it is attacked."""
    place: float
    """Without what only a finding knows: whether it is a zero-day."""
    severity: Severity
    severity_text: str
    probability: float
    """Of exploitation; the worst where `tail` says that it was not measured."""
    value: float
    """Probability x impact x criticality x exposure."""
    tail: tuple[float, ...]
    """The order after lane and place; smaller is more urgent."""
    threat: tuple[Contribution, ...]
    """Who attacks, and with what."""
    weight: tuple[Contribution, ...]
    """Exposure, answers, scores, and the multiplication."""

    @property
    def is_attacked(self) -> bool:
        """By anybody's word."""
        return self.exploited or bool(self.attacks)


@lru_cache(maxsize=_CACHED)
def risk_of(
    vulnerability: Vulnerability, *, exposed: bool, critical: bool, profile: RiskProfile
) -> Risk:
    """Weigh one vulnerability for one kind of host. Pure; the same again for every such host."""
    worst, best = timelines(vulnerability, exposed=exposed, table=profile.table)
    candidates = vulnerability.cvss_candidates
    cvss = choose_cvss(candidates, profile.cvss_order) if candidates else vulnerability.cvss
    evidence = evidence_of(vulnerability)
    least = _least_probability(evidence, profile)
    epss = vulnerability.epss
    known = max(epss.probability if epss else 0.0, least) if epss or evidence else None
    factors = _Factors(
        probability=WORST_PROBABILITY if known is None else known,
        impact=(cvss.score if cvss else WORST_SCORE) / 10.0,
        criticality=profile.critical_weight if critical else 1.0,
        exposure=profile.exposed_weight if exposed else 1.0,
    )
    missing = BOTH_KNOWN
    if known is None:
        missing = ONLY_IMPACT if cvss else NOTHING_KNOWN
    severity, why = _severity(vulnerability, cvss, evidence, profile)
    return Risk(
        worst=worst,
        cvss=cvss,
        exploited=is_exploited(vulnerability),
        attacks=attacks_on(vulnerability),
        place=_place(vulnerability),
        severity=severity,
        severity_text=why,
        probability=factors.probability,
        value=factors.product,
        tail=_tail(worst.strictness, missing, factors, vulnerability.cve),
        threat=(kev_line(vulnerability), *exploit_lines(evidence, profile)),
        weight=(
            exposed_line(exposed=exposed),
            critical_line(critical=critical),
            *ssvc_lines(vulnerability),
            table_line(worst, best, profile),
            epss_line(epss),
            *cvss_lines(cvss, candidates, profile),
            _risk_line(factors, vulnerability, cvss),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Factors:
    probability: float
    impact: float
    criticality: float
    exposure: float

    @property
    def product(self) -> float:
        # In this order everywhere: a product of floats depends on it in the last bit.
        return self.probability * self.impact * self.criticality * self.exposure


def _tail(strictness: float, missing: float, factors: _Factors, cve: str) -> tuple[float, ...]:
    year, number = cve_order(cve)
    return (
        strictness,
        missing,
        # 0.0 - x and not -x: there is one zero, and it is written in one way.
        0.0 - factors.product,
        float(year),
        float(number),
    )


NO_TAIL = (NO_DEADLINE_DAYS, NO_VULNERABILITY, 0.0, *map(float, cve_order("")))
"""The order of what is about no vulnerability: behind all that is, in the same lane."""


def _place(vulnerability: Vulnerability) -> float:
    kev = vulnerability.kev
    listed = is_listed(vulnerability)
    if listed is None or (kev is not None and kev.ransomware):
        return RANSOMWARE
    if listed:
        return LISTED
    if is_exploited(vulnerability):
        return EXPLOITED
    return ATTACKED if attacks_on(vulnerability) else REST


def _least_probability(evidence: Iterable[Exploit], profile: RiskProfile) -> float:
    other = profile.evidence["other"]
    return max((profile.evidence.get(item.kind, other) for item in evidence), default=0.0)


def _severity(
    vulnerability: Vulnerability,
    cvss: Cvss | None,
    evidence: Iterable[Exploit],
    profile: RiskProfile,
) -> tuple[Severity, str]:
    """Return what decides the profile's deadlines. Without a CVSS score it is the worst."""
    if is_exploited(vulnerability):
        return Severity.CRITICAL, "known to be exploited"
    working = sorted({item.kind for item in evidence} & profile.working_exploits)
    if working:
        return Severity.CRITICAL, f"a working exploit ({', '.join(working)})"
    if cvss is None:
        return Severity.CRITICAL, "no CVSS score, decided as the worst"
    return severity_of_score(cvss.score), f"CVSS {cvss.score:.1f}"


def _risk_line(factors: _Factors, vulnerability: Vulnerability, cvss: Cvss | None) -> Contribution:
    epss = vulnerability.epss
    if epss is not None and epss.probability >= factors.probability:
        chance = ""
    elif factors.probability < WORST_PROBABILITY or evidence_of(vulnerability):
        chance = " (by public evidence)"
    else:
        chance = " (unknown: the worst)"
    text = (
        f"Exploit probability {factors.probability:.5f}{chance} x "
        f"impact {factors.impact:.2f}{'' if cvss else ' (unknown: the worst)'} x "
        f"criticality {factors.criticality:g} x exposure {factors.exposure:g}. "
        "Decides the order inside lane and band."
    )
    return Contribution(name="Risk", value=f"{factors.product:.5f}", text=text)
