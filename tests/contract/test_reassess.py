"""Hosts are judged anew when something changed, by their newest look, and from when it was made."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.cases.rollouts.build import facts
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.advisories import (
    Advisory,
    AdvisoryStatus,
    FeedSnapshot,
    KevEntry,
    Vulnerability,
)
from wavemend.execution.hands import Hands
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.inventory.fleet_file import load_fleet
from wavemend.knowledge import Intelligence
from wavemend.ledger.assessments import Question, open_findings
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import FindingLine, Look
from wavemend.steps.assess import Assessor, Reassessed, assess_look, reassess_fleet
from wavemend.steps.freeze import weigh

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FLEET = load_fleet(Path(__file__).parents[1] / "cases" / "fleet" / "right.yaml")
WEB1 = FLEET.host("web1")
CVE = "CVE-2026-1000"
STATEMENT = Advisory(
    id=CVE,
    feed="debian",
    document="all.zip",
    release="bookworm",
    package="openssl",
    fixed_version="1.0-2",
    status=AdvisoryStatus.FIXED,
    cves=(CVE,),
)
LISTED = KevEntry(date_added=date(2026, 11, 20), due_date=None, ransomware=None, name="A flaw")


def seen(version: str) -> Facts:
    package = InstalledPackage(
        name="openssl", version=version, arch="amd64", source="openssl", source_version=version
    )
    offer = PendingUpdate(
        name="openssl", arch="amd64", installed=version, candidate="1.0-2", origin="x"
    )
    pending = (offer,) if version == "1.0-1" else ()
    return replace(facts("web1"), codename="bookworm", installed=(package,), pending=pending)


def feeds(kev: KevEntry | None = None) -> Assessor:
    snapshot = FeedSnapshot(
        feed="kev", source="", digest=str(kev), fetched_at=NOON, data_date=NOON, count=1
    )
    known = Intelligence(
        vulnerabilities={CVE: Vulnerability(cve=CVE, kev=kev)},
        advisories={("bookworm", "openssl"): (STATEMENT,)},
        snapshots=(snapshot,),
    )
    return Assessor(FLEET, known)


@dataclass
class Desk:
    """A ledger, a clock that tests push, and looks at one host."""

    ledger: Ledger
    now: datetime = NOON
    hands: Hands = field(init=False)

    def __post_init__(self) -> None:
        parts = SimpleNamespace(
            ledger=self.ledger,
            clock=lambda: self.now,
            manager=lambda _: SimpleNamespace(apply_script=lambda _: ""),
        )
        self.hands = cast("Hands", parts)

    def look(self, version: str, *, rollout_id: str = "") -> tuple[int, Look]:
        look = Look(host="web1", at=self.now, facts=seen(version))
        purpose = "preflight" if rollout_id else "scan"
        with self.ledger.writing() as book:
            return record_look(book, WEB1, look, purpose=purpose, rollout_id=rollout_id), look

    def reassess(self, assessor: Assessor) -> Reassessed:
        self.now += HOUR
        return reassess_fleet(self.hands, assessor)

    def open(self) -> tuple[FindingLine, ...]:
        with self.ledger.reading() as book:
            return open_findings(book, Question(host="web1"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(new_ledger(tmp_path))
    assess_look(made.hands, feeds(), WEB1, *made.look("1.0-1"))
    return made


def test_a_cve_that_was_listed_overnight_is_urgent_and_told_once(desk: Desk) -> None:
    first, second = desk.reassess(feeds(LISTED)), desk.reassess(feeds(LISTED))

    (told,) = first.newly_exploited
    assert (told.cve, told.tenant, told.hosts) == (CVE, WEB1.tenant, ("web1",))
    assert (second.newly_exploited, second.unchanged) == ((), 1)
    assert [line.lane for line in desk.open()] == ["emergency"]


def test_a_look_that_nobody_judged_is_judged_although_the_feeds_are_the_same(desk: Desk) -> None:
    """A rollout looked at the host and ended before it froze its plan."""
    desk.now += HOUR
    desk.look("1.0-2", rollout_id="r1")

    assert desk.reassess(feeds()).unchanged == 0
    assert desk.open() == ()
    assert desk.reassess(feeds()).unchanged == 1


def test_a_plan_and_the_list_of_findings_name_the_same_due_date(tmp_path: Path) -> None:
    desk = Desk(new_ledger(tmp_path))
    desk.look("1.0-1", rollout_id="r1")
    desk.now += 3 * HOUR

    weighed = weigh(desk.hands, WEB1, feeds(LISTED), "r1")

    assert weighed.assessment is not None
    (update,) = weighed.candidate.ranked
    (found,) = weighed.assessment.ranked
    assert update.priority.due == found.priority.due
