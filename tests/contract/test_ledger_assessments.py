"""The ledger answers "what did we think then?" and "what do we know now about then?" apart."""

import json
import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from tests.cases.rollouts.build import facts
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.advisories import Exploit, KevEntry, Vulnerability
from wavemend.findings import Because, Finding, Unmatched
from wavemend.hosts import Host
from wavemend.ledger.assessments import (
    Question,
    assessment_at,
    assessment_of_scan,
    count_open,
    each_open_finding,
    first_seen,
    judged_hosts,
    mark_sent,
    open_findings,
    pending_announcements,
    record_assessment,
)
from wavemend.ledger.migrate import config
from wavemend.ledger.scans import judged_looks, record_look
from wavemend.ledger.sorting import sortable, unsortable
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.observations import Assessment, FeedDay, Look, Ranked, Sighting
from wavemend.scoring import prioritise

MARCH_1 = datetime(2026, 3, 1, 2, tzinfo=UTC)
MARCH_2 = MARCH_1 + timedelta(days=1)
MARCH_5 = MARCH_1 + timedelta(days=4)
MARCH_9 = MARCH_1 + timedelta(days=8)
WEB1 = Host(name="web1", tenant="acme", address="192.0.2.1")
LISTED = KevEntry(
    date_added=date(2026, 3, 4), due_date=date(2026, 3, 7), ransomware=None, name="Example"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path)


def finding(cve: str = "CVE-2026-1000", host: str = "web1", package: str = "openssl") -> Finding:
    return Finding(
        id=sha256(f"{cve} {host} {package}".encode()).hexdigest()[:16],
        tenant="acme",
        host=host,
        cve=cve,
        package=package,
        binaries=(package,),
        installed="1.0-1",
        fixed="1.0-2",
        fix_pending=True,
        because=Because(feed="debian", document="x.json", compared="openssl 1.0-1 < 1.0-2"),
    )


def ranked(what: Finding, at: datetime, *, kev: KevEntry | None = None) -> Ranked:
    known = Vulnerability(cve=what.cve, kev=kev)
    return Ranked(finding=what, vulnerability=known, priority=prioritise(what, WEB1, known, at))


def clocks(book: Session) -> dict[str, datetime]:
    return {number: seen.at for number, seen in first_seen(book, "web1").items()}


def look_at(
    ledger: Ledger, at: datetime, host: Host = WEB1, *, purpose: str = "scan", rollout: str = ""
) -> int:
    with ledger.writing() as book:
        seen = Look(host=host.name, at=at, facts=facts(host.name))
        return record_look(book, host, seen, purpose=purpose, rollout_id=rollout)


def judge(
    ledger: Ledger,
    scan_id: int,
    scanned_at: datetime,
    at: datetime,
    *rows: Ranked,
    feeds: tuple[FeedDay, ...] = (),
) -> Assessment:
    made = Assessment(
        host="web1",
        tenant="acme",
        scanned_at=scanned_at,
        assessed_at=at,
        intelligence=f"feeds of {at:%F}",
        feeds=feeds or (FeedDay(feed="kev", day=at.date()),),
        packages=10,
        judged=9,
        ranked=rows,
        unmatched=(Unmatched(package="own", version="1", reason="no vendor speaks of it"),),
    )
    with ledger.writing() as book:
        record_assessment(book, scan_id, made)
    return made


def test_the_two_times_give_four_answers(ledger: Ledger) -> None:
    """Host time: vulnerable on 1 March, mended on 5. Feed time: listed as exploited on 4 March."""
    what = finding()
    before = look_at(ledger, MARCH_1)
    then = judge(ledger, before, MARCH_1, MARCH_1, ranked(what, MARCH_1))
    anew = judge(ledger, before, MARCH_1, MARCH_2, ranked(what, MARCH_2, kev=LISTED))
    after = look_at(ledger, MARCH_5)
    mended = judge(ledger, after, MARCH_5, MARCH_5)

    with ledger.reading() as book:
        assert assessment_at(book, "web1") == mended
        assert assessment_at(book, "web1", as_of=MARCH_1, known_at=MARCH_1) == then
        assert assessment_at(book, "web1", as_of=MARCH_1) == anew
        assert assessment_at(book, "web1", known_at=MARCH_2) == anew
        assert assessment_at(book, "web1", as_of=MARCH_1 - timedelta(days=1)) is None
        assert assessment_at(book, "web1", known_at=MARCH_1 - timedelta(days=1)) is None
        assert assessment_at(book, "other") is None


def test_an_old_answer_is_reproduced_to_the_byte(ledger: Ledger) -> None:
    what = finding()
    scan = look_at(ledger, MARCH_1)
    judge(ledger, scan, MARCH_1, MARCH_1, ranked(what, MARCH_1))
    with ledger.reading() as book:
        then = assessment_at(book, "web1", as_of=MARCH_1, known_at=MARCH_1)

    judge(ledger, scan, MARCH_1, MARCH_5, ranked(what, MARCH_5, kev=LISTED))

    with ledger.reading() as book:
        again = assessment_at(book, "web1", as_of=MARCH_1, known_at=MARCH_1)
        now = assessment_at(book, "web1", as_of=MARCH_1)
    assert again == then
    assert again is not None
    assert now is not None
    assert again.ranked[0].priority.lane != "emergency"
    assert now.ranked[0].priority.lane == "emergency"


def test_a_report_made_again_reads_the_first_judgement_of_its_look(ledger: Ledger) -> None:
    scan = look_at(ledger, MARCH_1)
    first = judge(ledger, scan, MARCH_1, MARCH_1, ranked(finding(), MARCH_1))
    judge(ledger, scan, MARCH_1, MARCH_9)

    with ledger.reading() as book:
        assert assessment_of_scan(book, scan) == first
        assert assessment_of_scan(book, 999) is None


def test_the_clock_of_a_finding_starts_once(ledger: Ledger) -> None:
    what, other = finding(), finding("CVE-2026-2000")
    first = look_at(ledger, MARCH_1)
    judge(ledger, first, MARCH_1, MARCH_1, ranked(what, MARCH_1))
    second = look_at(ledger, MARCH_5)
    judge(ledger, second, MARCH_5, MARCH_5, ranked(what, MARCH_5), ranked(other, MARCH_5))
    with ledger.reading() as book:
        assert clocks(book) == {what.id: MARCH_1, other.id: MARCH_5}

    # A CVE published later was there already when the host was looked at on 1 March.
    judge(ledger, first, MARCH_1, MARCH_9, ranked(what, MARCH_9), ranked(other, MARCH_9))
    with ledger.reading() as book:
        assert clocks(book) == {what.id: MARCH_1, other.id: MARCH_1}


def test_the_index_is_of_the_newest_look_and_answers_questions(ledger: Ledger) -> None:
    mild, bad = finding("CVE-2026-3000", package="zlib"), finding()
    old = look_at(ledger, MARCH_1)
    new = look_at(ledger, MARCH_5)
    judge(
        ledger,
        new,
        MARCH_5,
        MARCH_5,
        ranked(mild, MARCH_5),
        ranked(bad, MARCH_5, kev=LISTED),
    )
    judge(ledger, old, MARCH_1, MARCH_9, ranked(finding("CVE-2026-9999"), MARCH_9))

    with ledger.reading() as book:
        lines = open_findings(book, Question())
        assert [line.cve for line in lines] == ["CVE-2026-1000", "CVE-2026-3000"]
        assert [line.cve for line in open_findings(book, Question(kev=True))] == ["CVE-2026-1000"]
        assert [line.cve for line in open_findings(book, Question(package="zlib"))] == [
            "CVE-2026-3000"
        ]
        assert open_findings(book, Question(host="web2")) == ()
        assert open_findings(book, Question(lanes=("emergency",)))[0].kev
        assert open_findings(book, Question(due_before=MARCH_1)) == ()
        assert lines[0].order == ranked(bad, MARCH_5, kev=LISTED).priority.order
        host = judged_hosts(book)["web1"]
        assert (host.packages, host.judged) == (10, 9)


def test_filters_orders_and_counts_of_the_database_are_those_of_the_lines(ledger: Ledger) -> None:
    """The past is filtered line by line, the present by the database: they must agree."""
    scan = look_at(ledger, MARCH_5)
    rows = [
        ranked(
            finding(f"CVE-2026-{number}", package=f"p-{number % 3}"),
            MARCH_1 + timedelta(days=number % 4),
            kev=LISTED if number % 5 == 0 else None,
        )
        for number in range(1000, 1040)
    ]
    judge(ledger, scan, MARCH_5, MARCH_5, *rows)
    questions = [
        Question(),
        Question(kev=True),
        Question(waived=False),
        Question(waived=True),
        Question(package="p-1"),
        Question(lanes=("emergency", "expedited")),
        Question(due_before=MARCH_9),
        Question(tenant="acme", host="web1", cve="CVE-2026-1007"),
        Question(tenant="beta"),
        Question(not_on=("web1",)),
        Question(tenant="beta", moved={"web1": "beta"}),
        Question(tenant="acme", moved={"web1": "beta"}),
    ]
    with ledger.reading() as book:
        everything = open_findings(book, Question())
        for question in questions:
            found = open_findings(book, question)
            moved = [replace(x, tenant=question.moved.get(x.host, x.tenant)) for x in everything]
            assert list(found) == [line for line in moved if question.matches(line)]
            assert count_open(book, question) == len(found)
            assert tuple(each_open_finding(book, question)) == found
            assert open_findings(book, question, limit=3) == found[:3]
        by_package = [x.package for x in open_findings(book, Question(), sort="package")]
        by_due = [x.due for x in open_findings(book, Question(), sort="due")]
        dated = [due for due in by_due if due is not None]
    assert by_package == sorted(by_package)
    assert by_due[: len(dated)] == sorted(dated)


def test_the_earliest_date_of_a_finding_is_kept_with_its_reason(ledger: Ledger) -> None:
    what, scan = finding(), look_at(ledger, MARCH_1)

    def with_due(due: datetime | None, reason: str, basis: str = "pci") -> Sighting:
        row = ranked(what, MARCH_1)
        priority = replace(row.priority, due=due, due_reason=reason)
        row = replace(row, priority=priority, basis=basis)
        judge(ledger, scan, MARCH_1, MARCH_2, row)
        with ledger.reading() as book:
            return first_seen(book, "web1")[what.id]

    assert with_due(MARCH_5, "a").due == MARCH_5
    assert (with_due(MARCH_9, "later").due, with_due(None, "gone").due_reason) == (MARCH_5, "a")
    assert (with_due(MARCH_2, "b").due, with_due(MARCH_9, "later").due_reason) == (MARCH_2, "b")
    # The operator took the host from the internet: the dates of that basis begin anew.
    assert with_due(MARCH_9, "c", "pci, internal") == Sighting(
        at=MARCH_1, due=MARCH_9, due_reason="c", basis="pci, internal"
    )


def test_text_that_a_database_cannot_hold_is_no_reason_to_lose_a_judgement(ledger: Ledger) -> None:
    what = replace(finding(), fixed="1.0\x002", package="open\x00ssl")
    look = look_at(ledger, MARCH_1)
    judge(ledger, look, MARCH_1, MARCH_1)
    judge(ledger, look, MARCH_1, MARCH_2, ranked(what, MARCH_2, kev=LISTED))

    with ledger.reading() as book:
        assert [line.fixed for line in open_findings(book, Question())] == ["1.0\ufffd2"]
        assert [note.package for note in pending_announcements(book)] == ["open\ufffdssl"]


def copy_of(name: str, fetched: datetime | None) -> FeedDay:
    """One feed as a judgement saw it; None: it was missing."""
    day = fetched.date() if fetched else None
    return FeedDay(
        feed=name,
        day=day,
        digest=str(fetched or ""),
        fetched_at=fetched,
        stale=fetched is None,
        note="" if fetched else "was never fetched.",
    )


def test_a_feed_that_is_missing_now_closes_nothing_and_is_named(ledger: Ledger) -> None:
    what, scan = finding(), look_at(ledger, MARCH_1)
    there = (copy_of("debian", MARCH_1), copy_of("kev", MARCH_1))
    judge(ledger, scan, MARCH_1, MARCH_1, ranked(what, MARCH_1, kev=LISTED), feeds=there)
    later = look_at(ledger, MARCH_5)
    gone = (copy_of("debian", None), copy_of("kev", MARCH_5))
    for number in (scan, later, later):  # and it stays so, however often it is judged
        judge(ledger, number, MARCH_5, MARCH_5, feeds=gone)

    with ledger.reading() as book:
        assert [line.kev for line in open_findings(book, Question())] == [True]
        host = judged_hosts(book)["web1"]
    assert host.kept == 1
    assert [(feed.feed, feed.note) for feed in host.feeds if feed.stale] == [
        ("debian", "was never fetched.")
    ]

    judge(ledger, later, MARCH_5, MARCH_9, feeds=(copy_of("debian", MARCH_9),))
    with ledger.reading() as book:
        assert open_findings(book, Question()) == ()
        assert judged_hosts(book)["web1"].kept == 0


def test_an_older_state_of_the_feeds_makes_nothing_milder(ledger: Ledger) -> None:
    """A long scan judges with the feeds it began with, after a refresh has judged with newer."""
    mended, listed, fresh = finding("CVE-2026-1"), finding("CVE-2026-2"), finding("CVE-2026-3")
    scan = look_at(ledger, MARCH_1)
    old, new = (copy_of("debian", MARCH_1),), (copy_of("debian", MARCH_2),)
    rows = (ranked(mended, MARCH_1), ranked(listed, MARCH_1))
    judge(ledger, scan, MARCH_1, MARCH_1, *rows, feeds=old)
    known = (*rows[:1], ranked(listed, MARCH_2, kev=LISTED), ranked(fresh, MARCH_2))
    judge(ledger, scan, MARCH_1, MARCH_2, *known, feeds=new)

    judge(ledger, look_at(ledger, MARCH_5), MARCH_5, MARCH_5, rows[1], feeds=old)

    with ledger.reading() as book:
        lines = {line.cve: line for line in open_findings(book, Question())}
    # What the older feeds knew and do not find is mended; what they did not know stands.
    assert sorted(lines) == ["CVE-2026-2", "CVE-2026-3"]
    assert lines["CVE-2026-2"].lane == "emergency"


def test_what_becomes_exploited_is_noted_once_whoever_judges_first(ledger: Ledger) -> None:
    at_first, later = finding("CVE-2026-1"), finding("CVE-2026-2")
    scan = look_at(ledger, MARCH_1)
    rows = (ranked(at_first, MARCH_1, kev=LISTED), ranked(later, MARCH_1))
    judge(ledger, scan, MARCH_1, MARCH_1, *rows)
    with ledger.reading() as book:
        assert pending_announcements(book) == ()  # it was so when we came

    said = Vulnerability(
        cve=later.cve, exploits=(Exploit(kind="msrc-exploited", reference="MSRC"),)
    )
    priority = prioritise(later, WEB1, said, MARCH_2)
    exploited = Ranked(finding=later, vulnerability=said, priority=priority)
    judge(ledger, scan, MARCH_1, MARCH_2, rows[0], exploited)
    judge(ledger, scan, MARCH_1, MARCH_2)  # by a judgement without that feed
    judge(ledger, scan, MARCH_1, MARCH_5, rows[0], exploited)

    with ledger.writing() as book:
        (note,) = pending_announcements(book)
        assert (note.cve, note.threat, note.at) == (later.cve, "vendor", MARCH_2)
        mark_sent(book, (note,), MARCH_5)
    judge(ledger, scan, MARCH_1, MARCH_9, rows[0], exploited)
    with ledger.reading() as book:
        assert pending_announcements(book) == ()


NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=True), min_size=3, max_size=3).map(
    tuple
)


@given(a=NUMBERS, b=NUMBERS)
def test_an_order_written_as_text_sorts_as_the_numbers_do(
    a: tuple[float, ...], b: tuple[float, ...]
) -> None:
    assert (sortable(a) < sortable(b)) == (a < b)
    assert unsortable(sortable(a)) == a


KNOWN = {"date_added": "2026-02-01", "due_date": None, "ransomware": None, "name": "A flaw"}
OLD_FINDING = {
    "binaries": ["openssl"],
    "because": {"compared": "openssl 1 < 2", "document": "x.json", "feed": "debian"},
    "cve": "CVE-2026-1000",
    "fix_pending": True,
    "fixed": "2",
    "host": "web1",
    "id": "0123456789abcdef",
    "installed": "1",
    "source_package": "openssl",
    "tenant": "acme",
    "unimportant": False,
}


def old_ledger(tmp_path: Path, *, clean_since: bool) -> Ledger:
    """A ledger of version 0.1: two looks with one finding, and maybe a third one without."""
    path = tmp_path / "ledger.db"
    path.touch(mode=0o600)
    old = Ledger(f"sqlite:///{path}")
    with old._engine.begin() as connection:
        command.upgrade(config(connection), "0001")
    old._engine.dispose()
    document = {
        "finding": OLD_FINDING,
        "priority": {
            "contributions": [],
            "due": "2026-03-15T02:00:00Z",
            "due_reason": "BOD 26-04",
            "forensic": False,
            "lane": "expedited",
            "order": [1.0, 2.0],
        },
        "vulnerability": {"cve": "CVE-2026-1000", "kev": KNOWN},
    }
    with sqlite3.connect(path) as raw:
        for number, at in enumerate(("2026-03-01 02:00:00", "2026-03-05 02:00:00"), 1):
            raw.execute(
                "INSERT INTO host_scans (id, host, tenant, rollout_id, purpose, at, reason, "
                "detail, peer_key, facts_digest, facts) "
                "VALUES (?, 'web1', 'acme', '', 'scan', ?, '', '', '', 'd', x'')",
                (number, at),
            )
            raw.execute(
                "INSERT INTO findings (scan_id, tenant, host, finding_id, cve, source_package, "
                "lane, due, document) VALUES (?, 'acme', 'web1', '0123456789abcdef', "
                "'CVE-2026-1000', 'openssl', 'expedited', NULL, ?)",
                (number, json.dumps(document).encode()),
            )
        if clean_since:
            raw.execute(
                "INSERT INTO host_scans (id, host, tenant, rollout_id, purpose, at, reason, "
                "detail, peer_key, facts_digest, facts) VALUES (3, 'web1', 'acme', '', 'scan', "
                "'2026-03-09 02:00:00', '', '', '', 'd', x'')"
            )
    raw.close()
    return open_ledger(f"sqlite:///{path}")


def test_findings_of_version_0_1_become_assessments_and_keep_their_clock(tmp_path: Path) -> None:
    with old_ledger(tmp_path, clean_since=False).reading() as book:
        assert clocks(book) == {"0123456789abcdef": MARCH_1}
        kept = assessment_at(book, "web1", as_of=MARCH_2)
        assert kept is not None
        assert kept.scanned_at == MARCH_1
        assert kept.ranked[0].finding.package == "openssl"
        assert kept.ranked[0].priority.lane == "expedited"
        assert [line.feed for line in open_findings(book, Question())] == ["debian"]
        assert judged_hosts(book)["web1"].scanned_at == MARCH_5
        assert pending_announcements(book) == ()


def test_a_host_whose_last_look_found_nothing_has_nothing_open_after_the_upgrade(
    tmp_path: Path,
) -> None:
    with old_ledger(tmp_path, clean_since=True).reading() as book:
        assert open_findings(book, Question()) == ()
        assert judged_hosts(book)["web1"].scanned_at == MARCH_9
        then = assessment_at(book, "web1", as_of=MARCH_5)
        assert then is not None
        assert len(then.ranked) == 1


def test_a_rollouts_judged_looks_are_its_own_and_the_newest_of_each_host(ledger: Ledger) -> None:
    def judged_of(rollout: str) -> dict[str, tuple[int, int]]:
        with ledger.reading() as book:
            return judged_looks(book, rollout, purpose="preflight")

    old = look_at(ledger, MARCH_1, purpose="preflight", rollout="r-1")
    judge(ledger, old, MARCH_1, MARCH_1, ranked(finding(), MARCH_1))
    for purpose, rollout in (("verify", "r-1"), ("preflight", "r-2")):
        scan = look_at(ledger, MARCH_2, purpose=purpose, rollout=rollout)
        judge(ledger, scan, MARCH_2, MARCH_2)
    assert judged_of("r-1") == {"web1": (old, 1)}

    new = look_at(ledger, MARCH_5, purpose="preflight", rollout="r-1")
    assert judged_of("r-1") == {}, "its newest look was not judged"

    judge(ledger, new, MARCH_5, MARCH_5)
    judge(ledger, new, MARCH_5, MARCH_9, ranked(finding(), MARCH_9))
    assert judged_of("r-1") == {"web1": (new, 0)}, "as it was judged first"
