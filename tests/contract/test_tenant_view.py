"""In the view of one company, nothing that a command prints names another one (AC-07)."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cyclopts
import pytest
from sqlalchemy import func
from sqlmodel import SQLModel, col, select

from tests.cases.rollouts.build import NOON
from tests.contract import two_tenants
from tests.contract.two_tenants import MARK
from wavemend.cli import main
from wavemend.cli.app import app
from wavemend.cli.view import ALLOWED, REFUSED
from wavemend.errors import LedgerError
from wavemend.fleet import Fleet
from wavemend.ledger import tables
from wavemend.ledger.care_tables import JournalEntryRow
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.judgement_tables import FirstSightingRow
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.ledger.view import VISIBLE
from wavemend.observations import Look
from wavemend.tenant_view import view_of

Shown = pytest.CaptureFixture[str]
ACMES = {"web1", "db1"}


def commands(group: cyclopts.App, *before: str) -> Iterator[str]:
    for name in group:
        if not name.startswith("-"):
            inner = group[name]
            if inner.default_command is not None:
                yield " ".join((*before, name))
            yield from commands(inner, *before, name)


ALL = sorted(set(commands(app)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    two_tenants.build(home)
    return home


@pytest.fixture
def acme(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WAVEMEND_HOME", str(world))
    monkeypatch.setenv("WAVEMEND_TENANT", "acme")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.chdir(world)
    return world


def said(capsys: Shown, *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out + err


OWN: dict[str, list[list[str]]] = {
    "approve": [["r-acme", "--key", "gone", "--reason", "x"]],
    "approve-rollback": [["q-acme", "--key", "gone", "--reason", "x"]],
    "calendar export": [["out.ics"], ["out.ics", "--company", "acme"]],
    "calendar feasible": [[]],
    "calendar preview": [[], ["--company", "acme"]],
    "calendar simulate": [["--months", "1"]],
    "duty nights": [[], ["acme"]],
    "duty override": [["acme", "--morning", "2026-11-28", "--reason", "a good reason"]],
    "duty show": [["acme"]],
    "emergency": [["CVE-2026-1000", "--company", "acme"], ["CVE-2026-1000", "--all-companies"]],
    "explain": [["web1"], ["CVE-2026-1000"]],
    "feeds diff": [[], ["--feed", "kev"]],
    "feeds status": [[]],
    "findings": [[], ["--tenant", "acme"], ["--json"], ["--csv"], ["--host", "web1"]],
    "fleet schema": [[]],
    "go": [["--tenant", "acme"], []],
    "limits durations": [[]],
    "limits gaps": [["acme"]],
    "limits show": [[]],
    "limits well": [["web1", "--reason", "seen well"]],
    "manager schema": [[]],
    "policy show": [["web1"]],
    "policy test": [["web1", "--package", "lib"]],
    "ready": [[], ["--tenant", "acme"]],
    "reject": [["r-acme", "--key", "gone", "--reason", "x"]],
    "reject-rollback": [["q-acme", "--key", "gone", "--reason", "x"]],
    "repair": [["acme", "--preview"]],
    "restore-points": [
        [],
        ["--orphans"],
        ["--remove", "web1", "--rollout", "r-none"],
        ["--forget", "web1", "--rollout", "r-none", "--reason", "gone"],
    ],
    "rollback": [["web1", "--reason", "x"]],
    "rollout go-on": [["r-acme", "--reason", "x"]],
    "rollout list": [[]],
    "rollout report": [["r-acme"]],
    "rollout resume": [[]],
    "rollout show": [["r-acme"]],
    "rollout start": [["acme"]],
    "simulate priorities": [["--help"]],
    "status": [[]],
    "stop": [["a drill", "--tenant", "acme"], ["a drill"]],
    "waiting": [[]],
}
"""Each command of a view, with arguments of its own company."""

CALLED = {"acme": "zzcorp", "web1": "zzweb1", "r-acme": "r-zzcorp", "q-acme": "q-zzcorp"}


def of_the_other(words: list[str]) -> list[str]:
    return [CALLED.get(word, word) for word in words]


def test_ac_07_every_command_says_whether_a_view_has_it() -> None:
    assert [name for name in ALL if name not in ALLOWED | set(REFUSED)] == []
    assert sorted((ALLOWED | set(REFUSED)) - set(ALL)) == []
    assert ALLOWED.isdisjoint(REFUSED)
    assert set(OWN) == ALLOWED


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    "words", [[*name.split(), *more] for name in OWN for more in OWN[name]], ids=" ".join
)
def test_ac_07_no_command_names_another_company(words: list[str], capsys: Shown) -> None:
    code, text = said(capsys, *words)

    assert code != 3, text
    assert "─ Error ─" not in text, "the test calls the command wrongly"
    assert MARK not in text.lower()


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    "words",
    [[*name.split(), *more] for name in OWN for more in OWN[name] if of_the_other(more) != more],
    ids=" ".join,
)
def test_ac_07_what_is_anothers_is_as_what_does_not_exist(words: list[str], capsys: Shown) -> None:
    code, text = said(capsys, *of_the_other(words))
    names = {name: name.replace(MARK, "qq") for name in CALLED.values()}
    missing, same = said(capsys, *(names.get(word, word) for word in of_the_other(words)))

    for name, other in names.items():
        text = text.replace(name, other)
    assert (code, text) == (missing, same)
    assert code not in {0, 3} or words[0] in {"ready", "duty"}, text
    assert MARK not in text.lower()


def test_ac_07_a_report_and_a_calendar_name_one_company(acme: Path, capsys: Shown) -> None:
    for words in (("rollout", "report", "r-acme"), ("calendar", "export", "acme.ics")):
        assert said(capsys, *words)[0] == 0
    written = [*acme.glob("reports/*"), acme / "acme.ics"]

    assert len(written) == 3
    assert [path.name for path in written if MARK in path.read_text().lower()] == []


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_ac_07_what_acts_on_everybody_is_refused_with_a_sentence(name: str, capsys: Shown) -> None:
    code, text = said(capsys, *name.split())

    assert code == 19
    assert text.startswith(f"wavemend: WM910: `wavemend {name}` is not for one company's view: ")


@pytest.mark.usefixtures("acme")
def test_a_new_command_is_refused_until_somebody_says_what_it_shows(capsys: Shown) -> None:
    extra = cyclopts.App(name="wavemend")
    extra.command(lambda: 0, name="novelty")
    from wavemend.cli.view import admit
    from wavemend.errors import ViewRefused

    with pytest.raises(ViewRefused, match="nobody has said yet what it would show"):
        admit(extra, ["novelty"])


@pytest.mark.usefixtures("acme")
def test_a_misspelt_company_sees_nothing_and_learns_no_name(
    monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("WAVEMEND_TENANT", "acne")
    code, text = said(capsys, "findings")

    assert code == 10
    assert text == (
        'wavemend: WM100: the fleet has no company "acne"\n'
        "  WAVEMEND_TENANT names the company of this view\n"
    )


def test_without_a_view_both_companies_are_there(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("WAVEMEND_HOME", str(world))
    monkeypatch.setenv("COLUMNS", "220")

    assert {"r-acme", "r-zzcorp"} <= set(said(capsys, "rollout", "list")[1].split())
    assert "4 of 4 hosts" in said(capsys, "findings")[1]


# --- the ledger --------------------------------------------------------------------------------


def view(world: Path) -> Ledger:
    return Ledger(f"sqlite:///{world / 'ledger.db'}", "acme")


def test_every_table_of_the_ledger_says_who_may_see_its_rows() -> None:
    known = {mapper.class_ for mapper in SQLModel._sa_registry.mappers}

    assert {table.__name__ for table in known} == {table.__name__ for table in VISIBLE}


@pytest.mark.parametrize(
    "table", [table for table, rule in VISIBLE.items() if rule], ids=lambda table: table.__name__
)
def test_a_session_of_a_view_sees_its_own_rows_only(world: Path, table: Any) -> None:
    everything = Ledger(f"sqlite:///{world / 'ledger.db'}")
    with view(world).reading() as book, everything.reading() as whole:
        seen = [repr(row) for row in book.exec(select(table))]
        there = list(whole.exec(select(table)))
        keys = [column.name for column in table.__table__.primary_key]
        for row in there:
            found = book.get(table, tuple(getattr(row, key) for key in keys))
            assert (found is not None) == (repr(row) in seen)
        counted = book.exec(select(func.count()).select_from(table)).one()
    mine = [repr(row) for row in there if MARK not in repr(row) and _company(row) != "zzcorp"]

    assert sorted(seen) == sorted(mine)
    assert counted == len(mine)


def _company(row: Any) -> str:
    return str(getattr(row, "tenant", ""))


def test_ac_07_what_a_host_went_through_follows_it_to_its_new_company(tmp_path: Path) -> None:
    ledger = two_tenants.build(tmp_path)
    moved = replace(two_tenants.fleet_in(tmp_path).host("web1"), tenant="zzcorp")
    look = Look(host="web1", at=NOON + timedelta(days=1), facts=None, reason="off")
    entry = JournalEntryRow(host="web1", attempt_id="a-other", fence=1, read_at=NOON)

    def rows(tenant: str) -> dict[str, set[str]]:
        with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", tenant).reading() as book:
            joined = select(tables.HostScan.host).join(
                FirstSightingRow, col(FirstSightingRow.host) == tables.HostScan.host
            )
            return {
                "journal": set(book.exec(select(JournalEntryRow.host))),
                "sightings": set(book.exec(select(FirstSightingRow.host))),
                "joined": set(book.exec(joined)),
            }

    with ledger.writing() as book:
        book.add(entry)
    before = rows("acme")
    with ledger.writing() as book:
        record_look(book, moved, look, purpose="scan")

    assert before == {"journal": {"web1"}, "sightings": ACMES, "joined": ACMES}
    assert rows("acme") == {"journal": set(), "sightings": {"db1"}, "joined": {"db1"}}
    assert {"web1", "zzweb1"} <= rows("zzcorp")["sightings"]
    assert rows("zzcorp")["journal"] == {"web1"}


@pytest.mark.usefixtures("acme")
def test_ac_07_a_budget_shared_with_others_is_counted_whole(capsys: Shown) -> None:
    code, text = said(capsys, "limits", "show")
    (line,) = (line for line in text.splitlines() if "pair" in line)

    assert code == 0
    assert line.split() == ["pair", "2", "1", "web1,", "1", "of", "other", "companies"]


def test_a_statement_past_the_session_is_refused(world: Path) -> None:
    rows = select(col(tables.RolloutRow.id))
    with view(world).reading() as book, pytest.raises(LedgerError, match="went past the view"):
        book.connection().execute(rows)


def test_a_join_and_an_update_are_cut_down_too(world: Path) -> None:
    row, attempt = tables.RolloutRow, tables.AttemptRow
    joined = select(attempt.host).join(row, col(row.id) == col(attempt.rollout_id))
    with view(world).reading() as book:
        assert list(book.exec(joined)) == ["web1"]
    with view(world).writing() as book:
        assert book.get(row, "r-zzcorp") is None
        assert current_fleet(book).tenants[0].name == "acme"


# --- the fleet ---------------------------------------------------------------------------------


def words_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from words_of(getattr(value, item.name))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (*words_of(key), *words_of(inner))
    elif isinstance(value, tuple | frozenset):
        for inner in value:
            yield from words_of(inner)


def test_one_companys_fleet_holds_no_word_of_another(tmp_path: Path) -> None:
    fleet = two_tenants.fleet_in(tmp_path)
    mine = view_of(fleet, "acme")

    assert [word for word in words_of(mine) if MARK in word] == []
    assert [host.name for host in mine.hosts] == ["db1", "web1"]
    assert [group.name for group in mine.groups] == ["some"]
    assert [policy.name for policy in mine.policies] == ["everybody"]
    assert [budget.hosts for budget in mine.budgets] == [("web1",)]
    assert [(waiver.id, waiver.owner) for waiver in mine.waivers] == [("for-all", "(not shown)")]
    assert mine.digest == fleet.digest
    assert mine.rollouts() == tuple(key for key in fleet.rollouts() if key.tenant == "acme")


def test_both_views_together_hold_every_host(tmp_path: Path) -> None:
    fleet: Fleet = two_tenants.fleet_in(tmp_path)
    parts = [view_of(fleet, tenant.name).hosts for tenant in fleet.tenants]

    assert sorted(host.name for part in parts for host in part) == [h.name for h in fleet.hosts]
