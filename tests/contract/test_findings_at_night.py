"""At 2 a.m., on 80 columns: what is late, old, simulated or silent is said, and what to do next."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.ledgers import opened, take
from tests.contract.test_feeds_cli import EXAMPLES
from tests.contract.test_findings_cli import (
    CVE,
    FLEET,
    MARCH_1,
    MARCH_5,
    OPENSSL,
    fetch_feeds,
    finding,
    ledger,
    look_at,
    ranked,
    refused,
    run,
)
from wavemend.advisories import Vulnerability
from wavemend.cli import main
from wavemend.cli.fleet import waivers_over
from wavemend.cli.tables import findings_table, screen
from wavemend.explaining import Standing, explain_finding, overdue, whole_sentences
from wavemend.findings import Because, Finding
from wavemend.hosts import Host
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import rollouts
from wavemend.ledger.assessments import (
    Question,
    assessment_at,
    judged_hosts,
    open_findings,
    record_assessment,
)
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import Assessment, FeedDay, Look
from wavemend.policy.profiles import Profile, Updates
from wavemend.policy.resolving import Settings, resolve
from wavemend.policy.settings import Level, Policy
from wavemend.policy.waivers import Waiver

__all__ = ["ledger"]

Shown = pytest.CaptureFixture[str]
WEB1 = load_fleet(FLEET).host("web1")


@pytest.fixture
def narrow(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("COLUMNS", "80")
    return ledger


def waived_until(ledger: Ledger, until: datetime) -> None:
    """Judge web1 anew, on 5 March, with a waiver for its CVE."""
    waiver = Waiver(id="w-1", tenant="acme", owner="olga", reason="accepted", until=until, cve=CVE)
    row = ranked(finding(OPENSSL, CVE, "openssl"), Vulnerability(cve=CVE), MARCH_5, waiver)
    with ledger.writing() as book:
        then = assessment_at(book, "web1")
        assert then is not None
        record_assessment(book, 1, replace(then, ranked=(row,)))


class TestLists:
    @pytest.mark.usefixtures("narrow")
    def test_a_summary_above_the_list_counts_hosts_lanes_and_what_is_late(
        self, capsys: Shown
    ) -> None:
        first = run(capsys, "findings").splitlines()[0]
        assert first == "2 findings on 1 of 2 hosts: 1 emergency, 1 routine, 1 OVERDUE."

    @pytest.mark.usefixtures("narrow")
    @pytest.mark.parametrize(
        "words",
        [
            ("findings",),
            ("explain", "web1"),
            ("explain", CVE),
            ("rollout", "list"),
        ],
    )
    def test_at_80_columns_no_table_is_cut(self, capsys: Shown, words: tuple[str, ...]) -> None:
        out = run(capsys, *words)
        tables = [line for line in out.splitlines() if line.startswith((" ", "emergency", "─"))]
        assert all(len(line) <= 80 for line in tables)
        assert "…" not in out
        if words[0] != "rollout":
            (row,) = (line for line in out.splitlines() if line.startswith("emergency"))
            for word in ("2026-03-07", "web1", CVE, OPENSSL):
                assert word in row

    def test_a_long_name_folds_and_loses_nothing(self, narrow: Ledger, capsys: Shown) -> None:
        name = "a-host-with-a-name-as-clouds-give-them.eu-central-1.example.com"
        with narrow.reading() as book:
            (first, _) = open_findings(book, Question())
        line = replace(first, host=name)

        screen().print(findings_table([line], wide=False))

        rows = [row for row in capsys.readouterr().out.splitlines()[3:] if row.strip()]
        assert all(len(row) <= 80 for row in rows)
        assert "".join(row[21:].split()[0] for row in rows if row[21:22].strip()) == name
        for word in ("emergency", "2026-03-07", CVE, OPENSSL):
            assert word in rows[0]

    @pytest.mark.usefixtures("narrow")
    def test_wide_shows_the_columns_that_80_do_not_hold(self, capsys: Shown) -> None:
        assert "Installed" not in run(capsys, "findings")
        assert "Installed" in run(capsys, "findings", "--wide")

    @pytest.mark.usefixtures("ledger")
    def test_what_is_late_is_marked_filtered_and_in_every_form(self, capsys: Shown) -> None:
        assert "OVERDUE, exploited" in run(capsys, "findings")
        found = json.loads(run(capsys, "findings", "--overdue", "--json"))
        assert [line["finding_id"] for line in found["findings"]] == [OPENSSL]
        assert found["overdue"] == 1
        then = ("--as-of", "2026-03-06", "--known-at", "2026-03-06")
        assert json.loads(run(capsys, "findings", "--overdue", "--json", *then))["count"] == 0
        assert "OVERDUE by " in run(capsys, "explain", OPENSSL).splitlines()[0]

    def test_json_and_csv_say_when_by_what_rule_and_on_what_kind_of_host(
        self, ledger: Ledger, capsys: Shown
    ) -> None:
        waived_until(ledger, datetime(2099, 1, 1, tzinfo=UTC))
        (line,) = json.loads(run(capsys, "findings", "--json"))["findings"]
        (row,) = csv.DictReader(io.StringIO(run(capsys, "findings", "--csv")))

        assert line["judged_at"] == "2026-03-05T02:00:00+00:00"
        assert line["first_seen"] == "2026-03-01T02:00:00+00:00"
        assert (line["waiver_id"], line["waived_until"][:4]) == ("w-1", "2099")
        assert line["due_rule"]
        assert [line[name] for name in ("exposed", "critical", "simulated", "stale")] == [
            WEB1.exposed,
            WEB1.critical,
            WEB1.simulated,
            False,
        ]
        assert set(row) == set(line)

    def test_a_waiver_that_ended_since_is_said_to_have_run_out(
        self, ledger: Ledger, capsys: Shown
    ) -> None:
        waived_until(ledger, MARCH_5 + timedelta(hours=1))

        out = run(capsys, "findings")
        assert "waiver ran out" in out
        assert "Of 1 finding above the waiver ran out, not judged again yet" in out
        said = run(capsys, "explain", OPENSSL)
        assert "It counts again: the waiver that it was ignored for ran out." in said

    def test_a_host_that_did_not_answer_is_named_with_day_and_reason(
        self, ledger: Ledger, capsys: Shown
    ) -> None:
        look = Look(host="db1", at=MARCH_5, facts=None, reason="silent", detail="no answer in 10 s")
        with ledger.writing() as book:
            host = Host(name="db1", tenant="acme", address="x")
            record_look(book, host, look, purpose="scan")

        said = "db1 did not answer on 2026-03-05 02:00 UTC (silent: no answer in 10 s)."
        assert said in run(capsys, "findings")
        assert said in run(capsys, "explain", "db1")
        assert json.loads(run(capsys, "findings", "--json"))["unanswered"] == [said]

    def test_judgements_by_stale_or_other_feeds_say_so(
        self, ledger: Ledger, tmp_path: Path, capsys: Shown
    ) -> None:
        assert "before this changed" not in run(capsys, "findings")
        fetch_feeds(tmp_path)
        out = run(capsys, "findings")
        assert "1 host was judged last on 2026-03-05 02:00 UTC, before this changed: " in out
        assert "feed kev (then of 2026-03-05)" in out
        assert "before this changed" in run(capsys, "explain", "web1")
        with ledger.writing() as book:
            then = assessment_at(book, "web1")
            assert then is not None
            old = FeedDay(feed="kev", day=None, stale=True, note="is old.")
            record_assessment(book, 1, replace(then, feeds=(old,)))
        assert "STALE: judged by stale or missing feeds: web1." in run(capsys, "findings")


def test_applying_a_fleet_judges_the_hosts_anew_by_it(
    ledger: Ledger, tmp_path: Path, capsys: Shown
) -> None:
    look_at(ledger, MARCH_5, "1.0-1")
    fetch_feeds(tmp_path)
    next_file = tmp_path / "next.yaml"
    next_file.write_text(FLEET.read_text() + "\n# again\n")

    with pytest.raises(SystemExit) as ended:
        main(["fleet", "apply", str(next_file)])

    assert ended.value.code == 0
    assert "1 host judged anew, " in capsys.readouterr().out
    with ledger.reading() as book:
        assert {feed.feed for feed in judged_hosts(book)["web1"].feeds} >= {"debian", "kev"}
    assert "before this changed" not in run(capsys, "findings")


def test_a_refresh_by_hand_judges_the_hosts_anew(ledger: Ledger, capsys: Shown) -> None:
    look_at(ledger, MARCH_5, "1.0-1")

    with pytest.raises(SystemExit) as ended:
        main(["feeds", "refresh", "--from", str(EXAMPLES)])

    assert ended.value.code == 0
    assert "1 host judged anew, " in capsys.readouterr().out
    with ledger.reading() as book:
        assert judged_hosts(book)["web1"].assessed_at > MARCH_5


def test_on_80_columns_reasons_of_a_rollout_stand_below_its_table(
    narrow: Ledger, capsys: Shown
) -> None:
    opened(narrow)
    lease = take(narrow, "r-1")
    reason = "the gate of the pilot did not open: " + "too many hosts were lost " * 4
    with narrow.writing() as book:
        rollouts.finish_rollout(book, lease, reason, MARCH_5)

    out = run(capsys, "rollout", "list").splitlines()

    assert all(len(line) <= 80 for line in out if not line.startswith("r-1:"))
    assert out[-1] == f"r-1: {reason}"


@pytest.mark.usefixtures("ledger")
class TestExplain:
    def test_a_cve_may_be_written_in_small_letters(self, capsys: Shown) -> None:
        assert run(capsys, "explain", CVE.lower()).startswith(f"{CVE}: ")

    @pytest.mark.parametrize("subject", ["web1", OPENSSL])
    def test_a_cache_is_asked_about_cves_only(self, capsys: Shown, subject: str) -> None:
        assert "--cache is for a CVE" in refused(capsys, "explain", subject, "--cache", "x")

    def test_a_closed_finding_says_when_it_was_seen_last(
        self, ledger: Ledger, capsys: Shown
    ) -> None:
        with ledger.writing() as book:
            then = assessment_at(book, "web1")
            assert then is not None
            record_assessment(book, 1, replace(then, ranked=then.ranked[1:]))
        said = refused(capsys, "explain", OPENSSL)
        assert "it is closed, last seen 2026-03-01" in said
        assert "--as-of 2026-03-01" in said

    def test_without_scores_it_says_that_no_feed_in_use_has_one(self, capsys: Shown) -> None:
        out = run(capsys, "explain", "CVE-2026-2222")
        assert "CVSS: no feed in use has a score, which is not a low score." in out


def next_of(
    what: Finding,
    host: Host = WEB1,
    profile: Profile | None = None,
    settings: Settings | None = None,
) -> str:
    row = ranked(what, Vulnerability(cve=what.cve), MARCH_1)
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
    standing = Standing(host=host, profile=profile, settings=settings)
    said = explain_finding(row, assessment, standing, MARCH_1)
    return " ".join(said[-1].sentences)


OFFERED = finding(OPENSSL, CVE, "openssl")
SERVERS = load_fleet(FLEET).profile(WEB1.profile)


def test_an_offer_on_hold_names_the_command_that_ends_the_hold() -> None:
    said = next_of(replace(OFFERED, withheld="on hold on the host"), profile=SERVERS)
    assert "no rollout takes it: on hold on the host." in said
    assert "`apt-mark unhold openssl` on web1 ends the hold." in said
    rpm = replace(
        OFFERED,
        withheld="on hold on the host",
        because=Because(feed="f", document="d", compared="c"),
    )
    assert "apt-mark" not in next_of(rpm, profile=SERVERS)


@pytest.mark.parametrize(
    ("reason", "way_out"),
    [
        ("not released to this host yet by the distribution", "it comes by itself"),
        ("it would add or remove other packages", "install it by hand"),
    ],
)
def test_an_offer_that_is_withheld_says_why_and_promises_nothing(reason: str, way_out: str) -> None:
    said = next_of(replace(OFFERED, withheld=reason), profile=SERVERS)
    assert way_out in said
    assert "the next rollout of its profile takes it" not in said


def test_who_no_rollout_changes_is_told_so() -> None:
    assert "web1 is unmanaged" in next_of(OFFERED, replace(WEB1, profile=""))
    only = replace(SERVERS, updates=Updates.SECURITY)
    fix = replace(OFFERED, cve="", advisory="ALBA-1")
    assert "takes only security updates" in next_of(fix, profile=only)
    assert "takes only security updates" not in next_of(OFFERED, profile=only)
    critical = next_of(OFFERED, replace(WEB1, critical=True), SERVERS)
    assert "changes only after a signed approval, `wavemend approve ROLLOUT`." in critical


def test_where_policies_have_rules_the_command_that_tells_which_one_decides_is_named() -> None:
    policy = Policy(
        name="slow", level=Level.GLOBAL, updates=Updates.SECURITY, defer=timedelta(days=7)
    )
    settings = resolve([policy], SERVERS).settings()
    said = next_of(OFFERED, profile=SERVERS, settings=settings)
    assert "`wavemend policy test web1` says which rule decides" in said
    fix = replace(OFFERED, cve="", advisory="ALBA-1")
    named = next_of(fix, profile=SERVERS, settings=settings)
    assert "but policy slow (global) takes only security updates" in named


def test_days_late_are_counted_from_the_due_date() -> None:
    late = MARCH_1 + timedelta(days=12, hours=3)
    assert overdue(MARCH_1, late) == "OVERDUE by 12 days"
    assert overdue(MARCH_1, MARCH_1 + timedelta(hours=1)) == "OVERDUE by 1 hour"
    assert overdue(MARCH_1, MARCH_1) == ""
    assert overdue(None, late) == ""


def test_a_description_that_was_cut_ends_with_a_whole_sentence() -> None:
    assert whole_sentences("First. Second is c…") == "First."
    assert whole_sentences("Only one that is c…") == "Only one that is c…"
    assert whole_sentences("Whole. Text") == "Whole. Text"


def test_waivers_that_are_over_are_warned_of() -> None:
    waiver = Waiver(id="w-1", tenant="", owner="olga", reason="r", until=MARCH_1, cve=CVE)
    fleet = replace(load_fleet(FLEET), waivers=(waiver,))
    (said,) = waivers_over(fleet, MARCH_1)
    assert said.startswith("warning: waiver w-1 of olga ended on 2026-03-01 02:00 UTC")
    assert waivers_over(fleet, MARCH_1 - timedelta(seconds=1)) == []
