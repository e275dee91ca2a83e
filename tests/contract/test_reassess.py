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
    Exploit,
    FeedSnapshot,
    KevEntry,
    Vulnerability,
)
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.inventory.fleet_file import load_fleet
from wavemend.knowledge import Intelligence
from wavemend.ledger.assessments import Question, mark_sent, open_findings
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import FindingLine, Look
from wavemend.policy.waivers import Waiver
from wavemend.steps.assess import Assessor, Reassessed, assess_look, reassess_fleet, to_tell
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


def feeds(
    kev: KevEntry | None = None,
    *,
    fetched: datetime = NOON,
    statement: Advisory | None = STATEMENT,
    exploits: tuple[Exploit, ...] = (),
    fleet: Fleet = FLEET,
) -> Assessor:
    """Debian's feed and KEV, as they were fetched at one moment."""
    advisories = {("bookworm", "openssl"): (statement,)} if statement else {}
    known = Intelligence(
        vulnerabilities={CVE: Vulnerability(cve=CVE, kev=kev, exploits=exploits)},
        advisories=advisories,
        snapshots=(
            snapshot_of("debian", str(statement) if statement else "", fetched),
            snapshot_of("kev", f"{kev} {exploits}", fetched),
        ),
    )
    return Assessor(fleet, known)


def snapshot_of(feed: str, digest: str, fetched: datetime) -> FeedSnapshot:
    when = fetched if digest else None
    note = "" if digest else "was never fetched."
    return FeedSnapshot(
        feed=feed, source="", digest=digest, fetched_at=when, data_date=when, count=1, note=note
    )


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

    def told(self, done: Reassessed) -> None:
        with self.ledger.writing() as book:
            for item in done.newly_exploited:
                mark_sent(book, item.notes, self.now)

    def open(self) -> tuple[FindingLine, ...]:
        with self.ledger.reading() as book:
            return open_findings(book, Question(host="web1"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(new_ledger(tmp_path))
    assess_look(made.hands, feeds(), WEB1, *made.look("1.0-1"))
    return made


def test_a_cve_that_was_listed_overnight_is_urgent_and_told_once(desk: Desk) -> None:
    first = desk.reassess(feeds(LISTED))
    desk.told(first)
    second = desk.reassess(feeds(LISTED))

    (told,) = first.newly_exploited
    assert (told.cve, told.tenant, told.hosts) == (CVE, WEB1.tenant, ("web1",))
    assert told.fixed == ("1.0-2",)
    assert (second.newly_exploited, second.unchanged) == ((), 1)
    assert [line.lane for line in desk.open()] == ["emergency"]


def test_a_scan_that_judges_before_the_refresh_takes_no_event_away(desk: Desk) -> None:
    """And neither does whoever dies between the judgement and the telling."""
    desk.now += HOUR
    assess_look(desk.hands, feeds(LISTED), WEB1, *desk.look("1.0-1"))

    for _ in range(2):
        (told,) = desk.reassess(feeds(LISTED)).newly_exploited
        assert (told.cve, told.hosts) == (CVE, ("web1",))
    desk.told(desk.reassess(feeds(LISTED)))
    assert to_tell(desk.hands) == ()


def test_a_vendor_that_says_exploited_is_told_as_the_catalogue_is(desk: Desk) -> None:
    said = (Exploit(kind="msrc-exploited", reference="MSRC"),)

    (told,) = desk.reassess(feeds(exploits=said)).newly_exploited

    assert [note.threat for note in told.notes] == ["vendor"]


def test_a_long_scan_with_the_feeds_of_the_morning_makes_nothing_milder(desk: Desk) -> None:
    desk.told(desk.reassess(feeds(LISTED, fetched=NOON + HOUR)))
    desk.now += HOUR
    assess_look(desk.hands, feeds(), WEB1, *desk.look("1.0-1"))

    assert [line.lane for line in desk.open()] == ["emergency"]
    again = desk.reassess(feeds(LISTED, fetched=NOON + HOUR))
    assert (again.unchanged, again.newly_exploited) == (0, ())


def test_judging_without_a_feed_that_spoke_empties_no_list(desk: Desk) -> None:
    gone = feeds(LISTED, statement=None)
    desk.reassess(gone)
    assert [line.cve for line in desk.open()] == [CVE]
    desk.now += HOUR
    assess_look(desk.hands, gone, WEB1, *desk.look("1.0-1"))
    assert [line.cve for line in desk.open()] == [CVE]

    desk.now += HOUR
    assess_look(desk.hands, feeds(LISTED, fetched=desk.now), WEB1, *desk.look("1.0-2"))
    assert desk.open() == ()


def test_a_date_does_not_move_later_by_itself_but_by_what_the_operator_changes(desk: Desk) -> None:
    """The vendor dates its fix anew, later; then the host's company takes another profile."""

    def due(released: datetime, fleet: Fleet) -> datetime:
        statement = replace(STATEMENT, published=released)
        desk.reassess(feeds(statement=statement, fleet=fleet))
        (line,) = desk.open()
        assert line.due is not None
        return line.due

    strict = under("essential-eight")
    first = due(NOON - 20 * HOUR, strict)
    assert due(NOON - HOUR, strict) == first
    assert due(NOON - 30 * HOUR, strict) == first - 10 * HOUR
    assert due(NOON - HOUR, strict) == first - 10 * HOUR
    assert due(NOON - HOUR, under("pci-dss-4.0.1")) != first - 10 * HOUR


def under(profile: str) -> Fleet:
    """The same fleet under another compliance profile."""
    tenants = tuple(replace(tenant, compliance=profile) for tenant in FLEET.tenants)
    return replace(FLEET, tenants=tenants).sealed()


def test_a_look_that_nobody_judged_is_judged_although_the_feeds_are_the_same(desk: Desk) -> None:
    """A rollout looked at the host and ended before it froze its plan."""
    desk.now += HOUR
    desk.look("1.0-2", rollout_id="r1")

    assert desk.reassess(feeds()).unchanged == 0
    assert desk.open() == ()
    assert desk.reassess(feeds()).unchanged == 1


def test_a_waiver_that_ended_within_the_day_hides_nothing_after_it(desk: Desk) -> None:
    """It ends at 14:30; judged at 13:00, looked through again at 14:00 and at 15:00."""
    waiver = Waiver(
        id="w-1",
        tenant="acme",
        owner="olga",
        reason="accepted",
        until=NOON + 2 * HOUR + timedelta(minutes=30),
        cve=CVE,
    )
    fleet = replace(FLEET, waivers=(waiver,)).sealed()
    desk.reassess(feeds(fleet=fleet))
    assert [line.lane for line in desk.open()] == ["ignored"]

    assert desk.reassess(feeds(fleet=fleet)).unchanged == 1
    assert [line.lane for line in desk.open()] == ["ignored"]

    assert desk.reassess(feeds(fleet=fleet)).unchanged == 0
    assert [(line.lane, line.waived) for line in desk.open()] == [("routine", False)]


def test_a_plan_and_the_list_of_findings_name_the_same_due_date(tmp_path: Path) -> None:
    desk = Desk(new_ledger(tmp_path))
    desk.look("1.0-1", rollout_id="r1")
    desk.now += 3 * HOUR

    weighed = weigh(desk.hands, WEB1, feeds(LISTED), "r1")

    assert weighed.assessment is not None
    (update,) = weighed.candidate.ranked
    (found,) = weighed.assessment.ranked
    assert update.priority.due == found.priority.due
