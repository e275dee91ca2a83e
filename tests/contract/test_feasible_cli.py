"""`wavemend calendar feasible` answers from fleet, calendars and ledger, and its way out holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import facts
from tests.contract.test_findings_cli import finding, ranked
from wavemend.advisories import Vulnerability
from wavemend.cli import main
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger.assessments import record_assessment
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import open_ledger
from wavemend.observations import Assessment, Look, Ranked

NOW = datetime.now(UTC).replace(microsecond=0)

FLEET = """\
schema: wavemend.fleet/1
tenants:
  - {{name: acme, zone: UTC, window: nightly}}
windows:
  - {{name: nightly, zone: UTC, start: "{start}", days: [mon, tue, wed, thu, fri, sat, sun],
     duration: {duration}, cutoff: 0m}}
profiles:
  - name: servers
    os: debian
    device: server
    manager: apt
    updates: security
    reboot: never
    host_deadline: 45m
    waves: [{{name: all, kind: broad, concurrency: 1}}]
logins:
  - {{name: default, user: patch, key: "agent:"}}
{freezes}
hosts:
{hosts}
"""
FREEZE = """\
freezes:
  - {{name: inventory, scope: company, tenant: acme, start: "{start}", end: "{end}"}}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def installation(
    home: Path, *, hosts: int = 8, due_days: int = 3, duration: str = "1h", freezes: str = ""
) -> None:
    """Every host lacks one fix that is due so many days from now; one was never looked at."""
    names = [f"web{n}" for n in range(hosts)]
    lines = [
        f"  - {{name: {name}, tenant: acme, address: 192.0.2.{at + 1}, "
        f"labels: {{os: debian, device: server}}, simulated: {str(name == 'new1').lower()}}}"
        for at, name in enumerate([*names, "new1"])
    ]
    start = f"{NOW + timedelta(hours=2):%H}:00"
    file = home / "fleet.yaml"
    file.write_text(
        FLEET.format(start=start, duration=duration, freezes=freezes, hosts="\n".join(lines))
    )
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    with ledger.writing() as book:
        fleet = load_fleet(file)
        apply_fleet(book, fleet, actor="olga@here", now=NOW)
        for name in names:
            look = Look(host=name, at=NOW, facts=facts(name))
            scan = record_look(book, fleet.host(name), look, purpose="scan")
            line = ranked(
                finding("a" * 16, "CVE-2026-1000", "openssl", host=name),
                Vulnerability(cve="CVE-2026-1000"),
                NOW,
            )
            due = NOW + timedelta(days=due_days)
            line = replace(line, priority=replace(line.priority, due=due))
            record_assessment(book, scan, judged(name, line))


def judged(name: str, line: Ranked) -> Assessment:
    return Assessment(
        host=name,
        tenant="acme",
        scanned_at=NOW,
        assessed_at=NOW,
        intelligence="i-1",
        packages=1,
        judged=1,
        ranked=(line,),
        unmatched=(),
        feeds=(),
    )


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["calendar", "feasible", *arguments])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_enough_nights_are_shown_with_the_hosts_of_each(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installation(home, hosts=8, due_days=3)
    status, text = said(capsys)
    assert status == 0, text
    # Four hosts of 15 minutes an hour, one at a time: two nights.
    assert "yes: all due dates of 8 hosts can be met" in text
    assert "1 never judged" in text
    assert "new1 (SIMULATED)" in text


def test_too_short_a_window_is_named_and_the_longer_one_that_is_proposed_is_enough(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installation(home, hosts=16, due_days=3)
    status, text = said(capsys)
    assert status == 1, text
    assert "due acme" in text
    assert "window nightly" in text
    assert "make the window nightly 30m longer" in text
    installation(home, hosts=16, due_days=3, duration="1h30m")
    assert said(capsys)[0] == 0


def test_a_freeze_over_the_whole_time_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    freeze = FREEZE.format(
        start=f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M}",
        end=f"{NOW + timedelta(days=40):%Y-%m-%dT%H:%M}",
    )
    installation(home, hosts=2, freezes=freeze)
    status, text = said(capsys)
    assert status == 1, text
    assert "freeze inventory" in text
    assert "lift the freeze inventory for the night nightly@" in text


def test_what_is_overdue_already_is_said_and_still_planned(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installation(home, hosts=2, due_days=-5)
    status, text = said(capsys)
    assert status == 0, text
    assert "2 overdue already" in text


@pytest.mark.parametrize("days", ["0", "181"])
def test_a_time_that_makes_no_sense_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], days: str
) -> None:
    installation(home)
    status, _ = said(capsys, "--days", days)
    assert status not in {0, 1}
