"""The kill switch says "stopped" only when something is stopped, and "released" only when it is."""

from pathlib import Path

import pytest

from wavemend.cli.control import go, show, stop, stops_of
from wavemend.cli.fleet_apply import apply
from wavemend.errors import EnvironmentUnfit, FleetError, LedgerError
from wavemend.ledger import rollouts
from wavemend.site import Site

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An installation with a fleet in force."""
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path / "home"))
    apply(EXAMPLE)
    return Site(home=tmp_path / "home")


def stopped(site: Site, tenant: str) -> str:
    with site.open_ledger().reading() as book:
        return rollouts.stopped(book, tenant)


def test_in_a_folder_without_an_installation_nothing_is_called_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path / "elsewhere"))

    with pytest.raises(EnvironmentUnfit, match="no installation in"):
        stop("trouble")
    assert not (tmp_path / "elsewhere").exists()


def test_a_misspelt_company_is_refused_and_stops_nobody(site: Site) -> None:
    with pytest.raises(FleetError, match='no company "amce"'):
        stop("trouble", tenant="amce")
    assert stops_of(site) == []


def test_a_global_release_names_the_company_that_is_still_stopped(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    stop("db wrong", tenant="acme")
    assert "`wavemend go --tenant acme` releases it" in capsys.readouterr().out

    go()

    assert "still stopped: acme: db wrong" in capsys.readouterr().out
    assert "db wrong" in stopped(site, "acme")
    assert stopped(site, "globex") == ""


def test_when_the_file_cannot_be_written_the_ledger_is_told_all_the_same(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.stop_file.mkdir()  # nobody can write a file there, root included

    stop("fire")

    assert "could not be written" in capsys.readouterr().out
    assert "fire" in stopped(site, "acme")
    assert any("its reason cannot be read" in line for line in stops_of(site))


def test_events_about_nothing_are_an_error_not_an_empty_page(site: Site) -> None:
    with pytest.raises(LedgerError, match="no events about nope"):
        show("nope")
