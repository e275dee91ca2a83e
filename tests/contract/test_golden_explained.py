"""The worked example on the page about judging findings is what `wavemend explain` prints."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.golden import SCANNED
from tests.contract.golden_world import FEEDS, ROWS, host_facts, made_world
from tests.unit.test_findings import offer
from wavemend.cli import main
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger.assessments import record_assessment
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import open_ledger
from wavemend.observations import Look
from wavemend.steps.assess import Assessor

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "how-findings-are-judged.md"
RIGHT = Path(__file__).parents[1] / "cases" / "fleet" / "right.yaml"
EXAMPLE = "CVE-2024-47175"
BEFORE = "2.4.2-3+deb12u7"
"""The version before the fix, of June 2024."""
LATE = re.compile(r", OVERDUE by [^\n]+| It is OVERDUE by [^.]+\.")
BLOCK = re.compile(r"```text\n(.*?)```", re.DOTALL)


def test_the_pages_example_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = seen_and_judged(tmp_path)
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.delenv("WAVEMEND_LEDGER", raising=False)

    with pytest.raises(SystemExit) as ended:
        main(["explain", finding])

    assert ended.value.code == 0
    # The page is of the day it was judged on; by now the date may have passed.
    printed = LATE.sub("", capsys.readouterr().out)
    assert BLOCK.findall(PAGE.read_text(encoding="utf-8")) == [printed]


def seen_and_judged(home: Path) -> str:
    """Make an installation whose web1, reachable from the internet, lacks a fix; return its id."""
    declared = RIGHT.read_text(encoding="utf-8").replace(
        "    address: 192.0.2.11\n", "    address: 192.0.2.11\n    exposed: true\n"
    )
    file = home / "fleet.yaml"
    file.write_text(declared, encoding="utf-8")
    fleet = load_fleet(file)
    web1 = fleet.host("web1")
    world = made_world(home)
    world.refresh()
    row = next(row for row in ROWS if row.cve == EXAMPLE)
    seen = replace(host_facts(row, BEFORE), pending=(offer(row.package, row.fixed),))
    real = (feed for feed in FEEDS if feed != "debian-tracker")
    assessor = Assessor(fleet, world.load(*real))
    assessment = assessor.assess(web1, seen, SCANNED, SCANNED, {}).assessment
    with open_ledger(f"sqlite:///{home / 'ledger.db'}").writing() as book:
        apply_fleet(book, fleet, actor="test", now=SCANNED)
        look = Look(host=web1.name, at=SCANNED, facts=seen)
        scan = record_look(book, web1, look, purpose="scan")
        record_assessment(book, scan, assessment)
    (found,) = (item.finding.id for item in assessment.ranked if item.finding.cve == EXAMPLE)
    return found
