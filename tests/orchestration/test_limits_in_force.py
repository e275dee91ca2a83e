"""What other hosts mean by the fleet in force reaches a host's real start, and its rollback."""

from datetime import timedelta
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from tasks.host_steps import _in_force, patch
from tasks.rolling_back import roll_back_one
from tasks.workbench import Running, Workbench
from tests.cases.rollouts.build import START
from tests.cases.rollouts.ledgers import new_ledger
from tests.contract.night_bench import Night
from wavemend.fleet_limits import NO_LIMITS
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import attempts, limits
from wavemend.ledger.intake import apply_fleet
from wavemend.outcomes import Outcome
from wavemend.site import Site, hands_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"
PAIR = "budgets:\n  - {name: pair, hosts: [web1, web2], most_out: 1}\n"


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Return a night of a fleet with a pair; web2 was changed and is not well."""
    path = tmp_path / "fleet.yaml"
    path.write_text(EXAMPLE.read_text() + PAIR)
    made, fleet = Night(new_ledger(tmp_path)), load_fleet(path)
    with made.ledger.writing() as book:
        apply_fleet(book, fleet, actor="olga", now=START)
    its = {"fleet_digest": fleet.digest, "profile": "debian-server", "window": "sat-night"}
    for n in (1, 2):
        made.freeze(f"r-{n}", [f"web{n}"], **its)
    made.intend("r-2", "web2", NO_LIMITS)
    made.end("r-2", "web2", Outcome.FAILED)
    return made


def running(night: Night, folder: Path) -> Running:
    site, fleet = Site(home=folder), load_fleet(folder / "fleet.yaml")
    bench = Workbench(site, fleet, hands_of(site, night.ledger, fleet))
    return Running(bench, night.leases["r-1"], night.plans["r-1"])


def test_a_host_is_not_patched_without_its_budgets_being_asked(
    tmp_path: Path, night: Night
) -> None:
    """The night is long over: the refusal names what would have kept the host back."""
    with disable_run_logger():
        ended = patch.fn(running(night, tmp_path), "broad-1", ("web1",), "web1")

    assert ended == (Outcome.NOT_ATTEMPTED,)
    with night.ledger.reading() as book:
        (row,) = attempts.of_rollout(book, "r-1")
    assert row.reason.endswith(" while it waited: budget pair is used up: web2 is not well")


def test_a_companys_gap_is_asked_at_a_real_start(tmp_path: Path, night: Night) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(fleet.read_text().replace("    four_eyes: true\n", "    gap: 75m\n", 1))
    with night.ledger.writing() as book:
        apply_fleet(book, load_fleet(fleet), actor="olga", now=START)

    found = _in_force(running(night, tmp_path), "web1").limits
    assert (found.gap, [each.name for each in found.sets]) == (timedelta(minutes=75), ["pair"])


def test_a_host_is_not_taken_back_without_its_budgets_being_asked(
    tmp_path: Path, night: Night
) -> None:
    night.intend("r-1", "web1", NO_LIMITS)
    night.end("r-1", "web1")
    restart(night)
    asked = running(night, tmp_path)
    with disable_run_logger():
        end = roll_back_one.fn(asked, "web1", "the pilot was taken back")

    assert end.outcome is Outcome.BLOCKED
    assert end.detail.startswith("window: it ended at ")
    assert end.detail.endswith(", while it waited: budget pair: web2 is out already")


def restart(night: Night) -> None:
    """Let web2 be well again, and at work: somebody is waited for."""
    with night.ledger.writing() as book:
        limits.say_well(book, "web2", actor="olga", reason="seen", now=START + timedelta(hours=1))
    night.freeze("r-3", ["web2"])
    night.intend("r-3", "web2", NO_LIMITS, START + timedelta(hours=2))
