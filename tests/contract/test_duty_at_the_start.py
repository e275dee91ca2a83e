"""AC-17 in the executor itself: sick leave that is entered in the night stops what has not begun.

Real ledger, scripts and jobs on a simulated host; only the roster changes under way.
"""

import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench
from tests.contract.test_attempt_deaths import bench_of, installs
from wavemend.calendar.almanac import Almanac, Shift
from wavemend.calendar.declared import DutyRule, TenantCalendar
from wavemend.execution.attempt import attempt_host
from wavemend.execution.order import InForce
from wavemend.outcomes import Outcome
from wavemend.testing.simulated.machine import Machine

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

RULES = TenantCalendar(
    tenant="acme",
    zone="UTC",
    duty=DutyRule(roster="office", hours_from=time(7), hours_until=time(9), days_off=frozenset()),
)


@dataclass
class Roster:
    """A roster with Anna in it, until she has called in sick."""

    sick_from: int
    """The time it is asked, counted from 1, from which she is gone."""
    asked: list[int] = field(default_factory=list)

    def __call__(self) -> Almanac:
        """Return what the roster says now."""
        self.asked.append(1)
        now = datetime.now(UTC)
        there = Shift(start=now - timedelta(days=9), end=now + timedelta(days=9), person="Anna")
        gone = len(self.asked) >= self.sick_from
        return Almanac(read_at=now, shifts={"office": () if gone else (there,)})


@pytest.fixture
def host(tmp_path: Path) -> tuple[Bench, Machine]:
    return bench_of(tmp_path / "lab")


def attempt(bench: Bench, roster: Roster) -> Outcome:
    order = replace(bench.order(), ask=lambda: InForce(tenant=bench.tenant, calendar=RULES))
    return attempt_host(replace(bench.hands(), almanac=roster), order)


def test_ac_17_a_host_is_begun_while_the_morning_is_staffed(host: tuple[Bench, Machine]) -> None:
    bench, machine = host
    roster = Roster(sick_from=10_000)

    assert attempt(bench, roster) is Outcome.PATCHED
    assert installs(machine)
    assert len(roster.asked) >= 2  # at the intent, and right before the job


@pytest.mark.parametrize("sick_from", [1, 2])
def test_ac_17_nothing_begins_once_the_morning_is_unstaffed(
    host: tuple[Bench, Machine], sick_from: int
) -> None:
    bench, machine = host
    roster = Roster(sick_from=sick_from)

    assert attempt(bench, roster) is Outcome.NOT_ATTEMPTED
    assert len(roster.asked) >= sick_from
    assert "nobody is on duty on" in bench.row().reason
    assert installs(machine) == {}
