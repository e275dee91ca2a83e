"""Many played Windows hosts in a process of their own: what is left here is the controller's.

`python -m tests.bench.winrm_hosts COUNT sealed|tls` prints ports and authority as a line of JSON,
then what its peers have counted for every line on stdin, and ends with its stdin. Each host has a
name, a machine id and a revision of its updates for itself, so that no answer passes for another
host's, and the inventory of a server that was serviced for years: `PACKAGES`, `HISTORY`.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypedDict, cast

from tests.windows_host.parts import HistoryEntry, Package
from tests.windows_host.state import HostState, scenario
from tests.windows_host.world import World, host_at, login_for, winhost
from tests.winrm_peer import run_tls
from wavemend.hosts import Host
from wavemend.transport import Login

SEALED, TLS = "sealed", "tls"
"""NTLM over HTTP, every message encrypted; NTLM over HTTPS, channel binding insisted on."""

PACKAGES, HISTORY = 300, 400
SEARCH_SECONDS = 15
"""Of virtual time: the first question for a search's end sees it."""
FIRST_REVISION = 200
END_SECONDS = 30.0
"""The longest that the process may take to close its peers."""


class _Told(TypedDict):
    ports: list[int]
    ca: str


class _Row(TypedDict):
    connections: int
    decrypt_failures: int
    faults: int
    open_shells: int
    commands: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a host's peer has counted since its start."""

    connections: int
    decrypt_failures: int
    """Each was answered by HTTP 400."""
    faults: int
    open_shells: int
    commands: int


class PlayedHosts:
    """The hosts of another process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.told = self._line()
        """What `hosts_of` makes of it, for a further process."""
        self.hosts, self.login = hosts_of(self.told)

    def counted(self) -> tuple[Counted, ...]:
        """Return what each host's peer has counted, in the order of the hosts."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        rows = cast("list[_Row]", json.loads(self._line()))
        return tuple(Counted(**row) for row in rows)

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process that plays the hosts has ended"
        return line


@contextlib.contextmanager
def played(count: int, kind: str) -> Iterator[PlayedHosts]:
    """Play so many hosts elsewhere; fails at the end where their process did."""
    argv = [sys.executable, "-m", __name__, str(count), kind]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield PlayedHosts(process)
        process.communicate(timeout=END_SECONDS)
        assert process.returncode == 0, "the process that played the hosts failed"
    finally:
        process.kill()
        process.communicate()


def hosts_of(told: str) -> tuple[tuple[Host, ...], Login]:
    """Return the hosts that another process has told of, and how to log in to them."""
    said = cast("_Told", json.loads(told))
    hosts = [host_at(name_of(number), port=port) for number, port in enumerate(said["ports"])]
    login = login_for(ca=said["ca"])
    return tuple(hosts), login if said["ca"] else replace(login, plain_http=True)


def name_of(number: int) -> str:
    """Return the name of a host, which is also its computer name."""
    return f"win{number:03}"


def machine_of(number: int) -> str:
    """Return the machine id of a host."""
    return f"8f3c1d52-6a07-4e0b-9c55-{number:012}"


def revision_of(number: int) -> int:
    """Return the revision of all updates that a host is offered."""
    return FIRST_REVISION + number


def _state(number: int) -> HostState:
    state = scenario("ok_reboot")
    state.os.computer, state.os.machine_id = name_of(number), machine_of(number)
    state.wua.search_seconds = SEARCH_SECONDS
    for update in state.wua.updates:
        update.revision = revision_of(number)
    state.packages = [
        Package(name=f"Package_{item}_for_KB5043080~31bf3856ad364e35~amd64~~20348.2700.1.7")
        for item in range(PACKAGES)
    ]
    state.wua.history = [_entry(item) for item in range(HISTORY)]
    return state


def _entry(item: int) -> HistoryEntry:
    return HistoryEntry(
        date=f"2025-{item % 12 + 1:02}-{item % 28 + 1:02}T04:00:00Z",
        title=f"Security Intelligence Update for Microsoft Defender Antivirus (Version 1.{item})",
        kb="KB2267602",
        result_code=2,
        hresult="0x00000000",
        update_id=f"ffffffff-0000-4000-8000-{item:012}",
        revision=200,
    )


def _counted(world: World) -> Counted:
    counters = world.peer.counters()
    return Counted(
        connections=counters.connections,
        decrypt_failures=counters.decrypt_failures,
        faults=sum(counters.faults.values()),
        open_shells=counters.open_shells,
        commands=counters.operations.get("Command", 0),
    )


def _serve(count: int, kind: str) -> None:
    """Play hosts until stdin ends; strangers and open shells fail this process."""
    switches = {"tls": None} if kind == SEALED else {"tls": run_tls(), "cbt": "strict"}
    with contextlib.ExitStack() as stack:
        worlds = [
            stack.enter_context(winhost(_state(number), name=name_of(number), **switches))
            for number in range(count)
        ]
        told = {"ports": [world.peer.port for world in worlds], "ca": worlds[0].peer.ca_pem}
        print(json.dumps(told), flush=True)
        for _ in sys.stdin:
            print(json.dumps([asdict(_counted(world)) for world in worlds]), flush=True)


def main(argv: Sequence[str]) -> None:
    """Play as many hosts, and of such a kind, as the arguments say."""
    count, kind = argv
    _serve(int(count), kind)


if __name__ == "__main__":
    main(sys.argv[1:])
