"""The report of a rollout of which a host was taken back later shows the host as it is since."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import START, facts, host, plan_of, wave
from tests.cases.rollouts.ledgers import frozen, intend, new_ledger
from tests.contract.test_windows_care_views import FLEET
from tests.unit.test_report_closed import assessment, ranked
from wavemend.ledger import attempts, rollbacks, rollouts
from wavemend.ledger.assessments import record_assessment
from wavemend.ledger.attempts import Granted
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.reporting import build_report

FLEET_NOW = replace(FLEET, hosts=(host("web1"),)).sealed()
PATCHED = PackageResult(
    name="wm-fine",
    arch="all",
    before="1.0",
    target="2.0",
    after="2.0",
    outcome=PackageOutcome.INSTALLED,
    detail="",
)
BACK = replace(PATCHED, before="2.0", target="1.0", after="1.0")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A rollout that has patched web1, and closed one of its two findings."""
    ledger = new_ledger(tmp_path)
    plan = replace(plan_of(wave(1, "web1")), fleet_digest=FLEET_NOW.digest)
    lease = frozen(ledger, plan)
    look(ledger, "preflight", 0, "zip", "kernel")
    assert isinstance(intend(ledger, lease, "web1", plan=plan), Granted)
    with ledger.writing() as book:
        attempts.end_attempt(
            book,
            lease,
            f"a-web1-{lease.fence}",
            outcome=Outcome.PATCHED,
            reason="",
            packages=(PATCHED,),
            evidence=None,
            now=START + MINUTE,
        )
    look(ledger, "verify", 2, "kernel")
    return ledger


def look(ledger: Ledger, purpose: str, minutes: int, *findings: str) -> None:
    at = START + minutes * MINUTE
    with ledger.writing() as book:
        seen = Look(host="web1", at=at, facts=facts("web1"))
        scan = record_look(book, host("web1"), seen, purpose=purpose, rollout_id="r-1")
        judged = assessment(*(ranked(each) for each in findings))
        record_assessment(book, scan, replace(judged, scanned_at=at, assessed_at=at))


def take_back(ledger: Ledger, outcome: Outcome, *packages: PackageResult) -> None:
    with ledger.writing() as book:
        attempt = attempts.of_rollout(book, "r-1")[0]
        held = Lease("r-1", "me", rollouts.get_rollout(book, "r-1").fence)
        wish = RollbackIntent(
            rollback_id="b-1",
            nonce="n",
            attempt_id=attempt.id,
            kind="package_versions",
            requested_by="olga",
            reason="slow",
            automatic=False,
        )
        answer = rollbacks.intend(book, held, wish, now=START + 3 * MINUTE, local_stop="")
        assert isinstance(answer, Granted)
        rollbacks.end(
            book,
            held,
            "b-1",
            outcome=outcome,
            detail="",
            packages=packages,
            evidence=None,
            now=START + 4 * MINUTE,
        )


def told(ledger: Ledger) -> tuple[str, PackageOutcome | None, str, list[str]]:
    """Return a package's version and outcome, its words, and the findings that are closed."""
    report = build_report(ledger, FLEET_NOW, "r-1", START + timedelta(hours=1))
    (web1,) = (each for each in report.hosts if each.name == "web1")
    package = next(each for each in web1.packages if each.name == "wm-fine")
    lanes = sum(lane.closed for lane in report.findings.lanes)
    assert lanes == sum(finding.closed for finding in report.findings.top)
    return package.after, package.outcome, package.detail, ["closed"] * lanes


def test_a_host_that_was_taken_back_has_its_old_versions_and_its_findings_again(
    ledger: Ledger,
) -> None:
    assert told(ledger) == ("2.0", PackageOutcome.INSTALLED, "", ["closed"])

    take_back(ledger, Outcome.ROLLED_BACK, BACK)
    assert told(ledger) == ("1.0", PackageOutcome.FAILED, "taken back", [])

    look(ledger, "verify", 5, "zip", "kernel")
    assert told(ledger)[3] == []


def test_a_rollback_that_was_never_begun_leaves_the_report_as_it_was(ledger: Ledger) -> None:
    take_back(ledger, Outcome.BLOCKED)

    assert told(ledger) == ("2.0", PackageOutcome.INSTALLED, "", ["closed"])


def test_a_host_that_was_lost_on_its_way_back_proves_nothing(ledger: Ledger) -> None:
    lost = replace(BACK, after="", outcome=PackageOutcome.FAILED, detail="not seen since")
    take_back(ledger, Outcome.UNREACHABLE, lost)

    assert told(ledger) == ("", PackageOutcome.FAILED, "not seen since", [])
