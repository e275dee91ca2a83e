"""`wavemend manager check` tells a declaration that works on a host from one that does not.

The command itself, against a simulated VyOS router over real SSH.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.contract.declared_bench import EXAMPLES
from wavemend.execution.jobs import read_journal
from wavemend.hosts import BegunAttempt
from wavemend.ledger import audit
from wavemend.ledger.journals import unknown_ids
from wavemend.ledger.store import open_ledger
from wavemend.managers.declared import DeclaredManager
from wavemend.testing.manager_contract import ManagerContract, Trial
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.testing.simulated_vyos import make_vyos, remember
from wavemend.transport import Transport
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

OLD, NEW = "1.5-rolling-202312220023", "1.5-rolling-202312250024"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    lab = SimulatedLab(tmp_path_factory.mktemp("lab"))
    lab.up((HostSpec("router0", packages=()),))
    yield lab
    lab.down()


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator's installation with a router in its fleet, and a declaration to try on it."""

    home: Path
    file: Path
    lab: SimulatedLab
    transport: Transport

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "wavemend", *words]
        environment = {
            "PYTHONPATH": "src",
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "WAVEMEND_HOME": str(self.home),
            "COLUMNS": "240",
        }
        return subprocess.run(argv, env=environment, text=True, capture_output=True, check=False)

    def check(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("manager", "check", str(self.file), *words)

    def apply_fleet(
        self, *, critical: bool = False, opened: bool = True, frozen: bool = False
    ) -> None:
        """Make a fleet of the one router the one in force."""
        host, info = self.lab.host("router0"), self.lab.info()
        start = datetime.now(UTC) - timedelta(hours=1 if opened else 5)
        text = f"""\
schema: wavemend.fleet/1
tenants:
  - {{name: acme, zone: UTC, window: now, approvers: [alice@acme.example]}}
approvers:
  - {{name: alice@acme.example}}
windows:
  - {{name: now, zone: UTC, start: "{start:%H:%M}", duration: 3h, cutoff: 15m,
     days: [mon, tue, wed, thu, fri, sat, sun]}}
managers:
  - {{name: vyos, file: {self.file}}}
logins:
  - {{name: default, user: {info["user"]}, key: "file:{self.lab.state}/id_ed25519",
     known_hosts: "file:{self.lab.state}/known_hosts"}}
profiles:
  - name: routers
    device: router
    os: vyos
    manager: vyos
    updates: all
    reboot: if_needed
    host_deadline: 30m
    waves: [{{name: all, kind: broad}}]
hosts:
  - {{name: router0, tenant: acme, address: {host.address}, port: {host.port},
     labels: {{device: router, os: vyos}}, critical: {str(critical).lower()}}}
"""
        if frozen:
            end = start + timedelta(days=1)
            text += f"""\
freezes:
  - {{name: year-end, scope: global, start: "{start:%Y-%m-%dT%H:%M}", end: "{end:%Y-%m-%dT%H:%M}",
     zone: UTC, reason: closing the books}}
"""
        path = self.home / "fleet.yaml"
        path.write_text(text)
        done = self.run("fleet", "apply", str(path), "--yes")
        assert done.returncode == 0, done.stderr


@pytest.fixture
def desk(lab: SimulatedLab, tmp_path: Path) -> Iterator[Desk]:
    prefix, home = tmp_path / "programs", tmp_path / "home"
    home.mkdir(mode=0o700)
    text = (EXAMPLES / "vyos.yaml").read_text()
    for place in ("/usr/libexec/", "/opt/vyatta/"):
        text = text.replace(place, f"{prefix}{place}")
    file = tmp_path / "vyos.yaml"
    file.write_text(text)
    transport = connect(lab.host("router0"), lab.login())
    forget = 'rm -rf "$WAVEMEND_ROOT/config" "$WAVEMEND_ROOT/var/lib/wavemend"'
    transport.run_as_root(("sh", "-c", forget), deadline=30)
    make_vyos(transport, OLD, prefix=str(prefix))
    remember(transport, "offered", NEW)
    desk = Desk(home, file, lab, transport)
    desk.apply_fleet()
    yield desk
    transport.close()


def test_a_declaration_that_fits_passes_and_nothing_is_changed(desk: Desk) -> None:
    done = desk.check("--host", "router0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"vyos {OLD} -> {NEW}" in done.stdout
    assert "0 failed" in done.stdout
    assert read_journal(desk.transport, deadline=30) == ()


def test_without_a_host_the_file_is_read_and_its_commands_shown(desk: Desk) -> None:
    done = desk.check("--dry")
    assert done.returncode == 0
    assert "set system image default-boot {version}" in done.stdout


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ("|No available updates|", "|", "everything it prints is understood"),
        ("image_default}", "image_of_tomorrow}", "the host can be read"),
        ("image_installer.py", "image_eraser.py", "the programs of a change are there"),
        ("versions: deb", "versions: windows", "versions can be compared"),
    ],
)
def test_a_declaration_that_does_not_fit_fails_where_it_does_not(
    desk: Desk, was: str, now: str, words: str
) -> None:
    text = desk.file.read_text()
    assert was in text
    desk.file.write_text(text.replace(was, now))
    if "No available" in was:
        remember(desk.transport, "offered", OLD)
    done = desk.check("--host", "router0")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(words)]
    assert "FAILED" in line


def test_a_rehearsal_that_says_yes_to_everything_is_found_out(desk: Desk) -> None:
    rehearse = 'rehearse:\n  run: ["true", "{name}", "{version}"]\n'
    desk.file.write_text(f"{desk.file.read_text()}\n{rehearse}")
    done = desk.check("--host", "router0")
    assert done.returncode == 2
    assert "a rehearsal that says yes to everything proves nothing" in done.stdout


def test_a_version_is_installed_and_taken_back_only_when_it_is_said_twice(desk: Desk) -> None:
    refused = desk.check("--host", "router0", "--apply", NEW)
    assert refused.returncode == 15
    assert "--confirm router0" in refused.stderr
    assert read_journal(desk.transport, deadline=30) == ()

    done = desk.check("--host", "router0", "--apply", NEW, "--confirm", "router0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{OLD} -> {NEW}" in done.stdout
    assert f"{NEW} -> {OLD}" in done.stdout
    assert "a restart is due and not done here" in done.stdout
    ledger = open_ledger(f"sqlite:///{desk.home / 'ledger.db'}")
    journal = read_journal(desk.transport, deadline=30)
    begun = [BegunAttempt(attempt_id=e.attempt_id, fence=e.fence or 0, at=0) for e in journal]
    with ledger.reading() as book:
        (event,) = audit.events(book, "router0")
        assert f"vyos to {NEW} and back" in event.body
        # The next rollout does not take its own trial for a stranger's change.
        assert unknown_ids(book, "router0", begun) == ()
    assert len({entry.attempt_id for entry in begun}) == 2


def test_a_change_is_refused_wherever_a_rollout_would_be(desk: Desk) -> None:
    asked = ("--host", "router0", "--apply", NEW, "--confirm", "router0")
    desk.apply_fleet(critical=True)
    assert "is critical" in desk.check(*asked).stderr
    desk.apply_fleet(opened=False)
    assert "the window now of router0 is closed" in desk.check(*asked).stderr
    desk.apply_fleet(frozen=True)
    assert "calendars forbid it: freeze: year-end" in desk.check(*asked).stderr
    desk.apply_fleet()
    assert desk.run("stop", "testing").returncode == 0
    done = desk.check(*asked)
    assert (done.returncode, "stopped: testing" in done.stderr) == (16, True)
    assert read_journal(desk.transport, deadline=30) == ()


class TestTheShippedDeclarationByTheContract(ManagerContract):
    """An author's own test looks like this."""

    @pytest.fixture
    def trial(self, desk: Desk) -> Trial:
        from wavemend.inventory.manager_file import load_declaration

        manager = DeclaredManager(declaration=load_declaration(desk.file, "vyos"))
        return Trial(
            manager=manager,
            host=desk.lab.host("router0"),
            connect=lambda: connect(desk.lab.host("router0"), desk.lab.login()),
            clock=lambda: datetime.now(UTC),
        )
