"""A played Windows host behind a test peer: what `transports.connect` can be pointed at."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.windows_host.host import WindowsHost
from tests.windows_host.machine import Clock
from tests.windows_host.state import HostState, scenario
from tests.winrm_peer import Peer, run_tls
from wavemend.hosts import Host
from wavemend.transport import Login

USER, PASSWORD = "WAVEMEND\\patcher", "Correct-horse 7"
PROGRAMS = frozenset({"dism.exe", "hostname", "ipconfig", "powershell.exe", "whoami.exe"})
DOWN_SECONDS = 0.3
"""Of the test's own time, in which a host that restarts refuses connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One simulated Windows host, ready to be connected to."""

    host: Host
    login: Login
    windows: WindowsHost
    peer: Peer


@contextlib.contextmanager
def winhost(
    played: str | HostState,
    *,
    name: str = "win1",
    clock: Clock | None = None,
    pace: float = 0,
    folder: Path | None = None,
    down_seconds: float = DOWN_SECONDS,
    make_peer: Callable[..., Peer] = Peer,
    **switches: object,
) -> Iterator[World]:
    """Play a host, by scenario name or state, over HTTPS; `switches` are the peer's."""
    state = scenario(played) if isinstance(played, str) else played
    windows = WindowsHost(state, clock=clock, pace=pace, folder=folder)
    options = {"tls": run_tls(), "knows": PROGRAMS.__contains__, **switches}
    with make_peer(users={USER: PASSWORD}, runner=windows.run, **options) as peer:
        windows.on_reboot = lambda returns: peer.reboot(down_seconds if returns else math.inf)
        windows.on_hang_up = lambda: peer.reboot(down_seconds)
        windows.machine.shells = lambda: peer.counters().open_shells
        host, login = host_at(name, port=peer.port), login_for(ca=peer.ca_pem)
        yield World(host=host, login=login, windows=windows, peer=peer)
    assert not state.strangers, state.strangers


def host_at(name: str, *, port: int) -> Host:
    """Return what a fleet says about a played host."""
    return Host(
        name=name,
        tenant="acme",
        address="127.0.0.1",
        port=port,
        transport="winrm",
        login="windows",
        manager="windows_update",
        simulated=True,
    )


def login_for(*, ca: str) -> Login:
    """Return how to log in to played hosts: NTLM over HTTPS."""
    return Login(name="windows", user=USER, password=PASSWORD, ca=ca)
