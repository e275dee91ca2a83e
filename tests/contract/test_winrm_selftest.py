"""On a host that is well, every line of the self-test is ok, and the host is as it was before.

The host is simulated, and every result says so: real are WinRM, NTLM, TLS and the command itself.
"""

import re
import subprocess
import sys
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.winrm_bench import https_peer, opened
from tests.contract.winrm_selftest_bench import desk, host_of_today
from tests.windows_host.state import HostState
from tests.windows_host.world import PASSWORD
from tests.winrm_peer import run_authority
from wavemend.cli.view import REFUSED
from wavemend.cli.winrm_selftest import winrm_selftest
from wavemend.errors import EnvironmentUnfit, FleetError, LoginRefused
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.store import open_ledger
from wavemend.windows.selftest import CHECKS, NEVER_TRIED

BY_CHOICE = {"snapshot"} | {line.name for line in NEVER_TRIED}


def kept(state: HostState) -> dict[str, object]:
    """Return what of a host must be after a self-test as it was before."""
    names = ("jobs", "journal", "fence", "points", "packages", "boots", "wua", "services")
    return {name: deepcopy(getattr(state, name)) for name in names}


def test_every_line_is_ok_and_the_host_is_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys) as operator:
        state = operator.world.windows.state
        before = kept(state)
        result = operator.try_it()

        assert result.status == 0
        assert result.named("FAILED") == set()
        assert result.named("not tried") == BY_CHOICE
        assert result.named("ok") == {"name and port", "certificate"} | {
            name for name, _ in CHECKS if name != "snapshot"
        }
        assert kept(state) == before
        assert state.begun == {"nothing": 1, "scan": 1}
        assert operator.world.peer.counters().open_shells == 0


def test_a_snapshot_is_made_where_that_is_wanted_and_removed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys) as operator:
        assert operator.try_it(with_snapshot=True).lines["snapshot"].verdict == "ok"

        state = operator.world.windows.state
        assert state.begun["snapshot"] == 1
        assert state.points.made == []
        assert state.jobs == []


def test_a_snapshot_that_windows_does_not_make_is_a_failure_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = host_of_today()
    state.points.shadow_code = 6
    with desk(tmp_path, capsys, state) as operator:
        result = operator.try_it(with_snapshot=True)

        assert result.named("FAILED") == {"snapshot"}
        assert "insufficient storage" in result.lines["snapshot"].seen
        assert state.jobs == []


def test_what_is_printed_and_what_is_written_say_the_same_and_call_the_host_simulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys) as operator:
        result = operator.try_it()

        for name, line in result.lines.items():
            assert f"{line.verdict:<10}{name:<21}{line.seen}\n" in result.printed
        first, *_, last = result.printed.splitlines()
        assert first.startswith("win1 (SIMULATED): 127.0.0.1:")
        assert last == "This host is only played: the result says nothing about Windows."
        assert "win1 (SIMULATED): 28 ok, 0 failed, 0 could not be tried" in result.printed
        document = result.document
        assert (document["schema"], document["simulated"]) == ("wavemend.winrm-selftest/1", True)
        assert (document["ok"], document["host"]) == (True, "win1")
        assert "(simulated), build 10.0.20348.4171" in str(document["system"])
        assert datetime.fromisoformat(str(document["at"])).tzinfo is not None
        assert PASSWORD not in result.printed + str(document)


def test_the_how_to_shows_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path("docs/how-to/patch-windows.md").read_text(encoding="utf-8")
    shown = text.partition("$ wavemend winrm-selftest ")[2].partition("```")[0].partition("\n")[2]
    lasting = run_authority().leaf("localhost", "127.0.0.1", ends_in_days=300)
    with desk(tmp_path, capsys, tls=lasting) as operator:
        printed = operator.try_it().printed

    assert re.sub(r"[0-9]+", "#", shown) == re.sub(r"[0-9]+", "#", printed)


def test_a_host_that_says_itself_that_it_is_played_is_called_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys) as operator:
        operator.fleet.write_text(operator.fleet.read_text().replace("simulated: true, ", ""))
        result = operator.try_it()

        assert result.document["simulated"] is True
        assert "win1 (SIMULATED): 28 ok" in result.printed


def test_a_host_of_no_fleet_is_tried_by_its_address_and_a_login(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys) as operator:
        port = operator.world.peer.port
        result = operator.try_it("new1", address="localhost", port=port, login="windows")

        assert (result.status, result.document["address"]) == (0, "localhost")


def test_a_host_of_the_fleet_in_force_needs_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    with desk(tmp_path, capsys) as operator:
        fleet = load_fleet(operator.fleet)
        with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}").writing() as book:
            apply_fleet(book, fleet, actor="test", now=datetime.now(UTC))
        result = operator.try_it(fleet=None)

        assert result.status == 0


def test_other_hosts_and_wrong_words_are_refused_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys) as operator:
        with pytest.raises(FleetError, match="web1 is not reached over WinRM"):
            operator.try_it("web1")
        with pytest.raises(FleetError, match="login linux"):
            operator.try_it("new1", address="127.0.0.1", login="linux")
        with pytest.raises(FleetError, match='no host "new1"'):
            operator.try_it("new1", address="127.0.0.1")
        with pytest.raises(EnvironmentUnfit, match="there is no such folder"):
            winrm_selftest("win1", fleet=operator.fleet, json_file=tmp_path / "no" / "file")
        (tmp_path / "password").unlink()
        with pytest.raises(LoginRefused, match="password"):
            operator.try_it()

        assert operator.world.peer.counters().connections == 0


def test_a_dropped_connection_is_made_anew_and_finds_its_shell_again() -> None:
    with https_peer() as peer, opened(peer) as transport:
        transport.run(["cmd.exe"], deadline=10)
        transport.drop()
        assert transport.run(["cmd.exe"], stdin=b"there", deadline=10).stdout == b"there"

        counters = peer.counters()
        assert (counters.connections, counters.operations["Create"]) == (2, 1)


def test_a_view_of_one_company_does_not_have_it() -> None:
    assert "winrm-selftest" in REFUSED


def test_the_command_ends_with_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = host_of_today()
    state.winrm.cbt_level = "None"
    with desk(tmp_path, capsys, state) as operator:
        words = ("winrm-selftest", "win1", "--fleet", str(operator.fleet))
        done = subprocess.run(
            (sys.executable, "-m", "wavemend", *words),
            env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stderr) == (2, "")
        assert "FAILED    channel binding" in done.stdout
        assert "1 failed, 0 could not be tried" in done.stdout
