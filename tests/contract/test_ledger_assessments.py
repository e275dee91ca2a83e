"""The ledger answers "what did we think then?" and "what do we know now about then?" apart."""

import json
import sqlite3
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st

from tests.cases.rollouts.build import facts
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.advisories import KevEntry, Vulnerability
from wavemend.findings import Because, Finding, Unmatched
from wavemend.hosts import Host
from wavemend.ledger.assessments import (
    Question,
    assessment_at,
    assessment_of_scan,
    first_seen,
    open_findings,
    record_assessment,
    unjudged,
)
from wavemend.ledger.migrate import config
from wavemend.ledger.scans import record_look
from wavemend.ledger.sorting import sortable, unsortable
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.observations import Assessment, FeedDay, Look, Ranked
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


def look_at(ledger: Ledger, at: datetime, host: Host = WEB1) -> int:
    with ledger.writing() as book:
        seen = Look(host=host.name, at=at, facts=facts(host.name))
        return record_look(book, host, seen, purpose="scan")


def judge(
    ledger: Ledger, scan_id: int, scanned_at: datetime, at: datetime, *rows: Ranked
) -> Assessment:
    made = Assessment(
        host="web1",
        tenant="acme",
        scanned_at=scanned_at,
        assessed_at=at,
        intelligence=f"feeds of {at:%F}",
        feeds=(FeedDay(feed="kev", day=at.date()),),
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
        assert first_seen(book, "web1") == {what.id: MARCH_1, other.id: MARCH_5}

    # A CVE published later was there already when the host was looked at on 1 March.
    judge(ledger, first, MARCH_1, MARCH_9, ranked(what, MARCH_9), ranked(other, MARCH_9))
    with ledger.reading() as book:
        assert first_seen(book, "web1") == {what.id: MARCH_1, other.id: MARCH_1}


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
        assert unjudged(book) == {"web1": 1}


NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=True), min_size=3, max_size=3).map(
    tuple
)


@given(a=NUMBERS, b=NUMBERS)
def test_an_order_written_as_text_sorts_as_the_numbers_do(
    a: tuple[float, ...], b: tuple[float, ...]
) -> None:
    assert (sortable(a) < sortable(b)) == (a < b)
    assert unsortable(sortable(a)) == a


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


def test_findings_of_version_0_1_become_assessments_and_keep_their_clock(tmp_path: Path) -> None:
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
        "vulnerability": {"cve": "CVE-2026-1000"},
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
    raw.close()

    with open_ledger(f"sqlite:///{path}").reading() as book:
        assert first_seen(book, "web1") == {"0123456789abcdef": MARCH_1}
        kept = assessment_at(book, "web1", as_of=MARCH_2)
        assert kept is not None
        assert kept.scanned_at == MARCH_1
        assert kept.ranked[0].finding.package == "openssl"
        assert kept.ranked[0].priority.lane == "expedited"
        assert len(open_findings(book, Question())) == 1
