"""The report in a few plain lines, for a terminal or a message."""

from collections.abc import Sequence

from wavemend.reports.files import ReportPaths
from wavemend.reports.model import (
    GapReport,
    HostReport,
    NightReport,
    OverrideReport,
    RolloutReport,
)
from wavemend.reports.text import counted, one_line
from wavemend.reports.verdict import (
    balance_of,
    hosts_by_urgency,
    outcome_words,
    verdict_of,
)

HOSTS_SHOWN = 10
"""Hosts named in a summary; the rest is counted, and named in the report."""

NIGHTS_SHOWN = 5
"""Nights without a rollout that a summary names: a week of working days."""


def summary_text(report: RolloutReport, paths: ReportPaths | None = None) -> str:
    """Return verdict, counts, the hosts that need somebody, and where the report is.

    Plain text without colour, safe on a terminal; ends in a newline.
    """
    balance = balance_of(report)
    verdict = verdict_of(report)
    who = one_line(report.tenant.title or report.tenant.name, 80)
    marker = f"SIMULATED ({_played(report)}) " if report.any_simulated else ""
    lines = [
        f"{marker}{who}: {verdict.answer.value.upper()}. {verdict.sentence}",
        f"  rollout {one_line(report.rollout_id, 80)}, {report.state.value.replace('_', ' ')}",
        f"  hosts: {balance.expected:,} expected = {_sum(report)}",
    ]
    troubled = [host for host in hosts_by_urgency(report) if not host.is_good]
    lines += [_host_line(host) for host in troubled[:HOSTS_SHOWN]]
    if len(troubled) > HOSTS_SHOWN:
        lines.append(f"  and {len(troubled) - HOSTS_SHOWN:,} more, all in the report")
    if report.unmanaged:
        lines.append(_unmanaged_line(report))
    lines += [_override_line(override) for override in report.overrides]
    lines += [_night_line(night) for night in report.nights[-NIGHTS_SHOWN:]]
    if len(report.nights) > NIGHTS_SHOWN:
        lines.append(f"  and {len(report.nights) - NIGHTS_SHOWN:,} nights before, in the report")
    if report.gaps:
        lines.append(_gaps_line(report.gaps))
    if paths is not None:
        lines += [f"  page: {paths.html}", f"  data: {paths.json}"]
    return "\n".join(lines) + "\n"


def _unmanaged_line(report: RolloutReport) -> str:
    names = ", ".join(one_line(name, 80) for name in report.unmanaged[:HOSTS_SHOWN])
    more = len(report.unmanaged) - HOSTS_SHOWN
    rest = f" and {more:,} more, all in the report" if more > 0 else ""
    count = counted(len(report.unmanaged), "host")
    return f"  unmanaged, never patched: {count} that no profile covers: {names}{rest}"


def _override_line(override: OverrideReport) -> str:
    return (
        f"  used although the duty rule forbids it: {one_line(override.identity, 80)} signed for "
        f"the morning of {one_line(override.morning, 20)}: {one_line(override.reason, 160)}"
    )


def _night_line(night: NightReport) -> str:
    reason = one_line(night.reason, 160)
    return f"  night of {night.start:%Y-%m-%d %H:%M} UTC {one_line(night.verdict, 20)}: {reason}"


def _gaps_line(gaps: Sequence[GapReport]) -> str:
    short = [one_line(gap.before, 80) for gap in gaps if not gap.kept]
    minutes = gaps[0].required_seconds // 60
    told = f"too short before {', '.join(short[:5])}" if short else "all kept"
    return f"  gaps of {minutes} min between groups: {counted(len(gaps), 'gap')}, {told}"


def _played(report: RolloutReport) -> str:
    played = sum(host.simulated for host in report.hosts)
    return f"{played:,} of {counted(len(report.hosts), 'host')}"


def _sum(report: RolloutReport) -> str:
    balance = balance_of(report)
    parts = [f"{count:,} {outcome_words(outcome)}" for outcome, count in balance.counts if count]
    if balance.open:
        parts.append(f"{balance.open:,} without an outcome")
    text = " + ".join(parts) or "0"
    return text if balance.holds else f"{text}: DOES NOT BALANCE"


def _host_line(host: HostReport) -> str:
    reason = (
        one_line("; ".join(filter(None, (host.doubt, host.reason))), 160) or "no reason is recorded"
    )
    return f"  {one_line(host.name, 80)}: {outcome_words(host.outcome)}: {reason}"
