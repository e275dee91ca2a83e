"""A Windows host reads as one in the report: builds, not kernels, and updates by their titles."""

import json
from dataclasses import replace

import pytest

from tests.cases.reports.example import acme_night
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.reports.model import PackageReport, RolloutReport
from wavemend.reports.rollout_html import render_html
from wavemend.reports.rollout_json import render_json
from wavemend.reports.verdict import verdict_of
from wavemend.windows.titles import title_of

ID = "b6f52c8e-5a7d-4c0b-9a36-507590600001"
TITLE = "2026-02 Cumulative Update for Microsoft server operating system (KB5075906) (20348.4773)"
KB = PackageReport(
    name="KB5075906",
    arch=ID,
    before="",
    target="r200",
    after="",
    outcome=PackageOutcome.NOT_OFFERED,
    detail="superseded by KB5077777",
    cves=("CVE-2026-21510",),
    lane="emergency",
    title=TITLE,
)


def night(system: str = "windows-server-2022") -> RolloutReport:
    """Return a night's report whose first patched host ran an update of Windows."""
    made = acme_night()
    at = next(n for n, each in enumerate(made.hosts) if each.outcome is Outcome.PATCHED)
    host = replace(made.hosts[at], system=system, packages=(KB,), reason="")
    return replace(made, hosts=(*made.hosts[:at], host, *made.hosts[at + 1 :]))


def test_a_windows_host_has_builds_where_others_have_kernels() -> None:
    page, other = render_html(night()).decode(), render_html(night("debian 12")).decode()

    assert page.count("Running build") == page.count("Newest build") == 1
    assert "Running build" not in other


def test_the_title_stands_at_the_kb_and_its_update_id_does_not() -> None:
    page = render_html(night()).decode()

    assert TITLE in page
    assert ID not in page


def test_what_waits_is_named_by_its_title() -> None:
    (step,) = [step for step in verdict_of(night()).next_steps if "KB5075906" in step.waits]

    assert step.waits == f"update KB5075906: {TITLE}"
    assert step.why == "superseded by KB5077777"


def test_the_json_form_carries_title_and_system() -> None:
    document = json.loads(render_json(night()))
    found = [each for each in document["hosts"] if each["system"]]

    assert [each["system"] for each in found] == ["windows-server-2022"]
    assert [each["title"] for each in found[0]["packages"]] == [TITLE]


@pytest.mark.parametrize(
    ("arch", "title"),
    [(ID, TITLE), ("amd64", ""), ("chocolatey", ""), ("cbs", ""), ("", ""), (ID.upper(), "")],
)
def test_only_updates_of_windows_have_titles(arch: str, title: str) -> None:
    assert title_of(arch, f" {TITLE}\n") == title
