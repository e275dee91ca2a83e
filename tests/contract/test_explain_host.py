"""`wavemend explain HOST` answers first, then says why, what would change it, and what holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.quiet import quiet_fleet, staffed
from wavemend.cli import main
from wavemend.cli.fleet_apply import apply
from wavemend.ledger import rollouts
from wavemend.ledger.store import Ledger
from wavemend.policy.settings import FIELDS
from wavemend.site import Site

NOW = datetime.now(UTC)


def installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, opens: datetime, roster: str
) -> Ledger:
    monkeypatch.setenv("WAVEMEND_HOME", str(folder / "home"))
    monkeypatch.setenv("COLUMNS", "240")  # sentences in one line
    fleet = quiet_fleet(folder / "fleet", opens=opens, roster=roster)
    apply(Path(fleet.source_path))
    return Site(home=folder / "home").open_ledger()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["explain", "a1", *words])
    told = capsys.readouterr()
    assert ended.value.code == 0, told.err
    return told.out


def test_inside_an_open_window_that_nothing_closes_the_answer_is_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(tmp_path, monkeypatch, opens=NOW - timedelta(hours=1), roster=staffed(NOW))

    text = said(capsys)

    assert text.startswith("yes: nothing keeps a1 from being changed at ")
    assert "BLOCKS" not in text
    assert "What would change it" not in text


def test_a_closed_window_names_when_it_opens_in_both_times_and_why_not_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opens = NOW.replace(minute=0, second=0, microsecond=0) + timedelta(hours=8)
    ledger = installed(tmp_path, monkeypatch, opens=opens, roster=staffed(NOW))
    with ledger.writing() as book:
        rollouts.turn_switch(book, "acme", engaged=True, actor="olga", reason="storm", now=NOW)

    first, *rest = said(capsys).splitlines()

    assert first.startswith("no: not before ")
    assert "Europe/Berlin" in first
    assert first.endswith(f"{opens:%H:%M}Z)")
    assert "  BLOCKS  stop: stopped for acme: storm (by olga) [kill switch]" in rest
    assert "  BLOCKS  window: closed [window night]" in rest
    assert "  release the stop: `wavemend go --tenant acme`" in rest
    assert any(line.startswith("  wait until ") for line in rest)


def test_an_unwatched_morning_offers_the_signature_that_frees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opens = NOW - timedelta(hours=1)
    installed(tmp_path, monkeypatch, opens=opens, roster="person,skills,start,end\n")

    text = said(capsys)

    assert text.startswith("no: not at ")
    assert "  BLOCKS  calendar: nobody on duty: nobody with linux is on duty on " in text
    assert "an approver of acme signs for the morning of " in text


def test_a_time_to_come_can_be_asked_about_and_one_that_is_over_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opens = NOW.replace(minute=0, second=0, microsecond=0) + timedelta(hours=8)
    installed(tmp_path, monkeypatch, opens=opens, roster=staffed(NOW))
    later = opens + timedelta(minutes=30)

    assert said(capsys, "--at", f"{later:%Y-%m-%dT%H:%M}Z").startswith("yes: ")
    with pytest.raises(SystemExit, match=r"[1-9]"):
        main(["explain", "a1", "--at", "2020-01-01"])
    assert "--at 2020-01-01 is over" in capsys.readouterr().err


def test_ac_08_explain_host_prints_value_and_origin_of_every_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(tmp_path, monkeypatch, opens=NOW, roster=staffed(NOW))

    text = said(capsys)

    assert all(field in text for field in FIELDS)
    rows = [line.split() for line in text.splitlines()]
    assert ["reboot", "if_needed", "profile", "server"] in rows
