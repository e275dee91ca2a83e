"""What each input did to a priority, in words an operator can check."""

from dataclasses import dataclass

from wavemend.advisories import Cvss, Epss, Vulnerability
from wavemend.hosts import Host
from wavemend.timelines import Timeline, bod_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One input of a decision: its name, its value, and what it did, in words."""

    name: str
    value: str
    text: str


def kev_line(vulnerability: Vulnerability) -> Contribution:
    """Say whether the CVE is known to be exploited, and by whose word."""
    kev = vulnerability.kev
    if kev is not None:
        ransomware = "; used by ransomware" if kev.ransomware else ""
        due = f", due {kev.due_date}" if kev.due_date else ""
        return Contribution(
            name="KEV", value="yes", text=f"{kev.name}; listed {kev.date_added}{due}{ransomware}"
        )
    if vulnerability.kev_known:
        return Contribution(name="KEV", value="no", text="Not in the catalogue.")
    return Contribution(
        name="KEV",
        value="unknown",
        text="No catalogue was loaded: decided as listed. Run `wavemend feeds refresh`.",
    )


def exposure_line(host: Host) -> Contribution:
    """Say whether the host is declared as exposed."""
    text = "Reachable from the internet." if host.exposed else "Not declared as exposed."
    return Contribution(name="Exposed", value="yes" if host.exposed else "no", text=text)


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


def table_line(worst: Timeline, best: Timeline) -> Contribution:
    """Say what the directive demands, and what it might demand if all were known."""
    table = bod_table()
    text = f"CISA BOD 26-04, table {table.version} of {table.date}."
    if worst != best:
        text += f" Worst case; with all answers known it might be {best}."
    return Contribution(name="Timeline", value=str(worst), text=text)


def epss_line(epss: Epss | None) -> Contribution:
    """Say the probability of exploitation, with the model that gave it."""
    if epss is None:
        return Contribution(
            name="EPSS", value="unscored", text="No score: behind the scored ones of its band."
        )
    place = "" if epss.percentile is None else f"Percentile {epss.percentile:.2%}. "
    return Contribution(
        name="EPSS",
        value=f"{epss.probability:.5f}",
        text=f"{place}Model {epss.model} of {epss.date}.",
    )


def cvss_line(cvss: Cvss | None, candidates: int) -> Contribution:
    """Say which of the CVSS assessments was chosen, and what is odd about it."""
    if cvss is None:
        return Contribution(
            name="CVSS", value="unscored", text="No score: behind the scored ones of its band."
        )
    text = f"Version {cvss.version} by {cvss.source}, one of {candidates}: {cvss.vector}"
    if cvss.version == "2.0":
        text += ". Only version 2.0 exists: not comparable with others"
    if cvss.disputed:
        text += f". The vector gives {cvss.computed_score}, not {cvss.score}"
    return Contribution(name="CVSS", value=f"{cvss.score:.1f}", text=text)
