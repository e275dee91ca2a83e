"""`wavemend limits` shows who keeps whom back, and takes a person's word with a reason."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import END, START
from tests.contract.night_bench import MINUTE, Night
from wavemend.calendar.estimates import ChangeKind, SizeClass, estimate
from wavemend.cli.fleet_apply import apply
from wavemend.cli.limits import durations, gaps, show, well
from wavemend.errors import FleetError
from wavemend.fleet_limits import NO_LIMITS
from wavemend.ledger import attempts
from wavemend.ledger.durations import learned_durations
from wavemend.ledger.intake import current_fleet
from wavemend.outcomes import Outcome
from wavemend.reporting.gaps import gap_reports
from wavemend.reporting.source import Source
from wavemend.site import Site

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"
BUDGETS = """
budgets:
  - {name: pair, hosts: [web1, db1], most_out: 1}
"""
DAYS = (datetime.now(UTC) - START).days + 1


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    """An installation whose fleet has a budget and a gap, and a night in which web1 failed."""
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path / "home"))
    fleet = tmp_path / "fleet.yaml"
    text = EXAMPLE.read_text().replace(
        "zone: Europe/Berlin", "zone: Europe/Berlin\n    gap: 60m", 1
    )
    text = text.replace("address: 192.0.2.11\n", "address: 192.0.2.11\n    simulated: true\n", 1)
    fleet.write_text(text + BUDGETS)
    apply(fleet)
    made = Night(Site(home=tmp_path / "home").open_ledger())
    made.freeze("r-1", ["web1"])
    made.freeze("r-2", ["web2"])
    change(made, "r-1", "web1", START, START + 4 * MINUTE, Outcome.FAILED)
    change(made, "r-2", "web2", START + 30 * MINUTE, START + 37 * MINUTE, Outcome.PATCHED)
    return made


def change(
    night: Night, rollout: str, host: str, begun: datetime, ended: datetime, outcome: Outcome
) -> None:
    night.begin(rollout, 1, begun)
    night.intend(rollout, host, NO_LIMITS, begun)
    with night.ledger.writing() as book:
        attempts.mark_running(book, night.leases[rollout], f"a-{rollout}-{host}", begun, begun)
    night.end(rollout, host, outcome, ended)


def test_a_host_that_is_not_well_is_shown_until_somebody_says_it_is(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    assert night.ledger is not None
    show()
    assert "web1 (SIMULATED)" in capsys.readouterr().out

    well("web1", reason="checked by hand")
    assert "web1 (SIMULATED) uses no budget" in capsys.readouterr().out
    show()
    assert "web1" not in capsys.readouterr().out
    with pytest.raises(FleetError, match='no host "web9"'):
        well("web9", reason="a slip")


def test_a_gap_that_was_too_short_is_called_so_and_ends_with_2(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    assert night.ledger is not None
    assert gaps("acme", days=DAYS) == 2
    told = capsys.readouterr().out
    assert "1 gaps, of which 1 are shorter than 1h" in told
    assert "0:26:00" in told
    assert gaps("globex", days=DAYS) == 0


def test_ac_18_the_report_of_a_rollout_proves_the_gaps_of_its_night(night: Night) -> None:
    with night.ledger.reading() as book:
        source = Source(book, current_fleet(book), "r-2", END)
        (gap,) = gap_reports(source, timedelta(hours=1))
        assert gap_reports(source, None) == ()

    assert (gap.after, gap.before) == ("broad-1 of r-1", "broad-1 of r-2")
    assert (gap.required_seconds, gap.kept) == (3600, False)
    assert gap.ended_at is not None
    assert gap.started_at - gap.ended_at == 26 * MINUTE


def test_durations_are_learned_from_changes_that_ran_their_course(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    with night.ledger.reading() as book:
        learned = learned_durations(book)
    kind = ChangeKind(system="", size=SizeClass.FEW, reboot=False)

    assert learned.known == {kind: estimate(kind, [240.0, 420.0])}
    assert learned.of(kind, at_most=END - START).seen == 2
    durations()
    assert "unknown" in capsys.readouterr().out
    assert timedelta(seconds=learned.known[kind].p95) >= 15 * MINUTE
