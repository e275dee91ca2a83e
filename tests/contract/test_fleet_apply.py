"""A fleet file is in force whole or not at all: a mistake writes nothing to the ledger."""

from pathlib import Path

import pytest

from wavemend.cli.fleet_apply import apply
from wavemend.errors import FleetError, LedgerError
from wavemend.ledger import audit
from wavemend.ledger.intake import current_fleet
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

    assert "is in force already" in capsys.readouterr().out
    with site.open_ledger().reading() as book:
        assert audit.verify(book).events == 1
