"""The report in a few plain lines, for a terminal or a message."""

from wavemend.reports.files import ReportPaths
from wavemend.reports.model import HostReport, RolloutReport
from wavemend.reports.text import counted, one_line
from wavemend.reports.verdict import (
    balance_of,
    hosts_by_urgency,
    outcome_words,
    verdict_of,
)

HOSTS_SHOWN = 10
"""Hosts named in a summary; the rest is counted, and named in the report."""


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
    troubled = [host for host in hosts_by_urgency(report) if not _is_good(host)]
    lines += [_host_line(host) for host in troubled[:HOSTS_SHOWN]]
    if len(troubled) > HOSTS_SHOWN:
        lines.append(f"  and {len(troubled) - HOSTS_SHOWN:,} more, all in the report")
    if paths is not None:
        lines += [f"  page: {paths.html}", f"  data: {paths.json}"]
    return "\n".join(lines) + "\n"


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


def _is_good(host: HostReport) -> bool:
    return host.outcome is not None and host.outcome.is_good


def _host_line(host: HostReport) -> str:
    reason = one_line(host.reason, 160) or "no reason is recorded"
    return f"  {one_line(host.name, 80)}: {outcome_words(host.outcome)}: {reason}"
