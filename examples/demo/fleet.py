"""Write the demo's fleet file: two companies on the hosts that were brought up, or three."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROLES = {
    "web1": ("acme", "web", "pilot"),
    "web2": ("acme", "web", "broad"),
    "web3": ("acme", "web", "broad"),
    "app1": ("acme", "app", "broad"),
    "db1": ("acme", "db", "critical"),
    "cold1": ("acme", "standby", "broad"),
    "shop1": ("globex", "web", "pilot"),
    "shop2": ("globex", "web", "broad"),
    "api1": ("globex", "api", "broad"),
    "files1": ("globex", "files", "late"),
}
"""Host to company, role and ring. db1 is critical; api1's update fails; cold1 is switched off."""

PROBED = "LanmanServer"
"""The service that must be up on a Windows host afterwards: it serves files."""

_WINDOWS_COMPANY = ("  - {name: initech, title: Initech, zone: America/Chicago, window: demo}",)


@dataclass(frozen=True, slots=True)
class DemoHost:
    """One host of the lab, or of the simulation."""

    name: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class DemoLab:
    """What was brought up, as its state folder says."""

    state: Path
    simulated: bool
    user: str
    hosts: tuple[DemoHost, ...]


@dataclass(frozen=True, slots=True)
class WindowsLab:
    """Played Windows hosts that answer, and what it takes to log in. Always simulated."""

    user: str
    password: Path
    ca: Path
    """The authority of their certificates, as PEM."""
    hosts: tuple[DemoHost, ...]


class DemoFailed(Exception):
    """The demo did not show what it promises; the message says what was seen instead."""


def read_lab(state: Path) -> DemoLab:
    """Read the `lab.json` that the lab, or the simulation, left in its state folder."""
    data = json.loads((state / "lab.json").read_text())
    hosts = tuple(
        DemoHost(host["name"], host["address"], int(host["port"])) for host in data["hosts"]
    )
    return DemoLab(state, data["mode"] == "simulated", data["user"], hosts)


def fleet_text(lab: DemoLab, feeds: Path, now: datetime, windows: WindowsLab | None = None) -> str:
    """Return the fleet file: a maintenance window that opened a few minutes ago, and two waves."""
    opened = (now - timedelta(minutes=5)).astimezone(UTC)
    lines = [
        "# Made by `make demo`: a window that is open right now.",
        "schema: wavemend.fleet/1",
        "tenants:",
        "  - {name: acme, title: Acme Manufacturing, zone: Europe/Berlin, window: demo,",
        "     approvers: [alice@acme.example], four_eyes: true}",
        "  - {name: globex, title: Globex Retail, zone: America/New_York, window: demo}",
        *(_WINDOWS_COMPANY if windows else ()),
        "approvers:",
        "  - {name: alice@acme.example, title: Alice Archer}",
        "windows:",
        f'  - {{name: demo, zone: UTC, start: "{opened:%H:%M}",',
        "     days: [mon, tue, wed, thu, fri, sat, sun],",
        "     duration: 4h, cutoff: 30m}",
        *_profile(),
        *(_windows_profile() if windows else ()),
        "logins:",
        "  - name: default",
        f"    user: {lab.user}",
        f"    key: file:{lab.state / 'id_ed25519'}",
        f"    known_hosts: file:{lab.state / 'known_hosts'}",
        "    connect_seconds: 8",
        *(_windows_login(windows) if windows else ()),
        "hosts:",
    ]
    for host in lab.hosts:
        lines += _host(host, simulated=lab.simulated)
    for host in windows.hosts if windows else ():
        lines += _windows_host(host)
    lines += ["feeds:", f"  source: directory:{feeds}"]
    if windows:
        lines.append("  use: [debian, epss, kev, msrc, nvd]")
    return "\n".join(lines) + "\n"


def _profile() -> list[str]:
    return [
        "profiles:",
        "  - name: debian-server",
        "    os: debian",
        "    device: server",
        "    manager: apt",
        "    updates: all",
        "    reboot: if_needed",
        "    host_deadline: 10m",
        "    waves:",
        "      - {name: pilot, kind: pilot, select: ring=pilot, concurrency: 2, gap: 1s,",
        "         gate: {max_errors: 0, min_success_percent: 100, min_observed: 1, soak: 3s}}",
        "      - {name: broad-1, kind: broad, select: ring=broad, concurrency: 3, gap: 1s,",
        "         gate: {max_errors: 0, min_success_percent: 90, min_observed: 1, soak: 2s}}",
        "      - {name: broad-2, kind: broad, concurrency: 3, gap: 1s,",
        "         gate: {max_errors: 0, min_success_percent: 90, min_observed: 1, soak: 2s}}",
        "      - {name: critical, kind: critical, concurrency: 1, gate: {max_errors: 0}}",
        "    before_hooks:",
        "      - [echo, monitoring is told to be quiet]",
        "    after_hooks:",
        "      - [echo, monitoring is told to look again]",
        "    probes:",
        "      - {name: package-database, argv: [dpkg, --audit]}",
    ]


def _host(host: DemoHost, *, simulated: bool) -> list[str]:
    tenant, role, ring = ROLES.get(host.name, ("acme", "spare", "broad"))
    lines = [
        f"  - name: {host.name}",
        f"    tenant: {tenant}",
        f"    address: {host.address}",
        f"    port: {host.port}",
        f"    labels: {{os: debian, device: server, role: {role}, ring: {ring}}}",
    ]
    if role == "db":
        lines.append("    critical: true")
    if role in {"web", "api"}:
        lines.append("    exposed: true")
    if simulated:
        lines.append("    simulated: true")
    return lines


def _windows_profile() -> list[str]:
    return [
        "  - name: windows-server",
        "    os: windows",
        "    device: server",
        "    manager: windows_update",
        "    updates: all",
        "    reboot: if_needed",
        "    host_deadline: 2h",
        "    restore_point: {kind: windows, required: true}",
        "    waves:",
        "      - {name: pilot, kind: pilot, select: ring=pilot, concurrency: 2,",
        "         gate: {max_errors: 0, min_success_percent: 100, min_observed: 1, soak: 3s}}",
        "      - {name: broad, kind: broad, concurrency: 5, gate: {max_errors: 0}}",
        "    probes:",
        f"      - {{name: files-are-served, service: {PROBED}}}",
    ]


def _windows_login(lab: WindowsLab) -> list[str]:
    return [
        "  - name: windows",
        f"    user: {lab.user}",
        "    auth: ntlm",
        f"    password: file:{lab.password}",
        f"    ca: file:{lab.ca}",
    ]


def _windows_host(host: DemoHost) -> list[str]:
    ring = "pilot" if host.name == "win1" else "broad"
    return [
        f"  - name: {host.name}",
        "    tenant: initech",
        f"    address: {host.address}",
        f"    port: {host.port}",
        "    transport: winrm",
        "    login: windows",
        f"    labels: {{os: windows, device: server, role: files, ring: {ring}}}",
        "    exposed: true",
        "    simulated: true",
    ]
