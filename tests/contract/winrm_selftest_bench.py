"""`wavemend winrm-selftest` over real WinRM, NTLM and TLS against a simulated Windows host."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.windows_host.state import HostState, scenario
from tests.windows_host.world import PASSWORD, USER, World, winhost
from wavemend.cli.winrm_selftest import winrm_selftest


def host_of_today(name: str = "ok_reboot") -> HostState:
    """Return a scenario whose clock is this machine's: the self-test compares the two."""
    state = scenario(name)
    state.clock = None
    return state


@dataclass(frozen=True, slots=True)
class Line:
    """One check of the result file."""

    verdict: str
    seen: str
    way_out: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the command left behind."""

    status: int
    printed: str
    document: Mapping[str, object]
    lines: Mapping[str, Line]

    def named(self, verdict: str) -> set[str]:
        """Return the checks with this verdict."""
        return {name for name, line in self.lines.items() if line.verdict == verdict}

    @property
    def missing(self) -> set[str]:
        """Return the checks that could not be tried, and not by choice."""
        by_choice = {item["name"] for item in self._checks if item["by_choice"]}
        return self.named("not tried") - by_choice

    @property
    def _checks(self) -> list[dict[str, object]]:
        checks = self.document["checks"]
        assert isinstance(checks, list)
        return checks


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator with a fleet file that names one host."""

    folder: Path
    world: World
    capsys: pytest.CaptureFixture[str]

    @property
    def fleet(self) -> Path:
        """The fleet file."""
        return self.folder / "fleet.yaml"

    def write(self, *, ca: str = "", login: str = "auth: ntlm", transport: str = "winrm") -> None:
        """Write the fleet file; `ca`: the host's own where nothing is said."""
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
        (self.folder / "ca.pem").write_text(ca or self.world.peer.ca_pem)
        rest = 'password: "file:password", ca: "file:ca.pem", connect_seconds: 2'
        self.fleet.write_text(
            "schema: wavemend.fleet/1\n"
            "tenants: [{name: acme, title: Acme, zone: UTC}]\n"
            "logins:\n"
            f"  - {{name: windows, user: '{USER}', {login}, {rest}}}\n"
            '  - {name: linux, user: root, key: "agent:", known_hosts: "file:ca.pem"}\n'
            "hosts:\n"
            "  - {name: web1, tenant: acme, address: 127.0.0.1, login: linux,"
            " labels: {os: debian}}\n"
            f"  - {{name: win1, tenant: acme, address: 127.0.0.1, port: {self.world.peer.port},"
            f" transport: {transport}, login: windows, simulated: true, labels: {{os: windows}}}}\n"
        )

    def try_it(self, host: str = "win1", **options: object) -> Result:
        """Run the command and read what it wrote."""
        told = self.folder / "result.json"
        settings: dict[str, object] = {"fleet": self.fleet, "json_file": told, **options}
        status = winrm_selftest(host, **settings)  # type: ignore[arg-type]
        document = json.loads(told.read_text())
        lines = {
            item["name"]: Line(item["verdict"], item["seen"], item["way_out"])
            for item in document["checks"]
        }
        assert len(lines) == len(document["checks"])
        return Result(status, self.capsys.readouterr().out, document, lines)


@contextlib.contextmanager
def desk(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    state: HostState | None = None,
    **switches: object,
) -> Iterator[Desk]:
    """Play a host, and put an operator in front of it."""
    options = {"cbt": "strict", **switches}
    with winhost(state or host_of_today(), **options) as world:  # type: ignore[arg-type]
        made = Desk(folder, world, capsys)
        made.write()
        yield made
