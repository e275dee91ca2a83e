"""`wavemend fleet` says what a file declares, the same way every time, and repaints no terminal."""

import json
from pathlib import Path

import pytest

from wavemend.cli.fleet import app
from wavemend.errors import FleetError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/fleet.yaml"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    app(list(words), result_action="return_value")
    return capsys.readouterr().out


def test_check_lists_companies_rollouts_and_waves(capsys: pytest.CaptureFixture[str]) -> None:
    first, *lines = said(capsys, "check", str(EXAMPLE)).splitlines()

    assert first.startswith(f"{EXAMPLE}: 10 hosts, 2 companies, sha256:")
    assert lines == [
        "company acme: 6 hosts, 1 critical, 0 unmanaged; "
        "approves: alice@acme.example, bruno@acme.example (four eyes)",
        "company globex: 4 hosts, 0 critical, 0 unmanaged; approves: gina@globex.example",
        "rollout acme/debian-server/sat-night: 6 hosts, from 22:00 Europe/Berlin for 6h",
        "  pilot: web1, web2",
        "  broad-1: app1",
        "  broad-2: cold1, web3",
        "  critical: db1",
        "rollout globex/debian-server/sun-early: 4 hosts, from 01:00 America/New_York for 5h",
        "  pilot: shop1",
        "  broad-1: api1",
        "  broad-2: files1, shop2",
        "  critical: no hosts here, left out",
    ]


def test_check_names_unmanaged_hosts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(
        EXAMPLE.read_text().replace("os: debian, device: server, role: standby", "x: y")
    )

    lines = said(capsys, "check", str(path)).splitlines()

    assert "unmanaged: cold1 (acme), no profile: reported, never patched" in lines
    assert any(line.startswith("company acme: 6 hosts, 1 critical, 1 unmanaged") for line in lines)


def test_check_hands_a_wrong_file_to_the_caller_as_an_error() -> None:
    wrong = ROOT / "tests/cases/fleet/unknown-key.yaml"
    with pytest.raises(FleetError, match="unknown key") as caught:
        app(["check", str(wrong)], result_action="return_value")

    assert caught.value.exit_code == 10


def test_show_lists_every_host(capsys: pytest.CaptureFixture[str]) -> None:
    table = said(capsys, "show", str(EXAMPLE))

    for name in ("web1", "web2", "web3", "app1", "db1", "cold1", "shop1", "shop2", "api1"):
        assert name in table


def test_show_tells_all_about_one_host(capsys: pytest.CaptureFixture[str]) -> None:
    table = said(capsys, "show", str(EXAMPLE), "--host", "db1")

    assert "critical" in table
    assert "192.0.2.31:22" in table
    assert "web1" not in table
    with pytest.raises(FleetError, match='no host "db9"'):
        said(capsys, "show", str(EXAMPLE), "--host", "db9")


def test_schema_prints_what_editors_and_people_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(said(capsys, "schema"))["properties"]["hosts"]
    assert said(capsys, "schema", "--markdown").startswith("# The fleet file\n")
