"""The findings of a report: one row per vulnerability, not one per host; open ones are red."""

import re
from dataclasses import replace

from tests.cases.reports.build import finding
from tests.cases.reports.example import acme_night
from wavemend.reports import model, render_html
from wavemend.reports.model import FindingReport
from wavemend.reports.rollout_html import FINDINGS_SHOWN


def page(*findings: FindingReport) -> str:
    report = replace(acme_night(), findings=model.FindingsReport(lanes=(), top=findings))
    html = render_html(report).decode()
    return html[html.index('id="findings"') : html.index('id="approvals"')]


def test_the_same_finding_on_three_hosts_is_one_row_that_names_them() -> None:
    hosts = ("web1", "web2", "web3")
    shown = page(*(finding("CVE-2026-1", name, "expat") for name in hosts))

    assert shown.count("CVE-2026-1<") == 1
    assert "web1, web2, web3" in shown


def test_open_and_closed_of_the_same_finding_stay_apart() -> None:
    shown = page(
        finding("CVE-2026-1", "app1", "zip", closed=False), finding("CVE-2026-1", "web1", "zip")
    )

    assert re.findall(r"<span>(open|closed)</span>", shown) == ["open", "closed"]


def test_an_ignored_finding_is_not_shown_as_open() -> None:
    shown = page(finding("CVE-2026-1", "web1", "zip", closed=False, lane="ignored"))

    assert "<span>ignored</span>" in shown
    assert "<span>open</span>" not in shown


def test_an_unscored_finding_says_so_and_not_zero() -> None:
    shown = page(finding("CVE-2026-1", "web1", "zip", cvss=None, cvss_source="", epss=None))

    assert "unscored" in shown
    assert "no entry" in shown
    assert "0.0" not in shown


def test_many_findings_are_folded_but_all_are_there() -> None:
    names = [f"CVE-2026-{number:04d}" for number in range(40)]
    shown = page(*(finding(name, "web1", "zip") for name in names))

    assert all(f"{name}<" in shown for name in names)
    assert f"{40 - FINDINGS_SHOWN} more" in shown
