"""The report as one self-contained HTML page: no script, no address, nothing to fetch.

Every text passes `finalize` on its way into the page, so no template line can forget to bound it
and to make acting characters visible; Jinja2 then escapes it. A field the template asks for and
the report lacks is an error, never an empty cell.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from wavemend.errors import LedgerError
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.reports.charts import NARROW, WIDE, outcome_bar, wave_timeline, zoomed
from wavemend.reports.marks import SHOWN_ORDER, gate_mark, mark_of, package_mark
from wavemend.reports.model import (
    LANES,
    FindingReport,
    HostReport,
    LaneReport,
    PackageReport,
    RolloutReport,
)
from wavemend.reports.text import (
    LocalTimes,
    bounded,
    bounded_tail,
    counted,
    local_times,
    one_line,
    utc_text,
    visible,
)
from wavemend.reports.verdict import NextStep, balance_of, hosts_by_urgency, verdict_of

_TEMPLATES = "templates"
OPEN_AT_MOST = 5
"""Troubled hosts shown unfolded; with more of them, unfolding all would bury the list."""


FINDINGS_SHOWN = 8
"""Findings shown unfolded: with more of them nobody reads any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingGroup:
    """One vulnerability of one package in the same versions, on several hosts."""

    finding: FindingReport
    """Of the host where it is due first."""
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepGroup:
    """Hosts that wait for the same thing, for the same reason, with the same way out."""

    kind: str
    why: str
    action: str
    steps: tuple[NextStep, ...]


def render_html(report: RolloutReport) -> bytes:
    """Return the report as one HTML page. Equal reports give equal bytes.

    Raises LedgerError for a time without a zone.
    """
    times = _times(report)
    hosts = hosts_by_urgency(report)
    verdict = verdict_of(report)
    balance = balance_of(report)
    page = _environment(times).get_template("rollout.html.j2")
    text = page.render(
        report=report,
        style=_style(),
        times=times,
        verdict=verdict,
        balance=balance,
        counts=[(outcome, dict(balance.counts)[outcome]) for outcome in SHOWN_ORDER],
        open_bad=sum(map(_calls, hosts)) <= OPEN_AT_MOST,
        groups=_groups(verdict.next_steps),
        hosts=hosts,
        anchors={host.name: f"host-{number}" for number, host in enumerate(hosts, 1)},
        lanes=_lanes(report.findings.lanes),
        findings=_finding_groups(report.findings.top),
        findings_shown=FINDINGS_SHOWN,
        zoomed=zoomed(report),
        bars=_charts(partial(outcome_bar, report)),
        timelines=_charts(partial(wave_timeline, report, times)) if report.waves else None,
    )
    return text.encode("utf-8", "backslashreplace")


def _calls(host: HostReport) -> bool:
    """Say whether a host is shown unfolded: nobody knows how it is, or it is not well."""
    return host.outcome is None or host.outcome.is_bad or bool(host.doubt)


def _charts(draw: "partial[Markup]") -> tuple[Markup, Markup]:
    return draw(width=WIDE), draw(width=NARROW)


def _times(report: RolloutReport) -> LocalTimes:
    for moment in (report.window.start, report.window.end, report.generated_at):
        utc_text(moment)  # refuses a time without a zone before anything is drawn
    start, end = report.window.start, report.window.end
    return local_times(
        report.window.zone, start, report.generated_at, start, end, end + timedelta(hours=12)
    )


def _environment(times: LocalTimes) -> Environment:
    environment = Environment(
        loader=PackageLoader("wavemend.reports", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        when=partial(_when, times),
        exact=partial(_when, times, seconds=True),
        dated=partial(_when, times, with_year=True),
        counted=counted,
        line=one_line,
        troubled_first=_troubled_first,
        log=_log,
        about=_about,
        percent=_percent,
        age=_age,
        number=_number,
    )
    environment.globals.update(
        mark=mark_of,
        package_mark=package_mark,
        gate_mark=gate_mark,
        Outcome=Outcome,
        PackageOutcome=PackageOutcome,
        calls=_calls,
    )
    return environment


def _finalize(value: object) -> object:
    """Make every printed text bounded and visible; what is already markup was built from such."""
    if isinstance(value, Markup):
        return value
    if value is None:
        raise LedgerError("a report template printed a field that has no value")
    return bounded(visible(str(value)))


def _style() -> Markup:
    path = files("wavemend.reports").joinpath(_TEMPLATES, "rollout.css")
    return Markup(path.read_text(encoding="utf-8"))  # noqa: S704 - our own file, no foreign text


def _when(
    times: LocalTimes, at: datetime | None, *, seconds: bool = False, with_year: bool = False
) -> Markup:
    if at is None:
        return Markup('<span class="none" title="has not happened">–</span>')
    utc = utc_text(at)
    shown = times.short(at, seconds=seconds)
    if with_year:
        shown = f"{times.day(at)}, {times.clock(at, seconds=seconds)}"
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        utc, utc.replace("T", " ").removesuffix("Z"), shown
    )


def _about(host: HostReport) -> str:
    """Return the line a folded host is judged by: why, or how its packages went."""
    if host.doubt or host.reason:
        return one_line("; ".join(filter(None, (host.doubt, host.reason))))
    if host.outcome is Outcome.PATCHED_REBOOT_PENDING and host.reboot_reasons:
        return one_line("; ".join(host.reboot_reasons))
    if not host.packages:
        return "no package was planned"
    seen = Counter(package_mark(package.outcome).words for package in host.packages)
    return ", ".join(f"{count:,} {words}" for words, count in sorted(seen.items()))


def _troubled_first(packages: Iterable[PackageReport]) -> list[PackageReport]:
    """Put packages that are not as planned before the others; the order by name stays."""
    return sorted(packages, key=lambda package: package.outcome is PackageOutcome.INSTALLED)


def _log(text: str) -> Markup:
    return escape(visible(bounded_tail(text)))


def _percent(share: float | None) -> str:
    return "none observed" if share is None else f"{share:g} %"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    hours = int(seconds // 3600)  # whole ones, as commands and notes about the same feed count them
    if hours < 1:
        return f"{int(seconds // 60)} min"
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _number(value: int) -> str:
    return f"{value:,}"


def _lanes(lanes: Iterable[LaneReport]) -> tuple[LaneReport, ...]:
    order = {lane: number for number, lane in enumerate(LANES)}
    return tuple(sorted(lanes, key=lambda row: (order.get(row.lane, len(order)), row.lane)))


def _due_first(finding: FindingReport) -> float:
    return finding.due_at.timestamp() if finding.due_at else float("inf")


def _finding_groups(findings: Iterable[FindingReport]) -> tuple[FindingGroup, ...]:
    """Gather findings that differ only in the host, in the order of the first of each."""
    seen: dict[tuple[object, ...], list[FindingReport]] = {}
    for one in findings:
        key = (one.cve, one.package, one.lane, one.closed, one.because)
        seen.setdefault(key, []).append(one)
    return tuple(
        FindingGroup(
            finding=min(same, key=_due_first),
            hosts=tuple(sorted({one.host for one in same})),
        )
        for same in seen.values()
    )


def _groups(steps: tuple[NextStep, ...]) -> tuple[StepGroup, ...]:
    """Gather steps that differ only in the host; urgency keeps its order."""

    def shared(step: NextStep) -> tuple[str, str, str]:
        return step.kind, step.why, step.action

    order = {key: number for number, key in enumerate(dict.fromkeys(map(shared, steps)))}
    ranked = sorted(steps, key=lambda step: order[shared(step)])
    return tuple(
        StepGroup(kind=key[0], why=key[1], action=key[2], steps=tuple(members))
        for key, members in groupby(ranked, key=shared)
    )
