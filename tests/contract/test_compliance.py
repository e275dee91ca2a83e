"""A host counts as clean only when its last look was judged, by feeds that are there and fresh."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import facts
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.compliance import standing_of
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger.assessments import record_assessment
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import Assessment, FeedDay, Look

FLEET = load_fleet(Path(__file__).parents[1] / "cases" / "fleet" / "right.yaml")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEB1 = FLEET.host("web1")
FRESH = FeedDay(feed="debian", day=NOON.date())
CLEAN = Assessment(
    host="web1",
    tenant=WEB1.tenant,
    scanned_at=NOON,
    assessed_at=NOON,
    intelligence="i",
    feeds=(FRESH,),
    packages=3,
    judged=2,
    ranked=(),
    unmatched=(),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path)


def seen(ledger: Ledger, at: datetime, assessed: Assessment | None = None) -> None:
    with ledger.writing() as book:
        look = Look(host="web1", at=at, facts=facts("web1"))
        scan = record_look(book, WEB1, look, purpose="scan")
        if assessed is not None:
            record_assessment(book, scan, assessed)


def clean_hosts(ledger: Ledger) -> int:
    with ledger.reading() as book:
        standing = standing_of(book, FLEET, WEB1.tenant, NOON)
    parts = (standing.clean, standing.open, standing.unknown, standing.unmanaged)
    assert sum(parts) == standing.hosts
    return standing.clean


def test_a_host_that_was_judged_and_lacks_nothing_is_clean(ledger: Ledger) -> None:
    seen(ledger, NOON, CLEAN)

    assert clean_hosts(ledger) == 1


@pytest.mark.parametrize(
    "assessed",
    [
        None,
        replace(CLEAN, judged=0),
        replace(CLEAN, feeds=(replace(FRESH, stale=True),)),
    ],
    ids=["never judged", "no feed knows its release", "by stale feeds"],
)
def test_a_host_without_findings_is_unknown_when_nobody_could_have_found_any(
    ledger: Ledger, assessed: Assessment | None
) -> None:
    seen(ledger, NOON, assessed)

    assert clean_hosts(ledger) == 0


def test_a_newer_look_that_was_not_judged_yet_makes_a_clean_host_unknown(ledger: Ledger) -> None:
    seen(ledger, NOON, CLEAN)
    seen(ledger, NOON + timedelta(hours=1))

    assert clean_hosts(ledger) == 0


def test_hosts_that_are_only_played_are_counted_as_such(ledger: Ledger) -> None:
    hosts = tuple(replace(host, simulated=host.name == "web1") for host in FLEET.hosts)
    with ledger.reading() as book:
        standing = standing_of(book, replace(FLEET, hosts=hosts), WEB1.tenant, NOON)

    assert standing.simulated == 1
