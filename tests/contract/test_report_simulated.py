"""A host that was left out is called simulated where its declaration, plan or look says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases.rollouts.build import START, facts, host, plan_of, wave
from tests.cases.rollouts.ledgers import frozen, new_ledger
from tests.contract.test_windows_care_views import FLEET
from wavemend.fleet import Fleet
from wavemend.ledger.scans import record_look
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.plans import ExcludedHost
from wavemend.reporting import build_report


def fleet(*, declared: bool) -> Fleet:
    return replace(FLEET, hosts=(replace(host("db1"), simulated=declared), host("web1"))).sealed()


@pytest.mark.parametrize(
    ("declared", "planned", "seen", "called"),
    [
        (True, False, False, True),
        (False, True, False, True),
        (False, False, True, True),
        (False, False, False, False),
    ],
    ids=["declared", "planned", "seen", "none of them"],
)
def test_a_host_left_out_is_simulated_by_anybodys_word(
    tmp_path: Path, declared: bool, planned: bool, seen: bool, called: bool
) -> None:
    ledger, fleet_now = new_ledger(tmp_path), fleet(declared=declared)
    left = ExcludedHost(
        name="db1", outcome=Outcome.SKIPPED, reason="preflight: space", simulated=planned
    )
    plan = replace(plan_of(wave(1, "web1")), excluded=(left,), fleet_digest=fleet_now.digest)
    frozen(ledger, plan)
    with ledger.writing() as book:
        for name in ("db1", "web1"):
            look = Look(
                host=name, at=START, facts=replace(facts(name), simulated=seen and name == "db1")
            )
            record_look(book, host(name), look, purpose="preflight", rollout_id=plan.rollout)

    report = build_report(ledger, fleet_now, plan.rollout, START)

    assert {each.name: each.simulated for each in report.hosts} == {"db1": called, "web1": False}
    assert report.simulated is called
