"""`wavemend findings` and `wavemend explain` answer from the ledger, for today and for any day."""

import csv
import io
import json
import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import facts
from tests.contract.told_feed import ToldFeed, adopted
from wavemend.advisories import (
    Advisory,
    AdvisoryStatus,
    Cvss,
    Epss,
    KevEntry,
    UpdateClass,
    Vulnerability,
)
from wavemend.cli import main
from wavemend.feeds import Heading, Sink
from wavemend.findings import Because, Finding, Unmatched
from wavemend.hosts import Facts, Host, InstalledPackage
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger.assessments import assessment_at, judged_hosts, record_assessment
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.observations import Assessment, FeedDay, Look, Ranked
from wavemend.policy.waivers import Waiver
from wavemend.scoring import prioritise

FLEET = Path(__file__).parents[1] / "cases" / "fleet" / "right.yaml"
MARCH_1 = datetime(2026, 3, 1, 2, tzinfo=UTC)
MARCH_5 = MARCH_1 + timedelta(days=4)
OPENSSL, ZLIB = "a" * 16, "b" * 16
FORMULA = "=HYPERLINK(1)"
LISTED = KevEntry(
    date_added=date(2026, 3, 4), due_date=date(2026, 3, 7), ransomware=True, name="Example flaw"
)


def everything_in(path: Path) -> list[str]:
    """Return all rows; the file's bytes alone leave out what is in its log."""
    with sqlite3.connect(path) as raw:
        rows = list(raw.iterdump())
    raw.close()
    return rows


def finding(ident: str, cve: str, package: str, **other: object) -> Finding:
    values: dict[str, object] = {
        "id": ident,
        "tenant": "acme",
        "host": "web1",
        "cve": cve,
        "package": package,
        "binaries": (package,),
        "installed": "1.0-1",
        "fixed": "1.0-2",
        "fix_pending": True,
        "because": Because(
            feed="debian",
            document=f"all.zip/{cve}.json",
            compared=f"{package} 1.0-1 < 1.0-2",
            document_date=date(2026, 2, 27),
            order="dpkg",
        ),
        "advisory": "DSA-1-1",
    }
    return Finding(**{**values, **other})  # type: ignore[arg-type]


def ranked(what: Finding, known: Vulnerability, at: datetime, *waivers: Waiver) -> Ranked:
    host = Host(name="web1", tenant="acme", address="192.0.2.11")
    priority = prioritise(what, host, known, at, waivers=waivers)
    return Ranked(finding=what, vulnerability=known, priority=priority)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """web1 was seen on 1 March, judged then, and again on 5 March by a catalogue that lists it."""
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "220")
    made = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    score = Cvss(
        version="3.1",
        vector="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        score=9.8,
        computed_score=9.8,
        source="nvd",
    )
    epss = Epss(probability=0.12, percentile=0.95, model="v2026.06.15", date=date(2026, 2, 28))
    mild = Vulnerability(
        cve="CVE-2026-1000",
        cvss=score,
        cvss_candidates=(score,),
        epss=epss,
        summary="A flaw in the handling of certificates.",
    )
    listed = Vulnerability(cve="CVE-2026-1000", kev=LISTED, cvss=score, epss=epss)
    openssl = finding(OPENSSL, "CVE-2026-1000", "openssl")
    zlib = finding(
        ZLIB, "", FORMULA, update_class=UpdateClass.BUGFIX, advisory="ALBA-1", fix_pending=False
    )
    web1 = Host(name="web1", tenant="acme", address="192.0.2.11")
    with made.writing() as book:
        apply_fleet(book, load_fleet(FLEET), actor="test", now=MARCH_1)
        scan = record_look(
            book, web1, Look(host="web1", at=MARCH_1, facts=facts("web1")), purpose="scan"
        )
        for at, known in ((MARCH_1, mild), (MARCH_5, listed)):
            rows = sorted(
                (ranked(openssl, known, at), ranked(zlib, Vulnerability(cve=""), at)),
                key=lambda item: item.priority.order,
            )
            assessment = Assessment(
                host="web1",
                tenant="acme",
                scanned_at=MARCH_1,
                assessed_at=at,
                intelligence="i",
                feeds=(FeedDay(feed="kev", day=at.date(), model="2026.03.05"),),
                packages=3,
                judged=2,
                ranked=tuple(rows),
                unmatched=(Unmatched(package="own-tool", version="7", reason="no vendor of it"),),
            )
            record_assessment(book, scan, assessment)
    return made


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(list(argv))
    out, err = capsys.readouterr()
    assert caught.value.code == 0, err
    return out


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(list(argv))
    assert caught.value.code not in {0, 3}
    return capsys.readouterr().err


@pytest.mark.usefixtures("ledger")
class TestFindings:
    def test_the_most_urgent_comes_first_and_the_unknown_are_named(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = run(capsys, "findings")

        assert out.index("CVE-2026-1000") < out.index("ALBA-1")
        assert "emergency" in out
        assert "exploited" in out
        assert "Nothing is known of: db1." in out
        assert "1 installed package could not be judged" in out

    def test_the_same_day_is_told_as_it_was_known_then_and_as_it_is_known_now(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        then = json.loads(
            run(capsys, "findings", "--json", "--as-of", "2026-03-01", "--known-at", "2026-03-01")
        )
        now = json.loads(run(capsys, "findings", "--json", "--known-at", "2026-03-06"))
        asked = ("--as-of", "2026-02-27", "--known-at", "2026-02-27")
        before = json.loads(run(capsys, "findings", "--json", *asked))

        assert [line["kev"] for line in then["findings"]] == [False, False]
        assert [line["kev"] for line in now["findings"]] == [True, False]
        # The same list; only what has passed since is another.
        today = json.loads(run(capsys, "findings", "--json"))["findings"]
        assert [line["overdue"] for line in today] == [True, False]
        assert [{**line, "overdue": False} for line in today] == now["findings"]
        assert before["findings"] == []
        assert before["unknown_hosts"] == ["db1", "web1"]

    @pytest.mark.parametrize(
        ("options", "ids"),
        [
            (("--kev",), [OPENSSL]),
            (("--lane", "emergency"), [OPENSSL]),
            (("--class", "bugfix"), [ZLIB]),
            (("--package", "openssl"), [OPENSSL]),
            (("--cve", "cve-2026-1000"), [OPENSSL]),
            (("--cve", "CVE-2026-1000"), [OPENSSL]),
            (("--host", "db1"), []),
            (("--due-before", "2026-03-08"), [OPENSSL]),
            (("--due-before", "2026-03-02"), []),
            (("--due-before", "2026-03-07"), []),
            (("--due-before", "2026-03-08T00:00Z"), [OPENSSL]),
            (("--sort", "package"), [ZLIB, OPENSSL]),
            (("--sort", "cvss"), [OPENSSL, ZLIB]),
            (("--no-waived",), [OPENSSL, ZLIB]),
            (("--waived",), []),
        ],
    )
    def test_filters_and_orders(
        self, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], ids: list[str]
    ) -> None:
        for then in ((), ("--as-of", "2026-03-06", "--known-at", "2026-03-06")):
            found = json.loads(run(capsys, "findings", "--json", *options, *then))
            assert [line["finding_id"] for line in found["findings"]] == ids

    def test_a_spreadsheet_gets_no_formula_from_a_package_name(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = list(csv.DictReader(io.StringIO(run(capsys, "findings", "--csv"))))

        assert [row["package"] for row in rows] == ["openssl", f"'{FORMULA}"]
        assert rows[0]["cvss"] == "9.8"
        assert rows[1]["epss"] == ""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--lane", "urgent"), "there is no lane urgent"),
            (("--class", "end-of-life"), "there is no class end-of-life"),
            (("--cve", "CVE-26-1000"), "there is no CVE CVE-26-1000"),
            (("--json", "--csv"), "--json and --csv are two forms of one list"),
            (("--as-of", "2999-01-01"), "--as-of 2999-01-01 is still to come"),
            (("--known-at", "2999-01-01T00:00Z"), "--known-at 2999-01-01T00:00Z is still to come"),
            (("--as-of", "yesterday"), "--as-of 'yesterday' is no moment"),
            (("--limit", "-1"), "--limit -1 shows nothing"),
            (("--host", "web9"), 'no host "web9"'),
            (("--tenant", "globex"), 'no company "globex"'),
        ],
    )
    def test_a_wrong_question_is_refused_with_the_way_out(
        self, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
    ) -> None:
        assert message in refused(capsys, "findings", *options)


CVE = "CVE-2026-1000"
APRIL_1 = datetime(2026, 4, 1, 2, tzinfo=UTC)


def seen_with(version: str, name: str = "web1") -> Facts:
    package = InstalledPackage(
        name="openssl", version=version, arch="amd64", source="openssl", source_version=version
    )
    return replace(facts(name), codename="bookworm", installed=(package,))


def look_at(ledger: Ledger, at: datetime, version: str) -> None:
    with ledger.writing() as book:
        seen = Look(host="web1", at=at, facts=seen_with(version))
        record_look(book, Host(name="web1", tenant="acme", address="x"), seen, purpose="scan")


def fetch_feeds(home: Path) -> None:
    """The feeds of today: Debian's statement on the CVE, and a catalogue that lists it."""

    def debian(sink: Sink) -> None:
        sink.entry()
        sink.advisory(
            Advisory(
                id=CVE,
                feed="debian",
                document="all.zip",
                release="bookworm",
                package="openssl",
                fixed_version="1.0-2",
                status=AdvisoryStatus.FIXED,
                cves=(CVE,),
            )
        )
        sink.used()

    def kev(sink: Sink) -> None:
        sink.entry()
        sink.kev(CVE, LISTED)
        sink.used()

    now = datetime.now(UTC)
    heading = Heading(data_date=now)
    adopted(home / "feeds", ToldFeed(name="debian", say=debian, heading=heading), now=now)
    adopted(home / "feeds", ToldFeed(name="kev", say=kev, heading=heading), now=now)


def take_out(ledger: Ledger, home: Path, *, host: str, at: datetime, tenant: str = "") -> None:
    """Apply the fleet without a host, or with the host in another company."""
    text = FLEET.read_text()
    start = text.index(f"  - name: {host}\n")
    end = text.find("\n  - name:", start) + 1 or len(text)
    block = text[start:end]
    # Another one takes its place: a group that matches nobody is refused.
    new = ("tenant: acme", f"tenant: {tenant}") if tenant else (f"name: {host}", "name: new1")
    block = block.replace(*new)
    more = "  - name: beta\n    zone: Europe/Berlin\n    window: night\n" if tenant else ""
    text = (text[:start] + block + text[end:]).replace("tenants:\n", f"tenants:\n{more}")
    (home / "next.yaml").write_text(text)
    with ledger.writing() as book:
        apply_fleet(book, load_fleet(home / "next.yaml"), actor="test", now=at)


class TestThePast:
    def test_an_earlier_look_is_judged_by_what_is_known_now_and_nothing_is_written(
        self, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """On 5 March it had the flaw, on 1 April not; nobody knew the flaw in March."""
        look_at(ledger, MARCH_5, "1.0-1")
        look_at(ledger, APRIL_1, "1.0-2")
        fetch_feeds(tmp_path)
        before = everything_in(tmp_path / "ledger.db")

        then = json.loads(run(capsys, "findings", "--json", "--as-of", "2026-03-05"))
        after = json.loads(run(capsys, "findings", "--json", "--as-of", "2026-04-02"))

        assert [(line["cve"], line["kev"]) for line in then["findings"]] == [(CVE, True)]
        assert (after["count"], after["findings"]) == (0, [])
        assert everything_in(tmp_path / "ledger.db") == before
        explained = run(capsys, "explain", "web1", "--as-of", "2026-03-05")
        assert "Looked at on 2026-03-05 02:00 UTC." in explained
        assert f"Judged on {datetime.now(UTC):%Y-%m-%d}" in explained

    def test_without_feeds_it_says_that_nothing_can_be_judged_now(
        self, ledger: Ledger, capsys: pytest.CaptureFixture[str]
    ) -> None:
        look_at(ledger, MARCH_5, "1.0-1")
        out = run(capsys, "findings", "--as-of", "2026-03-05")

        assert "kev: was never fetched" in out
        assert "No vendor's feed is loaded, so nothing can be judged now" in out

    def test_a_host_that_left_the_fleet_is_in_its_past_and_not_in_its_present(
        self, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        take_out(ledger, tmp_path, host="web1", at=APRIL_1)
        asked = ("--as-of", "2026-03-06", "--known-at", "2026-03-06")

        then = json.loads(run(capsys, "findings", "--json", *asked))
        now = json.loads(run(capsys, "findings", "--json"))

        assert [line["finding_id"] for line in then["findings"]] == [OPENSSL, ZLIB]
        assert (now["unknown_hosts"], now["count"], now["findings"]) == (["db1", "new1"], 0, [])
        assert "Looked at on 2026-03-01" in run(capsys, "explain", "web1", *asked)
        assert "web1 is not in the fleet" in refused(capsys, "explain", "web1")
        assert "No host of the fleet" in run(capsys, "explain", CVE)

    def test_a_host_that_changed_company_is_found_under_the_one_of_that_day(
        self, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        take_out(ledger, tmp_path, host="web1", at=APRIL_1, tenant="beta")

        def found(*options: str) -> list[tuple[str, str]]:
            lines = json.loads(run(capsys, "findings", "--json", *options))["findings"]
            return [(line["finding_id"], line["tenant"]) for line in lines]

        past = ("--as-of", "2026-03-06", "--known-at", "2026-03-06")
        assert found("--tenant", "beta") == [(OPENSSL, "beta"), (ZLIB, "beta")]
        assert found("--tenant", "acme") == []
        assert found("--tenant", "acme", *past) == [(OPENSSL, "acme"), (ZLIB, "acme")]


def test_stale_and_missing_feeds_are_named_beside_the_findings(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    with ledger.writing() as book:
        judged = judged_hosts(book)["web1"]
        then = assessment_at(book, "web1")
        assert then is not None
        missing = FeedDay(feed="kev", day=None, stale=True, note="was never fetched.")
        record_assessment(book, judged.scan_id, replace(then, feeds=(missing,), ranked=()))

    said = "kev: was never fetched. So it was when 1 host was judged."
    assert said in run(capsys, "findings")
    assert json.loads(run(capsys, "findings", "--json"))["warnings"] == [said]
    assert said in run(capsys, "explain", "web1")


def test_what_a_terminal_would_obey_or_hide_is_spelled_out_in_every_form(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "open\u202essl\x9b2J"
    with ledger.writing() as book:
        then = assessment_at(book, "web1")
        assert then is not None
        first = then.ranked[0]
        row = replace(first, finding=replace(first.finding, package=evil))
        record_assessment(book, 1, replace(then, ranked=(row,)))

    for options in ((), ("--csv",), ("--json",)):
        out = run(capsys, "findings", *options)
        assert "\u202e" not in out
        assert "\x9b" not in out
        assert "\\u202e" in out
    assert json.loads(run(capsys, "findings", "--json"))["findings"][0]["package"] == evil


@pytest.mark.usefixtures("ledger")
class TestExplain:
    def test_a_cve_is_not_asked_about_the_past(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = refused(capsys, "explain", CVE, "--as-of", "2026-03-05")
        assert "answered for hosts and findings" in said
        assert f"wavemend findings --cve {CVE} --as-of DAY" in said

    def test_a_cve_that_no_host_is_known_to_have_names_the_hosts_it_cannot_say_it_of(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = run(capsys, "explain", "CVE-2026-2222")

        assert "Nothing is known of: db1." in out
        assert "1 installed package could not be judged;" in out

    def test_a_finding_that_is_closed_says_so(
        self, ledger: Ledger, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with ledger.writing() as book:
            then = assessment_at(book, "web1")
            assert then is not None
            record_assessment(book, 1, replace(then, ranked=then.ranked[1:]))

        said = refused(capsys, "explain", OPENSSL)
        assert f"web1 does not have the finding {OPENSSL} any more" in said
        assert "it was seen first on 2026-03-01 02:00 UTC" in said
        past = ("--as-of", "2026-03-01", "--known-at", "2026-03-01")
        assert CVE in run(capsys, "explain", OPENSSL, *past)

    def test_a_finding_says_what_why_how_urgent_by_when_and_how_that_is_known(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = run(capsys, "explain", OPENSSL)

        assert "CVE-2026-1000 in openssl on web1: emergency, due 2026-03-0" in out
        assert "web1 has openssl 1.0-1 installed (openssl)." in out
        assert "The vendor fixed it in 1.0-2." in out
        assert "in the order of dpkg: openssl 1.0-1 < 1.0-2." in out
        assert "document all.zip/CVE-2026-1000.json of 2026-02-27" in out
        assert "web1 was looked at on 2026-03-01 02:00 UTC." in out
        assert "by kev of 2026-03-05 (model 2026.03.05)" in out
        assert "the next rollout of its profile takes it" in out
        assert [line for line in out.splitlines() if line.endswith("?")] == [
            "What is it?",
            "Why here?",
            "How urgent is it?",
            "By when, and under which rule?",
            "How do we know?",
            "What next?",
        ]

    def test_a_finding_is_explained_as_it_was_known_on_a_day(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = run(capsys, "explain", OPENSSL, "--known-at", "2026-03-01")

        assert "A flaw in the handling of certificates." in out
        assert "emergency" not in out.splitlines()[0]

    def test_a_host_says_what_is_known_of_it_and_what_is_not(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = run(capsys, "explain", "web1")

        assert "Packages: 3 installed, 2 of them judged." in out
        assert "own-tool" in out
        assert "no vendor of it" in out
        assert "never looked at" in run(capsys, "explain", "db1")

    def test_a_cve_names_the_hosts_that_have_it_and_the_feeds_that_are_missing(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = run(capsys, "explain", "CVE-2026-1000")

        assert "unknown: no catalogue was loaded" in out
        assert OPENSSL in out
        assert "was never fetched" in out
        assert "No host of the fleet" in run(capsys, "explain", "CVE-2026-2222")

    @pytest.mark.parametrize("subject", ["web9", "cve-2026-1", "f" * 16, ""])
    def test_what_nobody_knows_is_refused(
        self, capsys: pytest.CaptureFixture[str], subject: str
    ) -> None:
        assert "is no CVE, no host of the fleet, and no finding" in refused(
            capsys, "explain", subject
        )


@pytest.mark.parametrize("status", [s for s in AdvisoryStatus if s != "not_affected"])
@pytest.mark.parametrize("kind", list(UpdateClass))
def test_every_kind_of_finding_can_be_explained(status: AdvisoryStatus, kind: UpdateClass) -> None:
    from wavemend.explaining import explain_finding

    what = finding(
        OPENSSL, "", "openssl", status=status, update_class=kind, fixed=None, note="A note."
    )
    row = ranked(what, Vulnerability(cve=""), MARCH_1)
    assessment = Assessment(
        host="web1",
        tenant="acme",
        scanned_at=MARCH_1,
        assessed_at=MARCH_1,
        intelligence="i",
        feeds=(),
        packages=1,
        judged=1,
        ranked=(row,),
        unmatched=(),
    )
    for paragraph in explain_finding(row, assessment):
        assert paragraph.sentences
        for sentence in paragraph.sentences:
            assert sentence.strip()
            assert ".." not in sentence, sentence
            assert "None" not in sentence, sentence
