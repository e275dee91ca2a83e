"""What each input did to a priority, in words an operator can check."""

from collections.abc import Iterable
from dataclasses import dataclass

from wavemend.advisories import Cvss, Epss, Exploit, Vulnerability
from wavemend.findings import Finding
from wavemend.hosts import Host
from wavemend.policy.risk_profiles import RiskProfile
from wavemend.policy.timelines import Timeline
from wavemend.scoring.exploitation import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One input of a decision: its name, its value, and what it did, in words."""

    name: str
    value: str
    text: str


def what_line(finding: Finding) -> Contribution:
    """Say what is wrong on which host."""
    host, package = finding.host, f"{finding.package} {finding.installed}".strip()
    if finding.ends is not None or not finding.fixed:
        text = f"{package} on {host}; {finding.note or 'there is no fixed version'}."
    else:
        offered = "offered to it" if finding.fix_pending else "not offered by its repositories"
        text = f"{package} on {host} lacks the fix in {finding.fixed}, which is {offered}."
    name = finding.cve or finding.advisory or finding.package
    return Contribution(name="What", value=name, text=text.replace("..", "."))


def because_line(finding: Finding) -> Contribution:
    """Say which document says so, and what was compared."""
    because = finding.because
    day = f" of {because.document_date}" if because.document_date else ""
    order = f", in the order of {because.order}" if because.order else ""
    said_as = f" (statement {finding.advisory})" if finding.advisory else ""
    return Contribution(
        name="Because",
        value=because.feed,
        text=f"{because.document}{day}{said_as}: {because.compared}{order}.",
    )


def kev_line(vulnerability: Vulnerability) -> Contribution:
    """Say whether the CVE is known to be exploited, and by whose word."""
    kev = vulnerability.kev
    if kev is not None:
        ransomware = "; used by ransomware" if kev.ransomware else ""
        due = f", due {kev.due_date}" if kev.due_date else ""
        return Contribution(
            name="KEV", value="yes", text=f"{kev.name}; listed {kev.date_added}{due}{ransomware}."
        )
    if vulnerability.kev_known:
        return Contribution(name="KEV", value="no", text="Not in CISA's catalogue.")
    return Contribution(
        name="KEV",
        value="unknown",
        text="No catalogue was loaded: decided as listed. Run `wavemend feeds refresh`.",
    )


def exploit_lines(evidence: Iterable[Exploit], profile: RiskProfile) -> tuple[Contribution, ...]:
    """Say what is public, one line per kind: the first known piece, and how many more."""
    by_kind: dict[str, list[Exploit]] = {}
    for item in evidence:
        by_kind.setdefault(item.kind, []).append(item)
    lines = []
    for kind in sorted(by_kind):
        items = sorted(by_kind[kind], key=lambda item: (str(item.published or "9"), item.reference))
        day = f" of {items[0].published}" if items[0].published else ", no date given"
        more = f", and {len(items) - 1} more" if len(items) > 1 else ""
        least = profile.evidence.get(kind, profile.evidence["other"])
        text = f"{KINDS.get(kind, 'public evidence')}: {items[0].reference}{day}{more}. "
        text += f"Counts as a probability of at least {least:g}."
        lines.append(Contribution(name="Exploit", value=kind, text=text[0].upper() + text[1:]))
    return tuple(lines)


def exposure_line(host: Host) -> Contribution:
    """Say whether the host is declared as exposed."""
    return exposed_line(exposed=host.exposed)


def exposed_line(*, exposed: bool) -> Contribution:
    """Say whether a host is declared as exposed."""
    text = "Reachable from the internet." if exposed else "Not declared as exposed."
    return Contribution(name="Exposed", value="yes" if exposed else "no", text=text)


def critical_line(*, critical: bool) -> Contribution:
    """Say whether a host is declared as critical."""
    text = "Changes only with a signed approval." if critical else "Not declared as critical."
    return Contribution(name="Critical host", value="yes" if critical else "no", text=text)


def ssvc_lines(vulnerability: Vulnerability) -> tuple[Contribution, ...]:
    """Say what CISA answered to the SSVC questions, and what nobody answered."""
    ssvc = vulnerability.ssvc
    source = f"SSVC by {ssvc.source}." if ssvc else ""
    unknown = "Not answered by any feed: decided as the worst case."
    automatable = ssvc.automatable if ssvc else None
    total = ssvc.impact_total if ssvc else None
    lines = [
        Contribution(
            name="Automatable",
            value="unknown" if automatable is None else "yes" if automatable else "no",
            text=unknown if automatable is None else source,
        ),
        Contribution(
            name="Technical impact",
            value="unknown" if total is None else "total" if total else "partial",
            text=unknown if total is None else source,
        ),
    ]
    if ssvc and ssvc.exploitation:
        # Shown as evidence; the directive's table asks KEV for this.
        lines.append(Contribution(name="Exploitation", value=ssvc.exploitation, text=source))
    return tuple(lines)


def table_line(worst: Timeline, best: Timeline, profile: RiskProfile) -> Contribution:
    """Say what the table of timelines demands, and what it might demand if all were known."""
    table = profile.table
    text = f"CISA {table.name}, table {table.version} of {table.date}."
    if worst != best:
        text += f" Worst case; with all answers known it might be {best}."
    if not profile.table_governs:
        text += f" It ranks and picks the lane; under {profile.name} it sets no date."
    return Contribution(name="Timeline", value=str(worst), text=text)


UNSCORED = (
    "No score, which is unknown and not 0: the deadline takes the worst case, and inside its band "
    "it comes behind what was measured."
)


def epss_line(epss: Epss | None) -> Contribution:
    """Say the probability of exploitation, with the model that gave it."""
    if epss is None:
        return Contribution(name="EPSS", value="unscored", text=UNSCORED)
    place = "" if epss.percentile is None else f"Percentile {epss.percentile:.2%}. "
    return Contribution(
        name="EPSS",
        value=f"{epss.probability:.5f}",
        text=f"{place}Model {epss.model} of {epss.date}.",
    )


def cvss_lines(
    cvss: Cvss | None, candidates: tuple[Cvss, ...], profile: RiskProfile
) -> tuple[Contribution, ...]:
    """Say which of the CVSS assessments was chosen and why, and which ones contradict it."""
    if cvss is None:
        return (Contribution(name="CVSS", value="unscored", text=UNSCORED),)
    text = f"Version {cvss.version} by {source_name(cvss.source)}: {cvss.vector}."
    if len(candidates) > 1:
        order = profile.cvss_order
        by = "version, then source" if order.first == "version" else "source, then version"
        text += f" Chosen from {len(candidates)} by {by} ({', '.join(order.sources)})."
    if cvss.version == "2.0":
        text += " Only version 2.0 exists: not comparable with others."
    elif cvss.version == "3.0":
        text += " Only version 3.0 exists, an older formula."
    if cvss.disputed:
        text += f" The vector gives {cvss.computed_score}, not {cvss.score}."
    line = Contribution(name="CVSS", value=f"{cvss.score:.1f}", text=text)
    if len(candidates) < 2 or all(item.score == cvss.score for item in candidates):
        return (line,)
    return line, _contradiction(cvss, candidates)


def _contradiction(cvss: Cvss, candidates: tuple[Cvss, ...]) -> Contribution:
    ordered = sorted(candidates, key=lambda item: (item != cvss, item.source, item.version))
    said = [f"{source_name(item.source)} says {item.score:.1f}" for item in ordered]
    # Two versions differ by their formulas; that is said, so that nobody reads it as a quarrel.
    if len({item.version for item in candidates}) > 1:
        said = [f"{text} (v{item.version})" for text, item in zip(said, ordered, strict=True)]
    scores = [item.score for item in candidates]
    return Contribution(
        name="CVSS contradicted",
        value=f"{min(scores):.1f} to {max(scores):.1f}",
        text=f"{', '.join(dict.fromkeys(said))}. The first one counts.",
    )


def source_name(source: str) -> str:
    """Return who assessed, in words: `cna:redhat` is the CNA redhat."""
    kind, _, who = source.partition(":")
    names = {"nvd": "NVD", "cna": "the CNA", "cisa-adp": "CISA-ADP", "distribution": "the vendor"}
    return f"{names.get(kind, kind)} {who}".strip()
