"""A preflight that Prefect runs again does not look at a host that it has seen."""

from dataclasses import replace
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from tasks.host_steps import preflight
from tasks.workbench import Workbench
from tests.cases.rollouts.build import START, facts
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.errors import HostUnreachable
from wavemend.hosts import Host
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger.scans import record_look
from wavemend.observations import Look
from wavemend.site import Site, hands_of
from wavemend.transport import Transport

pytestmark = pytest.mark.orchestration

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"
RUN_COUNT = "PREFECT__RUNTIME__TASK_RUN__RUN_COUNT"


@pytest.mark.parametrize(("run_count", "seen"), [("1", False), ("2", True)])
def test_a_look_is_not_repeated_by_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_count: str, seen: bool
) -> None:
    """The first run wrote its look down and failed after that; the host is gone since."""

    def refuse(host: Host) -> Transport:
        raise HostUnreachable(f"{host.name}: no answer")

    site, fleet, ledger = Site(home=tmp_path), load_fleet(EXAMPLE), new_ledger(tmp_path)
    hands = replace(hands_of(site, ledger, fleet), connect=refuse)
    look = Look(host="web1", at=START, facts=facts("web1"))
    with ledger.writing() as book:
        record_look(book, fleet.host("web1"), look, purpose="preflight", rollout_id="r-1")

    monkeypatch.setenv(RUN_COUNT, run_count)
    with disable_run_logger():
        found = preflight.fn(Workbench(site, fleet, hands), "web1", "r-1", may_be_seen=False)
    assert (found.facts is not None) == seen
