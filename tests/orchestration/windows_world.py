"""A company with a Linux host and three Windows hosts, and everything that `wavemend up` starts.

The Windows hosts are simulated: Windows never ran here; so is the Linux host where no lab can run.
The way to each of them is real, SSH or WinRM over HTTPS, and so are Prefect's server and worker,
the flows, the ledger and the commands.
"""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.windows_host.serve import announced
from tests.windows_host.state import HostState, load, save, scenario
from tests.windows_host.world import PASSWORD, USER
from tests.world.fleet import APPROVER, WorldHost
from tests.world.world import World
from wavemend.hosts import Host

TENANT = "office"
LINUX = WorldHost("lin1", TENANT, packages=("wm-fine",))
PLAYED = {"win1": "ok_reboot", "win2": "reboot_first", "win3": "ok_reboot"}
"""Pilot, broad, critical."""
_UP_SECONDS = 30.0
_GATE = "gate: {max_errors: 0, min_success_percent: 100, min_observed: 1, soak: 1s}"


class WindowsWorld(World):
    """One company of mixed hosts in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "windows"
        self._play()
        try:
            super().__init__(home, print, (LINUX,))
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """End everything that was started."""
        try:
            super().close()
        finally:
            self._end()

    def played(self, name: str) -> HostState:
        """Return what a Windows host knows of itself, whatever wavemend thinks of it."""
        return load(self.folder / name / "state.json")

    def fleet(self, opened: datetime, *, with_closed: bool) -> str:
        """Return the fleet file: a window that opened a minute ago, a profile for each system."""
        del with_closed
        start = (opened - timedelta(minutes=1)).astimezone(UTC)
        (self.home / "ca").write_text(announced(self.folder)[0][1].ca)
        (self.home / "password").touch(mode=0o600)
        (self.home / "password").write_text(PASSWORD)
        lab = self.hosts.lab()
        (linux,) = lab.hosts
        return f"""\
schema: wavemend.fleet/1
tenants:
  - {{name: {TENANT}, title: Office Works, zone: Europe/Berlin, window: now,
     approvers: [{APPROVER}], four_eyes: true}}
approvers: [{{name: {APPROVER}, title: Alice Archer}}]
windows:
  - {{name: now, zone: UTC, start: "{start:%H:%M}", duration: 4h, cutoff: 30m,
     days: [mon, tue, wed, thu, fri, sat, sun]}}
budgets: [{{name: one-server, hosts: [win1, win2, lin1], most_out: 1}}]
profiles:
  - name: linux
    os: debian
    device: server
    manager: apt
    updates: all
    reboot: if_needed
    host_deadline: 5m
    waves: [{{name: all, kind: broad, {_GATE}}}]
  - name: server
    os: windows
    device: server
    manager: windows_update
    updates: all
    reboot: if_needed
    host_deadline: 20m
    reboots: {{back_within: 2m}}
    waves:
      - {{name: pilot, kind: pilot, select: ring=pilot, {_GATE}}}
      - {{name: broad, kind: broad, {_GATE}}}
      - {{name: critical, kind: critical, gate: {{max_errors: 0}}}}
logins:
  - name: default
    user: {lab.user}
    key: file:{lab.state / "id_ed25519"}
    known_hosts: file:{lab.state / "known_hosts"}
  - {{name: windows, user: {USER}, auth: ntlm, password: file:password, ca: file:ca}}
hosts:
  - {{name: lin1, tenant: {TENANT}, address: {linux.address}, port: {linux.port},
     labels: {{os: debian, device: server}}, simulated: {str(lab.simulated).lower()}}}
{chr(10).join(_windows(host) for host, _ in announced(self.folder))}
feeds: {{source: "directory:{self.feeds}", use: [debian, kev, msrc], max_age_hours: 8760}}
"""

    def _play(self) -> None:
        for number, (name, scene) in enumerate(PLAYED.items(), start=1):
            state = scenario(scene)
            state.os.computer = name.upper()
            state.os.machine_id = f"{state.os.machine_id[:-4]}{number:04x}"
            for update in state.wua.updates:
                update.install_seconds = update.download_seconds = 5
            (self.folder / name).mkdir(parents=True)
            save(state, self.folder / name / "state.json")
        hosts = ["=".join(pair) for pair in PLAYED.items()]
        with (self.folder / "log").open("wb") as log:
            self._played = subprocess.Popen(
                [sys.executable, "-m", "tests.windows_host.serve", str(self.folder), *hosts],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _UP_SECONDS
        while not announced(self.folder):
            if self._played.poll() is not None or time.monotonic() > until:
                self._end()
                raise AssertionError((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.1)

    def _end(self) -> None:
        self._played.kill()
        self._played.communicate()


def _windows(host: Host) -> str:
    ring = {"win1": "pilot"}.get(host.name, "broad")
    critical = ", critical: true" if host.name == "win3" else ""
    return (
        f"  - {{name: {host.name}, tenant: {TENANT}, address: {host.address}, port: {host.port}, "
        f"transport: winrm, login: windows, simulated: true{critical}, "
        f"labels: {{os: windows, device: server, ring: {ring}}}}}"
    )
