"""The demo's fleet file is read without a mistake, and whatever is played in it is called so."""

from datetime import UTC, datetime
from pathlib import Path

from examples.demo.fleet import DemoHost, DemoLab, WindowsLab, fleet_text
from wavemend.fleet import Fleet
from wavemend.inventory.fleet_file import load_fleet

NOW = datetime(2026, 11, 21, 6, 31, tzinfo=UTC)
NAMES = ("web1", "db1", "cold1", "shop1", "api1", "files1")


def lab(folder: Path, *, simulated: bool = False) -> DemoLab:
    hosts = tuple(DemoHost(name, "127.0.0.1", 2200 + at) for at, name in enumerate(NAMES))
    return DemoLab(folder, simulated, "patch", hosts)


def windows(folder: Path) -> WindowsLab:
    hosts = (DemoHost("win1", "127.0.0.1", 5986), DemoHost("win2", "127.0.0.1", 5987))
    return WindowsLab("WAVEMEND\\patcher", folder / "password", folder / "ca.pem", hosts)


def fleet_of(folder: Path, text: str) -> Fleet:
    (folder / "fleet.yaml").write_text(text)
    return load_fleet(folder / "fleet.yaml")


def test_without_windows_there_are_two_companies_and_the_usual_feeds(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, fleet_text(lab(tmp_path), tmp_path, NOW))

    assert {tenant.name for tenant in fleet.tenants} == {"acme", "globex"}
    assert {host.transport for host in fleet.hosts} == {"ssh"}
    assert "use:" not in (tmp_path / "fleet.yaml").read_text()


def test_windows_hosts_are_a_third_company_and_simulated_beside_real_ones(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, fleet_text(lab(tmp_path), tmp_path, NOW, windows(tmp_path)))

    played = [host for host in fleet.hosts if host.simulated]
    assert [(host.name, host.tenant, host.transport) for host in played] == [
        ("win1", "initech", "winrm"),
        ("win2", "initech", "winrm"),
    ]
    assert {host.manager for host in played} == {"windows_update"}
    assert "msrc" in fleet.feeds.use
    assert {wave.name for wave in fleet.profile("windows-server").waves} >= {"pilot", "broad"}


def test_where_no_real_host_can_run_all_of_them_are_simulated(tmp_path: Path) -> None:
    text = fleet_text(lab(tmp_path, simulated=True), tmp_path, NOW, windows(tmp_path))

    assert all(host.simulated for host in fleet_of(tmp_path, text).hosts)
