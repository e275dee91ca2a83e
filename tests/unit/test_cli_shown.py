"""Text from outside cannot command the terminal, and an approver signs what he sees."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.text import Text

from tests.cases.rollouts.build import CRITICAL, NOON, PILOT, START, package, plan_of
from tests.cases.rollouts.ledgers import KEY, NIGHT, frozen, new_ledger, opened, take
from wavemend.advisories import Vulnerability
from wavemend.cli import approvals as approvals_cli
from wavemend.cli import control, main, rollouts
from wavemend.cli.shown import say
from wavemend.cli.tables import findings_table
from wavemend.errors import ApprovalRefused
from wavemend.findings import Because, Finding
from wavemend.ledger import approvals, audit
from wavemend.ledger import rollouts as ledger_rollouts
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import (
    PlanRow,
)
from wavemend.observations import Ranked, line_of
from wavemend.plans import Plan
from wavemend.scoring import Lane, Priority

HOSTILE = "2.0[/x][conceal]\x1b[8m\x1b[2J\x9b2J\u202egnp"
SPELLED = "2.0[/x][conceal]\\u001b[8m\\u001b[2J\\u009b2J\\u202egnp"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Return the ledger of the installation that the commands of the test work with."""
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")
    return new_ledger(tmp_path)


def hostile_plan() -> Plan:
    plan = plan_of(PILOT, CRITICAL)
    packages = (package("zip", HOSTILE, HOSTILE), package(f"x{HOSTILE}"))
    return replace(plan, hosts=tuple(replace(host, packages=packages) for host in plan.hosts))


def is_spelled_out(shown: str) -> bool:
    return SPELLED in shown and not set(shown) & set("\x1b\x9b\u202e")


def test_the_plan_to_approve_is_shown_whole_whatever_its_versions_hold(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    lease = frozen(ledger, hostile_plan())
    with ledger.writing() as book:
        approvals.ask(book, lease, request_id="q", nonce="1" * 32, flow_run_id="f", now=NOON)

    with pytest.raises(ApprovalRefused, match="no-such-key"):  # shown first, signed after
        approvals_cli.approve("r-1", key=Path("no-such-key"), reason="tested", as_="alice")

    shown = capsys.readouterr().out
    assert is_spelled_out(shown)
    assert shown.count(SPELLED) == 3


def test_on_a_narrow_terminal_what_is_signed_and_what_is_copied_is_not_cut(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long, rollout = f"3.5.0+{'ds1' * 20}-0+deb12u1", "r-55e63ad425ed"
    plan = plan_of(PILOT, CRITICAL, rollout=rollout)
    packages = (package("linux-image-6.1.0-32-cloud-amd64", long, f"{long}~x"),)
    hosts = tuple(replace(host, packages=packages) for host in plan.hosts)
    lease = frozen(ledger, replace(plan, hosts=hosts))
    with ledger.writing() as book:
        approvals.ask(book, lease, request_id="q", nonce="1" * 32, flow_run_id="f", now=NOON)

    approvals_cli.waiting()
    with pytest.raises(ApprovalRefused, match="no-such-key"):
        approvals_cli.approve(rollout, key=Path("no-such-key"), reason="tested", as_="alice")

    shown = capsys.readouterr().out
    assert "…" not in shown
    assert f"{rollout}  acme" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_nothing_that_waits_is_said_in_words(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(ledger)

    approvals_cli.waiting()

    assert capsys.readouterr().out == "nothing waits for an approver\n"


def test_a_plan_that_is_not_the_one_asked_for_is_neither_shown_nor_signed(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    lease = frozen(ledger, plan_of(PILOT, CRITICAL))
    with ledger.writing() as book:
        approvals.ask(book, lease, request_id="q", nonce="1" * 32, flow_run_id="f", now=NOON)
    harmless = plan_of(PILOT, CRITICAL, nonce="9" * 32)
    with ledger.writing() as book:
        row = PlanRow(
            digest=harmless.digest, rollout_id="r-1", created_at=NOON, document=harmless.document()
        )
        book.add(row)
        ledger_rollouts.get_rollout(book, "r-1").plan_digest = harmless.digest

    with pytest.raises(ApprovalRefused, match="changed after this request"):
        approvals_cli.approve("r-1", key=Path("no-such-key"), reason="tested", as_="alice")
    assert capsys.readouterr().out == ""


def test_reasons_and_hosts_of_a_rollout_are_spelled_out(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    with ledger.writing() as book:
        key = replace(KEY, profile=f"p{HOSTILE}")
        ledger_rollouts.open_rollout(book, "r-1", key, NIGHT, requester="olga", now=NOON)
    lease = take(ledger, "r-1")
    with ledger.writing() as book:
        ledger_rollouts.finish_rollout(book, lease, HOSTILE, START)

    for command in (rollouts.list_, lambda: rollouts.show("r-1")):
        command()
        assert is_spelled_out(capsys.readouterr().out)


def test_the_audit_chain_is_printed_one_event_per_line_and_spelled_out(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(ledger)
    with ledger.writing() as book:
        audit.append(book, NOON, f"eve\n{HOSTILE}", "approval.refused", "r-1", reason=HOSTILE)

    control.show("r-1")

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert is_spelled_out(lines[-1])


def test_no_cell_of_a_finding_is_read_as_markup() -> None:
    finding = Finding(
        id="f",
        tenant="acme",
        host=HOSTILE,
        cve=HOSTILE,
        package=HOSTILE,
        binaries=(),
        installed=HOSTILE,
        fixed=HOSTILE,
        fix_pending=False,
        because=Because(feed="debian", document=HOSTILE, compared=""),
    )
    priority = Priority(lane=Lane.ROUTINE, order=(), due=None, due_reason="", contributions=())

    known = Vulnerability(cve=HOSTILE)
    line = line_of(Ranked(finding=finding, vulnerability=known, priority=priority))

    table = findings_table([line])

    for column in table.columns:
        for cell in column.cells:
            assert str(cell) in {SPELLED, "", "f", Lane.ROUTINE}
            assert isinstance(cell, Text)  # a plain str would be read as markup


def test_the_message_of_an_error_keeps_its_lines_and_nothing_that_acts(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["rollout", "show", HOSTILE])
    assert is_spelled_out(capsys.readouterr().err)

    say(f"first\n{HOSTILE}")
    assert capsys.readouterr().out == f"first\n{SPELLED}\n"
