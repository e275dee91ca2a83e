"""A fleet file is in force whole or not at all: a mistake writes nothing to the ledger."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.rollouts.build import NOON, plan_of, wave
from tests.cases.rollouts.ledgers import frozen, intend
from wavemend.cli.fleet_apply import apply
from wavemend.errors import FleetError, LedgerConflict, LedgerError
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import audit
from wavemend.ledger.intake import apply_fleet, current_fleet, digest_in_force
from wavemend.site import Site

ROOT = Path(__file__).parents[2]
WRONG = sorted(
    path for path in (ROOT / "tests" / "cases" / "fleet").glob("*.yaml") if path.stem != "right"
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path / "home"))
    return Site(home=tmp_path / "home")


def test_there_are_at_least_ten_kinds_of_wrong_files() -> None:
    assert len(WRONG) >= 10


def test_no_wrong_file_writes_anything(site: Site) -> None:
    for path in WRONG:
        with pytest.raises(FleetError, match=path.name):
            apply(path)
    with site.open_ledger().reading() as book:
        assert audit.head(book).events == 0
        with pytest.raises(LedgerError, match="no fleet was applied yet"):
            current_fleet(book)


def test_a_wrong_file_leaves_the_fleet_in_force(site: Site) -> None:
    apply(ROOT / "examples" / "fleet.yaml")
    with site.open_ledger().reading() as book:
        before = current_fleet(book)
    with pytest.raises(FleetError):
        apply(WRONG[0])
    with site.open_ledger().reading() as book:
        assert current_fleet(book) == before


def test_applying_the_same_fleet_again_changes_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(ROOT / "examples" / "fleet.yaml")
    apply(ROOT / "examples" / "fleet.yaml")

    assert "is in force already: nothing changes" in capsys.readouterr().out
    with site.open_ledger().reading() as book:
        assert audit.verify(book).events == 1


# --- what a second file changes ------------------------------------------------------------------


EXAMPLE = (ROOT / "examples" / "fleet.yaml").read_text()


def hosts_file(folder: Path, count: int) -> Path:
    """Return a fleet whose hosts are kept in a CSV file of so many rows."""
    head = EXAMPLE.partition("\nhosts:\n")[0].partition("\n# Machines")[0]
    rows = "".join(f"h{n},192.0.2.{n},debian,server\n" for n in range(1, count + 1))
    (folder / "hosts.csv").write_text(f"name,address,label:os,label:device\n{rows}")
    path = folder / "fleet.yaml"
    source = "  - {name: list, kind: csv, file: hosts.csv, tenant: acme, labels: {ring: pilot}}"
    path.write_text(f"{head}\nsources:\n{source}\n")
    return path


def in_force(site: Site) -> list[str]:
    with site.open_ledger().reading() as book:
        return [host.name for host in current_fleet(book).hosts]


def test_a_dry_run_shows_the_difference_and_begins_nothing(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(hosts_file(tmp_path, 20), dry_run=True)
    assert not site.home.exists()
    apply(hosts_file(tmp_path, 20))
    apply(hosts_file(tmp_path, 21), dry_run=True)

    assert "hosts: 1 added, 0 removed, 0 changed\n  + h21\n" in capsys.readouterr().out
    assert len(in_force(site)) == 20


def test_without_a_terminal_a_change_needs_yes(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    apply(hosts_file(tmp_path, 20))
    with pytest.raises(FleetError, match="nobody is here to ask"):
        apply(hosts_file(tmp_path, 19))
    assert len(in_force(site)) == 20

    apply(hosts_file(tmp_path, 19), yes=True)
    assert len(in_force(site)) == 19


@pytest.mark.parametrize(("answer", "hosts"), [(b"n\n", 20), (b"yes\n", 21)])
def test_on_a_terminal_it_asks_after_the_difference(
    site: Site, tmp_path: Path, answer: bytes, hosts: int
) -> None:
    apply(hosts_file(tmp_path, 20))
    ours, theirs = pty.openpty()
    argv = (sys.executable, "-m", "wavemend", "fleet", "apply", str(hosts_file(tmp_path, 21)))
    with subprocess.Popen(argv, stdin=theirs, stdout=subprocess.PIPE) as asked:
        os.write(ours, answer)
        out, _ = asked.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert out.index(b"  + h21\n") < out.index(b"Put this fleet in force? [y/N] ")
    assert len(in_force(site)) == hosts


def test_a_file_that_was_cut_off_removes_nobody(site: Site, tmp_path: Path) -> None:
    apply(hosts_file(tmp_path, 20))
    for said in (None, 14, 16):
        with pytest.raises(FleetError, match=r"15 (of 20 )?hosts would go"):
            apply(hosts_file(tmp_path, 5), yes=True, remove_hosts=said)
    with pytest.raises(FleetError, match="holds no host, and empty is not everything"):
        apply(hosts_file(tmp_path, 0), yes=True, remove_hosts=20)
    assert len(in_force(site)) == 20

    apply(hosts_file(tmp_path, 5), yes=True, remove_hosts=15)
    assert len(in_force(site)) == 5


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        ("debian,server", "debain,server", "20 hosts would be covered by no profile"),
        ("tenant: acme,", "tenant: globex,", "20 hosts would be another company's (h1, h10, "),
    ],
)
def test_hosts_that_lose_their_profile_or_company_go_only_by_their_number(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, way: str
) -> None:
    apply(hosts_file(tmp_path, 20))
    path = hosts_file(tmp_path, 20)
    for file in (path, tmp_path / "hosts.csv"):
        head, sources, rest = file.read_text().partition("\nsources:")
        file.write_text(
            head + sources + rest.replace(old, new) if sources else head.replace(old, new)
        )
    with pytest.raises(FleetError, match="20 of 20 hosts would go") as refused:
        apply(path, yes=True)

    assert "--remove-hosts 20" in refused.value.hint
    assert f"LOOK: {way}" in capsys.readouterr().out
    with site.open_ledger().reading() as book:
        assert {(host.tenant, bool(host.profile)) for host in current_fleet(book).hosts} == {
            ("acme", True)
        }
    apply(path, yes=True, remove_hosts=20)


def test_hosts_that_need_no_approval_any_more_are_named(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not site.home.exists()
    path = tmp_path / "fleet.yaml"
    path.write_text(EXAMPLE)
    apply(path)
    path.write_text(EXAMPLE.replace("critical: true", "critical: false"))
    apply(path, yes=True)

    assert "would not be critical any more: changed without a signed approval (db1" in (
        capsys.readouterr().out
    )


def test_a_host_on_which_a_change_goes_on_is_not_removed_unsaid(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(hosts_file(tmp_path, 20))
    plan = plan_of(wave(1, "h20", kind="pilot"))
    ledger = site.open_ledger()
    intend(ledger, frozen(ledger, plan), "h20", plan=plan)
    with pytest.raises(FleetError, match="h20: its attempt in r-1 has not ended"):
        apply(hosts_file(tmp_path, 19), yes=True)
    assert len(in_force(site)) == 20

    apply(hosts_file(tmp_path, 19), yes=True, abandon=("h20",))
    assert "  - h20\n" in capsys.readouterr().out
    assert len(in_force(site)) == 19


def test_what_somebody_else_applied_meanwhile_is_not_overwritten(
    site: Site, tmp_path: Path
) -> None:
    apply(hosts_file(tmp_path, 20))
    with site.open_ledger().writing() as book:
        before = digest_in_force(book)
    apply(hosts_file(tmp_path, 21), yes=True)
    late = load_fleet(hosts_file(tmp_path, 22))

    with site.open_ledger().writing() as book, pytest.raises(LedgerConflict, match="somebody else"):
        apply_fleet(book, late, actor="test", now=NOON, replacing=before)
